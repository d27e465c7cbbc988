/*
 * Integer lane words of 32 bits for CUDA. What each word means: scalar_i32.h.
 */
#ifndef HLQ_LANES_INTEGERS_H
#define HLQ_LANES_INTEGERS_H

#include "cuda_masks.h"

typedef int32_t I;

HLQ_WORD I i_set(int x) { return x; }
HLQ_WORD I i_load_u32(const uint32_t *p) { return (I)p[lane()]; }
HLQ_WORD void i_store_u32(uint32_t *p, I x) { p[lane()] = (uint32_t)x; }

/* Modulo 2^32, which C++ leaves to unsigned numbers. */
HLQ_WORD I i_add(I a, I b) { return (I)((uint32_t)a + (uint32_t)b); }
HLQ_WORD I i_sub(I a, I b) { return (I)((uint32_t)a - (uint32_t)b); }
HLQ_WORD I i_mul(I a, I b) { return (I)((uint32_t)a * (uint32_t)b); }
HLQ_WORD I i_shl(I a, int n) { return (I)((uint32_t)a << n); }
HLQ_WORD I i_and(I a, I b) { return a & b; }
HLQ_WORD I i_or(I a, I b) { return a | b; }
HLQ_WORD I i_xor(I a, I b) { return a ^ b; }
HLQ_WORD I i_abs(I a) { return a < 0 ? i_sub(0, a) : a; }
HLQ_WORD I i_min(I a, I b) { return a < b ? a : b; }
HLQ_WORD I i_max(I a, I b) { return a > b ? a : b; }
HLQ_WORD I i_sra(I a, int n) { return a >> n; }
HLQ_WORD I i_add_signed(I a, I s, I sign) { return sign < 0 ? i_sub(a, s) : i_add(a, s); }

HLQ_WORD I i_round(F x) { return __float2int_rn(x); }
HLQ_WORD F f_from_i(I x) { return (float)x; }
HLQ_WORD I i_bits(F x) { return (I)bits_of_float(x); }

HLQ_WORD M i_eq(I a, I b) { return a == b; }
HLQ_WORD M i_gt(I a, I b) { return a > b; }
HLQ_WORD M i_odd(I a) { return a & 1; }
HLQ_WORD M i_negative(I a) { return a < 0; }
HLQ_WORD I i_select(M m, I yes, I no) { return m ? yes : no; }

HLQ_WORD void i_exchange(I *a, I *b, int distance) { lanes_exchange(a, b, distance); }

#endif
