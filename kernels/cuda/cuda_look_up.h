/*
 * Kernels of table look-ups on a GPU: those of look_up.h, for all rows of two matrices at once, as
 * work on a stream. What cuda_kernels.h says of structures, pointers and errors holds here too.
 */
#ifndef HLQ_KERNELS_CUDA_CUDA_LOOK_UP_H
#define HLQ_KERNELS_CUDA_CUDA_LOOK_UP_H

#include "cuda_kernels.h"
#include "../look_up.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tables() of look_up.h for rows x [rows, blocks, dim], with the factor of each:
   tables [rows, blocks, planes, 256]. points->dim is dim. */
int hlq_cuda_tables(const hlq_points *points, int dim, const float *x, const hlq_look_up_row *row,
                    size_t rows, size_t blocks, int planes, int8_t *tables, hlq_stream stream);

/*
 * The same strip of every tile of 64 rows of W, by the tables [blocks, planes, 256] of each row of
 * x. total[64 × tiles × row + 64 t + r] += weight × Σ over planes p of 256^p × sums() of tile t.
 * Integers throughout, so that any order gives the same. A product of packed weights takes a call
 * for each strip.
 */
typedef struct hlq_cuda_strips {
    hlq_strip strip;   /* of tile 0 */
    size_t tiles;      /* the next one's indices are tile_bytes further on */
    size_t tile_bytes; /* even, as the strip's address is */
    size_t rows;       /* of x */
    const int8_t *tables;
    int planes;
    int largest[HLQ_PLANES_MAX]; /* entry of each plane, in size */
    int64_t weight;
    int64_t *total;
} hlq_cuda_strips;

int hlq_cuda_sums(const hlq_cuda_strips *strips, hlq_stream stream);

/* y [rows of x, rows of W] of total [rows of x, stride]: the host's, bit by bit. */
typedef struct hlq_cuda_products {
    hlq_finish finish;
    const hlq_look_up_row *row; /* [rows] */
    size_t rows, out;           /* of x, of W */
    const int64_t *total;
    size_t stride; /* out, or with the rows that are missing in the last tile */
    float *y;
} hlq_cuda_products;

int hlq_cuda_finish(const hlq_cuda_products *products, hlq_stream stream);

#ifdef __cplusplus
}
#endif

#endif
