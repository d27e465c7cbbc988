/*
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
 * measured distortions below). One bit alone saves too little to pay for its side words.
 */
#include "plan.h"

#include <string.h>

enum {
    TOP_HEIGHT = 83,                  /* height at which a block has all 12 bits */
    LOWEST_LEVEL = 1 - TOP_HEIGHT,    /* level at which every block has */
    HIGHEST_LEVEL = HLQ_CODE_TOP + 1, /* level at which none has any */
};

static int bits_at(int height, int most)
{
    int bits = height < 0 ? 0 : height < 10 ? 2 : height < 19 ? 3 : 4 + (height - 19) / 8;
    return bits < most ? bits : most;
}

static size_t cost_of(int bits, size_t side_bytes)
{
    return bits ? side_bytes + (size_t)bits * HLQ_PLANE_BYTES : 0;
}

static size_t cost_at(const size_t *histogram, int level, int most, size_t side_bytes)
{
    size_t cost = 0;
    for (int c = 1; c <= HLQ_CODE_TOP; c++) {
        cost += histogram[c] * cost_of(bits_at(c - level, most), side_bytes);
    }
    return cost;
}

/* The lowest level that the budget pays for. */
static int find_level(const size_t *histogram, int most, size_t side_bytes, size_t budget_bytes)
{
    int low = LOWEST_LEVEL, high = HIGHEST_LEVEL;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (cost_at(histogram, middle, most, side_bytes) <= budget_bytes) high = middle;
        else low = middle + 1;
    }
    return low;
}

hlq_plan hlq_plan_bits(const uint8_t *code, size_t blocks, int most_bits, size_t side_bytes,
                       size_t budget_bytes, uint8_t *bits)
{
    size_t histogram[256] = {0};
    for (size_t b = 0; b < blocks; b++) histogram[code[b]]++;
    int level = find_level(histogram, most_bits, side_bytes, budget_bytes);
    size_t left = budget_bytes - cost_at(histogram, level, most_bits, side_bytes);

    /* What is left goes to the blocks that a level one lower would raise, in order. */
    uint8_t now[256] = {0}, raised[256] = {0};
    size_t price[256] = {0};
    for (int c = 1; c <= HLQ_CODE_TOP; c++) {
        now[c] = (uint8_t)bits_at(c - level, most_bits);
        raised[c] = (uint8_t)bits_at(c - level + 1, most_bits);
        price[c] = cost_of(raised[c], side_bytes) - cost_of(now[c], side_bytes);
    }
    hlq_plan plan = {0, 0};
    for (size_t b = 0; b < blocks; b++) {
        int c = code[b];
        bits[b] = now[c];
        if (price[c] && price[c] <= left) {
            bits[b] = raised[c];
            left -= price[c];
        }
        plan.coded += bits[b] != 0;
        plan.planes += bits[b];
    }
    return plan;
}

double hlq_plan_distortion(hlq_lattice lattice, int bits)
{
    /* Measured on Gaussian blocks with the ramp (tests/test_codec.c); × 1/4 per bit beyond. */
    static const double table[3][7] = {
        [HLQ_LATTICE_E8] = {1, 1, 8.74e-2, 1.98e-2, 4.81e-3, 1.16e-3, 2.84e-4},
        [HLQ_LATTICE_D4] = {1, 1, 1.09e-1, 2.38e-2, 5.79e-3, 1.39e-3, 3.40e-4},
        [HLQ_LATTICE_Z] = {1, 1, 1.60e-1, 3.15e-2, 7.47e-3, 1.77e-3, 4.30e-4},
    };
    double d = table[lattice][bits < 6 ? bits : 6];
    for (int b = 6; b < bits; b++) d /= 4;
    return d;
}
