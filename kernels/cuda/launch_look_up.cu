/*
 * The kernels of cuda_look_up.h: grids and streams around the walks of walk_look_up.cuh.
 */
#include "../kernels.h"
#include "../lanes/cuda_look_up.h"
#include "walk_look_up.cuh"
#include "launch.h"

template <int dim>
HLQ_KERNEL tables_kernel(const hlq_points *points, const float *x, size_t blocks, float factor,
                         int planes, int8_t *tables)
{
    fill_tables_of_blocks(share_of_warp(), points, dim, x, blocks, factor, planes, tables);
}

HLQ_KERNEL sums_kernel(HLQ_GIVEN hlq_cuda_strips strips) { sum_strips(share_of_warp(), &strips); }

HLQ_KERNEL finish_kernel(HLQ_GIVEN hlq_finish finish, const int64_t *total, size_t rows, float *y)
{
    finish_rows(share_of_warp(), &finish, total, rows, y);
}

int hlq_cuda_tables(const hlq_points *points, int dim, const float *x, size_t blocks, float factor,
                    int planes, int8_t *tables, hlq_stream stream)
{
#define TABLES(d)                                                                                  \
    if (dim == (d)) {                                                                              \
        return launch_warps(tables_kernel<d>, blocks, stream, points, x, blocks, factor, planes,   \
                            tables);                                                               \
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

int hlq_cuda_finish(const hlq_finish *finish, const int64_t *total, size_t rows, float *y,
                    hlq_stream stream)
{
    return launch_warps(finish_kernel, rows / 32 + (rows % 32 != 0), stream, *finish, total, rows,
                        y);
}
