/*
 * Algorithms 1 and 2 of hierarchical nested-lattice quantization (Kaplan and Ordentlich, arXiv
 * 2505.13164), one vector at a time, in exact integers, by their definitions: what the library's
 * encoder, decoder and tables are compared with. Nearest points are those of lattice_model.h.
 *
 * A vec holds doubled coordinates in its first dim places and zeros behind them. Its functions do
 * nothing to the zeros, so a vec of D4 or Z here is one vector, not two or eight.
 */
#ifndef HLQ_TEST_HNLQ_MODEL_H
#define HLQ_TEST_HNLQ_MODEL_H

#include "lattice_model.h"

#include <hlqcomm/quantizer.h>

enum { DEPTH_MAX = 16, UNIT = 1 << 26 /* of what is rounded first: multiples of 1 / UNIT */ };

typedef struct hnlq_code {
    hlq_lattice lattice;
    int dim, q, depth;
} hnlq_code;

/* digit[m]: layer m, the finest first. */
typedef struct hnlq_digits {
    int digit[DEPTH_MAX][D];
} hnlq_digits;

/* Lattices that exist. */
static const hnlq_code lattice_of[] = {
    {.lattice = HLQ_LATTICE_Z, .dim = 1},  {.lattice = HLQ_LATTICE_Z, .dim = 2},
    {.lattice = HLQ_LATTICE_Z, .dim = 4},  {.lattice = HLQ_LATTICE_Z, .dim = 8},
    {.lattice = HLQ_LATTICE_D4, .dim = 4}, {.lattice = HLQ_LATTICE_E8, .dim = 8}};
enum { LATTICES = sizeof lattice_of / sizeof *lattice_of };

/* Generators --------------------------------------------------------------------------------- */

/* Columns are the basis. All entries doubled. */
static const int generator_e8[D][D] = {
    {4, -2, 0, 0, 0, 0, 0, 1}, {0, 2, -2, 0, 0, 0, 0, 1}, {0, 0, 2, -2, 0, 0, 0, 1},
    {0, 0, 0, 2, -2, 0, 0, 1}, {0, 0, 0, 0, 2, -2, 0, 1}, {0, 0, 0, 0, 0, 2, -2, 1},
    {0, 0, 0, 0, 0, 0, 2, 1},  {0, 0, 0, 0, 0, 0, 0, 1},
};
static const int inverse_e8[D][D] = {
    {1, 1, 1, 1, 1, 1, 1, -7}, {0, 2, 2, 2, 2, 2, 2, -12}, {0, 0, 2, 2, 2, 2, 2, -10},
    {0, 0, 0, 2, 2, 2, 2, -8}, {0, 0, 0, 0, 2, 2, 2, -6},  {0, 0, 0, 0, 0, 2, 2, -4},
    {0, 0, 0, 0, 0, 0, 2, -2}, {0, 0, 0, 0, 0, 0, 0, 4},
};
static const int generator_d4[D][D] = {{-2, 2, 0, 0}, {-2, -2, 2, 0}, {0, 0, -2, 2}, {0, 0, 0, -2}};
static const int inverse_d4[D][D] = {
    {-1, -1, -1, -1}, {1, -1, -1, -1}, {0, 0, -2, -2}, {0, 0, 0, -2}};
static const int identity[D][D] = {{2},
                                   {0, 2},
                                   {0, 0, 2},
                                   {0, 0, 0, 2},
                                   {0, 0, 0, 0, 2},
                                   {0, 0, 0, 0, 0, 2},
                                   {0, 0, 0, 0, 0, 0, 2},
                                   {0, 0, 0, 0, 0, 0, 0, 2}};

static inline const int (*generator_of(hlq_lattice lattice)) [D] {
    return lattice == HLQ_LATTICE_E8   ? generator_e8
           : lattice == HLQ_LATTICE_D4 ? generator_d4
                                       : identity;
}

static inline const int (*inverse_of(hlq_lattice lattice)) [D] {
    return lattice == HLQ_LATTICE_E8   ? inverse_e8
           : lattice == HLQ_LATTICE_D4 ? inverse_d4
                                       : identity;
}

/* G z. */
static inline vec point_of(hlq_lattice lattice, const int z[D])
{
    const int (*g)[D] = generator_of(lattice);
    vec p = {{0}};
    for (int r = 0; r < D; r++) {
        for (int c = 0; c < D; c++) p.x[r] += g[r][c] * z[c];
    }
    return p;
}

/* z = G⁻¹ p: four times it is the product of what is doubled. */
static inline void coordinates_of(hlq_lattice lattice, vec p, int z[D])
{
    const int (*inverse)[D] = inverse_of(lattice);
    for (int r = 0; r < D; r++) {
        int sum = 0;
        for (int c = 0; c < D; c++) sum += inverse[r][c] * p.x[c];
        z[r] = sum / 4;
        if (sum % 4) abort(); /* p is no point of the lattice */
    }
}

/* Layers --------------------------------------------------------------------------------------- */

static inline int is_zero(vec v)
{
    for (int r = 0; r < D; r++) {
        if (v.x[r]) return 0;
    }
    return 1;
}

/*
 * Q(p / q), of points that lie on a boundary the one on the far side of a fixed direction ε: p is
 * moved by nudge / 8192, less than to any boundary that it is not on. ε is part of the format.
 */
static inline vec coarser_point(const hnlq_code *code, vec p)
{
    static const int nudge[D] = {31, 47, 66, 83, 97, 118, 131, 152};
    int64_t x[D] = {0}; /* in units of 1/(2 × 4096 q) */
    for (int r = 0; r < code->dim; r++) x[r] = 4096 * (int64_t)p.x[r] + nudge[r];
    return nearest_by_the_rule(code->lattice, x, 4096 * code->q);
}

/* x = G b - q Q(G b / q): the member of L / qL that stands for digits b. */
static inline vec representative_of(const hnlq_code *code, const int b[D])
{
    vec p = point_of(code->lattice, b);
    return vec_add(p, coarser_point(code, p), -code->q);
}

/* The same, for index Σ b[j] q^j. */
static inline vec representative_at(const hnlq_code *code, uint64_t index)
{
    int b[D] = {0};
    for (int j = 0; j < code->dim; j++, index /= (uint64_t)code->q) {
        b[j] = (int)(index % (uint64_t)code->q);
    }
    return representative_of(code, b);
}

/* Algorithm 1, from the point on. Returns 1 for an overload. */
static inline int encode_point(const hnlq_code *code, vec p, hnlq_digits *digits)
{
    *digits = (hnlq_digits){{{0}}};
    for (int m = 0; m < code->depth; m++) {
        int z[D];
        coordinates_of(code->lattice, p, z);
        for (int j = 0; j < code->dim; j++) {
            digits->digit[m][j] = (int)(z[j] - code->q * floor_div(z[j], code->q));
        }
        p = coarser_point(code, p);
    }
    return !is_zero(p);
}

/* Algorithm 2, from the coarsest `layers` layers. */
static inline vec decode_point(const hnlq_code *code, const hnlq_digits *digits, int layers)
{
    vec sum = {{0}};
    int weight = 1;
    for (int m = 0; m < code->depth; m++, weight *= code->q) {
        if (m < code->depth - layers) continue;
        sum = vec_add(sum, representative_of(code, digits->digit[m]), weight);
    }
    return sum;
}

/* Vectors of numbers --------------------------------------------------------------------------- */

/* Scale of retry T, as the library rounds it. */
static inline float scale_of_retry(const hlq_quantizer_params *params, int t)
{
    return (float)(params->beta * exp2(params->alpha * t));
}

/* x / β + shift as the header says: x times fp32(1/β), plus the shift in fp32. */
static inline void scale_down(const hlq_quantizer_params *params, int t, const float *x,
                              const float *shift, float scaled[D])
{
    const float inverse = (float)(1 / (params->beta * exp2(params->alpha * t)));
    for (int j = 0; j < params->dim; j++) {
        const float product = x[j] * inverse;
        scaled[j] = product + shift[j];
    }
}

/* Q of numbers rounded to multiples of 2^-26. From 2^20 on they count as 0, and *far is set. */
static inline vec first_point(const hnlq_code *code, const float *scaled, int *far)
{
    int64_t units[D] = {0};
    *far = 0;
    for (int j = 0; j < code->dim; j++) {
        if (fabsf(scaled[j]) >= 0x1p20f) *far = 1;
        else units[j] = llrint((double)scaled[j] * UNIT);
    }
    return nearest_by_the_rule(code->lattice, units, UNIT / 2);
}

typedef struct hnlq_encoded {
    hnlq_digits digits;
    int retries, overload;
} hnlq_encoded;

/* Algorithm 1 with the ramp: T is the first try that fits, or the last. */
static inline hnlq_encoded encode_vector(const hnlq_code *code, const hlq_quantizer_params *params,
                                         const float *x, const float *shift)
{
    hnlq_encoded e = {.overload = 1};
    for (int t = 0; t <= params->max_retries && e.overload; t++) {
        float scaled[D];
        int far;
        scale_down(params, t, x, shift, scaled);
        vec p = first_point(code, scaled, &far);
        e.overload = encode_point(code, p, &e.digits) | far;
        e.retries = t;
    }
    return e;
}

/* Algorithm 2: one fp32 subtraction, one multiplication. */
static inline void decode_vector(const hnlq_code *code, const hlq_quantizer_params *params,
                                 const hnlq_digits *digits, int retries, const float *shift,
                                 int layers, float *x)
{
    vec p = decode_point(code, digits, layers);
    for (int j = 0; j < code->dim; j++) {
        const float value = 0.5f * (float)p.x[j] - shift[j];
        x[j] = value * scale_of_retry(params, retries);
    }
}

#endif
