/*
 * The table of look-up functions. Included once by every kernels/cpu/<variant>_look_up.c after its
 * words and HLQ_VARIANT_NAME.
 */
#ifndef HLQ_BODY_LOOK_UP_RUN_H
#define HLQ_BODY_LOOK_UP_RUN_H

#include "../cpu/fp_env.h"
#include "look_up.h"

static void look_up_tables(const hlq_points *points, const float *x, size_t blocks, float factor,
                           int planes, int8_t *tables)
{
    fp_env saved = fp_env_enter();
    int dim = points->dim;
    if (dim == 4 && planes == 1) fill_tables(points, 4, x, blocks, factor, 1, tables);
    else if (dim == 4 && planes == 2) fill_tables(points, 4, x, blocks, factor, 2, tables);
    else fill_tables(points, dim, x, blocks, factor, planes, tables);
    fp_env_leave(saved);
}

static void look_up_sums(const hlq_strip *strip, const int8_t *tables, size_t stride, int largest,
                         int32_t sum[HLQ_TILE_ROWS])
{
    sum_strip(strip, tables, stride, largest, sum);
}

#define JOIN(a, b) JOIN_(a, b)
#define JOIN_(a, b) a##b

const hlq_look_up_kernels JOIN(hlq_look_up_kernels_, HLQ_VARIANT_NAME) = {
    .tables = look_up_tables,
    .sums = look_up_sums,
};

#endif
