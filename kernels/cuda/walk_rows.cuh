/*
 * How warps share rows: a row each where it is measured as a whole; blocks of 256 numbers, wherever
 * rows begin, where they are encoded (in the words of lanes/cuda_i32.h).
 */
#ifndef HLQ_KERNELS_CUDA_WALK_ROWS_CUH
#define HLQ_KERNELS_CUDA_WALK_ROWS_CUH

#include "cuda_rows.h"
#include "walk_hnlq.cuh"

#include "../body/rows.h"

/* The first lane alone knows the row: others get what is measured. */
HLQ_BODY void measure_rows(hlq_share share, const hlq_cuda_rows *rows, double step)
{
    for (size_t r = share.first; r < rows->rows; r += share.step) {
        const float rms = root_mean_square(rows->x + r * rows->columns, rows->columns);
        const hlq_cuda_row row = {rms, scale_at_step(rms, step), 0, !is_size(rms), INFINITY};
        if (lane() == 0) rows->row[r] = row;
    }
}

/* As hlq_row_fit() of libhlqcomm/quantizer/rows.c. Where fp32 does not hold a scale, or numbers at
   it, the error is not below any. */
HLQ_BODY void keep_best(hlq_cuda_row *row, double error, double next_step)
{
    if (error < row->least) {
        row->least = error;
        row->best = row->scale;
    }
    row->scale = next_step > 0 ? scale_at_step(row->rms, next_step) : row->best;
    if (next_step == 0 && !(row->least < INFINITY)) row->invalid = 1;
}

HLQ_BODY void compare_rows(hlq_share share, const hlq_cuda_rows *rows, const float *quantized,
                           double next_step)
{
    for (size_t r = share.first; r < rows->rows; r += share.step) {
        const size_t first = r * rows->columns;
        double error = squared_distance(rows->x + first, quantized + first, rows->columns);
        if (lane() == 0) keep_best(&rows->row[r], error, next_step);
    }
}

HLQ_BODY void spoil_rows(hlq_share share, const hlq_cuda_rows *rows, float *out, uint64_t *invalid)
{
    uint64_t count = 0;
    for (size_t r = share.first; r < rows->rows; r += share.step) {
        if (!rows->row[r].invalid) continue;
        count++;
        for (size_t i = (size_t)lane(); i < rows->columns; i += 32) {
            out[r * rows->columns + i] = no_number();
        }
    }
    add_count(invalid, count);
}

/* Encoding ------------------------------------------------------------------------------------ */

/* Of number i of all rows. */
HLQ_BODY float scale_of(const hlq_cuda_rows *rows, size_t i)
{
    return rows->row[i / rows->columns].scale;
}

/* `here` numbers from `first` on, divided by their rows' scales. */
HLQ_BODY void load_divided(const hlq_cuda_rows *rows, int dim, size_t first, size_t here,
                           F x[HLQ_ROWS])
{
    for (int r = 0; r < HLQ_ROWS; r++) {
        size_t at = (size_t)(HLQ_LANES * r + lane()), i = first + at;
        x[r] = at < here ? divided(rows->x[i], scale_of(rows, i)) : 0.0f;
    }
    f_rows_exchange(dim, x);
}

/* Points become what they decode to, times their rows' scales. */
HLQ_BODY void store_numbers(const hlq_cuda_rows *rows, const hlq_hnlq *code, int dim, size_t first,
                            size_t here, F x[HLQ_ROWS], float *out)
{
    const float centre = code->centre[lane() % dim]; /* a lane's coordinate, of all rows */
    f_rows_exchange(dim, x);
    for (int r = 0; r < HLQ_ROWS; r++) {
        size_t at = (size_t)(HLQ_LANES * r + lane()), i = first + at;
        if (at >= here) continue;
        F number = f_mul(f_sub(x[r], centre), code->scale[0]);
        out[i] = f_mul(number, scale_of(rows, i));
    }
}

/* Rows of the vectors of group g that do not fit however small; other warps may find the same. */
HLQ_BODY void mark_invalid(const hlq_cuda_rows *rows, int dim, int g, size_t first, uint32_t over)
{
    const size_t vector = vector_of_lane(dim, g) * (size_t)dim;
    if (is_lane_in(over)) atomicOr(&rows->row[(first + vector) / rows->columns].invalid, 1);
}

HLQ_BODY void round_rows(hlq_lattice lattice, int dim, int power, hlq_share share,
                         const hlq_cuda_rows *rows, const hlq_hnlq *code, int as_points, float *out,
                         uint64_t *shrunk)
{
    const size_t numbers = rows->rows * rows->columns;
    uint64_t count = 0;
    for (size_t first = HLQ_BLOCK_ELEMS * share.first; first < numbers;
         first += HLQ_BLOCK_ELEMS * share.step) {
        const size_t left = numbers - first;
        const size_t here = left < HLQ_BLOCK_ELEMS ? left : (size_t)HLQ_BLOCK_ELEMS;
        block_input in;
        block_code done;
        load_divided(rows, dim, first, here, in.x);
        for (int r = 0; r < HLQ_ROWS; r++) in.shift[r] = f_set(code->centre[r % dim]);
        done.layers.digits = NULL;
        done.layers.here = 0;
        HLQ_UNROLL
        for (int g = 0; g < HLQ_ROWS / dim; g++) {
            I decoded[HLQ_ROWS];
            in.real.group[g] = m_word(vector_of_lane(dim, g) * (size_t)dim < here);
            encode_group(code, lattice, dim, power, g, &in, &done, decoded);
            const uint32_t over = done.over.group[g];
            count += (uint64_t)__builtin_popcount(m_word(done.step[g].own != 0) & ~over);
            mark_invalid(rows, dim, g, first, over);
            for (int r = 0; r < dim; r++) {
                in.x[g * dim + r] = f_mul(f_from_i(decoded[r]), f_set(0.5f));
            }
        }
        if (as_points) store_some_vectors(dim, in.x, here / (size_t)dim, out + first);
        else store_numbers(rows, code, dim, first, here, in.x, out);
    }
    add_count(shrunk, count);
}

#endif
