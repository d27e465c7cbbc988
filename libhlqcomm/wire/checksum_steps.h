/*
 * XXH64 step by step: four sums over words in turn, merged, then what is left over, then a last
 * stirring. checksum.c takes the steps one after the other; on a device, lanes share them
 * (cuda/checksum.cuh).
 */
#ifndef HLQ_WIRE_CHECKSUM_STEPS_H
#define HLQ_WIRE_CHECKSUM_STEPS_H

#include <kernels/body/plain.h>

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define P1 0x9e3779b185ebca87u
#define P2 0xc2b2ae3d27d4eb4fu
#define P3 0x165667b19e3779f9u
#define P4 0x85ebca77c2b2ae63u
#define P5 0x27d4eb2f165667c5u

enum { CHECKSUM_SUMS = 4, CHECKSUM_WORD = 8, CHECKSUM_STRIPE = CHECKSUM_SUMS * CHECKSUM_WORD };

/* Little-endian words, on any machine. */
HLQ_PLAIN uint64_t read64(const uint8_t *p)
{
    uint64_t x;
    memcpy(&x, p, sizeof x);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    return x;
}

HLQ_PLAIN uint32_t read32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

HLQ_PLAIN uint64_t rotate_left(uint64_t x, int by) { return x << by | x >> (64 - by); }

HLQ_PLAIN uint64_t stir(uint64_t sum, uint64_t word)
{
    return rotate_left(sum + word * P2, 31) * P1;
}

/* Of the words i, i + 4, …, before the first. */
HLQ_PLAIN uint64_t first_sum(int i, uint64_t seed)
{
    return i == 0 ? seed + P1 + P2 : i == 1 ? seed + P2 : i == 2 ? seed : seed - P1;
}

/* Of all whole stripes. */
HLQ_PLAIN uint64_t merge_sums(const uint64_t sum[CHECKSUM_SUMS])
{
    uint64_t h = rotate_left(sum[0], 1) + rotate_left(sum[1], 7) + rotate_left(sum[2], 12) +
                 rotate_left(sum[3], 18);
    for (int i = 0; i < CHECKSUM_SUMS; i++) h = (h ^ stir(0, sum[i])) * P1 + P4;
    return h;
}

/* In place of that, where there are none. */
HLQ_PLAIN uint64_t without_stripes(uint64_t seed) { return seed + P5; }

/* h: of the stripes; p … end: what is left of `bytes` in all. */
HLQ_PLAIN uint64_t finish(uint64_t h, size_t bytes, const uint8_t *p, const uint8_t *end)
{
    h += bytes;
    for (; end - p >= CHECKSUM_WORD; p += CHECKSUM_WORD) {
        h = rotate_left(h ^ stir(0, read64(p)), 27) * P1 + P4;
    }
    for (; end - p >= 4; p += 4) h = rotate_left(h ^ read32(p) * P1, 23) * P2 + P3;
    for (; p < end; p++) h = rotate_left(h ^ *p * P5, 11) * P1;
    h = (h ^ h >> 33) * P2;
    h = (h ^ h >> 29) * P3;
    return h ^ h >> 32;
}

#undef P1
#undef P2
#undef P3
#undef P4
#undef P5

#endif
