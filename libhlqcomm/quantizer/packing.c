/*
 * Storage of digits: 64-bit little-endian words of as many digits in base q as fit, as
 * kernels/body/packing.h makes them.
 */
#include "quantizer.h"

#include <kernels/body/packing.h>

#include <inttypes.h>

enum { WORD_BYTES = 8 };

static void store_word(uint8_t *p, uint64_t word)
{
    for (int i = 0; i < WORD_BYTES; i++) p[i] = (uint8_t)(word >> 8 * i);
}

static uint64_t load_word(const uint8_t *p)
{
    uint64_t word = 0;
    for (int i = 0; i < WORD_BYTES; i++) word |= (uint64_t)p[i] << 8 * i;
    return word;
}

size_t hlq_packed_bytes(int q, size_t digits)
{
    if (hlq_check_base(q) != HLQ_OK) return 0;
    const size_t k = (size_t)digits_of_word(q);
    return (digits / k + (digits % k != 0)) * WORD_BYTES;
}

hlq_status hlq_digits_pack(int q, const void *digits, size_t count, void *packed)
{
    HLQ_TRY(hlq_check_base(q));
    if (!count) return HLQ_OK;
    if (!digits || !packed) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "%s is NULL", digits ? "packed" : "digits");
    }
    HLQ_TRY(hlq_check_digits(q, digits, count));
    const size_t k = (size_t)digits_of_word(q), digit_bytes = q > 256 ? 2 : 1;
    const uint8_t *from = digits;
    uint8_t *to = packed;
    for (size_t i = 0; i < count; i += k) {
        const size_t n = count - i < k ? count - i : k;
        store_word(to, pack_word(q, from, (int)n));
        from += n * digit_bytes;
        to += WORD_BYTES;
    }
    return HLQ_OK;
}

hlq_status hlq_digits_unpack(int q, const void *packed, size_t count, void *digits)
{
    HLQ_TRY(hlq_check_base(q));
    if (!count) return HLQ_OK;
    if (!digits || !packed) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "%s is NULL", digits ? "packed" : "digits");
    }
    const size_t k = (size_t)digits_of_word(q), digit_bytes = q > 256 ? 2 : 1;
    const uint64_t largest_of_k = largest_word(q, (int)k);
    const uint8_t *from = packed;
    uint8_t *to = digits;
    for (size_t i = 0; i < count; i += k) {
        const size_t n = count - i < k ? count - i : k;
        const uint64_t word = load_word(from);
        const uint64_t largest = n == k ? largest_of_k : largest_word(q, (int)n);
        if (word > largest) {
            return hlq_quantizer_fail(HLQ_E_INVALID,
                                      "word %zu is %" PRIu64
                                      "; one of %zu digits in base %d is at most %" PRIu64,
                                      i / k, word, n, q, largest);
        }
        unpack_word(q, word, to, (int)n);
        from += WORD_BYTES;
        to += n * digit_bytes;
    }
    return HLQ_OK;
}
