/*
 * Arithmetic on digits: modulo q digit by digit, sums with carries, the flat code.
 */
#include "quantizer.h"

#include <kernels/body/modq.h>

#include <math.h>
#include <string.h>

static int digit_at(const void *digits, int wide, size_t i)
{
    int16_t digit;
    if (!wide) return ((const uint8_t *)digits)[i];
    memcpy(&digit, (const char *)digits + 2 * i, sizeof digit);
    return digit;
}

hlq_status hlq_check_digits(int q, const void *digits, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int digit = digit_at(digits, q > 256, i);
        if (digit < 0 || digit >= q) {
            return hlq_quantizer_fail(HLQ_E_INVALID, "digit %zu is %d; digits are 0 ... %d", i,
                                      digit, q - 1);
        }
    }
    return HLQ_OK;
}

hlq_status hlq_digits_add_modq(int q, const void *a, const void *b, size_t count, void *out)
{
    HLQ_TRY(hlq_check_base(q));
    if (count && (!a || !b || !out)) return hlq_quantizer_fail(HLQ_E_INVALID, "digits are NULL");
    HLQ_TRY(hlq_check_digits(q, a, count));
    HLQ_TRY(hlq_check_digits(q, b, count));
    for (size_t i = 0; i < count; i++) {
        uint32_t sum = add_modq((uint32_t)q, (uint32_t)digit_at(a, q > 256, i),
                                (uint32_t)digit_at(b, q > 256, i));
        if (q > 256) memcpy((char *)out + 2 * i, &(int16_t){(int16_t)sum}, 2);
        else ((uint8_t *)out)[i] = (uint8_t)sum;
    }
    return HLQ_OK;
}

hlq_status hlq_check_addends(const hlq_quantizer *quantizer)
{
    if (!quantizer->params.centred) return HLQ_OK;
    return hlq_quantizer_fail(HLQ_E_INVALID, "sums of centred digits are not centred; use a "
                                             "quantizer that is not centred");
}

static size_t digits_of(const hlq_quantizer *quantizer, size_t vectors)
{
    return vectors * (size_t)(quantizer->params.depth * quantizer->params.dim);
}

hlq_status hlq_digits_add(const hlq_quantizer *quantizer, const void *a, const void *b,
                          size_t vectors, void *out, uint8_t *overload, uint64_t *overloads)
{
    HLQ_TRY(hlq_check_vectors(quantizer, vectors, a, b));
    HLQ_TRY(hlq_check_vectors(quantizer, vectors, out, out));
    if (!overloads) return hlq_quantizer_fail(HLQ_E_INVALID, "overloads is NULL");
    HLQ_TRY(hlq_check_addends(quantizer));
    /* Checked first: out may be a. */
    HLQ_TRY(hlq_check_digits(quantizer->params.q, a, digits_of(quantizer, vectors)));
    HLQ_TRY(hlq_check_digits(quantizer->params.q, b, digits_of(quantizer, vectors)));
    quantizer->kernels->hnlq->add(&quantizer->code, a, b, vectors, out, overload, overloads);
    return HLQ_OK;
}

hlq_status hlq_digits_to_flat(const hlq_quantizer *quantizer, const void *digits, size_t vectors,
                              uint32_t *flat)
{
    HLQ_TRY(hlq_check_vectors(quantizer, vectors, digits, flat));
    if (quantizer->kernels->hnlq->flatten(&quantizer->code, digits, vectors, flat)) {
        return hlq_check_digits(quantizer->params.q, digits, digits_of(quantizer, vectors));
    }
    return HLQ_OK;
}

hlq_status hlq_flat_to_digits(const hlq_quantizer *quantizer, const uint32_t *flat, size_t vectors,
                              void *digits)
{
    HLQ_TRY(hlq_check_vectors(quantizer, vectors, flat, digits));
    double limit = pow(quantizer->params.q, quantizer->params.depth);
    for (size_t i = 0; i < vectors * (size_t)quantizer->params.dim; i++) {
        if (flat[i] >= limit) {
            return hlq_quantizer_fail(HLQ_E_INVALID, "flat[%zu] is %u; it must be below %.0f", i,
                                      (unsigned)flat[i], limit);
        }
    }
    quantizer->kernels->hnlq->unflatten(&quantizer->code, flat, vectors, digits);
    return HLQ_OK;
}
