/*
 * What one vector adds to an inner product, from tables: for the host's digits and for a GPU's.
 * Before this comes what a vector's layers are to the includer: the type `lut_layers`, and the
 * index of one of them, 0 … q^dim - 1:
 *
 *     uint32_t layer_index(lut_layers of, int m);
 */
#ifndef HLQ_BODY_LUT_DOT_H
#define HLQ_BODY_LUT_DOT_H

#include "plain.h"

#include "../lut.h"

/* Σ q^(i+j) × entry, exactly. The type is that of the table, depths are those of p: constants,
   where the compiler shall know them. */
HLQ_PLAIN int64_t add_integers(const hlq_pairs *p, hlq_lut_type type, int depth_a, int depth_b,
                               lut_layers a, lut_layers b)
{
    int64_t sum = 0;
    for (int i = 0; i < depth_a; i++) {
        const size_t row = layer_index(a, i) * p->side;
        for (int j = 0; j < depth_b; j++) {
            const size_t at = row + layer_index(b, j);
            const int64_t weight = p->weight[i + j];
            sum += weight * (type == HLQ_LUT_INT8 ? p->entries.int8[at] : p->entries.int16[at]);
        }
    }
    return sum;
}

/* The same of entries that are rounded, added in this order. */
HLQ_PLAIN double add_floats(const hlq_pairs *p, lut_layers a, lut_layers b)
{
    double sum = 0;
    for (int i = 0; i < p->depth_a; i++) {
        const float *row = p->entries.float32 + layer_index(a, i) * p->side;
        for (int j = 0; j < p->depth_b; j++) {
            sum += (double)p->weight[i + j] * row[layer_index(b, j)];
        }
    }
    return sum;
}

/* Σ q^m × entry from a one-sided table's row, after Horner. */
HLQ_PLAIN double add_row(const float *row, int depth, double q, lut_layers b)
{
    double sum = row[layer_index(b, depth - 1)];
    for (int m = depth - 2; m >= 0; m--) sum = sum * q + row[layer_index(b, m)];
    return sum;
}

#endif
