/*
 * The quantizer's kernels of GPUs on the emulated warp of warp.h, as the functions of hnlq.h.
 */
#include "warp.h"

#include <kernels/kernels.h>
#include <kernels/lanes/cuda_i32.h>
#include <kernels/cuda/walk_hnlq.cuh>

#include "gpu_kernels.h"
#include "warps.h"

static hlq_cuda_vectors vectors_of(const hlq_hnlq *code, size_t vectors, hlq_dither_at dither)
{
    hlq_cuda_vectors v = {};
    v.code = *code;
    v.vectors = vectors;
    v.dither = dither;
    return v;
}

static hlq_encoded warp_encode(const hlq_hnlq *code, const float *x, size_t vectors,
                               hlq_dither_at dither, void *digits, uint8_t *retries,
                               uint8_t *overload)
{
    const gpu_arithmetic arithmetic;
    hlq_encoded result = {0, 0};
    hlq_cuda_vectors v = vectors_of(code, vectors, dither);
    v.digits = digits;
    v.retries = retries;
    v.overload = overload;
#define ENCODE(l, d, b)                                                                            \
    IF_CODE(l, d, b) on_warps([&](hlq_share s) { encode_vectors(l, d, b, s, &v, x, &result); });
    FOR_EACH_CODE(ENCODE)
    return result;
}

static uint64_t warp_decode(const hlq_hnlq *code, const void *digits, const uint8_t *retries,
                            size_t vectors, hlq_dither_at dither, int layers, float *x)
{
    const gpu_arithmetic arithmetic;
    uint64_t bad = 0;
    hlq_cuda_vectors v = vectors_of(code, vectors, dither);
    v.digits = const_cast<void *>(digits); /* only read */
    v.retries = const_cast<uint8_t *>(retries);
#define DECODE(l, d, b)                                                                            \
    IF_CODE(l, d, b)                                                                               \
    on_warps([&](hlq_share s) { decode_vectors(l, d, b, s, &v, layers, x, &bad); });
    FOR_EACH_CODE(DECODE)
    return bad;
}

const hlq_hnlq_kernels hlq_hnlq_kernels_gpu = {warp_encode, warp_decode, NULL, NULL, NULL, NULL};
