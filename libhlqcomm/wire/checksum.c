/*
 * XXH64: four sums over words in turn, merged, then what is left over, then a last stirring.
 */
#include "checksum.h"

#include <string.h>

#define P1 0x9e3779b185ebca87u
#define P2 0xc2b2ae3d27d4eb4fu
#define P3 0x165667b19e3779f9u
#define P4 0x85ebca77c2b2ae63u
#define P5 0x27d4eb2f165667c5u

enum { WORD = 8, STRIPE = 4 * WORD };

/* Little-endian words, on any machine. */
static uint64_t read64(const uint8_t *p)
{
    uint64_t x;
    memcpy(&x, p, sizeof x);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    return x;
}

static uint32_t read32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }

static uint64_t stir(uint64_t sum, uint64_t word) { return rotate(sum + word * P2, 31) * P1; }

/* The whole stripes of data; *p moves behind them. */
static uint64_t stripes(const uint8_t **p, const uint8_t *end, uint64_t seed)
{
    uint64_t sum[4] = {seed + P1 + P2, seed + P2, seed, seed - P1};
    static const int turn[4] = {1, 7, 12, 18};
    const uint8_t *at = *p;
    for (; end - at >= STRIPE; at += STRIPE) {
        for (int i = 0; i < 4; i++) sum[i] = stir(sum[i], read64(at + WORD * i));
    }
    uint64_t h = 0;
    for (int i = 0; i < 4; i++) h += rotate(sum[i], turn[i]);
    for (int i = 0; i < 4; i++) h = (h ^ stir(0, sum[i])) * P1 + P4;
    *p = at;
    return h;
}

uint64_t hlq_checksum(const void *data, size_t bytes, uint64_t seed)
{
    const uint8_t *p = data, *end = bytes ? p + bytes : p; /* data may be NULL */
    uint64_t h = bytes >= STRIPE ? stripes(&p, end, seed) : seed + P5;
    h += bytes;
    for (; end - p >= WORD; p += WORD) h = rotate(h ^ stir(0, read64(p)), 27) * P1 + P4;
    for (; end - p >= 4; p += 4) h = rotate(h ^ read32(p) * P1, 23) * P2 + P3;
    for (; p < end; p++) h = rotate(h ^ *p * P5, 11) * P1;
    h = (h ^ h >> 33) * P2;
    h = (h ^ h >> 29) * P3;
    return h ^ h >> 32;
}
