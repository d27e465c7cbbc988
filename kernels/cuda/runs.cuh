/*
 * Where walks find the run of a block: in the one that a kernel was given, or among several in
 * memory, which the host may not know yet.
 */
#ifndef HLQ_KERNELS_CUDA_RUNS_CUH
#define HLQ_KERNELS_CUDA_RUNS_CUH

#include "cuda_kernels.h"

/* run[i] has blocks i × 2^shift and on of one place: place, code, bits and start are those of all
   of it; and so is wide, as if it held the bits of all blocks. */
typedef struct {
    const hlq_cuda_run *run;
    int shift;
} hlq_runs;

HLQ_BODY const hlq_cuda_run *run_at(const hlq_cuda_run *run, size_t) { return run; }
HLQ_BODY const hlq_cuda_run *run_at(const hlq_runs *runs, size_t b)
{
    return &runs->run[b >> runs->shift];
}

/* What holds for all of them. */
template <typename Runs> HLQ_BODY const hlq_run *any_run(const Runs *runs)
{
    return &run_at(runs, 0)->run;
}

#endif
