/*
 * Rows of x made ready for products with packed weights on a GPU, and packed weights unpacked, as
 * work on a stream. What cuda_kernels.h says of structures, pointers, counts and errors holds here
 * too. Tables, sums and y of them: cuda_look_up.h.
 */
#ifndef HLQ_KERNELS_CUDA_CUDA_LINEAR_H
#define HLQ_KERNELS_CUDA_CUDA_LINEAR_H

#include "cuda_rows.h"
#include "../look_up.h"

#ifdef __cplusplus
extern "C" {
#endif

/* one_sided_row() of body/rows.h: z [rows, columns] and row [rows] of x [rows, columns]. Rows that
   are not finite get a unit of NaN. *invalid += how many; it may be NULL. */
int hlq_cuda_rows_one_sided(const hlq_one_sided *of, const float *x, size_t rows, size_t columns,
                            float *z, hlq_look_up_row *row, uint64_t *invalid, hlq_stream stream);

/* two_sided_row() of points [rows, columns], which hlq_cuda_rows_round() made of `rows`. Of
   invalid rows as above. */
int hlq_cuda_rows_two_sided(const hlq_two_sided *of, const hlq_cuda_rows *rows, const float *point,
                            hlq_look_up_row *row, uint64_t *invalid, hlq_stream stream);

/* Packed weights: hlq_decode() of what indices stand for, times each row's scale. */
typedef struct hlq_cuda_packed {
    const uint8_t *indices;
    hlq_strips strips;
    int dim, q;
    const hlq_points *points; /* not centred */
    float centre[HLQ_DIM_MAX], beta;
    const float *scales; /* [rows] */
} hlq_cuda_packed;

/* weight [rows, dim × blocks] = rows first …. */
int hlq_cuda_rows_unpack(const hlq_cuda_packed *packed, size_t first, size_t rows, float *weight,
                         hlq_stream stream);

#ifdef __cplusplus
}
#endif

#endif
