/*
 * Storage of digits: 64-bit little-endian words of as many digits in base q as fit, the first the
 * least significant. A word of n digits is at most q^n - 1; that bound, rather than q^n, is what
 * is computed with, because it fits 64 bits even for q^n = 2^64.
 */
#include "quantizer.h"

#include <inttypes.h>
#include <string.h>

enum { WORD_BYTES = 8 };

/* q^digits - 1. */
static uint64_t largest_word(int q, int digits)
{
    uint64_t largest = 0;
    for (int i = 0; i < digits; i++) largest = largest * (uint64_t)q + (uint64_t)(q - 1);
    return largest;
}

/* The largest k with q^k ≤ 2^64. */
static int digits_per_word(int q)
{
    const uint64_t base = (uint64_t)q;
    int k = 0;
    for (uint64_t w = 0; w <= (UINT64_MAX - (base - 1)) / base; w = w * base + base - 1) k++;
    return k;
}

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

static uint64_t pack_word(int q, const uint8_t *digits, int n)
{
    uint64_t word = 0;
    if (q <= 256) {
        for (int i = n - 1; i >= 0; i--) word = word * (uint64_t)q + digits[i];
        return word;
    }
    for (int i = n - 1; i >= 0; i--) {
        uint16_t digit;
        memcpy(&digit, digits + 2 * i, sizeof digit);
        word = word * (uint64_t)q + digit;
    }
    return word;
}

static void unpack_word(int q, uint64_t word, uint8_t *digits, int n)
{
    const uint64_t base = (uint64_t)q;
    if (q <= 256) {
        if ((q & (q - 1)) == 0) { /* without divisions */
            const int shift = __builtin_ctz((unsigned)q);
            for (int i = 0; i < n; i++) digits[i] = (uint8_t)(word >> shift * i & (base - 1));
            return;
        }
        for (int i = 0; i < n; i++, word /= base) digits[i] = (uint8_t)(word % base);
        return;
    }
    for (int i = 0; i < n; i++, word /= base) {
        uint16_t digit = (uint16_t)(word % base);
        memcpy(digits + 2 * i, &digit, sizeof digit);
    }
}

size_t hlq_packed_bytes(int q, size_t digits)
{
    if (hlq_check_base(q) != HLQ_OK) return 0;
    const size_t k = (size_t)digits_per_word(q);
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
    const size_t k = (size_t)digits_per_word(q), digit_bytes = q > 256 ? 2 : 1;
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
    const size_t k = (size_t)digits_per_word(q), digit_bytes = q > 256 ? 2 : 1;
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
