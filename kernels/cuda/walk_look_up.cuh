/*
 * How warps share table look-ups, in the words of lanes/cuda_look_up.h: a warp has the table of one
 * block, or 64 rows' sums in one plane over a part of the blocks.
 */
#ifndef HLQ_KERNELS_CUDA_WALK_LOOK_UP_CUH
#define HLQ_KERNELS_CUDA_WALK_LOOK_UP_CUH

#include "cuda_look_up.h"
#include "share.cuh"

#include "../body/look_up.h"
#include "../body/finish.h"

/* Blocks of a part: many warps work on few rows, each long enough to be worth its atomic adds. */
enum { PART_BLOCKS = 64 };

/* Pieces of work: parts of each plane of each tile. */
static inline size_t pieces_of(const hlq_cuda_strips *s)
{
    return s->tiles * (size_t)s->planes * ((s->strip.blocks + PART_BLOCKS - 1) / PART_BLOCKS);
}

HLQ_BODY void fill_tables_of_blocks(hlq_share share, const hlq_points *points, int dim,
                                    const float *x, size_t blocks, float factor, int planes,
                                    int8_t *tables)
{
    for (size_t b = share.first; b < blocks; b += share.step) {
        fill_tables(points, dim, x + b * (size_t)dim, 1, factor, planes,
                    tables + b * (size_t)(HLQ_TABLE_ENTRIES * planes));
    }
}

HLQ_BODY void add_piece(const hlq_cuda_strips *s, size_t tile, size_t plane, size_t first)
{
    const size_t block_bytes = s->strip.q ? 2 * HLQ_TILE_ROWS : HLQ_TILE_ROWS;
    const size_t stride = (size_t)(HLQ_TABLE_ENTRIES * s->planes);
    const size_t left = s->strip.blocks - first;
    int32_t sum[HLQ_TILE_ROWS];
    hlq_strip part = s->strip;
    part.indices += tile * s->tile_bytes + first * block_bytes;
    part.blocks = left < PART_BLOCKS ? left : (size_t)PART_BLOCKS;
    sum_strip(&part, s->tables + first * stride + plane * HLQ_TABLE_ENTRIES, stride,
              s->largest[plane], sum);
    const int64_t weight = s->weight * ((int64_t)1 << 8 * plane);
    for (int half = 0; half < 2; half++) { /* rows 0-31, 32-63 */
        int64_t *to = s->total + HLQ_TILE_ROWS * tile + HLQ_LANES * half + lane();
        atomicAdd((unsigned long long *)to, (unsigned long long)(weight * sum[HLQ_LANES * half]));
    }
}

HLQ_BODY void sum_strips(hlq_share share, const hlq_cuda_strips *s)
{
    const size_t parts = (s->strip.blocks + PART_BLOCKS - 1) / PART_BLOCKS;
    const size_t planes = (size_t)s->planes;
    for (size_t i = share.first; i < s->tiles * planes * parts; i += share.step) {
        add_piece(s, i / (planes * parts), i / parts % planes, i % parts * PART_BLOCKS);
    }
}

/* A row for each lane. */
HLQ_BODY void finish_rows(hlq_share share, const hlq_finish *finish, const int64_t *total,
                          size_t rows, float *y)
{
    for (size_t r = 32 * share.first + (size_t)lane(); r < rows; r += 32 * share.step) {
        y[r] = finish_row(finish, total[r], r);
    }
}

#endif
