/*
 * Kernels of packed digits on a GPU, as body/packing.h has words, as work on a stream. What
 * cuda_kernels.h says of structures, pointers, counts and errors holds here too.
 */
#ifndef HLQ_KERNELS_CUDA_CUDA_PACKING_H
#define HLQ_KERNELS_CUDA_CUDA_PACKING_H

#include "cuda_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `count` digits, aligned to their size, and the words that hold them. *bad, which may be NULL, +=
   words that are none: with a digit ≥ q, beyond the largest. What is made of them has all bits
   one. */
typedef struct hlq_cuda_packing {
    int q, per; /* digits_of_word(q) */
    size_t count;
    void *digits;
    uint64_t *words;
    uint64_t *bad;
} hlq_cuda_packing;

int hlq_cuda_pack(const hlq_cuda_packing *packing, hlq_stream stream);
int hlq_cuda_unpack(const hlq_cuda_packing *packing, hlq_stream stream);

#ifdef __cplusplus
}
#endif

#endif
