/*
 * How warps share table look-ups, in the words of lanes/cuda_look_up.h: a warp has the table of one
 * block, or 64 rows' sums in one plane over a part of the blocks, or 32 rows' products.
 */
#ifndef HLQ_KERNELS_CUDA_WALK_LOOK_UP_CUH
#define HLQ_KERNELS_CUDA_WALK_LOOK_UP_CUH

#include "cuda_look_up.h"
#include "share.cuh"

#include "../body/look_up.h"
#include "../body/finish.h"

/* Blocks of a part: many warps work on few rows, each long enough to be worth its atomic adds. */
enum { PART_BLOCKS = 64 };

/* Pieces of work: parts of each plane of each tile, for each row of x. */
static inline size_t pieces_of(const hlq_cuda_strips *s)
{
    const size_t parts = (s->strip.blocks + PART_BLOCKS - 1) / PART_BLOCKS;
    return s->rows * s->tiles * (size_t)s->planes * parts;
}

HLQ_BODY void fill_tables_of_blocks(hlq_share share, const hlq_points *points, int dim,
                                    const float *x, const hlq_look_up_row *row, size_t rows,
                                    size_t blocks, int planes, int8_t *tables)
{
    for (size_t b = share.first; b < rows * blocks; b += share.step) {
        fill_tables(points, dim, x + b * (size_t)dim, 1, row[b / blocks].factor, planes,
                    tables + b * (size_t)(HLQ_TABLE_ENTRIES * planes));
    }
}

HLQ_BODY void add_piece(const hlq_cuda_strips *s, size_t row, size_t tile, size_t plane,
                        size_t first)
{
    const size_t block_bytes = s->strip.q ? 2 * HLQ_TILE_ROWS : HLQ_TILE_ROWS;
    const size_t stride = (size_t)(HLQ_TABLE_ENTRIES * s->planes);
    const size_t left = s->strip.blocks - first;
    int32_t sum[HLQ_TILE_ROWS];
    hlq_strip part = s->strip;
    part.indices += tile * s->tile_bytes + first * block_bytes;
    part.blocks = left < PART_BLOCKS ? left : (size_t)PART_BLOCKS;
    const int8_t *tables = s->tables + (row * s->strip.blocks + first) * stride;
    sum_strip(&part, tables + plane * HLQ_TABLE_ENTRIES, stride, s->largest[plane], sum);
    const int64_t weight = s->weight * ((int64_t)1 << 8 * plane);
    for (int half = 0; half < 2; half++) { /* rows 0-31, 32-63 */
        int64_t *to =
            s->total + HLQ_TILE_ROWS * (row * s->tiles + tile) + HLQ_LANES * half + lane();
        atomicAdd((unsigned long long *)to, (unsigned long long)(weight * sum[HLQ_LANES * half]));
    }
}

HLQ_BODY void sum_strips(hlq_share share, const hlq_cuda_strips *s)
{
    const size_t parts = (s->strip.blocks + PART_BLOCKS - 1) / PART_BLOCKS;
    const size_t planes = (size_t)s->planes, all = planes * parts;
    for (size_t i = share.first; i < s->rows * s->tiles * all; i += share.step) {
        add_piece(s, i / all / s->tiles, i / all % s->tiles, i / parts % planes,
                  i % parts * PART_BLOCKS);
    }
}

/* Pieces of 32 rows of W, for each row of x. */
static inline size_t pieces_of_products(const hlq_cuda_products *p)
{
    return p->rows * (p->out / 32 + (p->out % 32 != 0));
}

/* A row of W for each lane. */
HLQ_BODY void finish_rows(hlq_share share, const hlq_cuda_products *p)
{
    const size_t parts = p->out / 32 + (p->out % 32 != 0);
    for (size_t i = share.first; i < p->rows * parts; i += share.step) {
        const size_t row = i / parts, r = i % parts * 32 + (size_t)lane();
        if (r >= p->out) continue;
        p->y[row * p->out + r] =
            finish_row(&p->finish, &p->row[row], p->total[row * p->stride + r], r);
    }
}

#endif
