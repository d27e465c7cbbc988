/*
 * A linear layer from inside: made by linear_pack.c, used by linear.c.
 *
 * Rows of W are taken 64 at a time (a tile; rows that are missing in the last have index 0). Layers
 * of a tile are strips, one after the other, as kernels/look_up.h has them: first all that come in
 * pairs, from the finest on, then single ones.
 */
#ifndef HLQ_QUANTIZER_LINEAR_H
#define HLQ_QUANTIZER_LINEAR_H

#include "quantizer.h"
#include "rows.h"

#include <kernels/look_up.h>

enum {
    HLQ_BLOCKS_MAX = 1 << 19,   /* of a row: sums of a strip fit 32 bits, of all 64 */
    HLQ_ONE_SIDED_MOST = 32600, /* entries are rounded to ±this: two planes hold ±32639 */
};

struct hlq_linear {
    hlq_quantizer *quantizer; /* a copy, without retries */
    size_t out, in, blocks;   /* blocks = in / dim */
    size_t tiles;
    int pairs, strips; /* of a tile; the first `pairs` are pairs */
    uint8_t *indices;  /* [tiles, 64 × blocks × depth] */
    float *scales;     /* [out] */
    double *sums;      /* [out, dim]: Σ over blocks of W's points, if centred; else NULL */
    hlq_points points; /* representatives, not centred; and centred, if the quantizer is */
    hlq_points centred_points;
    double longest; /* norm of any of these last */
    double relative_error;
    uint64_t shrunk;
};

/* The first layer of a strip. */
static inline int hlq_linear_layer(const hlq_linear *linear, int strip)
{
    return strip < linear->pairs ? 2 * strip : strip + linear->pairs;
}

/* Where the strip of a tile starts. */
static inline size_t hlq_linear_strip(const hlq_linear *linear, size_t tile, int strip)
{
    const size_t layer_bytes = HLQ_TILE_ROWS * linear->blocks;
    const size_t depth = (size_t)linear->quantizer->params.depth;
    return (tile * depth + (size_t)hlq_linear_layer(linear, strip)) * layer_bytes;
}

/* Row `row` of the layer, index [blocks, depth]; set keeps its sum too. */
void hlq_linear_set_row(hlq_linear *linear, size_t row, const uint8_t *index, float scale);
void hlq_linear_get_row(const hlq_linear *linear, size_t row, uint8_t *index);

/* A row of x, ready for look-ups, and for y of their sums. */
typedef struct hlq_linear_row {
    float *x; /* [in]: blocks that tables are made of, of linear's (centred) points */
    float factor;
    hlq_finish finish;
} hlq_linear_row;

/* One-sided: of the centred points, and HLQ_ONE_SIDED_MOST. Two-sided: of the others; `rows` is of
   the activation, and *overloads grows by vectors that were shrunk. row->x is the caller's. */
void hlq_linear_one_sided(const hlq_linear *linear, const float *x, hlq_linear_row *row);
hlq_status hlq_linear_two_sided(const hlq_linear *linear, hlq_rows *rows, const float *x,
                                hlq_linear_row *row, uint64_t *overloads);

/* Entries of this table are at most *most in size: HLQ_ONE_SIDED_MOST if activation is NULL. Then
   so many planes hold them, HLQ_PLANES_MAX at most for all codes; and the largest entry of each. */
hlq_status hlq_linear_most(const hlq_quantizer *activation, long *most);
int hlq_linear_planes(long most, int largest[HLQ_PLANES_MAX]);

/* Digits of `count` layers to Σ b[j] q^j, in place too; and back. */
void hlq_indices_of_digits(const uint8_t *digits, int dim, int q, size_t count, uint8_t *index);
void hlq_digits_of_indices(const uint8_t *index, int dim, int q, size_t count, uint8_t *digits);

#endif
