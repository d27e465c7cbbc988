/*
 * The kernels of cuda_look_up.h: grids and streams around the walks of walk_look_up.cuh.
 */
#include "../kernels.h"
#include "../lanes/cuda_look_up.h"
#include "walk_look_up.cuh"
#include "launch.h"

template <int dim>
HLQ_KERNEL tables_kernel(const hlq_points *points, const float *x, const hlq_look_up_row *row,
                         size_t rows, size_t blocks, int planes, int8_t *tables)
{
    fill_tables_of_blocks(share_of_warp(), points, dim, x, row, rows, blocks, planes, tables);
}

HLQ_KERNEL sums_kernel(HLQ_GIVEN hlq_cuda_strips strips) { sum_strips(share_of_warp(), &strips); }

HLQ_KERNEL finish_kernel(HLQ_GIVEN hlq_cuda_products products)
{
    finish_rows(share_of_warp(), &products);
}

int hlq_cuda_tables(const hlq_points *points, int dim, const float *x, const hlq_look_up_row *row,
                    size_t rows, size_t blocks, int planes, int8_t *tables, hlq_stream stream)
{
#define TABLES(d)                                                                                  \
    if (dim == (d)) {                                                                              \
        return launch_warps(tables_kernel<d>, rows * blocks, stream, points, x, row, rows, blocks, \
                            planes, tables);                                                       \
    }
    TABLES(1)
    TABLES(2)
    TABLES(4)
    TABLES(8)
    return cudaErrorInvalidValue;
}

int hlq_cuda_sums(const hlq_cuda_strips *strips, hlq_stream stream)
{
    return launch_warps(sums_kernel, pieces_of(strips), stream, *strips);
}

int hlq_cuda_finish(const hlq_cuda_products *products, hlq_stream stream)
{
    return launch_warps(finish_kernel, pieces_of_products(products), stream, *products);
}
