/*
 * A sum in passes: each kernel is given as many terms as its parameters hold.
 */
#ifndef HLQ_KERNELS_CUDA_TERMS_CUH
#define HLQ_KERNELS_CUDA_TERMS_CUH

#include "runs.cuh"

/* What one kernel is given; Runs: hlq_cuda_run, or hlq_runs. */
template <typename Runs> struct hlq_sum_terms {
    hlq_cuda_sum sum; /* of its terms alone */
    hlq_source own;
    int has_own;
    Runs term[HLQ_CUDA_TERMS];
};

/* The terms from `first` on that fit, and what belongs to them; all[t] is term t. */
template <typename Runs, typename List>
static inline hlq_sum_terms<Runs> terms_from(const hlq_cuda_sum *sum, const List &all, int first)
{
    hlq_sum_terms<Runs> terms = {};
    int left = sum->count - first, is_last = left <= HLQ_CUDA_TERMS;
    terms.sum = *sum;
    terms.sum.count = is_last ? left : HLQ_CUDA_TERMS;
    terms.sum.own_at = sum->own_at - first;
    terms.sum.more = sum->more || first;
    if (!is_last) terms.sum.exponent = NULL;
    terms.has_own = sum->own && terms.sum.own_at >= 0 &&
                    terms.sum.own_at < terms.sum.count + is_last; /* the last has the end, too */
    if (terms.has_own) terms.own = *sum->own;
    for (int t = 0; t < terms.sum.count; t++) terms.term[t] = all[first + t];
    return terms;
}

#endif
