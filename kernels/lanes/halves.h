/*
 * One number of 16 bits to a float and back, in plain C: for vocabularies that have no instruction
 * for it, and for all else that has such numbers.
 */
#ifndef HLQ_LANES_HALVES_H
#define HLQ_LANES_HALVES_H

#include "../body/plain.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

HLQ_PLAIN float float_of_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

HLQ_PLAIN uint32_t bits_of_float(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

/* bfloat16 is the upper half of a float; storing rounds to nearest even, NaN becomes 0x7fc0. */
HLQ_PLAIN float float_of_bf16(uint16_t h) { return float_of_bits((uint32_t)h << 16); }
HLQ_PLAIN uint16_t bf16_of_float(float x)
{
    uint32_t u = bits_of_float(x);
    return x != x ? 0x7fc0 : (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* float16 is IEEE 754 binary16; storing rounds to nearest even, NaN becomes 0x7e00. */
HLQ_PLAIN float float_of_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
    if (rest < 0x0400) return (sign ? -0x1p-24f : 0x1p-24f) * (float)rest;
    return float_of_bits(sign |
                         (rest < 0x7c00 ? (rest << 13) + 0x38000000 : 0x7f800000 | rest << 13));
}

HLQ_PLAIN uint16_t f16_of_float(float x)
{
    uint32_t u = bits_of_float(x), sign = u >> 16 & 0x8000;
    u &= 0x7fffffff;
    if (u > 0x7f800000) return 0x7e00;
    if (u >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* 65520 and more round to Inf */
    if (u < 0x38800000) {
        /* Below 2^-14: 0.5 has its last bit where the result has. */
        u = bits_of_float(fabsf(x) + 0.5f);
        return (uint16_t)(sign | (u - 0x3f000000));
    }
    u += 0xfff + (u >> 13 & 1);
    return (uint16_t)(sign | (u - 0x38000000) >> 13);
}

#endif
