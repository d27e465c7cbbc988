/*
 * The plan on the host, and the error to expect of one. levels.h has the rule.
 */
#include "levels.h"

#include <math.h>
#include <string.h>

/* The lowest level that the budget pays for. */
static int find_level(const hlq_histogram *h, hlq_bounds in, size_t side_bytes, size_t budget_bytes)
{
    int low = LOWEST_LEVEL, high = HIGHEST_LEVEL;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (cost_at(h, middle, in, side_bytes) <= budget_bytes) high = middle;
        else low = middle + 1;
    }
    return low;
}

/* At the level the budget pays for. */
static hlq_levels levels_of(const hlq_histogram *h, hlq_bounds in, size_t side_bytes,
                            size_t budget_bytes)
{
    hlq_levels l;
    in = bounds_paid(h, in, side_bytes, budget_bytes);
    int level = find_level(h, in, side_bytes, budget_bytes);
    l.left = budget_bytes - cost_at(h, level, in, side_bytes);
    for (int c = 0; c < 256; c++) levels_fill(&l, c, level, in, side_bytes);
    return l;
}

hlq_plan hlq_plan_bits(const uint8_t *code, size_t blocks, int least_bits, int most_bits,
                       size_t side_bytes, size_t budget_bytes, uint8_t *bits)
{
    hlq_histogram histogram = {{0}};
    for (size_t b = 0; b < blocks; b++) histogram.blocks[code[b]]++;
    hlq_bounds in = {least_bits, most_bits};
    hlq_levels l = levels_of(&histogram, in, side_bytes, budget_bytes);
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
    hlq_bounds in = {dithered ? HLQ_DITHER_BITS : 0, most_bits};
    hlq_levels l = levels_of(histogram, in, side_bytes, budget_bytes);
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
