/*
 * A sum in passes: each kernel is given as many terms as its parameters hold.
 */
#ifndef HLQ_KERNELS_CUDA_TERMS_H
#define HLQ_KERNELS_CUDA_TERMS_H

#include "cuda_kernels.h"

/* What one kernel is given. */
typedef struct {
    hlq_cuda_sum sum; /* of its terms alone */
    hlq_source own;
    int has_own;
    hlq_cuda_run term[HLQ_CUDA_TERMS];
} hlq_sum_terms;

/* The terms from `first` on that fit, and what belongs to them. */
static inline hlq_sum_terms terms_from(const hlq_cuda_sum *sum, int first)
{
    hlq_sum_terms terms = {};
    int left = sum->count - first, is_last = left <= HLQ_CUDA_TERMS;
    terms.sum = *sum;
    terms.sum.count = is_last ? left : HLQ_CUDA_TERMS;
    terms.sum.own_at = sum->own_at - first;
    terms.sum.more = sum->more || first;
    if (!is_last) terms.sum.exponent = NULL;
    terms.has_own = sum->own && terms.sum.own_at >= 0 &&
                    terms.sum.own_at < terms.sum.count + is_last; /* the last has the end, too */
    if (terms.has_own) terms.own = *sum->own;
    for (int t = 0; t < terms.sum.count; t++) terms.term[t] = sum->terms[first + t];
    return terms;
}

#endif
