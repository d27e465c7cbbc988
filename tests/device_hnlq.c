/*
 * The quantizer's kernels on a GPU, on memory of the host.
 */
#include "device.h"

static size_t bytes_of(const hlq_cuda_vectors *v)
{
    return (v->vectors * (size_t)(v->code.dim * v->code.depth)) << v->code.wide;
}

static size_t numbers_of(const hlq_cuda_vectors *v) { return v->vectors * (size_t)v->code.dim; }

/* The device's copies of all that they point to; the host's digits change too. */
static hlq_cuda_vectors open_vectors(const hlq_cuda_vectors *vectors)
{
    hlq_cuda_vectors there = *vectors;
    const size_t dithers = vectors->dither.stride ? vectors->vectors : 1;
    device_open();
    there.dither.z =
        lent_to_device(there.dither.z, dithers * (size_t)there.code.dim * sizeof(float));
    there.digits = on_device(there.digits, bytes_of(vectors));
    there.retries = on_device(there.retries, vectors->vectors);
    there.overload = on_device(there.overload, vectors->vectors);
    there.overloads = on_device(there.overloads, sizeof *there.overloads);
    there.bad = on_device(there.bad, sizeof *there.bad);
    return there;
}

void hlq_gpu_hnlq_encode(const hlq_cuda_vectors *vectors, const float *x)
{
    const hlq_cuda_vectors there = open_vectors(vectors);
    const float *from = lent_to_device(x, numbers_of(vectors) * sizeof *x);
    device_capture();
    device_check(hlq_cuda_hnlq_encode(&there, from, device.stream));
    device_close();
}

void hlq_gpu_hnlq_quantize(const hlq_cuda_vectors *vectors, const float *x, float *out)
{
    const size_t bytes = numbers_of(vectors) * sizeof *x;
    const hlq_cuda_vectors there = open_vectors(vectors);
    float *to = on_device(out, bytes);
    const float *from = x == out ? to : lent_to_device(x, bytes);
    device_capture();
    device_check(hlq_cuda_hnlq_quantize(&there, from, to, device.stream));
    device_close();
}

void hlq_gpu_hnlq_decode(const hlq_cuda_vectors *vectors, int layers, float *x)
{
    const hlq_cuda_vectors there = open_vectors(vectors);
    float *to = on_device(x, numbers_of(vectors) * sizeof *x);
    device_capture();
    device_check(hlq_cuda_hnlq_decode(&there, layers, to, device.stream));
    device_close();
}

void hlq_gpu_hnlq_add(const hlq_cuda_vectors *vectors, const void *a, const void *b)
{
    const hlq_cuda_vectors there = open_vectors(vectors);
    const void *left = a == vectors->digits ? there.digits : lent_to_device(a, bytes_of(vectors));
    const void *right = lent_to_device(b, bytes_of(vectors));
    device_capture();
    device_check(hlq_cuda_hnlq_add(&there, left, right, device.stream));
    device_close();
}

void hlq_gpu_hnlq_flatten(const hlq_cuda_vectors *vectors, uint32_t *flat)
{
    const hlq_cuda_vectors there = open_vectors(vectors);
    uint32_t *to = on_device(flat, numbers_of(vectors) * sizeof *flat);
    device_capture();
    device_check(hlq_cuda_hnlq_flatten(&there, to, device.stream));
    device_close();
}

void hlq_gpu_hnlq_unflatten(const hlq_cuda_vectors *vectors, const uint32_t *flat)
{
    const hlq_cuda_vectors there = open_vectors(vectors);
    const uint32_t *from = lent_to_device(flat, numbers_of(vectors) * sizeof *flat);
    device_capture();
    device_check(hlq_cuda_hnlq_unflatten(&there, from, device.stream));
    device_close();
}

void hlq_gpu_hnlq_add_modq(const hlq_cuda_modq *sum)
{
    const size_t bytes = sum->count << (sum->q > 256);
    hlq_cuda_modq there = *sum;
    device_open();
    there.out = on_device(sum->out, bytes);
    there.a = sum->a == sum->out ? there.out : lent_to_device(sum->a, bytes);
    there.b = lent_to_device(sum->b, bytes);
    there.bad = on_device(sum->bad, sizeof *sum->bad);
    device_capture();
    device_check(hlq_cuda_hnlq_add_modq(&there, device.stream));
    device_close();
}
