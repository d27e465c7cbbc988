/*
 * Block kernels on a GPU: the functions of kernels.h, under its contract (the same bytes from every
 * variant), as work on a stream. They allocate nothing and wait for nothing, so they can be
 * captured into a graph.
 *
 * Structures are the host's, and read before a function returns; all pointers in them, and all
 * other pointers, are to memory of the device. Unlike the host's, tensors are aligned to their
 * elements. `wide` and `failed` are accessed as the aligned 32-bit words that hold them; counts are
 * added to what is there.
 *
 * A function returns 0, or the cudaError_t of its launch. Errors of the work itself come up where
 * the caller next asks the stream.
 */
#ifndef HLQ_KERNELS_CUDA_KERNELS_H
#define HLQ_KERNELS_CUDA_KERNELS_H

#include "../kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { HLQ_CUDA_TERMS = 16 }; /* of a sum that are added in one pass; more take more passes */

typedef struct CUstream_st *hlq_stream; /* what cudaStream_t is */

/* Where a block is among the coded ones: blocks and planes before it. */
typedef struct hlq_start {
    uint32_t coded, planes;
} hlq_start;

/* start has an entry for each block; see hlq_cuda_starts(). */
typedef struct hlq_cuda_run {
    hlq_run run;
    const hlq_start *start;
} hlq_cuda_run;

/* start[b] for the bits of `blocks` blocks: planes of all together are below 2^32. */
int hlq_cuda_starts(const uint8_t *bits, size_t blocks, hlq_start *start, hlq_stream stream);

int hlq_cuda_exponents(const hlq_place *place, const hlq_source *src, int16_t *exponent,
                       hlq_stream stream);

/* *beyond += what encode() returns. */
int hlq_cuda_blocks_encode(const hlq_cuda_run *run, const hlq_source *src, uint64_t *beyond,
                           hlq_stream stream);

/* *failures += what decode() returns; failed and failures may be NULL: no checks. */
int hlq_cuda_blocks_decode(const hlq_cuda_run *run, float factor, hlq_dtype dtype, void *out,
                           size_t elems, uint8_t *failed, uint64_t *failures, hlq_stream stream);

/*
 * What the owner of a part does with everyone's codes: decode_add() of terms[0] …
 * terms[count-1] in turn, and before terms[own_at] (own_at == count: at the end) rotate_add() of
 * own, if it is not NULL. All terms have the lattice and dither of the first and the blocks of
 * place. The sum goes on from acc if `more`, else from 0. exponent, if it is not NULL, gets those
 * of the sums: from them come the bits with which hlq_cuda_blocks_encode() codes acc.
 */
typedef struct hlq_cuda_sum {
    hlq_place place;
    const hlq_cuda_run *terms; /* the host's */
    int count;
    const hlq_source *own;
    int own_at;
    int unit;
    int more;
    float *acc;
    int16_t *exponent;
} hlq_cuda_sum;

int hlq_cuda_sum_up(const hlq_cuda_sum *sum, hlq_stream stream);

/* *nonfinite += what unrotate() returns. */
int hlq_cuda_unrotate(const hlq_place *place, const float *acc, int unit, float factor,
                      hlq_dtype dtype, void *out, size_t elems, uint64_t *nonfinite,
                      hlq_stream stream);

int hlq_cuda_planes_add(const hlq_cuda_run *acc, const hlq_run *in, hlq_stream stream);

#ifdef __cplusplus
}
#endif

#endif
