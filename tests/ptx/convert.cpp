/*
 * Conversions (cvt) between registers, which may be wider than the types.
 */
#include "warp.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace ptx {

namespace {

struct Nearest { /* ties to even: the host's mode */
    template <typename T> T operator()(T x) const { return std::nearbyint(x); }
};
struct To_zero {
    template <typename T> T operator()(T x) const { return std::trunc(x); }
};
struct Down {
    template <typename T> T operator()(T x) const { return std::floor(x); }
};
struct Up {
    template <typename T> T operator()(T x) const { return std::ceil(x); }
};

/* A float as an integer: the nearest that there is, 0 for NaN. */
template <typename D, typename S> D saturated(S x)
{
    const S least = static_cast<S>(std::numeric_limits<D>::min());
    const S beyond = std::ldexp(S(1), std::numeric_limits<D>::digits); /* the largest, and 1 */
    if (x != x) return 0;
    if (x <= least) return std::numeric_limits<D>::min();
    if (x >= beyond) return std::numeric_limits<D>::max();
    return static_cast<D>(x);
}

template <typename D, typename S, typename Round> struct Convert {
    D operator()(S x) const
    {
        constexpr bool from_float = std::is_floating_point<S>::value;
        if constexpr (from_float && std::is_integral<D>::value) {
            return saturated<D>(Round()(x));
        } else if constexpr (from_float && std::is_same<D, S>::value) {
            return Round()(x);
        } else {
            const D to = static_cast<D>(x);
            const uint32_t nan = 0x7fffffff;
            if constexpr (std::is_same<D, float>::value) {
                D canonical;
                std::memcpy(&canonical, &nan, sizeof nan);
                return to == to ? to : canonical;
            }
            return to;
        }
    }
};

/* Low bytes of a wide register are the number; a wide destination gets zeros or the sign. */
template <typename D, typename S, typename Round> void convert_wide(Warp &w, const Instruction &i)
{
    const Place to = i.operand[0], from = i.operand[1];
    each_lane(w, [&](unsigned k) {
        S x;
        std::memcpy(&x, w.file + from.at + k * from.bytes, sizeof x);
        const D d = Convert<D, S, Round>()(x);
        int64_t filled = 0;
        if constexpr (std::is_integral<D>::value) filled = static_cast<int64_t>(d);
        else std::memcpy(&filled, &d, sizeof d);
        std::memcpy(w.file + to.at + k * to.bytes, &filled, to.bytes);
    });
}

template <typename D, typename S, typename Round = To_zero>
void convert(Warp &w, const Instruction &i)
{
    if (i.operand[0].bytes != sizeof(D) || i.operand[1].bytes != sizeof(S)) {
        convert_wide<D, S, Round>(w, i);
        return;
    }
    D *d = w.lanes<D>(i.operand[0]);
    const S *a = w.lanes<S>(i.operand[1]);
    each_lane(w, [&](unsigned k) { d[k] = Convert<D, S, Round>()(a[k]); });
}

template <typename D> void add_to_integer(Steps &steps, const std::string &to)
{
    steps[to + ".u8"] = convert<D, uint8_t>;
    steps[to + ".s8"] = convert<D, int8_t>;
    steps[to + ".u16"] = convert<D, uint16_t>;
    steps[to + ".s16"] = convert<D, int16_t>;
    steps[to + ".u32"] = convert<D, uint32_t>;
    steps[to + ".s32"] = convert<D, int32_t>;
    steps[to + ".u64"] = convert<D, uint64_t>;
    steps[to + ".s64"] = convert<D, int64_t>;
}

/* Of all integers, those that floats are converted to. */
template <typename D> void add_rounding(Steps &steps, const std::string &to)
{
    steps["rni." + to + ".f32"] = convert<D, float, Nearest>;
    steps["rzi." + to + ".f32"] = convert<D, float, To_zero>;
    steps["rmi." + to + ".f32"] = convert<D, float, Down>;
    steps["rpi." + to + ".f32"] = convert<D, float, Up>;
    steps["rni." + to + ".f64"] = convert<D, double, Nearest>;
    steps["rzi." + to + ".f64"] = convert<D, double, To_zero>;
    steps["rmi." + to + ".f64"] = convert<D, double, Down>;
    steps["rpi." + to + ".f64"] = convert<D, double, Up>;
}

template <typename D> void add_to_float(Steps &steps, const std::string &to)
{
    steps["rn." + to + ".u8"] = convert<D, uint8_t>;
    steps["rn." + to + ".s8"] = convert<D, int8_t>;
    steps["rn." + to + ".u16"] = convert<D, uint16_t>;
    steps["rn." + to + ".s16"] = convert<D, int16_t>;
    steps["rn." + to + ".u32"] = convert<D, uint32_t>;
    steps["rn." + to + ".s32"] = convert<D, int32_t>;
    steps["rn." + to + ".u64"] = convert<D, uint64_t>;
    steps["rn." + to + ".s64"] = convert<D, int64_t>;
    steps["rni." + to + "." + to] = convert<D, D, Nearest>;
    steps["rzi." + to + "." + to] = convert<D, D, To_zero>;
    steps["rmi." + to + "." + to] = convert<D, D, Down>;
    steps["rpi." + to + "." + to] = convert<D, D, Up>;
}

Steps all_steps()
{
    Steps steps;
    add_to_integer<uint8_t>(steps, "u8");
    add_to_integer<int8_t>(steps, "s8");
    add_to_integer<uint16_t>(steps, "u16");
    add_to_integer<int16_t>(steps, "s16");
    add_to_integer<uint32_t>(steps, "u32");
    add_to_integer<int32_t>(steps, "s32");
    add_to_integer<uint64_t>(steps, "u64");
    add_to_integer<int64_t>(steps, "s64");
    add_rounding<uint32_t>(steps, "u32");
    add_rounding<int32_t>(steps, "s32");
    add_rounding<uint64_t>(steps, "u64");
    add_rounding<int64_t>(steps, "s64");
    add_to_float<float>(steps, "f32");
    add_to_float<double>(steps, "f64");
    steps["rn.f32.f64"] = convert<float, double>;
    steps["f64.f32"] = convert<double, float>;
    return steps;
}

} // namespace

Step convert_step(const std::string &name)
{
    static const Steps steps = all_steps();
    return step_in(steps, name);
}

} // namespace ptx
