/*
 * The quantizer's kernels of GPUs on the emulated warp of warp.h.
 */
#include "warp.h"

#include <kernels/kernels.h>
#include <kernels/lanes/cuda_i32.h>
#include <kernels/cuda/walk_digits.cuh>

#include "gpu_kernels.h"
#include "warps.h"

/* What `walk` says, for the code of `vectors`. */
#define ON_WARPS_FOR_CODE(walk)                                                                    \
    const gpu_arithmetic arithmetic;                                                               \
    const hlq_hnlq *code = &vectors->code;                                                         \
    FOR_EACH_CODE(walk)

void hlq_gpu_hnlq_encode(const hlq_cuda_vectors *vectors, const float *x)
{
#define ENCODE(l, d, b)                                                                            \
    IF_CODE(l, d, b) on_warps([=](hlq_share s) { encode_vectors(l, d, b, s, vectors, x, NULL); });
    ON_WARPS_FOR_CODE(ENCODE)
}

void hlq_gpu_hnlq_quantize(const hlq_cuda_vectors *vectors, const float *x, float *out)
{
#define QUANTIZE(l, d, b)                                                                          \
    IF_CODE(l, d, b) on_warps([=](hlq_share s) { encode_vectors(l, d, b, s, vectors, x, out); });
    ON_WARPS_FOR_CODE(QUANTIZE)
}

void hlq_gpu_hnlq_decode(const hlq_cuda_vectors *vectors, int layers, float *x)
{
#define DECODE(l, d, b)                                                                            \
    IF_CODE(l, d, b)                                                                               \
    on_warps([=](hlq_share s) { decode_vectors(l, d, b, s, vectors, layers, x); });
    ON_WARPS_FOR_CODE(DECODE)
}

void hlq_gpu_hnlq_add(const hlq_cuda_vectors *vectors, const void *a, const void *b)
{
#define ADD(l, d, p)                                                                               \
    IF_CODE(l, d, p) on_warps([=](hlq_share s) { add_vectors(l, d, p, s, vectors, a, b); });
    ON_WARPS_FOR_CODE(ADD)
}

void hlq_gpu_hnlq_flatten(const hlq_cuda_vectors *vectors, uint32_t *flat)
{
#define FLATTEN(l, d, p)                                                                           \
    IF_CODE(l, d, p) on_warps([=](hlq_share s) { flatten_vectors(l, d, p, s, vectors, flat); });
    ON_WARPS_FOR_CODE(FLATTEN)
}

void hlq_gpu_hnlq_unflatten(const hlq_cuda_vectors *vectors, const uint32_t *flat)
{
#define UNFLATTEN(l, d, p)                                                                         \
    IF_CODE(l, d, p) on_warps([=](hlq_share s) { unflatten_vectors(l, d, p, s, vectors, flat); });
    ON_WARPS_FOR_CODE(UNFLATTEN)
}

void hlq_gpu_hnlq_add_modq(const hlq_cuda_modq *sum)
{
    on_warps([=](hlq_share s) { add_modq_of_all(s, sum); });
}
