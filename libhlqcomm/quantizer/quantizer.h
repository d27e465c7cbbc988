/*
 * A quantizer from inside: what others here need of it beyond the public header. Functions that are
 * HLQ_API are shared with the library hlqcomm_cuda.
 */
#ifndef HLQ_QUANTIZER_QUANTIZER_H
#define HLQ_QUANTIZER_QUANTIZER_H

#include <hlqcomm/quantizer.h>

#include <kernels/hnlq.h>
#include <kernels/kernels.h>

struct hlq_quantizer {
    hlq_quantizer_params params;
    hlq_hnlq code;           /* what kernels see */
    uint64_t layer_points;   /* q^dim */
    float mean[HLQ_DIM_MAX]; /* of a layer's representatives; zeros unless centred */
    int digit_bytes;
    const hlq_kernels *kernels;
};

/* Returns status, having written the sentence of hlq_quantizer_error(). */
HLQ_API hlq_status hlq_quantizer_fail(hlq_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * points [count, dim]: representatives (not centred) of the indices first … of one layer, where
 * index = Σ b[j] q^j. Exact: multiples of 1/2 of at most q in size.
 */
void hlq_layer_representatives(const hlq_quantizer *quantizer, uint64_t first, uint64_t count,
                               float *points);

/* HLQ_E_INVALID if one of `count` numbers is NaN or Inf; `what` names them in the sentence. */
hlq_status hlq_check_finite(const char *what, const float *x, size_t count);

/* HLQ_E_INVALID unless base is odd or a power of two, 2 … 32768. */
HLQ_API hlq_status hlq_check_base(int q);

/* What arguments say before any memory is read. Of a, b, retries: whether they are NULL. *at is for
   kernels; so is *code, which decodes that many layers. Addends: that they are not centred. */
HLQ_API hlq_status hlq_check_vectors(const hlq_quantizer *quantizer, size_t vectors, const void *a,
                                     const void *b);
HLQ_API hlq_status hlq_check_dither(const hlq_quantizer *quantizer, const hlq_dither *dither,
                                    size_t vectors, hlq_dither_at *at);
HLQ_API hlq_status hlq_check_retries(const hlq_quantizer *quantizer, const uint8_t *retries,
                                     size_t vectors);
HLQ_API hlq_status hlq_check_layers(const hlq_quantizer *quantizer, int layers, hlq_hnlq *code);
HLQ_API hlq_status hlq_check_addends(const hlq_quantizer *quantizer);

/* HLQ_E_INVALID for the first digit outside 0 … q-1; digits are of the size that q implies. */
hlq_status hlq_check_digits(int q, const void *digits, size_t count);

#ifndef HLQ_TRY
#define HLQ_TRY(expression)                                                                        \
    do {                                                                                           \
        hlq_status try_status_ = (expression);                                                     \
        if (try_status_ != HLQ_OK) return try_status_;                                             \
    } while (0)
#endif

#endif
