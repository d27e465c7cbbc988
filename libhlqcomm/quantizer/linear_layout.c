/*
 * Where the indices of a linear layer lie: rows [in / dim, depth] to strips and back.
 */
#include "linear.h"

#include <string.h>

/* Index of layer m of block b of a row lies at start[m] + b × step[m]. */
typedef struct row_place {
    uint8_t *start[HLQ_DEPTH_MAX];
    size_t step[HLQ_DEPTH_MAX];
} row_place;

static row_place place_of(const hlq_linear *linear, size_t row)
{
    row_place place;
    const hlq_strips strips = hlq_linear_strips(linear);
    for (int m = 0; m < strips.depth; m++) {
        const size_t first = index_at(&strips, row, 0, m);
        place.start[m] = linear->indices + first;
        place.step[m] = index_at(&strips, row, 1, m) - first;
    }
    return place;
}

/* index [blocks, depth] into the place of a row. */
static void put_row(const hlq_linear *linear, size_t row, const uint8_t *index)
{
    const row_place place = place_of(linear, row);
    const int depth = linear->quantizer->params.depth;
    for (size_t b = 0; b < linear->blocks; b++) {
        for (int m = 0; m < depth; m++) place.start[m][b * place.step[m]] = *index++;
    }
}

void hlq_linear_get_row(const hlq_linear *linear, size_t row, uint8_t *index)
{
    const row_place place = place_of(linear, row);
    const int depth = linear->quantizer->params.depth;
    for (size_t b = 0; b < linear->blocks; b++) {
        for (int m = 0; m < depth; m++) *index++ = place.start[m][b * place.step[m]];
    }
}

/* Σ of the points that a row's indices stand for: multiples of 1/2 below 2^37, so exact. */
static void sum_row(hlq_linear *linear, size_t row, const uint8_t *index)
{
    const hlq_quantizer_params *p = &linear->quantizer->params;
    double *sum = linear->sums + row * (size_t)p->dim;
    for (size_t b = 0; b < linear->blocks; b++) {
        double weight = 1;
        for (int m = 0; m < p->depth; m++, index++, weight *= p->q) {
            for (int j = 0; j < p->dim; j++) sum[j] += weight * linear->points.at[j][*index];
        }
    }
}

void hlq_linear_set_row(hlq_linear *linear, size_t row, const uint8_t *index, float scale)
{
    put_row(linear, row, index);
    linear->scales[row] = scale;
    if (linear->sums) sum_row(linear, row, index);
}

void hlq_indices_of_digits(const uint8_t *digits, int dim, int q, size_t count, uint8_t *index)
{
    for (size_t i = 0; i < count; i++, digits += dim) {
        int sum = 0;
        for (int j = dim - 1; j >= 0; j--) sum = sum * q + digits[j];
        index[i] = (uint8_t)sum;
    }
}

void hlq_digits_of_indices(const uint8_t *index, int dim, int q, size_t count, uint8_t *digits)
{
    uint8_t of[HLQ_TABLE_ENTRIES][HLQ_DIM_MAX];
    for (int i = 0; i < HLQ_TABLE_ENTRIES; i++) {
        for (int j = 0, left = i; j < dim; j++, left /= q) of[i][j] = (uint8_t)(left % q);
    }
    for (size_t i = 0; i < count; i++) memcpy(digits + i * (size_t)dim, of[index[i]], (size_t)dim);
}
