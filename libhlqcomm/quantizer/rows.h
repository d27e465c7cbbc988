/*
 * Rows of a matrix as a linear layer quantizes them: divided by a scale of their own, encoded, and
 * where a vector overloads, shrunk towards zero until it fits. Used for weights and activations;
 * hlq_rows_quantize() is in rows.c too. Functions that are HLQ_API are shared with hlqcomm_cuda.
 */
#ifndef HLQ_QUANTIZER_ROWS_H
#define HLQ_QUANTIZER_ROWS_H

#include "quantizer.h"

/* A quantizer for rows, and the row that it has encoded last. */
typedef struct hlq_rows {
    const hlq_quantizer *quantizer;
    hlq_hnlq code; /* the quantizer's, with steps of 2^(1/8) to shrink by in place of its T */
    size_t columns, vectors;
    float *z;         /* the row divided by its scale */
    uint8_t *shrinks; /* [vectors] */
    void *digits;     /* [vectors, depth, dim] */
} hlq_rows;

/* HLQ_E_INVALID unless columns is a multiple of dim. */
HLQ_API hlq_status hlq_check_columns(const char *what, const hlq_quantizer *quantizer,
                                     size_t columns);

/* What rows are encoded with, see hlq_rows. */
HLQ_API void hlq_rows_code(const hlq_quantizer *quantizer, hlq_hnlq *code);

/* 2^(k/8) for k = -2 … 5: scales that hlq_row_fit() tries, in units of the root mean square. */
enum { HLQ_ROW_STEPS = 8 };
HLQ_API void hlq_row_steps(double step[HLQ_ROW_STEPS]);

/* HLQ_E_INVALID unless columns is a multiple of dim, HLQ_E_NOMEM; close it in any case. */
hlq_status hlq_rows_open(hlq_rows *rows, const char *what, const hlq_quantizer *quantizer,
                         size_t columns);
void hlq_rows_close(hlq_rows *rows);

/* Root mean square, added in double in the order of kernels/body/rows.h, rounded to fp32. */
float hlq_row_rms(const float *x, size_t columns);

/*
 * Encodes x / scale (zeros, if scale is 0); x must be finite. *shrunk counts vectors that were
 * shrunk. HLQ_E_INVALID if a vector does not fit however small.
 */
hlq_status hlq_row_encode(hlq_rows *rows, const float *x, float scale, uint64_t *shrunk);

/*
 * Encodes x with the scale that has the least squared error, of hlq_row_steps() × its root mean
 * square; out [columns], not x, is what it decodes to. `row` is its number, for a sentence.
 */
hlq_status hlq_row_fit(hlq_rows *rows, size_t row, const float *x, float *scale, uint64_t *shrunk,
                       float *out);

/* The encoded row times scale, as hlq_decode() gives it; or its points Σ q^m x_m, exactly. */
void hlq_row_decode(const hlq_rows *rows, float scale, float *out);
void hlq_row_points(const hlq_rows *rows, float *points);

#endif
