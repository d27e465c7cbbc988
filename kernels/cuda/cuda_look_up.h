/*
 * Kernels of table look-ups on a GPU: those of look_up.h, for all rows of a matrix at once, as work
 * on a stream. What cuda_kernels.h says of structures, pointers and errors holds here too.
 */
#ifndef HLQ_KERNELS_CUDA_CUDA_LOOK_UP_H
#define HLQ_KERNELS_CUDA_CUDA_LOOK_UP_H

#include "cuda_kernels.h"
#include "../look_up.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tables() of look_up.h; points->dim is dim. */
int hlq_cuda_tables(const hlq_points *points, int dim, const float *x, size_t blocks, float factor,
                    int planes, int8_t *tables, hlq_stream stream);

/*
 * The same strip of every tile of 64 rows, by one row's tables [blocks, planes, 256].
 * total[64 t + r] += weight × Σ over planes p of 256^p × sums() of tile t. Integers throughout, so
 * that any order gives the same. A product of packed weights takes a call for each strip.
 */
typedef struct hlq_cuda_strips {
    hlq_strip strip;   /* of tile 0 */
    size_t tiles;      /* the next one's indices are tile_bytes further on */
    size_t tile_bytes; /* even, as the strip's address is */
    const int8_t *tables;
    int planes;
    int largest[HLQ_PLANES_MAX]; /* entry of each plane, in size */
    int64_t weight;
    int64_t *total;
} hlq_cuda_strips;

int hlq_cuda_sums(const hlq_cuda_strips *strips, hlq_stream stream);

/* y of `rows` rows of W, of their totals: the host's, bit by bit. */
int hlq_cuda_finish(const hlq_finish *finish, const int64_t *total, size_t rows, float *y,
                    hlq_stream stream);

#ifdef __cplusplus
}
#endif

#endif
