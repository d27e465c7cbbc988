/*
 * Integer lane words of 16 bits for AVX-512 with VBMI and GFNI: those of AVX-512, and the planes of
 * a block as words of their own (body/planes.h says what they do), by transposing bits.
 *
 * GFNI multiplies bit matrices: 8 bytes of a matrix times the identity is its transpose, but that
 * it counts rows backwards; so bytes are put backwards before it. With eight planes at a time:
 *
 *   z of rows r, r+1      lanes' low (or high) bytes     32 | 32, backwards in groups of 8
 *   transpose             byte j of a group: bit j of its 8 lanes
 *   by planes             eight bytes for plane j: row r, row r+1
 *   of four such pairs    planes j, j+1: rows 0 … 7 each
 */
#ifndef HLQ_LANES_INTEGERS_VBMI_H
#define HLQ_LANES_INTEGERS_VBMI_H

#include "avx512_i16.h"

#define HLQ_PLANES_ARE_WORDS

HLQ_WORD __m512i transpose_bits(__m512i backwards)
{
    const __m512i identity = _mm512_set1_epi64((long long)0x8040201008040201);
    return _mm512_gf2p8affine_epi64_epi8(identity, backwards, 0);
}

/* An index whose byte i is f(i). */
#define EIGHT_OF(f, i)                                                                             \
    (long long)((uint64_t)f(i) | (uint64_t)f(i + 1) << 8 | (uint64_t)f(i + 2) << 16 |              \
                (uint64_t)f(i + 3) << 24 | (uint64_t)f(i + 4) << 32 | (uint64_t)f(i + 5) << 40 |   \
                (uint64_t)f(i + 6) << 48 | (uint64_t)f(i + 7) << 56)
#define INDEX(f)                                                                                   \
    _mm512_set_epi64(EIGHT_OF(f, 56), EIGHT_OF(f, 48), EIGHT_OF(f, 40), EIGHT_OF(f, 32),           \
                     EIGHT_OF(f, 24), EIGHT_OF(f, 16), EIGHT_OF(f, 8), EIGHT_OF(f, 0))

/* Where byte i comes from: of lanes, two bytes each, the low one; backwards in every eight. */
#define LOW_BACKWARDS(i) (2 * ((i) ^ 7))
#define HIGH_BACKWARDS(i) (2 * ((i) ^ 7) + 1)
/* Groups of eight planes to planes of eight groups; and back, planes backwards. */
#define BY_PLANES(i) (8 * ((i) % 8) + (i) / 8)
#define BY_GROUPS_BACKWARDS(i) (8 * (7 - (i) % 8) + (i) / 8)

/* The planes first … first + count - 1, at most 8, first being 0 or 8. */
HLQ_WORD void store_eight(const I z[8], int first, int count, uint32_t *planes)
{
    const __m512i bytes = first ? INDEX(HIGH_BACKWARDS) : INDEX(LOW_BACKWARDS);
    const __m512i low_pairs = _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0);
    const __m512i high_pairs = _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4);
    __m512i pair[4];
    for (int q = 0; q < 4; q++) {
        __m512i lanes = _mm512_permutex2var_epi8(z[2 * q], bytes, z[2 * q + 1]);
        pair[q] = _mm512_permutexvar_epi8(INDEX(BY_PLANES), transpose_bits(lanes));
    }
    for (int half = 0; half < 2 && 4 * half < count; half++) {
        const __m512i pairs = half ? high_pairs : low_pairs;
        __m512i top = _mm512_permutex2var_epi64(pair[0], pairs, pair[1]);
        __m512i bottom = _mm512_permutex2var_epi64(pair[2], pairs, pair[3]);
        __m512i out[2] = {
            _mm512_permutex2var_epi64(top, _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0), bottom),
            _mm512_permutex2var_epi64(top, _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4), bottom),
        };
        for (int i = 0; i < 2; i++) {
            int j = 4 * half + 2 * i;
            if (j + 1 < count) _mm512_storeu_si512(planes + 8 * j, out[i]);
            else if (j < count)
                _mm256_storeu_si256((void *)(planes + 8 * j), _mm512_castsi512_si256(out[i]));
        }
    }
}

/* z from `count` planes, at most 8: their codes in the low bytes. */
HLQ_WORD void load_eight(const uint32_t *planes, int count, I z[8])
{
    __m512i in[4], pair[4];
    for (int i = 0; i < 4; i++) {
        int j = 2 * i;
        if (j + 1 < count) in[i] = _mm512_loadu_si512(planes + 8 * j);
        else if (j < count)
            in[i] = _mm512_zextsi256_si512(_mm256_loadu_si256((const void *)(planes + 8 * j)));
        else in[i] = _mm512_setzero_si512();
    }
    /* in[i]: planes 2i, 2i+1 of four pairs of rows each → pair q: eight planes of two rows */
    const __m512i even = _mm512_set_epi64(13, 9, 5, 1, 12, 8, 4, 0);
    const __m512i odd = _mm512_set_epi64(15, 11, 7, 3, 14, 10, 6, 2);
    __m512i low[2] = {_mm512_permutex2var_epi64(in[0], even, in[1]),
                      _mm512_permutex2var_epi64(in[0], odd, in[1])};
    __m512i high[2] = {_mm512_permutex2var_epi64(in[2], even, in[3]),
                       _mm512_permutex2var_epi64(in[2], odd, in[3])};
    for (int q = 0; q < 4; q++) {
        /* low[0]: pair 0 of planes 0 … 3, pair 1 of the same; low[1]: pairs 2 and 3 */
        pair[q] = q % 2 ? _mm512_shuffle_i64x2(low[q / 2], high[q / 2], 0xee)
                        : _mm512_shuffle_i64x2(low[q / 2], high[q / 2], 0x44);
        __m512i lanes =
            transpose_bits(_mm512_permutexvar_epi8(INDEX(BY_GROUPS_BACKWARDS), pair[q]));
        z[2 * q] = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(lanes));
        z[2 * q + 1] = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(lanes, 1));
    }
}

HLQ_WORD void planes_store(const I z[8], int bits, uint32_t *planes)
{
    store_eight(z, 0, bits < 8 ? bits : 8, planes);
    if (bits > 8) store_eight(z, 8, bits - 8, planes + 64);
}

HLQ_WORD void planes_load(const uint32_t *planes, int bits, I z[8])
{
    load_eight(planes, bits < 8 ? bits : 8, z);
    if (bits <= 8) return;
    I high[8];
    load_eight(planes + 64, bits - 8, high);
    for (int r = 0; r < 8; r++) z[r] = _mm512_or_si512(z[r], _mm512_slli_epi16(high[r], 8));
}

#undef EIGHT_OF
#undef INDEX
#undef LOW_BACKWARDS
#undef HIGH_BACKWARDS
#undef BY_PLANES
#undef BY_GROUPS_BACKWARDS
#endif
