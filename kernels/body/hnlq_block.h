/*
 * One block of 256 numbers, group by group, between memory's rows and layers of digits. What takes
 * time is here, compiled once for each lattice and dimension, so that a group's rows stay in
 * registers; rows pass between these functions by way of memory.
 */
#ifndef HLQ_BODY_HNLQ_BLOCK_H
#define HLQ_BODY_HNLQ_BLOCK_H

#include "hnlq_group.h"
#include "plain.h"

HLQ_APART void encode_block(const hlq_hnlq *code, const block_input *in, block_code *out){
#define ENCODE(l, d, b)                                                                            \
    IF_CODE(l, d, b)                                                                               \
    {                                                                                              \
        for (int g = 0; g < HLQ_ROWS / (d); g++) encode_group(code, l, d, b, g, in, out, NULL);    \
    }
    FOR_EACH_CODE(ENCODE)}

/* Points to digits; the vectors for which something is left over. */
HLQ_APART vector_mask
    block_digits(const hlq_hnlq *code, const I points_[HLQ_ROWS], hlq_layers *layers)
{
    vector_mask over = {{0}};
#define DIGITS(l, d, b)                                                                            \
    IF_CODE(l, d, b)                                                                               \
    {                                                                                              \
        for (int g = 0; g < HLQ_ROWS / (d); g++) {                                                 \
            I p[HLQ_ROWS];                                                                         \
            for (int r = 0; r < (d); r++) p[r] = points_[g * (d) + r];                             \
            over.group[g] = digits_of_points(code, l, d, b, g, p, layers, NULL);                   \
        }                                                                                          \
    }
    FOR_EACH_CODE(DIGITS)
    return over;
}

/* The coarsest `count` layers to points; how many lanes hold a digit ≥ q. */
HLQ_APART uint64_t block_points(const hlq_hnlq *code, int count, hlq_layers *layers,
                                I points_[HLQ_ROWS])
{
    uint64_t bad = 0;
#define POINTS(l, d, b)                                                                            \
    IF_CODE(l, d, b)                                                                               \
    {                                                                                              \
        for (int g = 0; g < HLQ_ROWS / (d); g++) {                                                 \
            I p[HLQ_ROWS];                                                                         \
            uint32_t wrong = points_of_digits(code, l, d, b, g, count, layers, p);                 \
            bad += (uint64_t)__builtin_popcount(wrong);                                            \
            for (int r = 0; r < (d); r++) points_[g * (d) + r] = p[r];                             \
        }                                                                                          \
    }
    FOR_EACH_CODE(POINTS)
    return bad;
}

/* Rows to nearest points; how many vectors hold a number beyond the limit. */
HLQ_APART uint64_t block_nearest(const hlq_hnlq *code, F x[HLQ_ROWS], I points_[HLQ_ROWS])
{
    uint64_t beyond = 0;
#define NEAREST(l, d, unused)                                                                      \
    if (code->lattice == (l) && code->dim == (d)) {                                                \
        for (int g = 0; g < HLQ_ROWS / (d); g++) {                                                 \
            I p[HLQ_ROWS];                                                                         \
            beyond += (uint64_t)__builtin_popcount(points(l, d, x + g * (d), p));                  \
            for (int r = 0; r < (d); r++) points_[g * (d) + r] = p[r];                             \
        }                                                                                          \
    }
    FOR_EACH_LATTICE(NEAREST, 0)
    return beyond;
}

/* G⁻¹ × point ↔ point. */
HLQ_APART void block_flatten(const hlq_hnlq *code, const I points_[HLQ_ROWS], I z[HLQ_ROWS])
{
    codes_from_point(code->lattice, HLQ_ROWS, points_, z);
}
HLQ_APART void block_unflatten(const hlq_hnlq *code, const I z[HLQ_ROWS], I points_[HLQ_ROWS])
{
    point_from_codes(code->lattice, HLQ_ROWS, z, points_);
}

#endif
