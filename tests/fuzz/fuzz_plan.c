/*
 * The plan keeps its budget, gives legal numbers of bits, more to larger blocks, and leaves nothing
 * that could have been given to the next; docs/wire-format.md, section 3, walked level by level,
 * comes to the same.
 *
 * Input: side bytes, budget and most bits, then a code per block.
 */
#include "fuzz.h"

#include <wire/plan.h>

#include <math.h>

enum { LOWEST_LEVEL = -82, HIGHEST_LEVEL = 255 };

static int is_sized(int code) { return code != HLQ_CODE_ZERO && code != HLQ_CODE_NONFINITE; }

static size_t cost_of(int bits, size_t side)
{
    return bits ? side + (size_t)bits * HLQ_PLANE_BYTES : 0;
}

static int bits_at(int height, int least, int most)
{
    static const int threshold[] = {0, 10, 19};
    int bits = least;
    for (int i = 0; i < 3; i++) bits = height >= threshold[i] ? 2 + i : bits;
    for (int h = 27; h <= height; h += 8) bits++;
    return bits < most ? bits : most;
}

static size_t cost_at(const hlq_histogram *h, int level, int least, int most, size_t side)
{
    size_t cost = 0;
    for (int c = 0; c < 256; c++) {
        if (!is_sized(c) || !h->blocks[c]) continue;
        cost += h->blocks[c] * cost_of(bits_at(c - level, least, most), side);
    }
    return cost;
}

static void check_as_told(const uint8_t *code, size_t blocks, const hlq_histogram *h, int least,
                          int most, size_t side, size_t budget, const uint8_t *bits)
{
    int level = LOWEST_LEVEL;
    if (cost_at(h, HIGHEST_LEVEL, least, most, side) > budget) least = 0;
    while (level < HIGHEST_LEVEL && cost_at(h, level, least, most, side) > budget) level++;
    size_t left = budget - cost_at(h, level, least, most, side);
    for (size_t b = 0; b < blocks; b++) {
        int want = is_sized(code[b]) ? bits_at(code[b] - level, least, most) : 0;
        int more = is_sized(code[b]) ? bits_at(code[b] - level + 1, least, most) : 0;
        size_t price = cost_of(more, side) - cost_of(want, side);
        if (price && price <= left) {
            left -= price;
            want = more;
        }
        MUST(bits[b] == want);
    }
}

static void check_sums(const uint8_t *code, size_t blocks, int most, size_t side, size_t budget,
                       const uint8_t *bits, const hlq_plan *plan)
{
    size_t spent = 0, coded = 0, planes = 0;
    int least[256];
    for (int c = 0; c < 256; c++) least[c] = HLQ_BITS_MAX;
    for (size_t b = 0; b < blocks; b++) {
        MUST(bits[b] == 0 || (bits[b] >= 2 && bits[b] <= most));
        MUST(is_sized(code[b]) || !bits[b]);
        MUST(bits[b] <= least[code[b]]); /* of equal blocks, the first have more */
        least[code[b]] = bits[b];
        coded += bits[b] != 0;
        planes += bits[b];
        spent += cost_of(bits[b], side);
    }
    MUST(spent <= budget && plan->coded == coded && plan->planes == planes);
    for (size_t b = 0; b < blocks; b++) {
        for (int c = code[b] + 1; c <= HLQ_CODE_TOP; c++) {
            MUST(!is_sized(code[b]) || least[c] >= bits[b]);
        }
    }
}

static void check_error(const hlq_histogram *h, int dithered, int most, size_t side, size_t budget)
{
    for (hlq_lattice lattice = HLQ_LATTICE_E8; lattice <= HLQ_LATTICE_Z; lattice++) {
        double energy = hlq_histogram_energy(h);
        double error = hlq_plan_error(h, lattice, dithered, most, side, budget);
        MUST(error >= 0 && error <= energy * (1 + 1e-9));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    input in = {data, data + bytes};
    int form = input_below(&in, 4), dithered = form / 2, least = dithered ? HLQ_DITHER_BITS : 0;
    size_t side = form % 2 ? 8 : 4;
    int most = 2 + input_below(&in, HLQ_BITS_MAX - 1);
    size_t budget = (size_t)input_uint(&in, 4) % (1 << 20);
    size_t blocks = input_left(&in);
    uint8_t *code = exactly(blocks), *bits = exactly(blocks);
    input_bytes(&in, code, blocks);
    hlq_plan plan = hlq_plan_bits(code, blocks, least, most, side, budget, bits);
    check_sums(code, blocks, most, side, budget, bits, &plan);
    hlq_histogram histogram = {{0}};
    for (size_t b = 0; b < blocks; b++) histogram.blocks[code[b]]++;
    check_as_told(code, blocks, &histogram, least, most, side, budget, bits);
    check_error(&histogram, dithered, most, side, budget);
    free(code);
    free(bits);
    return 0;
}
