/*
 * Stands in for libhlqcomm_cuda on the device of stand_in_device.cpp: the host's functions do the
 * work, and it is noted on which device and stream.
 */
#include <hlqcomm/cuda.h>

#include <string.h>

static char last[64];
static int last_device;
static hlq_stream last_stream;
static int (*current)(void);

HLQ_API void stand_in_use(int (*device)(void)) { current = device; }
HLQ_API const char *stand_in_last(void) { return last; }
HLQ_API int stand_in_last_device(void) { return last_device; }
HLQ_API long stand_in_last_stream(void) { return (long)(intptr_t)last_stream; }

/* Digits lie where kernels want them, or it is no status of the library's. */
static hlq_status note(const char *name, const void *digits, hlq_stream stream)
{
    strcpy(last, name);
    last_device = current();
    last_stream = stream;
    return (uintptr_t)digits % 4 ? HLQ_E_WIRE : HLQ_OK;
}

#define TRY(call)                                                                                  \
    do {                                                                                           \
        hlq_status status = (call);                                                                \
        if (status != HLQ_OK) return status;                                                       \
    } while (0)

hlq_status hlq_cuda_encode(const hlq_quantizer *quantizer, const float *x, size_t vectors,
                           const hlq_dither *dither, void *digits, uint8_t *retries,
                           uint8_t *overload, uint64_t *overloads, uint64_t *invalid,
                           hlq_stream stream)
{
    uint64_t count;
    TRY(note("encode", digits, stream));
    if (overloads || invalid) return HLQ_E_PENDING;
    return hlq_encode(quantizer, x, vectors, dither, digits, retries, overload, &count);
}

hlq_status hlq_cuda_decode(const hlq_quantizer *quantizer, const void *digits,
                           const uint8_t *retries, size_t vectors, const hlq_dither *dither,
                           int layers, float *x, uint64_t *invalid, hlq_stream stream)
{
    TRY(note("decode", digits, stream));
    if (invalid) return HLQ_E_PENDING;
    return hlq_decode(quantizer, digits, retries, vectors, dither, layers, x);
}

hlq_status hlq_cuda_quantize(const hlq_quantizer *quantizer, const float *x, size_t vectors,
                             const hlq_dither *dither, float *out, uint8_t *overload,
                             uint64_t *overloads, uint64_t *invalid, hlq_stream stream)
{
    uint64_t count;
    TRY(note("quantize", NULL, stream));
    if (overloads || invalid) return HLQ_E_PENDING;
    return hlq_quantize(quantizer, x, vectors, dither, out, overload, &count);
}

hlq_status hlq_cuda_digits_add_modq(int q, const void *a, const void *b, size_t count, void *out,
                                    uint64_t *invalid, hlq_stream stream)
{
    TRY(note("digits_add_modq", b, stream));
    TRY(note("digits_add_modq", a, stream));
    if (invalid) return HLQ_E_PENDING;
    return hlq_digits_add_modq(q, a, b, count, out);
}

hlq_status hlq_cuda_digits_add(const hlq_quantizer *quantizer, const void *a, const void *b,
                               size_t vectors, void *out, uint8_t *overload, uint64_t *overloads,
                               uint64_t *invalid, hlq_stream stream)
{
    uint64_t count;
    TRY(note("digits_add", b, stream));
    TRY(note("digits_add", a, stream));
    if (overloads || invalid) return HLQ_E_PENDING;
    return hlq_digits_add(quantizer, a, b, vectors, out, overload, &count);
}

hlq_status hlq_cuda_digits_to_flat(const hlq_quantizer *quantizer, const void *digits,
                                   size_t vectors, uint32_t *flat, uint64_t *invalid,
                                   hlq_stream stream)
{
    TRY(note("digits_to_flat", digits, stream));
    if (invalid) return HLQ_E_PENDING;
    return hlq_digits_to_flat(quantizer, digits, vectors, flat);
}

hlq_status hlq_cuda_flat_to_digits(const hlq_quantizer *quantizer, const uint32_t *flat,
                                   size_t vectors, void *digits, uint64_t *invalid,
                                   hlq_stream stream)
{
    TRY(note("flat_to_digits", digits, stream));
    if (invalid) return HLQ_E_PENDING;
    return hlq_flat_to_digits(quantizer, flat, vectors, digits);
}
