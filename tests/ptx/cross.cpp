/*
 * Instructions for several lanes at once: all that are in the mask have to come to them.
 */
#include "warp.h"

namespace ptx {

/* The mask of the lanes that are here, which has to be one. */
static uint32_t mask_of(const Warp &w, const Instruction &i, const uint32_t *mask)
{
    const uint32_t first = mask[__builtin_ctz(w.active)];
    each_lane(w, [&](unsigned k) {
        if (mask[k] != first) w.fault(i, k, "has another mask than lanes beside it");
    });
    return first;
}

/* Operands d, p, a, b, c, mask; p may be missing, as a place without bytes at 0. */
template <typename From> static void shuffle(Warp &w, const Instruction &i, From from)
{
    const uint32_t mask = mask_of(w, i, w.lanes<uint32_t>(i.operand[5]));
    if (!w.all_here(mask, i)) return;
    uint32_t *d = w.lanes<uint32_t>(i.operand[0]);
    const uint32_t *a = w.lanes<uint32_t>(i.operand[2]), *b = w.lanes<uint32_t>(i.operand[3]);
    const uint32_t *c = w.lanes<uint32_t>(i.operand[4]);
    uint32_t given[LANES], within = 0;
    each_lane(w, [&](unsigned k) {
        const uint32_t fixed = c[k] >> 8 & 31, last = (k & fixed) | (c[k] & 31 & ~fixed);
        unsigned source = k;
        if (from(k, b[k] & 31, fixed, last, &source)) within |= 1u << k;
        else source = k;
        if (!(mask >> source & 1)) w.fault(i, k, "takes what a lane outside of the mask has");
        given[k] = a[source];
    });
    each_lane(w, [&](unsigned k) { d[k] = given[k]; });
    if (i.operand[1].at) w.set_predicate(i.operand[1], within);
}

void shuffle_xor(Warp &w, const Instruction &i)
{
    shuffle(w, i, [](unsigned k, uint32_t by, uint32_t, uint32_t last, unsigned *source) {
        *source = k ^ by;
        return *source <= last;
    });
}

void shuffle_up(Warp &w, const Instruction &i)
{
    shuffle(w, i, [](unsigned k, uint32_t by, uint32_t, uint32_t last, unsigned *source) {
        *source = k - by;
        return static_cast<int>(k) - static_cast<int>(by) >= static_cast<int>(last);
    });
}

void shuffle_down(Warp &w, const Instruction &i)
{
    shuffle(w, i, [](unsigned k, uint32_t by, uint32_t, uint32_t last, unsigned *source) {
        *source = k + by;
        return *source <= last;
    });
}

void shuffle_from(Warp &w, const Instruction &i)
{
    shuffle(w, i, [](unsigned k, uint32_t by, uint32_t fixed, uint32_t last, unsigned *source) {
        *source = (k & fixed) | (by & ~fixed);
        return *source <= last;
    });
}

/* Operands d, p, mask. */
void ballot(Warp &w, const Instruction &i)
{
    const uint32_t mask = mask_of(w, i, w.lanes<uint32_t>(i.operand[2]));
    if (!w.all_here(mask, i)) return;
    uint32_t *d = w.lanes<uint32_t>(i.operand[0]);
    const uint32_t word = w.predicate(i.operand[1]) & mask;
    each_lane(w, [&](unsigned k) { d[k] = word; });
}

void vote_any(Warp &w, const Instruction &i)
{
    const uint32_t mask = mask_of(w, i, w.lanes<uint32_t>(i.operand[2]));
    if (!w.all_here(mask, i)) return;
    w.set_predicate(i.operand[0], w.predicate(i.operand[1]) & mask ? ALL_LANES : 0);
}

void vote_all(Warp &w, const Instruction &i)
{
    const uint32_t mask = mask_of(w, i, w.lanes<uint32_t>(i.operand[2]));
    if (!w.all_here(mask, i)) return;
    w.set_predicate(i.operand[0], (w.predicate(i.operand[1]) & mask) == mask ? ALL_LANES : 0);
}

void sync_warp(Warp &w, const Instruction &i)
{
    w.all_here(mask_of(w, i, w.lanes<uint32_t>(i.operand[0])), i);
}

/* Operands d, a, mask. */
template <typename T, typename Op> static void reduce(Warp &w, const Instruction &i)
{
    const uint32_t mask = mask_of(w, i, w.lanes<uint32_t>(i.operand[2]));
    if (!w.all_here(mask, i)) return;
    T *d = w.lanes<T>(i.operand[0]);
    const T *a = w.lanes<T>(i.operand[1]);
    T result = a[__builtin_ctz(mask)];
    for (uint32_t left = mask & (mask - 1); left; left &= left - 1) {
        result = Op()(result, a[__builtin_ctz(left)]);
    }
    each_lane(w, [&](unsigned k) { d[k] = result; });
}

namespace {

struct Sum {
    uint32_t operator()(uint32_t a, uint32_t b) const { return a + b; }
};
struct Least {
    template <typename T> T operator()(T a, T b) const { return b < a ? b : a; }
};
struct Most {
    template <typename T> T operator()(T a, T b) const { return a < b ? b : a; }
};

} // namespace

Step reduce_step(const std::string &name)
{
    static const Steps steps = {
        {"sync.add.u32", reduce<uint32_t, Sum>},   {"sync.add.s32", reduce<uint32_t, Sum>},
        {"sync.min.u32", reduce<uint32_t, Least>}, {"sync.min.s32", reduce<int32_t, Least>},
        {"sync.max.u32", reduce<uint32_t, Most>},  {"sync.max.s32", reduce<int32_t, Most>},
    };
    return step_in(steps, name);
}

} // namespace ptx
