/*
 * Words of masks for CUDA, the same for either width of integers: M is a thread's own boolean.
 */
#ifndef HLQ_LANES_CUDA_MASKS_H
#define HLQ_LANES_CUDA_MASKS_H

#include "cuda.h"

typedef bool M;

HLQ_WORD M m_and(M a, M b) { return a && b; }
HLQ_WORD M m_or(M a, M b) { return a || b; }
HLQ_WORD M m_xor(M a, M b) { return a != b; }
HLQ_WORD M m_andnot(M a, M b) { return a && !b; }
HLQ_WORD M m_select(M m, M yes, M no) { return m ? yes : no; }
HLQ_WORD uint32_t m_word(M a) { return __ballot_sync(WHOLE_WARP, a); }

#endif
