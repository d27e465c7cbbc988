/*
 * Words of table look-ups for CUDA. What each word means: scalar_look_up.h. A lane has two bytes of
 * the 64, and of an array of 32 sums its own, which is the first where a thread looks.
 */
#ifndef HLQ_LANES_LOOK_UP_H
#define HLQ_LANES_LOOK_UP_H

#include "cuda.h"

typedef struct {
    uint8_t even, odd;
} B;
typedef struct {
    const int8_t *entry;
} T;
typedef int16_t S;

HLQ_WORD T t_load(const int8_t *entries)
{
    T table = {entries};
    return table;
}
HLQ_WORD B b_load(const uint8_t *p)
{
    B r = {p[2 * lane()], p[2 * lane() + 1]};
    return r;
}
HLQ_WORD B b_look_up(T table, B index)
{
    B r = {(uint8_t)table.entry[index.even], (uint8_t)table.entry[index.odd]};
    return r;
}

HLQ_WORD S s_zero(void) { return 0; }
HLQ_WORD S s_add_weighted(S sum, B entries, int even, int odd)
{
    return (S)(sum + even * (int8_t)entries.even + odd * (int8_t)entries.odd);
}
HLQ_WORD void s_add_to(int32_t *to, S sum) { *to += sum; }

HLQ_WORD void f_store_planes(int8_t *table, int planes, F x)
{
    int32_t left = __float2int_rn(x);
    for (int p = 0; p < planes; p++, left = (left + 128) >> 8) {
        table[256 * p + lane()] = (int8_t)(uint8_t)left;
    }
}

#endif
