/*
 * Words of table look-ups for AVX-512 without VBMI. What each word means: scalar_look_up.h.
 *
 * There is no look-up of bytes; one of words finds two neighbouring entries, in 64 of the table's
 * 128 words. Bit 7 of an index chooses the half of the table, bit 0 the entry of the two.
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

/* Of 32 words, the entries at the indices in bits 1 … 7 of `index` and the neighbours of these. */
HLQ_WORD __m512i two_entries(T table, __m512i index)
{
    __m512i at = _mm512_srli_epi16(index, 1); /* the look-up takes bits 0 … 5 of it */
    __m512i near = _mm512_permutex2var_epi16(table.v[0], at, table.v[1]);
    __m512i far = _mm512_permutex2var_epi16(table.v[2], at, table.v[3]);
    return _mm512_mask_mov_epi16(near, _mm512_test_epi16_mask(index, _mm512_set1_epi16(128)), far);
}
HLQ_WORD B b_look_up(T table, B index)
{
    __m512i odd_index = _mm512_srli_epi16(index, 8);
    __m512i even = two_entries(table, index), odd = two_entries(table, odd_index);
    __mmask32 upper_of_even = _mm512_test_epi16_mask(index, _mm512_set1_epi16(1));
    __mmask32 lower_of_odd = _mm512_testn_epi16_mask(odd_index, _mm512_set1_epi16(1));
    even = _mm512_mask_srli_epi16(even, upper_of_even, even, 8);
    odd = _mm512_mask_slli_epi16(odd, lower_of_odd, odd, 8);
    return _mm512_mask_mov_epi8(even, UINT64_C(0xaaaaaaaaaaaaaaaa), odd);
}

#endif
