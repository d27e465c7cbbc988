/*
 * What warps share: work in equal parts, bits and counts in memory.
 */
#ifndef HLQ_KERNELS_CUDA_SHARE_CUH
#define HLQ_KERNELS_CUDA_SHARE_CUH

#include <stddef.h>
#include <stdint.h>

/* Pieces first, first + step, …: of one warp, or where that is said, of one thread. */
typedef struct {
    size_t first, step;
} hlq_share;

/* Other warps may set bits of the same byte at the same time. */
HLQ_BODY void set_bit(uint8_t *bits, size_t b)
{
    if (lane() != 0) return;
    uintptr_t byte = (uintptr_t)bits + b / 8;
    atomicOr((unsigned int *)(byte & ~(uintptr_t)3), 1u << (8 * (byte & 3) + b % 8));
}

/* The warp's, of which every lane has all; into no counter where that is NULL. */
HLQ_BODY void add_count(uint64_t *count, uint64_t more)
{
    if (!count || !more || lane() != 0) return;
    atomicAdd((unsigned long long *)count, (unsigned long long)more);
}

#endif
