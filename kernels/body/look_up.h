/*
 * Table look-ups, in the words of lanes/scalar_look_up.h: tables of blocks, and sums over a strip.
 */
#ifndef HLQ_BODY_LOOK_UP_H
#define HLQ_BODY_LOOK_UP_H

#include "../kernels.h"
#include "../look_up.h"

#include <string.h>

HLQ_BODY void fill_tables(const hlq_points *points, int dim, const float *x, size_t blocks,
                          float factor, int planes, int8_t *tables)
{
    for (size_t b = 0; b < blocks; b++, x += dim, tables += HLQ_TABLE_ENTRIES * planes) {
        for (int i = 0; i < HLQ_TABLE_ENTRIES; i += 32) {
            F sum = f_mul(f_set(x[0]), f_load(points->at[0] + i));
            for (int j = 1; j < dim; j++) {
                sum = f_add(sum, f_mul(f_set(x[j]), f_load(points->at[j] + i)));
            }
            f_store_planes(tables + i, planes, f_mul(sum, f_set(factor)));
        }
    }
}

/*
 * Rows 0-31 and 32-63 of `blocks` blocks, few enough for sums of 16 bits. A pair has 64 bytes for
 * each half; a single, 64 bytes for both, which weights take apart.
 */
HLQ_BODY const uint8_t *add_blocks(int pair, int q, const uint8_t *indices, size_t blocks,
                                   const int8_t **tables, size_t stride, int32_t sum[HLQ_TILE_ROWS])
{
    S first = s_zero(), second = s_zero();
    const int8_t *table = *tables;
    for (size_t b = 0; b < blocks; b++, table += stride, indices += pair ? 128 : 64) {
        T entries = t_load(table);
        B found = b_look_up(entries, b_load(indices));
        first = s_add_weighted(first, found, 1, pair ? q : 0);
        if (pair) found = b_look_up(entries, b_load(indices + 64));
        second = s_add_weighted(second, found, pair, pair ? q : 1);
    }
    s_add_to(sum, first);
    s_add_to(sum + HLQ_LANES, second);
    *tables = table;
    return indices;
}

HLQ_BODY void sum_strip(const hlq_strip *strip, const int8_t *tables, size_t stride, int largest,
                        int32_t sum[HLQ_TILE_ROWS])
{
    const uint8_t *indices = strip->indices;
    size_t fit = (size_t)(INT16_MAX / (largest * (1 + strip->q)));
    memset(sum, 0, HLQ_TILE_ROWS * sizeof *sum);
    for (size_t left = strip->blocks; left;) {
        size_t here = left < fit ? left : fit;
        if (strip->q) indices = add_blocks(1, strip->q, indices, here, &tables, stride, sum);
        else indices = add_blocks(0, 0, indices, here, &tables, stride, sum);
        left -= here;
    }
}

#endif
