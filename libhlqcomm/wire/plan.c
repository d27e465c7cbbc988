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

#include <math.h>
#include <string.h>

enum {
    TOP_HEIGHT = 83,                  /* height at which a block has all 12 bits */
    LOWEST_LEVEL = 1 - TOP_HEIGHT,    /* level at which every block has */
    HIGHEST_LEVEL = HLQ_CODE_TOP + 1, /* level at which none has any */
};

/* The least and the most bits that a block may have. */
typedef struct {
    int least, most;
} bounds;

static int bits_at(int height, bounds in)
{
    int bits = height < 0 ? 0 : height < 10 ? 2 : height < 19 ? 3 : 4 + (height - 19) / 8;
    return bits < in.least ? in.least : bits < in.most ? bits : in.most;
}

static size_t cost_of(int bits, size_t side_bytes)
{
    return bits ? side_bytes + (size_t)bits * HLQ_PLANE_BYTES : 0;
}

static size_t cost_at(const size_t *histogram, int level, bounds in, size_t side_bytes)
{
    size_t cost = 0;
    for (int c = 1; c <= HLQ_CODE_TOP; c++) {
        cost += histogram[c] * cost_of(bits_at(c - level, in), side_bytes);
    }
    return cost;
}

/* The lowest level that the budget pays for. */
static int find_level(const size_t *histogram, bounds in, size_t side_bytes, size_t budget_bytes)
{
    int low = LOWEST_LEVEL, high = HIGHEST_LEVEL;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (cost_at(histogram, middle, in, side_bytes) <= budget_bytes) high = middle;
        else low = middle + 1;
    }
    return low;
}

/*
 * Bits by code at the level the budget pays for. What it leaves over goes to the blocks that a
 * level one lower would raise: bits and price of these.
 */
typedef struct {
    uint8_t now[256], raised[256];
    size_t price[256];
    size_t left;
} levels;

static levels levels_of(const hlq_histogram *h, bounds in, size_t side_bytes, size_t budget_bytes)
{
    levels l = {{0}, {0}, {0}, 0};
    if (cost_at(h->blocks, HIGHEST_LEVEL, in, side_bytes) > budget_bytes) in.least = 0;
    int level = find_level(h->blocks, in, side_bytes, budget_bytes);
    l.left = budget_bytes - cost_at(h->blocks, level, in, side_bytes);
    for (int c = 1; c <= HLQ_CODE_TOP; c++) {
        l.now[c] = (uint8_t)bits_at(c - level, in);
        l.raised[c] = (uint8_t)bits_at(c - level + 1, in);
        l.price[c] = cost_of(l.raised[c], side_bytes) - cost_of(l.now[c], side_bytes);
    }
    return l;
}

hlq_plan hlq_plan_bits(const uint8_t *code, size_t blocks, int least_bits, int most_bits,
                       size_t side_bytes, size_t budget_bytes, uint8_t *bits)
{
    hlq_histogram histogram = {{0}};
    for (size_t b = 0; b < blocks; b++) histogram.blocks[code[b]]++;
    bounds in = {least_bits, most_bits};
    levels l = levels_of(&histogram, in, side_bytes, budget_bytes);
    hlq_plan plan = {0, 0};
    for (size_t b = 0; b < blocks; b++) {
        int c = code[b];
        bits[b] = l.now[c];
        if (l.price[c] && l.price[c] <= l.left) {
            bits[b] = l.raised[c];
            l.left -= l.price[c];
        }
        plan.coded += bits[b] != 0;
        plan.planes += bits[b];
    }
    return plan;
}

/* Energy of a block relative to one of the largest code. */
static double energy_of_code(int c) { return exp2((c - HLQ_CODE_TOP) / 4.0); }

double hlq_histogram_energy(const hlq_histogram *histogram)
{
    double energy = 0;
    for (int c = 1; c <= HLQ_CODE_TOP; c++) {
        if (histogram->blocks[c]) energy += (double)histogram->blocks[c] * energy_of_code(c);
    }
    return energy;
}

hlq_plan hlq_count_bits(const uint8_t *bits, size_t blocks)
{
    hlq_plan plan = {0, 0};
    for (size_t b = 0; b < blocks; b++) {
        plan.coded += bits[b] != 0;
        plan.planes += bits[b];
    }
    return plan;
}

double hlq_plan_error(const hlq_histogram *histogram, hlq_lattice lattice, int dithered,
                      int most_bits, size_t side_bytes, size_t budget_bytes)
{
    bounds in = {dithered ? HLQ_DITHER_BITS : 0, most_bits};
    levels l = levels_of(histogram, in, side_bytes, budget_bytes);
    double price = 0, error = 0, saved = 0;
    for (int c = 1; c <= HLQ_CODE_TOP; c++) {
        double blocks = (double)histogram->blocks[c];
        if (blocks == 0) continue;
        double energy = blocks * energy_of_code(c);
        double now = hlq_plan_distortion(lattice, dithered, l.now[c]);
        double raised = hlq_plan_distortion(lattice, dithered, l.raised[c]);
        price += blocks * (double)l.price[c];
        error += energy * now;
        saved += energy * (now - raised);
    }
    /* Who is raised depends on the blocks' order; a fair share of each code is. */
    return price > 0 ? error - saved * fmin((double)l.left / price, 1) : error;
}

double hlq_plan_distortion(hlq_lattice lattice, int dithered, int bits)
{
    /* Measured on Gaussian blocks with the ramp (tests/test_codec.c); × 1/4 per bit beyond. */
    static const double table[3][7] = {
        [HLQ_LATTICE_E8] = {1, 1, 8.74e-2, 1.98e-2, 4.81e-3, 1.16e-3, 2.84e-4},
        [HLQ_LATTICE_D4] = {1, 1, 1.09e-1, 2.38e-2, 5.79e-3, 1.39e-3, 3.40e-4},
        [HLQ_LATTICE_Z] = {1, 1, 1.60e-1, 3.15e-2, 7.47e-3, 1.77e-3, 4.30e-4},
    };
    /* With dither: the second moment of the cell times that of the scale, measured the same way. */
    static const double cell[3] = {
        [HLQ_LATTICE_E8] = 1.135, [HLQ_LATTICE_D4] = 1.337, [HLQ_LATTICE_Z] = 1.713};
    double codes = (1 << bits) - 2;
    if (dithered) return bits < HLQ_DITHER_BITS ? 1 : cell[lattice] / (codes * codes);
    double d = table[lattice][bits < 6 ? bits : 6];
    for (int b = 6; b < bits; b++) d /= 4;
    return d;
}
