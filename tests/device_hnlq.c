/*
 * The quantizer's kernels on a GPU, as functions of hnlq.h on memory of the host.
 */
#include "device.h"

static hlq_cuda_vectors vectors_on_device(const hlq_hnlq *code, size_t vectors,
                                          hlq_dither_at dither)
{
    const size_t rows = dither.stride ? vectors : 1, scales = (size_t)code->tries * sizeof(float);
    hlq_cuda_vectors there = {.code = *code, .vectors = vectors, .dither = dither};
    there.code.scale = lent_to_device(code->scale, scales);
    there.code.inverse = lent_to_device(code->inverse, scales);
    there.dither.z = lent_to_device(dither.z, rows * (size_t)code->dim * sizeof(float));
    return there;
}

static size_t digits_of(const hlq_hnlq *code, size_t vectors)
{
    return (vectors * (size_t)(code->dim * code->depth)) << code->wide;
}

static hlq_encoded gpu_encode(const hlq_hnlq *code, const float *x, size_t vectors,
                              hlq_dither_at dither, void *digits, uint8_t *retries,
                              uint8_t *overload)
{
    hlq_encoded result = {0, 0};
    device_open();
    hlq_cuda_vectors to = vectors_on_device(code, vectors, dither);
    const float *from = lent_to_device(x, vectors * (size_t)code->dim * sizeof *x);
    to.digits = on_device(digits, digits_of(code, vectors));
    to.retries = on_device(retries, vectors);
    to.overload = on_device(overload, vectors);
    hlq_encoded *counts = on_device(&result, sizeof result);
    device_capture();
    device_check(hlq_cuda_hnlq_encode(&to, from, counts, device.stream));
    device_close();
    return result;
}

static uint64_t gpu_decode(const hlq_hnlq *code, const void *digits, const uint8_t *retries,
                           size_t vectors, hlq_dither_at dither, int layers, float *x)
{
    uint64_t bad = 0;
    device_open();
    hlq_cuda_vectors from = vectors_on_device(code, vectors, dither);
    from.digits = lent_to_device(digits, digits_of(code, vectors));
    from.retries = lent_to_device(retries, vectors);
    float *to = on_device(x, vectors * (size_t)code->dim * sizeof *x);
    uint64_t *count = on_device(&bad, sizeof bad);
    device_capture();
    device_check(hlq_cuda_hnlq_decode(&from, layers, to, count, device.stream));
    device_close();
    return bad;
}

const hlq_hnlq_kernels hlq_hnlq_kernels_gpu = {.encode = gpu_encode, .decode = gpu_decode};
