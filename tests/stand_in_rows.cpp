/*
 * The kernels of cuda_rows.h as work on stand-in streams.
 */
#include "warp.h"

#include <kernels/kernels.h>
#include <kernels/lanes/cuda_i32.h>
#include <kernels/cuda/walk_rows.cuh>

#include "gpu_kernels.h"
#include "warps.h"
#include "stand_in_kernels.h"

int hlq_cuda_rows_measure(const hlq_cuda_rows *rows, double step, hlq_stream stream)
{
    const hlq_cuda_rows all = *rows;
    return put_walk(stream, [=](hlq_share s) { measure_rows(s, &all, step); });
}

int hlq_cuda_rows_round(const hlq_cuda_rows *rows, const hlq_hnlq *code, int as_points, float *out,
                        uint64_t *shrunk, hlq_stream stream)
{
    const hlq_cuda_rows all = *rows;
    const hlq_hnlq of = *code;
#define ROUND(l, d, p)                                                                             \
    IF_CODE(l, d, p)                                                                               \
    return put_walk(                                                                               \
        stream, [=](hlq_share s) { round_rows(l, d, p, s, &all, &of, as_points, out, shrunk); });
    FOR_EACH_CODE(ROUND)
    return 1;
}

int hlq_cuda_rows_compare(const hlq_cuda_rows *rows, const float *quantized, double next_step,
                          hlq_stream stream)
{
    const hlq_cuda_rows all = *rows;
    return put_walk(stream, [=](hlq_share s) { compare_rows(s, &all, quantized, next_step); });
}

int hlq_cuda_rows_spoil(const hlq_cuda_rows *rows, float *out, uint64_t *invalid, hlq_stream stream)
{
    const hlq_cuda_rows all = *rows;
    return put_walk(stream, [=](hlq_share s) { spoil_rows(s, &all, out, invalid); });
}
