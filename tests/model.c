/*
 * The sums and the bound of model.h.
 */
#include "model.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static double *zeros(size_t n)
{
    double *p = calloc(n + 1, sizeof *p);
    if (!p) {
        fprintf(stderr, "no memory for the model of %zu numbers\n", n);
        exit(2);
    }
    return p;
}

model model_new(size_t count, int ranks, hlq_op op)
{
    size_t blocks = (count + MODEL_BLOCK - 1) / MODEL_BLOCK;
    return (model){
        .ranks = ranks,
        .count = count,
        .blocks = blocks,
        .sum = zeros(count),
        .sizes = zeros(blocks),
        .factor = op == HLQ_AVG ? 1.0 / ranks : 1.0,
    };
}

void model_free(model *m)
{
    free(m->sum);
    free(m->sizes);
    *m = (model){0};
}

static size_t block_end(const model *m, size_t block)
{
    size_t end = (block + 1) * MODEL_BLOCK;
    return end < m->count ? end : m->count;
}

static double *widened(const float *x, size_t count)
{
    double *wide = zeros(count);
    for (size_t i = 0; i < count; i++) wide[i] = x[i];
    return wide;
}

/* Squares of doubles need more range than doubles have. */
void model_add_wide(model *m, const double *x)
{
    for (size_t b = 0; b < m->blocks; b++) {
        long double squares = 0;
        for (size_t i = b * MODEL_BLOCK; i < block_end(m, b); i++) {
            m->sum[i] += x[i];
            squares += (long double)x[i] * x[i];
        }
        m->sizes[b] += (double)sqrtl(squares);
    }
}

void model_add(model *m, const float *x)
{
    double *wide = widened(x, m->count);
    model_add_wide(m, wide);
    free(wide);
}

double model_exact(const model *m, size_t i) { return m->sum[i] * m->factor; }

double model_vnmse(const model *m, const float *result)
{
    double error = 0, energy = 0;
    for (size_t i = 0; i < m->count; i++) {
        double exact = model_exact(m, i), off = result[i] - exact;
        error += off * off;
        energy += exact * exact;
    }
    return error == 0 ? 0 : error / energy;
}

double model_quantized(hlq_lattice lattice, double scale)
{
    double vectors = lattice == HLQ_LATTICE_E8 ? 32 : 64;
    return 1.001 * sqrt(vectors) * scale;
}

double model_block_bound(const model *m, const model_bound *bound, size_t block)
{
    double quantized = model_quantized(bound->lattice, bound->scales);
    double size = m->sizes[block] + quantized;
    double rounded = (32 + m->ranks) * FLT_EPSILON * size;
    double rounding = bound->dtype == HLQ_BFLOAT16  ? 0x1p-8
                      : bound->dtype == HLQ_FLOAT16 ? 0x1p-11
                                                    : 0;
    double narrowed = rounding * size;
    double least = bound->dtype == HLQ_FLOAT64 ? DBL_MIN : FLT_MIN;
    if (bound->dtype == HLQ_FLOAT16) least = 0x1p-24; /* its last place, near zero */
    double denormal = m->ranks * sqrt(MODEL_BLOCK) * least;
    return m->factor * (quantized + rounded + narrowed + denormal);
}

/* l2 error of one block of a result; NaN if it holds NaN. */
static double block_error(const model *m, const double *result, size_t block)
{
    long double squares = 0;
    for (size_t i = block * MODEL_BLOCK; i < block_end(m, block); i++) {
        long double off = result[i] - model_exact(m, i);
        squares += off * off;
    }
    return (double)sqrtl(squares);
}

double model_worst_wide(const model *m, const model_bound *bound, const double *result)
{
    double worst = 0;
    for (size_t b = 0; b < m->blocks; b++) {
        double ratio = block_error(m, result, b) / model_block_bound(m, bound, b);
        if (!(ratio <= worst)) worst = ratio;
        if (isnan(worst)) break;
    }
    return worst;
}

double model_worst(const model *m, const model_bound *bound, const float *result)
{
    double *wide = widened(result, m->count);
    double worst = model_worst_wide(m, bound, wide);
    free(wide);
    return worst;
}

double model_scales(hlq_algorithm algorithm, const double *largest_scale, int ranks)
{
    double sum = 0, largest = 0;
    for (int p = 0; p < ranks; p++) {
        sum += largest_scale[p];
        largest = fmax(largest, largest_scale[p]);
    }
    switch (algorithm) {
    case HLQ_ALG_TWOSHOT:
    case HLQ_ALG_HIERARCHICAL: return sum + largest;
    case HLQ_ALG_ONESHOT:
    case HLQ_ALG_MODQ: return sum;
    default: return 0;
    }
}
