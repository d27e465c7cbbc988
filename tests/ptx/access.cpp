/*
 * Memory: loads, stores, atomic operations; each address is looked up before it is used.
 */
#include "warp.h"

#include <cstring>

namespace ptx {

static std::string hex(uint64_t x)
{
    char text[32];
    std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(x));
    return text;
}

static bool holds(const uint8_t *base, size_t size, uint64_t at, size_t bytes)
{
    const uint64_t first = reinterpret_cast<uint64_t>(base);
    return at >= first && at - first <= size && size - (at - first) >= bytes;
}

static void note(const Warp &w, const Instruction &i, unsigned lane, Marks *marks, size_t bytes,
                 Use use)
{
    if (!marks) return;
    if (note_use(marks, bytes, use, w.stamp)) return;
    w.fault(i, lane, "uses what another warp does, and nothing says which comes first");
}

/* Where `bytes` at the lane's address are, and their marks, which only shared things have. */
struct Found {
    uint8_t *p;
    Marks *marks;
};

static Found look_up(Warp &w, const Instruction &i, Place address, unsigned lane, size_t bytes,
                     bool is_read)
{
    uint64_t at =
        address.bytes == 8 ? w.lanes<uint64_t>(address)[lane] : w.lanes<uint32_t>(address)[lane];
    at += static_cast<uint64_t>(i.offset);
    if (at & (bytes - 1)) w.fault(i, lane, hex(at) + " is no multiple of " + std::to_string(bytes));
    Block &block = *w.block;
    if (i.space == Space::shared) {
        at = static_cast<uint32_t>(at);
        if (at > block.shared.size() || block.shared.size() - at < bytes) {
            w.fault(i, lane, hex(at) + " is beyond the block's shared memory");
        }
        return {block.shared.data() + at, block.shared_marks.data() + at};
    }
    if (i.space == Space::local) {
        const size_t all = block.kernel->local_bytes;
        if (at > all || all - at < bytes) w.fault(i, lane, hex(at) + " is beyond its own memory");
        return {w.local.data() + lane * all + at, nullptr};
    }
    uint8_t *p = reinterpret_cast<uint8_t *>(at);
    const bool is_parameter = holds(block.parameters, block.kernel->parameter_bytes, at, bytes);
    if (i.space == Space::param || (i.space == Space::generic && is_parameter)) {
        if (!is_parameter || !is_read) w.fault(i, lane, hex(at) + " is no parameter to read");
        return {p, nullptr};
    }
    if (!holds(w.used_last.base, w.used_last.bytes, at, bytes)) {
        w.used_last = find(p, bytes);
        if (!w.used_last.base) w.fault(i, lane, hex(at) + " is not allocated");
    }
    return {p, w.used_last.marks + (p - w.used_last.base)};
}

/* Registers may be wider than what is loaded: zeros or the sign fill them. */
template <typename T> static void write_register(Warp &w, Place place, unsigned lane, T x)
{
    if (place.bytes == sizeof(T)) {
        w.lanes<T>(place)[lane] = x;
    } else if (place.bytes == 2) {
        w.lanes<uint16_t>(place)[lane] = static_cast<uint16_t>(x);
    } else if (place.bytes == 4) {
        w.lanes<uint32_t>(place)[lane] = static_cast<uint32_t>(x);
    } else {
        w.lanes<uint64_t>(place)[lane] = static_cast<uint64_t>(x);
    }
}

/* The low part of a register. */
template <typename T> static T read_register(Warp &w, Place place, unsigned lane)
{
    T x;
    std::memcpy(&x, w.file + place.at + lane * place.bytes, sizeof x);
    return x;
}

template <typename T> static void load(Warp &w, const Instruction &i)
{
    const size_t bytes = i.count * sizeof(T);
    each_lane(w, [&](unsigned k) {
        const Found from = look_up(w, i, i.operand[i.count], k, bytes, true);
        note(w, i, k, from.marks, bytes, Use::read);
        for (unsigned n = 0; n < i.count; n++) {
            T x;
            std::memcpy(&x, from.p + n * sizeof x, sizeof x);
            write_register(w, i.operand[n], k, x);
        }
    });
}

/* Lanes may store to one address only what is the same: which comes last is not defined. */
template <typename T> static void store(Warp &w, const Instruction &i)
{
    const size_t bytes = i.count * sizeof(T);
    uint8_t *to[LANES];
    each_lane(w, [&](unsigned k) {
        const Found found = look_up(w, i, i.operand[0], k, bytes, false);
        note(w, i, k, found.marks, bytes, Use::write);
        to[k] = found.p;
        for (unsigned n = 0; n < i.count; n++) {
            const T x = read_register<T>(w, i.operand[1 + n], k);
            std::memcpy(to[k] + n * sizeof x, &x, sizeof x);
        }
    });
    each_lane(w, [&](unsigned k) {
        for (unsigned n = 0; n < i.count; n++) {
            const T x = read_register<T>(w, i.operand[1 + n], k);
            if (!std::memcmp(to[k] + n * sizeof x, &x, sizeof x)) continue;
            w.fault(i, k, "stores to where a lane beside it stores something else");
        }
    });
}

/*
 * Operands d, address, b, c. The host may use the same memory. Only bytes that change count as
 * used: bits are set in words whose other bytes are not the kernel's.
 */
template <typename T, typename Op> static void atomic(Warp &w, const Instruction &i)
{
    each_lane(w, [&](unsigned k) {
        const Found found = look_up(w, i, i.operand[1], k, sizeof(T), false);
        T *to = reinterpret_cast<T *>(found.p);
        const T b = w.lanes<T>(i.operand[2])[k];
        const T c = i.operand[3].at ? w.lanes<T>(i.operand[3])[k] : T(0);
        T was = __atomic_load_n(to, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(to, &was, Op()(was, b, c), true, __ATOMIC_RELAXED,
                                            __ATOMIC_RELAXED)) {}
        const T changed = static_cast<T>(was ^ Op()(was, b, c));
        for (size_t n = 0; n < sizeof(T); n++) {
            if (changed >> (8 * n) & 255) note(w, i, k, found.marks + n, 1, Use::atomic);
        }
        if (i.operand[0].at) w.lanes<T>(i.operand[0])[k] = was;
    });
}

namespace {

template <typename T> struct Added {
    T operator()(T was, T b, T) const { return was + b; }
};
template <typename T> struct Joined {
    T operator()(T was, T b, T) const { return was | b; }
};
template <typename T> struct Common {
    T operator()(T was, T b, T) const { return was & b; }
};
template <typename T> struct Least {
    T operator()(T was, T b, T) const { return b < was ? b : was; }
};
template <typename T> struct Most {
    T operator()(T was, T b, T) const { return was < b ? b : was; }
};
template <typename T> struct Exchanged {
    T operator()(T, T b, T) const { return b; }
};
template <typename T> struct Swapped {
    T operator()(T was, T b, T c) const { return was == b ? c : was; }
};

} // namespace

Step load_step(const std::string &type)
{
    static const Steps steps = {
        {"u8", load<uint8_t>},   {"s8", load<int8_t>},    {"b8", load<uint8_t>},
        {"u16", load<uint16_t>}, {"s16", load<int16_t>},  {"b16", load<uint16_t>},
        {"u32", load<uint32_t>}, {"s32", load<int32_t>},  {"b32", load<uint32_t>},
        {"u64", load<uint64_t>}, {"s64", load<int64_t>},  {"b64", load<uint64_t>},
        {"f32", load<uint32_t>}, {"f64", load<uint64_t>},
    };
    return step_in(steps, type);
}

Step store_step(const std::string &type)
{
    static const Steps steps = {
        {"u8", store<uint8_t>},   {"s8", store<uint8_t>},   {"b8", store<uint8_t>},
        {"u16", store<uint16_t>}, {"s16", store<uint16_t>}, {"b16", store<uint16_t>},
        {"u32", store<uint32_t>}, {"s32", store<uint32_t>}, {"b32", store<uint32_t>},
        {"u64", store<uint64_t>}, {"s64", store<uint64_t>}, {"b64", store<uint64_t>},
        {"f32", store<uint32_t>}, {"f64", store<uint64_t>},
    };
    return step_in(steps, type);
}

Step atomic_step(const std::string &name)
{
    static const Steps steps = {
        {"add.u32", atomic<uint32_t, Added<uint32_t>>},
        {"add.s32", atomic<uint32_t, Added<uint32_t>>},
        {"add.u64", atomic<uint64_t, Added<uint64_t>>},
        {"or.b32", atomic<uint32_t, Joined<uint32_t>>},
        {"and.b32", atomic<uint32_t, Common<uint32_t>>},
        {"min.u32", atomic<uint32_t, Least<uint32_t>>},
        {"min.s32", atomic<int32_t, Least<int32_t>>},
        {"min.u64", atomic<uint64_t, Least<uint64_t>>},
        {"max.u32", atomic<uint32_t, Most<uint32_t>>},
        {"max.s32", atomic<int32_t, Most<int32_t>>},
        {"max.u64", atomic<uint64_t, Most<uint64_t>>},
        {"exch.b32", atomic<uint32_t, Exchanged<uint32_t>>},
        {"cas.b32", atomic<uint32_t, Swapped<uint32_t>>},
        {"cas.b64", atomic<uint64_t, Swapped<uint64_t>>},
    };
    return step_in(steps, name);
}

} // namespace ptx
