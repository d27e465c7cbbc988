/*
 * The look-up kernels of GPUs on the emulated warp of warp.h.
 */
#include "warp.h"

#include <kernels/kernels.h>
#include <kernels/lanes/cuda_look_up.h>
#include <kernels/cuda/walk_look_up.cuh>

#include "gpu_kernels.h"
#include "warps.h"

void hlq_gpu_tables(const hlq_points *points, const float *x, const hlq_look_up_row *row,
                    size_t rows, size_t blocks, int planes, int8_t *tables)
{
    const gpu_arithmetic arithmetic;
    on_warps([=](hlq_share s) {
        fill_tables_of_blocks(s, points, points->dim, x, row, rows, blocks, planes, tables);
    });
}

void hlq_gpu_sums(const hlq_cuda_strips *strips)
{
    on_warps([=](hlq_share s) { sum_strips(s, strips); });
}

void hlq_gpu_finish(const hlq_cuda_products *products)
{
    const gpu_arithmetic arithmetic;
    on_warps([=](hlq_share s) { finish_rows(s, products); });
}
