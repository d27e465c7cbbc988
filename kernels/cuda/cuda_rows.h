/*
 * Rows of numbers on a GPU, each quantized with a scale of its own: what
 * libhlqcomm/quantizer/rows.c does, as work on a stream. What cuda_kernels.h says of structures,
 * pointers, counts and errors holds here too.
 *
 *     measure ─▶ rms, scale ─ round ─▶ numbers ─ compare ─▶ next scale … best ─ round ─▶ ─ spoil ─▶
 *
 * Scales are compared only where that of the least error is wanted. Spoil: a row that the host
 * would have refused becomes NaN.
 */
#ifndef HLQ_KERNELS_CUDA_CUDA_ROWS_H
#define HLQ_KERNELS_CUDA_CUDA_ROWS_H

#include "cuda_kernels.h"
#include "../hnlq.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A row, as far as it is known. */
typedef struct hlq_cuda_row {
    float rms;        /* root mean square */
    float scale;      /* that it is divided by now */
    float best;       /* of the scales that were tried */
    uint32_t invalid; /* not 0: x is not finite, a vector does not fit however small, or quantized
                         numbers do not fit fp32 */
    double least;     /* squared error with the best scale */
} hlq_cuda_row;

typedef struct hlq_cuda_rows {
    const float *x; /* [rows, columns] */
    size_t rows, columns;
    hlq_cuda_row *row; /* [rows] */
} hlq_cuda_rows;

/* Begins every row: its rms, and `step` times that as its scale. */
int hlq_cuda_rows_measure(const hlq_cuda_rows *rows, double step, hlq_stream stream);

/*
 * x / scale encoded with T as the shrinking of vectors, and decoded without it, times scale, into
 * out [rows, columns], which may be x; or with as_points, the points Σ q^m x_m alone. columns is a
 * multiple of the code's dim. *shrunk += vectors that fit with a T that is not 0; it may be NULL.
 */
int hlq_cuda_rows_round(const hlq_cuda_rows *rows, const hlq_hnlq *code, int as_points, float *out,
                        uint64_t *shrunk, hlq_stream stream);

/* The scale in use is the best if `quantized` [rows, columns] is nearer to x than before. The next
   one is next_step times rms; if that is 0, the best. */
int hlq_cuda_rows_compare(const hlq_cuda_rows *rows, const float *quantized, double next_step,
                          hlq_stream stream);

/* Invalid rows of out [rows, columns] become NaN. *invalid += how many; it may be NULL. */
int hlq_cuda_rows_spoil(const hlq_cuda_rows *rows, float *out, uint64_t *invalid,
                        hlq_stream stream);

#ifdef __cplusplus
}
#endif

#endif
