/*
 * A linear layer from inside: made by linear_pack.c, used by linear.c. Rows of W are taken 64 at a
 * time (a tile), as kernels/body/strips.h has them. Functions that are HLQ_API are shared with the
 * library hlqcomm_cuda.
 */
#ifndef HLQ_QUANTIZER_LINEAR_H
#define HLQ_QUANTIZER_LINEAR_H

#include "quantizer.h"
#include "rows.h"

#include <kernels/body/rows.h>
#include <kernels/body/strips.h>

enum { HLQ_BLOCKS_MAX = 1 << 19 /* of a row: sums of a strip fit 32 bits, of all 64 */ };

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

static inline hlq_strips hlq_linear_strips(const hlq_linear *linear)
{
    return (hlq_strips){linear->blocks, linear->quantizer->params.depth, linear->pairs};
}

/* Where the strip of a tile starts. */
static inline size_t hlq_linear_strip(const hlq_linear *linear, size_t tile, int strip)
{
    const hlq_strips strips = hlq_linear_strips(linear);
    return index_at(&strips, tile * HLQ_TILE_ROWS, 0, hlq_linear_layer(linear, strip));
}

/* From one tile to the next. */
static inline size_t hlq_linear_tile_bytes(const hlq_linear *linear)
{
    return HLQ_TILE_ROWS * linear->blocks * (size_t)linear->quantizer->params.depth;
}

/* Row `row` of the layer, index [blocks, depth]; set keeps its sum too. */
void hlq_linear_set_row(hlq_linear *linear, size_t row, const uint8_t *index, float scale);
void hlq_linear_get_row(const hlq_linear *linear, size_t row, uint8_t *index);

/* A row of x, ready for look-ups, and for y of their sums. */
typedef struct hlq_linear_row {
    float *x; /* [in]: blocks that tables are made of, of linear's (centred) points */
    hlq_look_up_row look_up;
} hlq_linear_row;

/* One-sided: of the centred points, and HLQ_ONE_SIDED_MOST. Two-sided: of the others; `rows` is of
   the activation, and *overloads grows by vectors that were shrunk. row->x is the caller's. */
void hlq_linear_one_sided(const hlq_linear *linear, const float *x, hlq_linear_row *row);
hlq_status hlq_linear_two_sided(const hlq_linear *linear, hlq_rows *rows, const float *x,
                                hlq_linear_row *row, uint64_t *overloads);

/* What all rows of x have in common: of these, and of the last step (activation is NULL: of
   one-sided products). */
HLQ_API hlq_one_sided hlq_linear_one_side(const hlq_linear *linear);
HLQ_API hlq_two_sided hlq_linear_two_sides(const hlq_linear *linear,
                                           const hlq_quantizer *activation);
HLQ_API hlq_finish hlq_linear_finish(const hlq_linear *linear, const hlq_quantizer *activation);

/* HLQ_E_INVALID unless these are rows of W, and weight is not NULL where there is something. */
HLQ_API hlq_status hlq_linear_check_unpack(const hlq_linear *linear, size_t first_row, size_t rows,
                                           const float *weight);

/* HLQ_E_INVALID unless activation's code can be multiplied with the layer's. */
HLQ_API hlq_status hlq_linear_check_activation(const hlq_linear *linear,
                                               const hlq_quantizer *activation);

/* Entries of this table are at most *most in size: HLQ_ONE_SIDED_MOST if activation is NULL. Then
   so many planes hold them, HLQ_PLANES_MAX at most for all codes; and the largest entry of each. */
HLQ_API hlq_status hlq_linear_most(const hlq_quantizer *activation, long *most);
HLQ_API int hlq_linear_planes(long most, int largest[HLQ_PLANES_MAX]);

/* Digits of `count` layers to Σ b[j] q^j, in place too; and back. */
void hlq_indices_of_digits(const uint8_t *digits, int dim, int q, size_t count, uint8_t *index);
void hlq_digits_of_indices(const uint8_t *index, int dim, int q, size_t count, uint8_t *digits);

#endif
