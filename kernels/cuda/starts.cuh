/*
 * Where the side words and planes of each block start: sums over the blocks before it. Warps share
 * the blocks in contiguous parts; the first pass finds what each part holds, the second counts on
 * from what the parts before it do.
 */
#ifndef HLQ_KERNELS_CUDA_STARTS_CUH
#define HLQ_KERNELS_CUDA_STARTS_CUH

#include "cuda_kernels.h"

enum { STARTS_PER_LANE = 8, STARTS_PER_WARP = 32 * STARTS_PER_LANE };

HLQ_BODY hlq_start start_after(hlq_start at, int bits)
{
    at.coded += bits != 0;
    at.planes += (uint32_t)bits;
    return at;
}

/* Blocks first … last-1, all together. */
HLQ_BODY hlq_start starts_total(const uint8_t *bits, size_t first, size_t last)
{
    hlq_start total = {0, 0};
    for (size_t b = first + (size_t)lane(); b < last; b += 32) total = start_after(total, bits[b]);
    total.coded = __reduce_add_sync(WHOLE_WARP, total.coded);
    total.planes = __reduce_add_sync(WHOLE_WARP, total.planes);
    return total;
}

/* x of all lanes below this one, added up. */
HLQ_BODY uint32_t sum_before(uint32_t x)
{
    uint32_t sum = x;
    for (int d = 1; d < 32; d *= 2) {
        uint32_t lower = __shfl_up_sync(WHOLE_WARP, sum, (unsigned int)d);
        if (lane() >= d) sum += lower;
    }
    return sum - x;
}

/* start of blocks first … last-1, of which the first has `at`. */
HLQ_BODY void starts_write(const uint8_t *bits, size_t first, size_t last, hlq_start at,
                           hlq_start *start)
{
    for (; first < last; first += STARTS_PER_WARP) {
        size_t from = first + (size_t)(STARTS_PER_LANE * lane());
        hlq_start own = {0, 0}, next = at;
        for (size_t b = from; b < from + STARTS_PER_LANE && b < last; b++) {
            own = start_after(own, bits[b]);
        }
        next.coded += sum_before(own.coded);
        next.planes += sum_before(own.planes);
        for (size_t b = from; b < from + STARTS_PER_LANE && b < last; b++) {
            start[b] = next;
            next = start_after(next, bits[b]);
        }
        at.coded += __reduce_add_sync(WHOLE_WARP, own.coded);
        at.planes += __reduce_add_sync(WHOLE_WARP, own.planes);
    }
}

#endif
