/*
 * Kernels of table look-ups: what hlq_linear_forward() spends its time in. They stand under the
 * contract of kernels.h: the same bytes from every variant.
 *
 *     x, a row of blocks of dim numbers            W, one byte (an index) for each layer of a block
 *          │ tables()                                   │ in strips of 64 rows
 *          ▼                                            ▼
 *     for each block a table: entry i = ⟨block, point i⟩ ──▶ sums(): Σ over blocks of entries
 *
 * A table is 256 entries, one for each index. An entry is an integer, cut into planes of a signed
 * byte each: entry = Σ 256^p plane_p. Look-ups are made in one plane at a time, 64 at once.
 */
#ifndef HLQ_KERNELS_LOOK_UP_H
#define HLQ_KERNELS_LOOK_UP_H

#include <hlqcomm/quantizer.h>

enum {
    HLQ_TABLE_ENTRIES = 256,
    HLQ_TILE_ROWS = 64,         /* rows of W that are worked on at once */
    HLQ_PLANES_MAX = 3,         /* entries lie within ±(2^23 - 2^16) */
    HLQ_PAIR_Q_MAX = 16,        /* layers are paired up to this q: sums of 16 bits hold 15 blocks */
    HLQ_ONE_SIDED_MOST = 32600, /* entries are rounded to ±this: two planes hold ±32639 */
};

/* The points that indices stand for, column by column: row j has coordinate j of all points. */
typedef struct hlq_points {
    int dim;
    float at[HLQ_DIM_MAX][HLQ_TABLE_ENTRIES]; /* 0 beyond q^dim */
} hlq_points;

/*
 * A strip: one byte for each of 64 rows, in 1 or 2 layers, for each of `blocks` blocks in turn.
 *
 *   pair    128 bytes a block: row 0's layers m and m + 1, row 1's, …, row 63's. Its sums are of
 *           entry of layer m + q × entry of layer m + 1.
 *   single   64 bytes a block: rows 0 and 32, 1 and 33, …, 31 and 63, one layer.
 */
typedef struct hlq_strip {
    const uint8_t *indices;
    size_t blocks;
    int q; /* of a pair, 2 … HLQ_PAIR_Q_MAX; 0: single */
} hlq_strip;

/* The strips of all tiles of packed weights (body/strips.h). */
typedef struct hlq_strips {
    size_t blocks;
    int depth, pairs; /* of a tile; the first `pairs` strips are pairs */
} hlq_strips;

/* What a row of x brings to its products. */
typedef struct hlq_look_up_row {
    float factor;        /* of its tables' entries */
    double unit, offset; /* of its sums */
} hlq_look_up_row;

/* Of a one-sided product: the norm of the longest point of W, β of W. */
typedef struct hlq_one_sided {
    int dim;
    float beta;
    double longest;
} hlq_one_sided;

/* Of a two-sided product: β of W × β of x; and if codes are centred, c of W and c' of x. */
typedef struct hlq_two_sided {
    int dim, centred;
    double beta;
    float centre[HLQ_DIM_MAX], other[HLQ_DIM_MAX];
} hlq_two_sided;

/*
 * What makes y of the sums, in double, for row r of W and a row of x:
 *
 *     y[r] = (total[r] - offset - Σ minus[j] × sums[r][j]) × (scales[r] × unit)
 *
 * with offset and minus only where sums is not NULL: they take centres from the product.
 */
typedef struct hlq_finish {
    const float *scales; /* [rows of W] */
    const double *sums;  /* [rows of W, dim]: Σ over blocks of W's points, if W is centred */
    int dim;
    double minus[HLQ_DIM_MAX];
} hlq_finish;

typedef struct hlq_look_up_kernels {
    /*
     * tables[b][p][i]: plane p of entry i of the table of block b, which is ⟨x_b, point i⟩ in fp32
     * (added in the order of coordinates), times factor, rounded to nearest even.
     * x [blocks, dim]; tables [blocks, planes, 256].
     */
    void (*tables)(const hlq_points *points, const float *x, size_t blocks, float factor,
                   int planes, int8_t *tables);

    /*
     * sum[r], the sum over the strip for row r, from plane tables[b × stride …] of each block's
     * table. No entry of a plane is larger than `largest`, 1 … 128, in size. Up to 2^19 blocks fit.
     */
    void (*sums)(const hlq_strip *strip, const int8_t *tables, size_t stride, int largest,
                 int32_t sum[HLQ_TILE_ROWS]);
} hlq_look_up_kernels;

/* One extern per line of variants.def; hlq_kernels.look_up points to it. */
#define HLQ_VARIANT(symbol, features) extern const hlq_look_up_kernels hlq_look_up_kernels_##symbol;
#include "variants.def"
#undef HLQ_VARIANT

#endif
