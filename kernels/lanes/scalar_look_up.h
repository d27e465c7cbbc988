/*
 * Words of table look-ups in plain C: the specification.
 *
 *   B  64 bytes: indices, or the entries found there
 *   T  a table of 256 entries of a signed byte
 *   S  32 sums of 16 bits, which must not overflow
 */
#ifndef HLQ_LANES_LOOK_UP_H
#define HLQ_LANES_LOOK_UP_H

#include "scalar.h"

typedef struct {
    uint8_t v[64];
} B;
typedef struct {
    const int8_t *entry;
} T;
typedef struct {
    int16_t v[32];
} S;

HLQ_WORD T t_load(const int8_t *entries) { return (T){entries}; }
HLQ_WORD B b_load(const uint8_t *p)
{
    B r;
    memcpy(r.v, p, sizeof r.v);
    return r;
}
/* The entries at 64 indices. */
HLQ_WORD B b_look_up(T table, B index)
{
    for (int i = 0; i < 64; i++) index.v[i] = (uint8_t)table.entry[index.v[i]];
    return index;
}

HLQ_WORD S s_zero(void)
{
    S r = {{0}};
    return r;
}
/* sum + even × bytes 0, 2, 4 … + odd × bytes 1, 3, 5 …; weights are 0 … 127. */
HLQ_WORD S s_add_weighted(S sum, B entries, int even, int odd)
{
    for (int i = 0; i < 32; i++) {
        int two = even * (int8_t)entries.v[2 * i] + odd * (int8_t)entries.v[2 * i + 1];
        sum.v[i] = (int16_t)(sum.v[i] + two);
    }
    return sum;
}
/* to[i] += sum of lane i. */
HLQ_WORD void s_add_to(int32_t *to, S sum)
{
    for (int i = 0; i < 32; i++) to[i] += sum.v[i];
}

/*
 * Rounds to nearest even and cuts into planes: table[256 p + i] for lane i. All but the last plane
 * hold the low byte, signed, of what the planes before have left; the last holds the rest.
 */
HLQ_WORD void f_store_planes(int8_t *table, int planes, F x)
{
    for (int i = 0; i < 32; i++) {
        int32_t left = (int32_t)lrintf(x.v[i]);
        for (int p = 0; p < planes; p++, left = (left + 128) >> 8) {
            table[256 * p + i] = (int8_t)(uint8_t)left;
        }
    }
}

#undef EACH
#undef MAP
#undef MAP_M
#endif
