/*
 * Integer lane words of 16 bits for CUDA. What each word means: scalar_i16.h.
 *
 * Planes are a transposition: a lane holds 4 bits of each of 8 rows, 32 bits, and 4 planes are 8
 * words each, 32 words, of which every lane stores one. Bit 8j+r of a lane, bit j of row r, becomes
 * bit `lane` of word 8j+r.
 */
#ifndef HLQ_LANES_INTEGERS_H
#define HLQ_LANES_INTEGERS_H

#include "cuda_masks.h"
#include "../body/mix.h"

typedef int16_t I;
typedef uint32_t S;

HLQ_WORD I i_set(int x) { return (I)x; }
HLQ_WORD I i_load(const int16_t *p) { return p[lane()]; }
HLQ_WORD I i_add(I a, I b) { return (I)(a + b); }
HLQ_WORD I i_sub(I a, I b) { return (I)(a - b); }
HLQ_WORD I i_xor(I a, I b) { return (I)(a ^ b); }
HLQ_WORD I i_abs(I a) { return (I)(a < 0 ? -a : a); }
HLQ_WORD I i_min(I a, I b) { return a < b ? a : b; }
HLQ_WORD I i_max(I a, I b) { return a > b ? a : b; }
HLQ_WORD I i_shl(I a, int n) { return (I)((uint16_t)a << n); }
HLQ_WORD I i_sra(I a, int n) { return (I)(a >> n); }
HLQ_WORD I i_add_signed(I a, I s, I sign) { return (I)(sign < 0 ? a - s : a + s); }

HLQ_WORD I i_round(F x) { return (I)__float2int_rn(x); }
HLQ_WORD F f_from_i(I x) { return (float)x; }

HLQ_WORD void i_split(F x, I *n, I *d)
{
    int32_t w = __float2int_rn(x) + 4096;
    *n = (I)(w >> 13);
    *d = (I)((w & 8191) - 4096);
}

HLQ_WORD M i_eq(I a, I b) { return a == b; }
HLQ_WORD M i_gt(I a, I b) { return a > b; }
HLQ_WORD M i_odd(I a) { return a & 1; }
HLQ_WORD M i_negative(I a) { return a < 0; }
HLQ_WORD I i_select(M m, I yes, I no) { return m ? yes : no; }

HLQ_WORD S s_zero(void) { return 0; }
HLQ_WORD S s_add_products(S s, I a, I b) { return s + (uint32_t)(a * b); }
HLQ_WORD uint32_t s_total(S s) { return __reduce_add_sync(WHOLE_WARP, s); }

#define HLQ_PLANES_ARE_WORDS 1

/* A 32 × 32 matrix of bits, a row in each lane. Swaps squares off the diagonal, 16 wide to 1. */
HLQ_WORD uint32_t transpose(uint32_t row)
{
    uint32_t low = 0x0000ffff; /* columns without the bit `d` in their index */
    for (int d = 16; d; d /= 2, low ^= low << d) {
        uint32_t other = __shfl_xor_sync(WHOLE_WARP, row, d);
        row = lane() & d ? (row & ~low) | (other >> d & low) : (row & low) | (other << d & ~low);
    }
    return row;
}

/* Bits 0 … 3 to the lowest bits of four bytes, and back. */
HLQ_WORD uint32_t spread(uint32_t nibble) { return nibble * 0x00204081u & 0x01010101u; }
HLQ_WORD uint32_t gather(uint32_t bytes) { return (bytes & 0x01010101u) * 0x10204080u >> 28; }

HLQ_WORD void planes_store(const I z[8], int bits, uint32_t *planes)
{
    for (int j = 0; j < bits; j += 4) {
        uint32_t mine = 0;
        for (int r = 0; r < 8; r++) mine |= spread((uint32_t)z[r] >> j & 15) << r;
        mine = transpose(mine);
        if (8 * j + lane() < 8 * bits) planes[8 * j + lane()] = mine;
    }
}

HLQ_WORD void planes_load(const uint32_t *planes, int bits, I z[8])
{
    for (int r = 0; r < 8; r++) z[r] = 0;
    for (int j = 0; j < bits; j += 4) {
        uint32_t mine = 8 * j + lane() < 8 * bits ? planes[8 * j + lane()] : 0;
        mine = transpose(mine);
        for (int r = 0; r < 8; r++) z[r] = (I)(z[r] | gather(mine >> r) << j);
    }
}

#define HLQ_RANDOM_IS_A_WORD 1

/* Four lanes share a hash. */
HLQ_WORD void random_rows(uint64_t key, uint64_t block, I row[8])
{
    for (int r = 0; r < 8; r++) {
        uint64_t z = mix_counted(key, 64 * block + (uint64_t)(8 * r + lane() / 4));
        row[r] = (I)(z >> 16 * (lane() % 4));
    }
}

#endif
