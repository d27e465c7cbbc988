/*
 * From exponents to codes, and from codes to bits at a level: arithmetic of codec.c and plan.c that
 * devices share (cuda/plan.cuh).
 *
 * Bits follow size: a block twice as large as another gets one bit more. With the level θ as the
 * zero line, a block of code c gets the bits that its height c - θ (eighths of an octave) has
 * passed the thresholds of:
 *
 *   bits    0 │ 2         3        4        5       6 …  12
 *   height ───┼─────────┬─────────┬────────┬───────┬────
 *             0        10        19       27      35 …  83
 *
 * Eight eighths apart where errors fall fourfold per bit; wider below, where a code of few bits is
 * less efficient than that (thresholds: 4 log2 of the ratio of error saved per byte, from the
 * measured distortions of plan.c). One bit alone saves too little to pay for its side words.
 */
#ifndef HLQ_WIRE_LEVELS_H
#define HLQ_WIRE_LEVELS_H

#include "plan.h"

#include <kernels/body/plain.h>

enum {
    TOP_HEIGHT = 83,                  /* height at which a block has all 12 bits */
    LOWEST_LEVEL = 1 - TOP_HEIGHT,    /* level at which every block has */
    HIGHEST_LEVEL = HLQ_CODE_TOP + 1, /* level at which none has any */
    LEVELS = HIGHEST_LEVEL - LOWEST_LEVEL + 1,
};

/* The least and the most bits that a block may have. */
typedef struct {
    int least, most;
} hlq_bounds;

/* Bits by code at a level. What its budget leaves over goes to the blocks that a level one lower
   would raise: bits and price of these. */
typedef struct {
    uint8_t now[256], raised[256];
    size_t price[256];
    size_t left;
} hlq_levels;

/* The base for a largest finite exponent; without one, the least there is. */
HLQ_PLAIN int base_of_largest(int largest, int base_limit)
{
    return largest == HLQ_EXPONENT_ZERO ? -base_limit : (largest + 7) >> 3;
}

HLQ_PLAIN uint8_t code_of_exponent(int exponent, int base)
{
    int code = exponent - 8 * base + HLQ_CODE_TOP;
    if (exponent == HLQ_EXPONENT_NONFINITE) return HLQ_CODE_NONFINITE;
    if (exponent == HLQ_EXPONENT_ZERO || code < 1) return HLQ_CODE_ZERO;
    return (uint8_t)code;
}

HLQ_PLAIN int bits_at(int height, hlq_bounds in)
{
    int bits = height < 0 ? 0 : height < 10 ? 2 : height < 19 ? 3 : 4 + (height - 19) / 8;
    return bits < in.least ? in.least : bits < in.most ? bits : in.most;
}

HLQ_PLAIN size_t cost_of(int bits, size_t side_bytes)
{
    return bits ? side_bytes + (size_t)bits * HLQ_PLANE_BYTES : 0;
}

HLQ_PLAIN size_t cost_at(const hlq_histogram *h, int level, hlq_bounds in, size_t side_bytes)
{
    size_t cost = 0;
    for (int c = 1; c <= HLQ_CODE_TOP; c++) {
        cost += h->blocks[c] * cost_of(bits_at(c - level, in), side_bytes);
    }
    return cost;
}

/* There is a least only if the budget pays for it. */
HLQ_PLAIN hlq_bounds bounds_paid(const hlq_histogram *h, hlq_bounds in, size_t side_bytes,
                                 size_t budget_bytes)
{
    if (in.least && cost_at(h, HIGHEST_LEVEL, in, side_bytes) > budget_bytes) in.least = 0;
    return in;
}

/* Of one code; zero and non-finite blocks have no bits at any level. */
HLQ_PLAIN void levels_fill(hlq_levels *l, int code, int level, hlq_bounds in, size_t side_bytes)
{
    int is_sized = code != HLQ_CODE_ZERO && code != HLQ_CODE_NONFINITE;
    l->now[code] = (uint8_t)(is_sized ? bits_at(code - level, in) : 0);
    l->raised[code] = (uint8_t)(is_sized ? bits_at(code - level + 1, in) : 0);
    l->price[code] = cost_of(l->raised[code], side_bytes) - cost_of(l->now[code], side_bytes);
}

#endif
