/*
 * hlqcomm/cuda.h: arguments checked as far as the host can, and passed on to the kernels of
 * kernels/cuda/cuda_hnlq.h, which get the quantizer by value.
 */
#include <hlqcomm/cuda.h>

#include "cuda_checks.h"

#include <kernels/cuda/cuda_hnlq.h>
#include <transport/cuda_calls.h>

/* What all calls on vectors have beside their own tensors. */
static hlq_status check_vectors(const hlq_cuda_vectors *v)
{
    HLQ_TRY(hlq_cuda_check_digits("digits", v->digits));
    HLQ_TRY(hlq_cuda_check_memory("retries", v->retries, 1));
    HLQ_TRY(hlq_cuda_check_memory("overload", v->overload, 1));
    HLQ_TRY(hlq_cuda_check_numbers("dither", v->dither.z));
    HLQ_TRY(hlq_cuda_check_memory("overloads", v->overloads, sizeof *v->overloads));
    return hlq_cuda_check_memory("invalid", v->bad, sizeof *v->bad);
}

static hlq_status check_reported(const uint8_t *overload, const uint64_t *overloads)
{
    if (overload || overloads) return HLQ_OK;
    return hlq_quantizer_fail(HLQ_E_INVALID, "overload and overloads are both NULL");
}

hlq_status hlq_cuda_nearest(hlq_lattice lattice, int dim, const float *x, size_t vectors,
                            float *point, uint64_t *invalid, hlq_stream stream)
{
    const hlq_cuda_nearest_of of = {lattice, dim, x, vectors, point, invalid};
    hlq_lattice_info info = {.struct_bytes = sizeof info};
    HLQ_TRY(hlq_lattice_describe(lattice, dim, &info));
    if (!vectors) return HLQ_OK;
    if (!x || !point) return hlq_quantizer_fail(HLQ_E_INVALID, "x or point is NULL");
    HLQ_TRY(hlq_cuda_check_numbers("x", x));
    HLQ_TRY(hlq_cuda_check_numbers("point", point));
    HLQ_TRY(hlq_cuda_check_memory("invalid", invalid, sizeof *invalid));
    return hlq_cuda_launched(hlq_cuda_hnlq_nearest(&of, stream));
}

hlq_status hlq_cuda_encode(const hlq_quantizer *quantizer, const float *x, size_t vectors,
                           const hlq_dither *dither, void *digits, uint8_t *retries,
                           uint8_t *overload, uint64_t *overloads, uint64_t *invalid,
                           hlq_stream stream)
{
    HLQ_TRY(hlq_check_vectors(quantizer, vectors, x, digits));
    HLQ_TRY(check_reported(overload, overloads));
    HLQ_TRY(hlq_check_retries(quantizer, retries, vectors));
    hlq_cuda_vectors v = {.code = quantizer->code,
                          .vectors = vectors,
                          .digits = digits,
                          .retries = retries,
                          .overload = overload,
                          .overloads = overloads,
                          .bad = invalid};
    HLQ_TRY(hlq_check_dither(quantizer, dither, vectors, &v.dither));
    if (!vectors) return HLQ_OK;
    HLQ_TRY(hlq_cuda_check_numbers("x", x));
    HLQ_TRY(check_vectors(&v));
    if (retries && v.code.tries == 1) {
        HLQ_TRY(hlq_cuda_launched(hlq_cuda_runtime.fill(retries, 0, vectors, stream)));
    }
    return hlq_cuda_launched(hlq_cuda_hnlq_encode(&v, x, stream));
}

hlq_status hlq_cuda_decode(const hlq_quantizer *quantizer, const void *digits,
                           const uint8_t *retries, size_t vectors, const hlq_dither *dither,
                           int layers, float *x, uint64_t *invalid, hlq_stream stream)
{
    HLQ_TRY(hlq_check_vectors(quantizer, vectors, x, digits));
    HLQ_TRY(hlq_check_retries(quantizer, retries, vectors));
    hlq_cuda_vectors v = {.vectors = vectors,
                          .digits = (void *)(uintptr_t)digits,
                          .retries = (uint8_t *)(uintptr_t)retries,
                          .bad = invalid};
    HLQ_TRY(hlq_check_layers(quantizer, layers, &v.code));
    HLQ_TRY(hlq_check_dither(quantizer, dither, vectors, &v.dither));
    if (!vectors) return HLQ_OK;
    HLQ_TRY(hlq_cuda_check_numbers("x", x));
    HLQ_TRY(check_vectors(&v));
    return hlq_cuda_launched(hlq_cuda_hnlq_decode(&v, layers, x, stream));
}

hlq_status hlq_cuda_quantize(const hlq_quantizer *quantizer, const float *x, size_t vectors,
                             const hlq_dither *dither, float *out, uint8_t *overload,
                             uint64_t *overloads, uint64_t *invalid, hlq_stream stream)
{
    HLQ_TRY(hlq_check_vectors(quantizer, vectors, x, out));
    HLQ_TRY(check_reported(overload, overloads));
    hlq_cuda_vectors v = {.code = quantizer->code,
                          .vectors = vectors,
                          .overload = overload,
                          .overloads = overloads,
                          .bad = invalid};
    HLQ_TRY(hlq_check_dither(quantizer, dither, vectors, &v.dither));
    if (!vectors) return HLQ_OK;
    HLQ_TRY(hlq_cuda_check_numbers("x", x));
    HLQ_TRY(hlq_cuda_check_numbers("out", out));
    HLQ_TRY(check_vectors(&v));
    return hlq_cuda_launched(hlq_cuda_hnlq_quantize(&v, x, out, stream));
}

hlq_status hlq_cuda_digits_add_modq(int q, const void *a, const void *b, size_t count, void *out,
                                    uint64_t *invalid, hlq_stream stream)
{
    const hlq_cuda_modq sum = {q, a, b, count, out, invalid};
    HLQ_TRY(hlq_check_base(q));
    if (!count) return HLQ_OK;
    if (!a || !b || !out) return hlq_quantizer_fail(HLQ_E_INVALID, "digits are NULL");
    HLQ_TRY(hlq_cuda_check_digits("a", a));
    HLQ_TRY(hlq_cuda_check_digits("b", b));
    HLQ_TRY(hlq_cuda_check_digits("out", out));
    HLQ_TRY(hlq_cuda_check_memory("invalid", invalid, sizeof *invalid));
    return hlq_cuda_launched(hlq_cuda_hnlq_add_modq(&sum, stream));
}

hlq_status hlq_cuda_digits_add(const hlq_quantizer *quantizer, const void *a, const void *b,
                               size_t vectors, void *out, uint8_t *overload, uint64_t *overloads,
                               uint64_t *invalid, hlq_stream stream)
{
    HLQ_TRY(hlq_check_vectors(quantizer, vectors, a, b));
    HLQ_TRY(hlq_check_vectors(quantizer, vectors, out, out));
    HLQ_TRY(check_reported(overload, overloads));
    HLQ_TRY(hlq_check_addends(quantizer));
    const hlq_cuda_vectors v = {.code = quantizer->code,
                                .vectors = vectors,
                                .digits = out,
                                .overload = overload,
                                .overloads = overloads,
                                .bad = invalid};
    if (!vectors) return HLQ_OK;
    HLQ_TRY(hlq_cuda_check_digits("a", a));
    HLQ_TRY(hlq_cuda_check_digits("b", b));
    HLQ_TRY(check_vectors(&v));
    return hlq_cuda_launched(hlq_cuda_hnlq_add(&v, a, b, stream));
}

hlq_status hlq_cuda_digits_to_flat(const hlq_quantizer *quantizer, const void *digits,
                                   size_t vectors, uint32_t *flat, uint64_t *invalid,
                                   hlq_stream stream)
{
    HLQ_TRY(hlq_check_vectors(quantizer, vectors, digits, flat));
    const hlq_cuda_vectors v = {.code = quantizer->code,
                                .vectors = vectors,
                                .digits = (void *)(uintptr_t)digits,
                                .bad = invalid};
    if (!vectors) return HLQ_OK;
    HLQ_TRY(hlq_cuda_check_numbers("flat", flat));
    HLQ_TRY(check_vectors(&v));
    return hlq_cuda_launched(hlq_cuda_hnlq_flatten(&v, flat, stream));
}

hlq_status hlq_cuda_flat_to_digits(const hlq_quantizer *quantizer, const uint32_t *flat,
                                   size_t vectors, void *digits, uint64_t *invalid,
                                   hlq_stream stream)
{
    HLQ_TRY(hlq_check_vectors(quantizer, vectors, flat, digits));
    const hlq_cuda_vectors v = {
        .code = quantizer->code, .vectors = vectors, .digits = digits, .bad = invalid};
    if (!vectors) return HLQ_OK;
    HLQ_TRY(hlq_cuda_check_numbers("flat", flat));
    HLQ_TRY(check_vectors(&v));
    return hlq_cuda_launched(hlq_cuda_hnlq_unflatten(&v, flat, stream));
}
