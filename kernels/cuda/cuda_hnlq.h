/*
 * The quantizer's kernels on a GPU: encode and decode of hnlq.h, as work on a stream. What
 * cuda_kernels.h says of structures, pointers, counts and errors holds here too.
 */
#ifndef HLQ_KERNELS_CUDA_CUDA_HNLQ_H
#define HLQ_KERNELS_CUDA_CUDA_HNLQ_H

#include "cuda_kernels.h"
#include "../hnlq.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Vectors and their code. Digits are aligned to 4 bytes; retries and overload may be NULL. */
typedef struct hlq_cuda_vectors {
    hlq_hnlq code;
    size_t vectors;
    hlq_dither_at dither;
    void *digits;
    uint8_t *retries;
    uint8_t *overload;
} hlq_cuda_vectors;

/* result += what encode() returns. */
int hlq_cuda_hnlq_encode(const hlq_cuda_vectors *vectors, const float *x, hlq_encoded *result,
                         hlq_stream stream);

/* *bad += what decode() returns. */
int hlq_cuda_hnlq_decode(const hlq_cuda_vectors *vectors, int layers, float *x, uint64_t *bad,
                         hlq_stream stream);

#ifdef __cplusplus
}
#endif

#endif
