/*
 * The kernels of cuda_linear.h and cuda_look_up.h as work on stand-in streams.
 */
#include "warp.h"

#include <kernels/kernels.h>
#include <kernels/lanes/cuda_look_up.h>
#include <kernels/cuda/walk_linear.cuh>
#include <kernels/cuda/walk_look_up.cuh>

#include "gpu_kernels.h"
#include "warps.h"
#include "stand_in_kernels.h"

int hlq_cuda_rows_one_sided(const hlq_one_sided *of, const float *x, size_t rows, size_t columns,
                            float *z, hlq_look_up_row *row, uint64_t *invalid, hlq_stream stream)
{
    const hlq_one_sided all = *of;
    return put_walk(
        stream, [=](hlq_share s) { one_sided_rows(s, &all, x, rows, columns, z, row, invalid); });
}

int hlq_cuda_rows_two_sided(const hlq_two_sided *of, const hlq_cuda_rows *rows, const float *point,
                            hlq_look_up_row *row, uint64_t *invalid, hlq_stream stream)
{
    const hlq_two_sided all = *of;
    const hlq_cuda_rows from = *rows;
    return put_walk(stream,
                    [=](hlq_share s) { two_sided_rows(s, &all, &from, point, row, invalid); });
}

int hlq_cuda_rows_unpack(const hlq_cuda_packed *packed, size_t first, size_t rows, float *weight,
                         hlq_stream stream)
{
    const hlq_cuda_packed all = *packed;
    return put_walk(stream,
                    [=](hlq_share s) { unpack_rows(all.dim, s, &all, first, rows, weight); });
}

int hlq_cuda_tables(const hlq_points *points, int dim, const float *x, const hlq_look_up_row *row,
                    size_t rows, size_t blocks, int planes, int8_t *tables, hlq_stream stream)
{
    return put_walk(stream, [=](hlq_share s) {
        fill_tables_of_blocks(s, points, dim, x, row, rows, blocks, planes, tables);
    });
}

int hlq_cuda_sums(const hlq_cuda_strips *strips, hlq_stream stream)
{
    const hlq_cuda_strips all = *strips;
    return put_walk(stream, [=](hlq_share s) { sum_strips(s, &all); });
}

int hlq_cuda_finish(const hlq_cuda_products *products, hlq_stream stream)
{
    const hlq_cuda_products all = *products;
    return put_walk(stream, [=](hlq_share s) { finish_rows(s, &all); });
}
