/*
 * Integers, bits and predicates as the PTX ISA reference defines them.
 */
#include "lanewise.h"

#include <type_traits>

namespace ptx {

namespace {

/* Results of twice the width: mul.wide, mad.wide. */
template <typename T, typename Wide> void multiply_wide(Warp &w, const Instruction &i)
{
    Wide *d = w.lanes<Wide>(i.operand[0]);
    const T *a = w.lanes<T>(i.operand[1]), *b = w.lanes<T>(i.operand[2]);
    each_lane(w, [&](unsigned k) { d[k] = static_cast<Wide>(a[k]) * static_cast<Wide>(b[k]); });
}

template <typename T, typename Wide> void multiply_add_wide(Warp &w, const Instruction &i)
{
    Wide *d = w.lanes<Wide>(i.operand[0]);
    const T *a = w.lanes<T>(i.operand[1]), *b = w.lanes<T>(i.operand[2]);
    const Wide *c = w.lanes<Wide>(i.operand[3]);
    using U = std::make_unsigned_t<Wide>;
    each_lane(w, [&](unsigned k) {
        d[k] = static_cast<Wide>(static_cast<U>(static_cast<Wide>(a[k]) * static_cast<Wide>(b[k])) +
                                 static_cast<U>(c[k]));
    });
}

/* The second source, 32 bits wide, is how far. */
template <typename T, typename Op> void shift(Warp &w, const Instruction &i)
{
    T *d = w.lanes<T>(i.operand[0]);
    const T *a = w.lanes<T>(i.operand[1]);
    const uint32_t *by = w.lanes<uint32_t>(i.operand[2]);
    each_lane(w, [&](unsigned k) { d[k] = Op()(a[k], by[k]); });
}

/* Of predicates, all lanes at once. */
template <typename Op> void logic(Warp &w, const Instruction &i)
{
    w.set_predicate(i.operand[0], Op()(w.predicate(i.operand[1]), w.predicate(i.operand[2])));
}

void not_predicate(Warp &w, const Instruction &i)
{
    w.set_predicate(i.operand[0], ~w.predicate(i.operand[1]));
}

void move_predicate(Warp &w, const Instruction &i)
{
    w.set_predicate(i.operand[0], w.predicate(i.operand[1]));
}

/* Integers, which wrap ------------------------------------------------------------------------ */

/* Of any two integers that fit, as C++ has it for unsigned ones of at least 32 bits. */
#define WRAPPING(Name, op)                                                                         \
    struct Name {                                                                                  \
        template <typename T> T operator()(T a, T b) const                                         \
        {                                                                                          \
            return static_cast<T>(static_cast<uint64_t>(a) op static_cast<uint64_t>(b));           \
        }                                                                                          \
    };
WRAPPING(Add, +)
WRAPPING(Subtract, -)
WRAPPING(Multiply, *)
WRAPPING(And, &)
WRAPPING(Or, |)
WRAPPING(Xor, ^)
#undef WRAPPING

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;
struct Multiply_high {
    template <typename T> T operator()(T a, T b) const
    {
        using Wide = std::conditional_t<std::is_signed<T>::value, int128, uint128>;
        return static_cast<T>((static_cast<Wide>(a) * static_cast<Wide>(b)) >> (8 * sizeof(T)));
    }
};
struct Multiply_add {
    template <typename T> T operator()(T a, T b, T c) const { return Add()(Multiply()(a, b), c); }
};
struct Divide { /* by 0: all bits one, as GPUs do */
    template <typename T> T operator()(T a, T b) const
    {
        if (b == 0) return static_cast<T>(-1);
        if (std::is_signed<T>::value && b == static_cast<T>(-1)) return Subtract()(T(0), a);
        return static_cast<T>(a / b);
    }
};
struct Remainder {
    template <typename T> T operator()(T a, T b) const
    {
        return Subtract()(a, Multiply()(Divide()(a, b), b));
    }
};
struct Smaller {
    template <typename T> T operator()(T a, T b) const { return b < a ? b : a; }
};
struct Larger {
    template <typename T> T operator()(T a, T b) const { return a < b ? b : a; }
};
struct Absolute {
    template <typename T> T operator()(T a) const { return a < 0 ? Subtract()(T(0), a) : a; }
};
struct Negative {
    template <typename T> T operator()(T a) const { return Subtract()(T(0), a); }
};
struct Not {
    template <typename T> T operator()(T a) const { return static_cast<T>(~a); }
};
struct Left {
    template <typename T> T operator()(T a, uint32_t by) const
    {
        return by < 8 * sizeof(T) ? static_cast<T>(static_cast<uint64_t>(a) << by) : T(0);
    }
};
struct Right {
    template <typename T> T operator()(T a, uint32_t by) const
    {
        const uint32_t most = 8 * sizeof(T) - 1;
        if (by > most) return std::is_signed<T>::value ? static_cast<T>(a >> most) : T(0);
        return static_cast<T>(a >> by);
    }
};

void population(Warp &w, const Instruction &i)
{
    uint32_t *d = w.lanes<uint32_t>(i.operand[0]);
    const uint32_t *a = w.lanes<uint32_t>(i.operand[1]);
    each_lane(w, [&](unsigned k) { d[k] = static_cast<uint32_t>(__builtin_popcount(a[k])); });
}

void leading_zeros(Warp &w, const Instruction &i)
{
    uint32_t *d = w.lanes<uint32_t>(i.operand[0]);
    const uint32_t *a = w.lanes<uint32_t>(i.operand[1]);
    each_lane(w,
              [&](unsigned k) { d[k] = a[k] ? static_cast<uint32_t>(__builtin_clz(a[k])) : 32; });
}

/* The lowest `length` bits. */
template <typename T> T low_bits(uint32_t length)
{
    return length < 8 * sizeof(T) ? static_cast<T>((T(1) << length) - 1) : static_cast<T>(~T(0));
}

/* `length` bits of a from bit `at` on. */
template <typename T> void extract_field(Warp &w, const Instruction &i)
{
    T *d = w.lanes<T>(i.operand[0]);
    const T *a = w.lanes<T>(i.operand[1]);
    const uint32_t *at = w.lanes<uint32_t>(i.operand[2]);
    const uint32_t *length = w.lanes<uint32_t>(i.operand[3]);
    each_lane(w, [&](unsigned k) { d[k] = Right()(a[k], at[k]) & low_bits<T>(length[k]); });
}

/* b with `length` low bits of a in place of its own from bit `at` on. */
template <typename T> void insert_field(Warp &w, const Instruction &i)
{
    T *d = w.lanes<T>(i.operand[0]);
    const T *a = w.lanes<T>(i.operand[1]), *b = w.lanes<T>(i.operand[2]);
    const uint32_t *at = w.lanes<uint32_t>(i.operand[3]);
    const uint32_t *length = w.lanes<uint32_t>(i.operand[4]);
    each_lane(w, [&](unsigned k) {
        const T field = Left()(low_bits<T>(length[k]), at[k]);
        d[k] = (b[k] & ~field) | (Left()(a[k], at[k]) & field);
    });
}

/* Bytes of a and b by the digits of a selector; a digit of 8 and more spreads a sign. */
void permute(Warp &w, const Instruction &i)
{
    uint32_t *d = w.lanes<uint32_t>(i.operand[0]);
    const uint32_t *a = w.lanes<uint32_t>(i.operand[1]), *b = w.lanes<uint32_t>(i.operand[2]);
    const uint32_t *selector = w.lanes<uint32_t>(i.operand[3]);
    each_lane(w, [&](unsigned k) {
        const uint64_t both = static_cast<uint64_t>(b[k]) << 32 | a[k];
        uint32_t bytes = 0;
        for (int n = 0; n < 4; n++) {
            const uint32_t digit = selector[k] >> (4 * n) & 15;
            const uint32_t byte = both >> 8 * (digit & 7) & 255;
            bytes |= (digit & 8 ? (byte & 128 ? 255u : 0u) : byte) << (8 * n);
        }
        d[k] = bytes;
    });
}

/* The upper word of b:a shifted left, modulo 32. */
void funnel_left(Warp &w, const Instruction &i)
{
    uint32_t *d = w.lanes<uint32_t>(i.operand[0]);
    const uint32_t *a = w.lanes<uint32_t>(i.operand[1]), *b = w.lanes<uint32_t>(i.operand[2]);
    const uint32_t *by = w.lanes<uint32_t>(i.operand[3]);
    each_lane(w, [&](unsigned k) {
        const uint64_t both = static_cast<uint64_t>(b[k]) << 32 | a[k];
        d[k] = static_cast<uint32_t>(both << (by[k] & 31) >> 32);
    });
}

void funnel_right(Warp &w, const Instruction &i)
{
    uint32_t *d = w.lanes<uint32_t>(i.operand[0]);
    const uint32_t *a = w.lanes<uint32_t>(i.operand[1]), *b = w.lanes<uint32_t>(i.operand[2]);
    const uint32_t *by = w.lanes<uint32_t>(i.operand[3]);
    each_lane(w, [&](unsigned k) {
        const uint64_t both = static_cast<uint64_t>(b[k]) << 32 | a[k];
        d[k] = static_cast<uint32_t>(both >> (by[k] & 31));
    });
}

/* The tables ---------------------------------------------------------------------------------- */

template <typename T> void add_integers(Steps &steps, const std::string &type)
{
    steps["add" + type] = binary<T, Add>;
    steps["sub" + type] = binary<T, Subtract>;
    steps["mul.lo" + type] = binary<T, Multiply>;
    steps["mul.hi" + type] = binary<T, Multiply_high>;
    steps["mad.lo" + type] = ternary<T, Multiply_add>;
    steps["div" + type] = binary<T, Divide>;
    steps["rem" + type] = binary<T, Remainder>;
    steps["min" + type] = binary<T, Smaller>;
    steps["max" + type] = binary<T, Larger>;
    steps["shr" + type] = shift<T, Right>;
    steps["mov" + type] = unary<T, Same>;
    steps["selp" + type] = select<T>;
    add_comparisons<T>(steps, type);
    if (std::is_signed<T>::value) {
        steps["abs" + type] = unary<T, Absolute>;
        steps["neg" + type] = unary<T, Negative>;
    }
}

template <typename T> void add_bits(Steps &steps, const std::string &type)
{
    steps["and" + type] = binary<T, And>;
    steps["or" + type] = binary<T, Or>;
    steps["xor" + type] = binary<T, Xor>;
    steps["not" + type] = unary<T, Not>;
    steps["shl" + type] = shift<T, Left>;
    steps["shr" + type] = shift<T, Right>;
    steps["mov" + type] = unary<T, Same>;
    steps["selp" + type] = select<T>;
    steps["setp.eq" + type] = compare<T, std::equal_to<T>>;
    steps["setp.ne" + type] = compare<T, std::not_equal_to<T>>;
}

Steps all_steps()
{
    Steps steps;
    add_integers<uint16_t>(steps, ".u16");
    add_integers<int16_t>(steps, ".s16");
    add_integers<uint32_t>(steps, ".u32");
    add_integers<int32_t>(steps, ".s32");
    add_integers<uint64_t>(steps, ".u64");
    add_integers<int64_t>(steps, ".s64");
    add_bits<uint16_t>(steps, ".b16");
    add_bits<uint32_t>(steps, ".b32");
    add_bits<uint64_t>(steps, ".b64");
    add_all_floats(steps);
    steps["mul.wide.u16"] = multiply_wide<uint16_t, uint32_t>;
    steps["mul.wide.s16"] = multiply_wide<int16_t, int32_t>;
    steps["mul.wide.u32"] = multiply_wide<uint32_t, uint64_t>;
    steps["mul.wide.s32"] = multiply_wide<int32_t, int64_t>;
    steps["mad.wide.u32"] = multiply_add_wide<uint32_t, uint64_t>;
    steps["mad.wide.s32"] = multiply_add_wide<int32_t, int64_t>;
    steps["and.pred"] = logic<And>;
    steps["or.pred"] = logic<Or>;
    steps["xor.pred"] = logic<Xor>;
    steps["not.pred"] = not_predicate;
    steps["mov.pred"] = move_predicate;
    steps["popc.b32"] = population;
    steps["clz.b32"] = leading_zeros;
    steps["bfe.u32"] = extract_field<uint32_t>;
    steps["bfe.u64"] = extract_field<uint64_t>;
    steps["bfi.b32"] = insert_field<uint32_t>;
    steps["bfi.b64"] = insert_field<uint64_t>;
    steps["prmt.b32"] = permute;
    steps["shf.l.wrap.b32"] = funnel_left;
    steps["shf.r.wrap.b32"] = funnel_right;
    return steps;
}

} // namespace

Step arithmetic_step(const std::string &name)
{
    static const Steps steps = all_steps();
    return step_in(steps, name);
}

} // namespace ptx
