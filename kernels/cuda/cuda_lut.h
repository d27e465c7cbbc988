/*
 * Kernels of look-up tables on a GPU, as work on a stream: inner products of codes from tables,
 * many at once, in the order of ../lut.h; one-sided tables. What cuda_kernels.h says of structures,
 * pointers, counts and errors holds here too.
 */
#ifndef HLQ_KERNELS_CUDA_CUDA_LUT_H
#define HLQ_KERNELS_CUDA_CUDA_LUT_H

#include "cuda_kernels.h"
#include "../lut.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One side of all products: digits [batch, vectors, depth, dim], aligned to 4 bytes, and T of each
   vector, which may be NULL. */
typedef struct hlq_cuda_lut_side {
    const void *digits;
    const uint8_t *retries;
    int depth, tries;
    float scale[HLQ_TRIES_MAX];
} hlq_cuda_lut_side;

/* Where products go. Those with a digit ≥ q or a T ≥ tries become NaN, and count in *bad, which may
   be NULL. */
typedef struct hlq_cuda_lut_products {
    int dim, q, wide;
    size_t batch, vectors;
    double *dot; /* [batch] */
    uint64_t *bad;
} hlq_cuda_lut_products;

/* dot[i] = Σ over vectors of what the pairs of their layers look up, scaled. */
typedef struct hlq_cuda_lut_dots {
    hlq_cuda_lut_products to;
    hlq_pairs pairs;
    int is_exact; /* integers, without T */
    hlq_cuda_lut_side a, b;
} hlq_cuda_lut_dots;

int hlq_cuda_dot(const hlq_cuda_lut_dots *dots, hlq_stream stream);

/* The same from one-sided tables: float [batch, vectors, side]. */
typedef struct hlq_cuda_row_dots {
    hlq_cuda_lut_products to;
    const float *table;
    size_t side;
    hlq_cuda_lut_side b;
} hlq_cuda_row_dots;

int hlq_cuda_dot_in_rows(const hlq_cuda_row_dots *rows, hlq_stream stream);

/* table[v × side + i] = ⟨y[v], representative i⟩. Where y[v] does not fit (body/one_sided.h), NaN,
   and a count in *bad, which may be NULL. */
typedef struct hlq_cuda_one_sided {
    hlq_hnlq code;
    float mean[HLQ_DIM_MAX]; /* of representatives */
    double longest;
    const float *y; /* [vectors, dim] */
    size_t vectors, side;
    float *table;
    uint64_t *bad;
} hlq_cuda_one_sided;

int hlq_cuda_build_one_sided(const hlq_cuda_one_sided *build, hlq_stream stream);

#ifdef __cplusplus
}
#endif

#endif
