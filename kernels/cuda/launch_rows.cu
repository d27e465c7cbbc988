/*
 * The kernels of cuda_rows.h: grids and streams around the walks of walk_rows.cuh.
 */
#include "../kernels.h"
#include "../lanes/cuda_i32.h"
#include "walk_rows.cuh"
#include "launch.h"

HLQ_KERNEL measure_kernel(HLQ_GIVEN hlq_cuda_rows rows, double step)
{
    measure_rows(share_of_warp(), &rows, step);
}

HLQ_KERNEL compare_kernel(HLQ_GIVEN hlq_cuda_rows rows, const float *quantized, double next_step)
{
    compare_rows(share_of_warp(), &rows, quantized, next_step);
}

HLQ_KERNEL spoil_kernel(HLQ_GIVEN hlq_cuda_rows rows, float *out, uint64_t *invalid)
{
    spoil_rows(share_of_warp(), &rows, out, invalid);
}

template <hlq_lattice lattice, int dim, int power>
HLQ_KERNEL round_kernel(HLQ_GIVEN hlq_cuda_rows rows, HLQ_GIVEN hlq_hnlq code, int as_points,
                        float *out, uint64_t *shrunk)
{
    round_rows(lattice, dim, power, share_of_warp(), &rows, &code, as_points, out, shrunk);
}

int hlq_cuda_rows_measure(const hlq_cuda_rows *rows, double step, hlq_stream stream)
{
    return launch_warps(measure_kernel, rows->rows, stream, *rows, step);
}

int hlq_cuda_rows_compare(const hlq_cuda_rows *rows, const float *quantized, double next_step,
                          hlq_stream stream)
{
    return launch_warps(compare_kernel, rows->rows, stream, *rows, quantized, next_step);
}

int hlq_cuda_rows_spoil(const hlq_cuda_rows *rows, float *out, uint64_t *invalid, hlq_stream stream)
{
    return launch_warps(spoil_kernel, rows->rows, stream, *rows, out, invalid);
}

int hlq_cuda_rows_round(const hlq_cuda_rows *rows, const hlq_hnlq *code, int as_points, float *out,
                        uint64_t *shrunk, hlq_stream stream)
{
    const size_t numbers = rows->rows * rows->columns;
    const size_t blocks = numbers / HLQ_BLOCK_ELEMS + (numbers % HLQ_BLOCK_ELEMS != 0);
#define ROUND(l, d, p)                                                                             \
    IF_CODE(l, d, p)                                                                               \
    return launch_warps(round_kernel<l, d, p>, blocks, stream, *rows, *code, as_points, out,       \
                        shrunk);
    FOR_EACH_CODE(ROUND)
    return cudaErrorInvalidValue;
}
