/*
 * A row of numbers before it is coded or multiplied: its size, what it is divided by, and what
 * products with it need. The host and GPUs compile this one: each operation rounded, and sums in
 * the order of lane_sums.h.
 *
 * Where lanes are threads, a warp has a row, and all of its lanes get what a function returns. The
 * host has refused NaN and Inf before; here they make a size that is not finite, and x counts as 0.
 */
#ifndef HLQ_BODY_ROWS_H
#define HLQ_BODY_ROWS_H

#include "lane_sums.h"

#include "../look_up.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef HLQ_LANES_ARE_THREADS
/* Of numbers ≥ 0. */
HLQ_PLAIN double most_of_lanes(const double most[LANES_HERE])
{
    double all = most[0];
    for (int d = HLQ_SUM_LANES / 2; d; d /= 2) {
        const double other = __shfl_xor_sync(WHOLE_WARP, all, d);
        all = other > all ? other : all;
    }
    return all;
}

HLQ_PLAIN uint32_t most_bits_of_lanes(const uint32_t most[LANES_HERE])
{
    return __reduce_max_sync(WHOLE_WARP, most[0]);
}
#else
HLQ_PLAIN double most_of_lanes(const double most[LANES_HERE])
{
    double all = most[0];
    for (int l = 1; l < LANES_HERE; l++) all = most[l] > all ? most[l] : all;
    return all;
}

HLQ_PLAIN uint32_t most_bits_of_lanes(const uint32_t most[LANES_HERE])
{
    uint32_t all = most[0];
    for (int l = 1; l < LANES_HERE; l++) all = most[l] > all ? most[l] : all;
    return all;
}
#endif

/* How many of this place's lanes have one of `count` things, of which `first` are past. */
HLQ_PLAIN int lanes_in(size_t first, size_t count)
{
    const size_t left = count - first;
    const int in_all = left < HLQ_SUM_LANES ? (int)left : (int)HLQ_SUM_LANES;
    const int here = in_all - first_lane();
    return here < LANES_HERE ? here : (int)LANES_HERE;
}

/* Sizes and scales ---------------------------------------------------------------------------- */

/* Rounded to fp32. */
HLQ_PLAIN float root_mean_square(const float *x, size_t columns)
{
    double sum[LANES_HERE] = {0};
    for (size_t i = 0; i < columns; i += HLQ_SUM_LANES) {
        const float *at = x + i + first_lane();
        for (int l = 0, here = lanes_in(i, columns); l < here; l++) sum[l] += (double)at[l] * at[l];
    }
    return columns ? (float)sqrt(sum_of_lanes(sum) / (double)columns) : 0;
}

HLQ_PLAIN double squared_distance(const float *x, const float *y, size_t count)
{
    double sum[LANES_HERE] = {0};
    for (size_t i = 0; i < count; i += HLQ_SUM_LANES) {
        const size_t at = i + (size_t)first_lane();
        for (int l = 0, here = lanes_in(i, count); l < here; l++) {
            double difference = (double)x[at + l] - (double)y[at + l];
            sum[l] += difference * difference;
        }
    }
    return sum_of_lanes(sum);
}

/* As bits, magnitudes are ordered, and NaN is above them all: so it is what comes out. */
HLQ_PLAIN float largest_magnitude(const float *x, size_t columns)
{
    uint32_t most[LANES_HERE] = {0};
    for (size_t i = 0; i < columns; i += HLQ_SUM_LANES) {
        const float *at = x + i + first_lane();
        for (int l = 0, here = lanes_in(i, columns); l < here; l++) {
            uint32_t bits;
            memcpy(&bits, &at[l], sizeof bits);
            bits &= INT32_MAX;
            most[l] = bits > most[l] ? bits : most[l];
        }
    }
    const uint32_t largest = most_bits_of_lanes(most);
    float magnitude;
    memcpy(&magnitude, &largest, sizeof magnitude);
    return magnitude;
}

/* Whether a row of this size or scale can be worked with. */
HLQ_PLAIN int is_size(float size) { return size < INFINITY; /* and no NaN */ }

HLQ_PLAIN float divided(float x, float scale)
{
    return scale > 0 && is_size(scale) ? x / scale : 0;
}

/* What is tried for the least error: `step` times the root mean square. */
HLQ_PLAIN float scale_at_step(float rms, double step) { return (float)(rms * step); }

/* Products ------------------------------------------------------------------------------------ */

/* z = x / max |x|, in units in which no entry of a table is larger than HLQ_ONE_SIDED_MOST: that of
   the product of norms. 0 where all entries are. */
HLQ_PLAIN hlq_look_up_row one_sided_row(const hlq_one_sided *of, const float *x, size_t columns,
                                        float *z)
{
    const size_t dim = (size_t)of->dim, blocks = columns / dim;
    const float most = largest_magnitude(x, columns);
    double longest2[LANES_HERE] = {0};
    for (size_t b = 0; b < blocks; b += HLQ_SUM_LANES) {
        for (int l = 0, here = lanes_in(b, blocks); l < here; l++) {
            const size_t first = (b + (size_t)(first_lane() + l)) * dim;
            double norm2 = 0;
            for (size_t i = first; i < first + dim; i++) {
                z[i] = divided(x[i], most);
                norm2 += (double)z[i] * z[i];
            }
            longest2[l] = norm2 > longest2[l] ? norm2 : longest2[l];
        }
    }
    const double bound = sqrt(most_of_lanes(longest2)) * of->longest;
    hlq_look_up_row row = {0, 0, 0};
    if (bound > 0) {
        row.factor = (float)(HLQ_ONE_SIDED_MOST / bound);
        row.unit = most / (double)row.factor * of->beta;
    }
    if (!is_size(most)) row.unit = NAN;
    return row;
}

/*
 * Of a row's points X. ⟨W - c, X - c'⟩ summed over blocks is the sum of ⟨W, X⟩, less
 * ⟨c, ΣX⟩ - blocks × ⟨c, c'⟩, less ⟨c', ΣW⟩. ΣX is exact: multiples of 1/2 below 2^37.
 */
HLQ_PLAIN hlq_look_up_row two_sided_row(const hlq_two_sided *of, const float *point, size_t columns,
                                        float rms)
{
    const size_t dim = (size_t)of->dim, blocks = columns / dim;
    hlq_look_up_row row = {1, of->beta * rms, 0};
    for (size_t j = 0; of->centred && j < dim; j++) {
        double sum[LANES_HERE] = {0};
        for (size_t b = 0; b < blocks; b += HLQ_SUM_LANES) {
            const float *at = point + (b + (size_t)first_lane()) * dim + j;
            for (int l = 0, here = lanes_in(b, blocks); l < here; l++) sum[l] += at[l * dim];
        }
        const double c = of->centre[j], other = of->other[j];
        row.offset += c * (sum_of_lanes(sum) - (double)blocks * other);
    }
    return row;
}

#endif
