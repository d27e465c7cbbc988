/*
 * Where the side words and planes of each block start: sums over the blocks before it. Warps share
 * the blocks in contiguous parts; the first pass finds what each part holds, the second counts on
 * from what the parts before it do.
 */
#ifndef HLQ_KERNELS_CUDA_STARTS_CUH
#define HLQ_KERNELS_CUDA_STARTS_CUH

#include "cuda_kernels.h"

enum { STARTS_PER_LANE = 8, STARTS_PER_WARP = 32 * STARTS_PER_LANE };

/* Blocks first … last-1. */
typedef struct {
    size_t first, last;
} hlq_part;

HLQ_BODY hlq_part part_of(size_t blocks, size_t warp, size_t warps)
{
    size_t each = (blocks + warps - 1) / warps, first = warp * each;
    hlq_part part = {blocks, blocks};
    if (first < blocks) part.first = first;
    if (first + each < blocks) part.last = first + each;
    return part;
}

HLQ_BODY hlq_start start_after(hlq_start at, int bits)
{
    at.coded += bits != 0;
    at.planes += (uint32_t)bits;
    return at;
}

HLQ_BODY hlq_start starts_total(const uint8_t *bits, hlq_part part)
{
    hlq_start total = {0, 0};
    for (size_t b = part.first + (size_t)lane(); b < part.last; b += 32) {
        total = start_after(total, bits[b]);
    }
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

/* start of all blocks of a warp's part; total has those of the parts. */
HLQ_BODY void starts_write(const uint8_t *bits, hlq_part part, const hlq_start *total, size_t warp,
                           hlq_start *start)
{
    hlq_start at = {0, 0};
    for (size_t w = 0; w < warp; w++) {
        at.coded += total[w].coded;
        at.planes += total[w].planes;
    }
    for (size_t first = part.first; first < part.last; first += STARTS_PER_WARP) {
        size_t from = first + (size_t)(STARTS_PER_LANE * lane());
        size_t end = from + STARTS_PER_LANE < part.last ? from + STARTS_PER_LANE : part.last;
        hlq_start own = {0, 0}, next = at;
        for (size_t b = from; b < end; b++) own = start_after(own, bits[b]);
        next.coded += sum_before(own.coded);
        next.planes += sum_before(own.planes);
        for (size_t b = from; b < end; b++) {
            start[b] = next;
            next = start_after(next, bits[b]);
        }
        at.coded += __reduce_add_sync(WHOLE_WARP, own.coded);
        at.planes += __reduce_add_sync(WHOLE_WARP, own.planes);
    }
}

#endif
