/*
 * Digits in words of 64 bits, in base q, the first the least significant: for the host's digits and
 * for a GPU's. A word of n digits is at most q^n - 1; that bound, rather than q^n, is what is
 * computed with, because it fits 64 bits even for q^n = 2^64.
 */
#ifndef HLQ_BODY_PACKING_H
#define HLQ_BODY_PACKING_H

#include "plain.h"

#include <stdint.h>
#include <string.h>

/* q^digits - 1. */
HLQ_PLAIN uint64_t largest_word(int q, int digits)
{
    uint64_t largest = 0;
    for (int i = 0; i < digits; i++) largest = largest * (uint64_t)q + (uint64_t)(q - 1);
    return largest;
}

/* The largest k with q^k ≤ 2^64. */
HLQ_PLAIN int digits_of_word(int q)
{
    const uint64_t base = (uint64_t)q;
    int k = 0;
    for (uint64_t w = 0; w <= (UINT64_MAX - (base - 1)) / base; w = w * base + base - 1) k++;
    return k;
}

HLQ_PLAIN uint32_t load_digit(int q, const uint8_t *digits, int i)
{
    uint16_t digit;
    if (q <= 256) return digits[i];
    memcpy(&digit, digits + 2 * i, sizeof digit);
    return digit;
}

HLQ_PLAIN void store_digit(int q, uint8_t *digits, int i, uint32_t digit)
{
    const uint16_t wide = (uint16_t)digit;
    if (q <= 256) digits[i] = (uint8_t)digit;
    else memcpy(digits + 2 * i, &wide, sizeof wide);
}

/* Of n digits below q. */
HLQ_PLAIN uint64_t pack_word(int q, const uint8_t *digits, int n)
{
    uint64_t word = 0;
    for (int i = n - 1; i >= 0; i--) word = word * (uint64_t)q + load_digit(q, digits, i);
    return word;
}

/* Of a word below q^n. */
HLQ_PLAIN void unpack_word(int q, uint64_t word, uint8_t *digits, int n)
{
    const uint64_t base = (uint64_t)q;
    if ((q & (q - 1)) == 0) { /* without divisions */
        const int shift = __builtin_popcount((unsigned)q - 1);
        for (int i = 0; i < n; i++) {
            store_digit(q, digits, i, (uint32_t)(word >> shift * i & (base - 1)));
        }
        return;
    }
    for (int i = 0; i < n; i++, word /= base) store_digit(q, digits, i, (uint32_t)(word % base));
}

#endif
