/*
 * How threads share words of packed digits, one each. A piece of a share is 32 words.
 */
#ifndef HLQ_KERNELS_CUDA_WALK_PACKING_CUH
#define HLQ_KERNELS_CUDA_WALK_PACKING_CUH

#include "cuda_packing.h"
#include "share.cuh"

#include "../body/packing.h"

/* Pieces of 32 words. */
static inline size_t pieces_of_packing(const hlq_cuda_packing *p)
{
    const size_t piece = 32 * (size_t)p->per;
    return p->count / piece + (p->count % piece != 0);
}

/* Where the digits of a word are, and how many. */
typedef struct {
    uint8_t *digits;
    int n;
} digit_run;

HLQ_BODY digit_run digits_at(const hlq_cuda_packing *p, size_t word)
{
    const size_t first = word * (size_t)p->per, left = p->count - first;
    digit_run run = {(uint8_t *)p->digits + (first << (p->q > 256)),
                     left < (size_t)p->per ? (int)left : p->per};
    return run;
}

HLQ_BODY void pack_words(hlq_share share, const hlq_cuda_packing *p)
{
    uint32_t wrong = 0;
    for (size_t w = 32 * share.first + (size_t)lane(); w * (size_t)p->per < p->count;
         w += 32 * share.step) {
        const digit_run run = digits_at(p, w);
        bool is_bad = false;
        for (int i = 0; i < run.n; i++) is_bad |= load_digit(p->q, run.digits, i) >= (uint32_t)p->q;
        p->words[w] = is_bad ? UINT64_MAX : pack_word(p->q, run.digits, run.n);
        wrong += is_bad;
    }
    add_count(p->bad, __reduce_add_sync(WHOLE_WARP, wrong));
}

HLQ_BODY void unpack_words(hlq_share share, const hlq_cuda_packing *p)
{
    const uint64_t largest = largest_word(p->q, p->per);
    uint32_t wrong = 0;
    for (size_t w = 32 * share.first + (size_t)lane(); w * (size_t)p->per < p->count;
         w += 32 * share.step) {
        const digit_run run = digits_at(p, w);
        const uint64_t word = p->words[w];
        if (word <= (run.n == p->per ? largest : largest_word(p->q, run.n))) {
            unpack_word(p->q, word, run.digits, run.n);
            continue;
        }
        for (int i = 0; i < run.n; i++) store_digit(p->q, run.digits, i, UINT32_MAX);
        wrong++;
    }
    add_count(p->bad, __reduce_add_sync(WHOLE_WARP, wrong));
}

#endif
