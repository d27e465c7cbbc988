/*
 * How warps share linear layers, in the words of lanes/cuda.h: a warp has a row of x, or 32 blocks
 * of a row of W.
 */
#ifndef HLQ_KERNELS_CUDA_WALK_LINEAR_CUH
#define HLQ_KERNELS_CUDA_WALK_LINEAR_CUH

#include "cuda_linear.h"
#include "share.cuh"

#include "../body/rows.h"
#include "../body/strips.h"

HLQ_BODY void one_sided_rows(hlq_share share, const hlq_one_sided *of, const float *x, size_t rows,
                             size_t columns, float *z, hlq_look_up_row *row, uint64_t *invalid)
{
    uint64_t count = 0;
    for (size_t r = share.first; r < rows; r += share.step) {
        const hlq_look_up_row made = one_sided_row(of, x + r * columns, columns, z + r * columns);
        count += made.unit != made.unit;
        if (lane() == 0) row[r] = made;
    }
    add_count(invalid, count);
}

HLQ_BODY void two_sided_rows(hlq_share share, const hlq_two_sided *of, const hlq_cuda_rows *rows,
                             const float *point, hlq_look_up_row *row, uint64_t *invalid)
{
    uint64_t count = 0;
    for (size_t r = share.first; r < rows->rows; r += share.step) {
        const hlq_cuda_row *known = &rows->row[r];
        hlq_look_up_row made =
            two_sided_row(of, point + r * rows->columns, rows->columns, known->rms);
        if (known->invalid) {
            made.unit = NAN;
            count++;
        }
        if (lane() == 0) row[r] = made;
    }
    add_count(invalid, count);
}

/* Pieces of 32 blocks. */
static inline size_t pieces_of_packed(const hlq_cuda_packed *packed, size_t rows)
{
    return rows * ((packed->strips.blocks + 31) / 32);
}

/* One block: Σ q^m points, multiples of 1/2 below 2^18, so exact; then as descale() of body/hnlq.h,
   and libhlqcomm/quantizer/rows.c, have it. */
HLQ_BODY void unpack_block(const hlq_cuda_packed *w, int dim, size_t row, size_t block, float *out)
{
    float sum[HLQ_DIM_MAX] = {0}, weight = 1;
    for (int m = 0; m < w->strips.depth; m++, weight *= (float)w->q) {
        const int index = w->indices[index_at(&w->strips, row, block, m)];
        for (int j = 0; j < dim; j++) sum[j] += weight * w->points->at[j][index];
    }
    for (int j = 0; j < dim; j++) {
        const float number = (sum[j] - w->centre[j]) * w->beta;
        out[j] = number * w->scales[row];
    }
}

HLQ_BODY void unpack_rows(int dim, hlq_share share, const hlq_cuda_packed *w, size_t first,
                          size_t rows, float *weight)
{
    const size_t blocks = w->strips.blocks, parts = (blocks + 31) / 32;
    for (size_t i = share.first; i < rows * parts; i += share.step) {
        const size_t row = i / parts, block = i % parts * 32 + (size_t)lane();
        if (block >= blocks) continue;
        unpack_block(w, dim, first + row, block, weight + (row * blocks + block) * (size_t)dim);
    }
}

#endif
