/*
 * Words of table look-ups for AVX2. What each word means: scalar_look_up.h.
 *
 * A byte shuffle looks up in 16 entries. The table is 16 rows of 16 entries: all rows are looked up
 * by the index's low four bits, and its high four bits choose among them, in a tree.
 */
#ifndef HLQ_LANES_LOOK_UP_H
#define HLQ_LANES_LOOK_UP_H

#include "avx2.h"

typedef struct {
    __m256i v[2];
} B;
typedef struct {
    const int8_t *entry;
} T;
typedef struct {
    __m256i v[2];
} S;

HLQ_WORD T t_load(const int8_t *entries) { return (T){entries}; }
HLQ_WORD B b_load(const uint8_t *p)
{
    B r;
    for (int i = 0; i < 2; i++) r.v[i] = _mm256_loadu_si256((const __m256i *)(p + 32 * i));
    return r;
}

HLQ_WORD __m256i in_row(T table, int row, __m256i low)
{
    __m128i entries = _mm_loadu_si128((const __m128i *)(table.entry + 16 * row));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(entries), low);
}
/* A blend looks at the top bit of each byte; shifts of 16 bits bring the bit meant there. */
HLQ_WORD __m256i in_two_rows(T table, int row, __m256i index, __m256i low)
{
    return _mm256_blendv_epi8(in_row(table, row, low), in_row(table, row + 1, low),
                              _mm256_slli_epi16(index, 3));
}
HLQ_WORD __m256i in_four_rows(T table, int row, __m256i index, __m256i low)
{
    return _mm256_blendv_epi8(in_two_rows(table, row, index, low),
                              in_two_rows(table, row + 2, index, low), _mm256_slli_epi16(index, 2));
}
HLQ_WORD __m256i in_eight_rows(T table, int row, __m256i index, __m256i low)
{
    return _mm256_blendv_epi8(in_four_rows(table, row, index, low),
                              in_four_rows(table, row + 4, index, low),
                              _mm256_slli_epi16(index, 1));
}
HLQ_WORD B b_look_up(T table, B index)
{
    B r;
    for (int i = 0; i < 2; i++) {
        __m256i low = _mm256_and_si256(index.v[i], _mm256_set1_epi8(15));
        r.v[i] = _mm256_blendv_epi8(in_eight_rows(table, 0, index.v[i], low),
                                    in_eight_rows(table, 8, index.v[i], low), index.v[i]);
    }
    return r;
}

HLQ_WORD S s_zero(void) { return (S){{_mm256_setzero_si256(), _mm256_setzero_si256()}}; }
HLQ_WORD S s_add_weighted(S sum, B entries, int even, int odd)
{
    __m256i weights = _mm256_set1_epi16((short)(even | odd << 8));
    for (int i = 0; i < 2; i++) {
        __m256i two = _mm256_maddubs_epi16(weights, entries.v[i]);
        sum.v[i] = _mm256_add_epi16(sum.v[i], two);
    }
    return sum;
}
HLQ_WORD void s_add_to(int32_t *to, S sum)
{
    for (int i = 0; i < 4; i++) {
        __m128i part = i % 2 ? _mm256_extracti128_si256(sum.v[i / 2], 1)
                             : _mm256_castsi256_si128(sum.v[i / 2]);
        __m256i *at = (__m256i *)(to + 8 * i);
        __m256i added = _mm256_add_epi32(_mm256_loadu_si256(at), _mm256_cvtepi16_epi32(part));
        _mm256_storeu_si256(at, added);
    }
}

/* The low byte of each of 32 lanes, in order. */
HLQ_WORD __m256i low_bytes(const __m256i x[4])
{
    const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i low[4];
    for (int i = 0; i < 4; i++) low[i] = _mm256_and_si256(x[i], _mm256_set1_epi32(255));
    __m256i front = _mm256_packs_epi32(low[0], low[1]), back = _mm256_packs_epi32(low[2], low[3]);
    return _mm256_permutevar8x32_epi32(_mm256_packus_epi16(front, back), in_order);
}
HLQ_WORD void f_store_planes(int8_t *table, int planes, F x)
{
    __m256i left[4];
    for (int i = 0; i < 4; i++) left[i] = _mm256_cvtps_epi32(x.v[i]);
    for (int p = 0; p < planes; p++) {
        _mm256_storeu_si256((__m256i *)(table + 256 * p), low_bytes(left));
        for (int i = 0; i < 4; i++) {
            left[i] = _mm256_srai_epi32(_mm256_add_epi32(left[i], _mm256_set1_epi32(128)), 8);
        }
    }
}

#undef EACH_F
#undef MAP_F
#endif
