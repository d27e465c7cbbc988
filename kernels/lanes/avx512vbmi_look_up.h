/*
 * Words of table look-ups for AVX-512 with VBMI, which looks up 64 bytes in 128. What each word
 * means: scalar_look_up.h.
 */
#ifndef HLQ_LANES_LOOK_UP_H
#define HLQ_LANES_LOOK_UP_H

#include "avx512_bytes.h"

typedef struct {
    __m512i v[4];
} T;

HLQ_WORD T t_load(const int8_t *entries)
{
    T r;
    for (int i = 0; i < 4; i++) r.v[i] = _mm512_loadu_si512(entries + 64 * i);
    return r;
}
HLQ_WORD B b_look_up(T table, B index)
{
    __m512i near = _mm512_permutex2var_epi8(table.v[0], index, table.v[1]);
    __m512i far = _mm512_permutex2var_epi8(table.v[2], index, table.v[3]);
    return _mm512_mask_mov_epi8(near, _mm512_movepi8_mask(index), far);
}

#endif
