/*
 * What the tests of linear layers share: the codes that layers can have, layers of random weights,
 * and their forward pass.
 */
#ifndef HLQ_TEST_LINEAR_TEST_H
#define HLQ_TEST_LINEAR_TEST_H

#include "quantizer_test.h"

#include <quantizer/rows.h>

/* q^dim ≤ 256; pairs of layers, single ones, both; entries of one, two and three planes. */
static const hnlq_code linear_codes[] = {
    {HLQ_LATTICE_D4, 4, 4, 1}, {HLQ_LATTICE_D4, 4, 4, 2},  {HLQ_LATTICE_D4, 4, 4, 3},
    {HLQ_LATTICE_D4, 4, 3, 2}, {HLQ_LATTICE_D4, 4, 4, 8},  {HLQ_LATTICE_E8, 8, 2, 4},
    {HLQ_LATTICE_E8, 8, 2, 3}, {HLQ_LATTICE_D4, 4, 2, 16}, {HLQ_LATTICE_Z, 1, 2, 4},
    {HLQ_LATTICE_Z, 1, 15, 3}, {HLQ_LATTICE_Z, 1, 16, 4},  {HLQ_LATTICE_Z, 1, 17, 3},
    {HLQ_LATTICE_Z, 1, 64, 2}, {HLQ_LATTICE_Z, 1, 255, 1}, {HLQ_LATTICE_Z, 1, 255, 2},
    {HLQ_LATTICE_Z, 2, 16, 3}, {HLQ_LATTICE_Z, 2, 15, 2},  {HLQ_LATTICE_Z, 4, 4, 2},
    {HLQ_LATTICE_Z, 4, 3, 5},  {HLQ_LATTICE_Z, 8, 2, 4},   {HLQ_LATTICE_Z, 1, 256, 2},
};
enum { LINEAR_CODES = sizeof linear_codes / sizeof *linear_codes };

/* Vectors of unit variance mostly fit: the code's cell has the volume of one of radius 3. */
static inline double beta_for(const hnlq_code *code)
{
    return 6 / pow(code->q, code->depth) / (code->lattice == HLQ_LATTICE_D4 ? 1.19 : 1);
}

typedef struct layer {
    hnlq_code code;
    hlq_quantizer_params params;
    hlq_quantizer *quantizer;
    size_t out, in, blocks;
    float *weight, *unpacked; /* [out, in] */
    uint8_t *indices;         /* [out, blocks, depth] */
    float *scales;            /* [out] */
    hlq_linear *linear;
    vec representative[256]; /* of each index, doubled */
} layer;

static inline hlq_linear_info layer_info(const hlq_linear *linear)
{
    hlq_linear_info info = {.struct_bytes = sizeof info};
    CHECK_EQ(hlq_linear_describe(linear, &info), HLQ_OK);
    return info;
}

static inline void *room(size_t bytes)
{
    void *p = calloc(bytes + 1, 1);
    if (!p) exit(2);
    return p;
}

static inline void take_apart(layer *l)
{
    CHECK_EQ(hlq_linear_save(l->linear, l->indices, l->scales), HLQ_OK);
    CHECK_EQ(hlq_linear_unpack(l->linear, 0, l->out, l->unpacked), HLQ_OK);
}

/* Rows of normal numbers, of sizes e^±2 apart. */
static inline layer layer_new(hlq_rng *rng, const hnlq_code *code, int centred, size_t out,
                              size_t in)
{
    layer l = {.code = *code, .out = out, .in = in, .blocks = in / (size_t)code->dim};
    l.params = params_of(code);
    l.params.beta = beta_for(code);
    l.params.centred = centred;
    l.quantizer = quantizer_with(&l.params);
    l.weight = room(out * in * sizeof(float));
    l.unpacked = room(out * in * sizeof(float));
    l.indices = room(out * l.blocks * (size_t)code->depth);
    l.scales = room(out * sizeof(float));
    for (size_t r = 0; r < out; r++) {
        double size = exp(2 * hlq_rng_gauss(rng));
        for (size_t i = 0; i < in; i++) {
            l.weight[r * in + i] = (float)(size * hlq_rng_gauss(rng));
        }
    }
    if (hlq_linear_pack(l.quantizer, l.weight, out, in, &l.linear) != HLQ_OK) {
        hlq_test_fail(__FILE__, __LINE__, "no layer: %s", hlq_quantizer_error());
        exit(2);
    }
    take_apart(&l);
    for (uint64_t i = 0; i < info_of(l.quantizer).layer_points; i++) {
        l.representative[i] = representative_at(code, i);
    }
    return l;
}

static inline void layer_free(layer *l)
{
    hlq_linear_destroy(l->linear);
    hlq_quantizer_destroy(l->quantizer);
    free(l->weight);
    free(l->unpacked);
    free(l->indices);
    free(l->scales);
}

/* Σ q^m × representative of block b of row r, doubled. */
static inline vec layer_point(const layer *l, size_t r, size_t b)
{
    const uint8_t *index = l->indices + (r * l->blocks + b) * (size_t)l->code.depth;
    vec sum = {{0}};
    for (int m = 0, weight = 1; m < l->code.depth; m++, weight *= l->code.q) {
        sum = vec_add(sum, l->representative[index[m]], weight);
    }
    return sum;
}

/* Layers of all kinds ---------------------------------------------------------------------------*/

typedef void layer_test(hlq_rng *rng, layer *l);

/* Every code, centred or not, in shapes around a tile of 64 rows and a piece of 64 blocks. */
static inline void on_layers(layer_test *test)
{
    static const size_t outs[] = {1, 63, 64, 65, 130}, blocks[] = {1, 2, 63, 64, 65, 150};
    hlq_rng rng = hlq_rng_new(1);
    for (int c = 0; c < 2 * LINEAR_CODES; c += FEWER_CASES ? 5 : 1) {
        const hnlq_code *code = &linear_codes[c / 2];
        const size_t out = outs[hlq_rng_below(&rng, 5)];
        const size_t in = blocks[hlq_rng_below(&rng, 6)] * (size_t)code->dim;
        hlq_test_case("%s, dim %d, q %d, depth %d, %scentred, %zu x %zu",
                      hlq_lattice_name(code->lattice), code->dim, code->q, code->depth,
                      c % 2 ? "" : "not ", out, in);
        layer l = layer_new(&rng, code, c % 2, out, in);
        test(&rng, &l);
        layer_free(&l);
    }
}

static inline float *random_rows(hlq_rng *rng, size_t rows, size_t columns)
{
    float *x = room(rows * columns * sizeof *x);
    for (size_t i = 0; i < rows * columns; i++) x[i] = (float)hlq_rng_gauss(rng);
    return x;
}

static inline double distance2(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sum;
}

/* Forward -------------------------------------------------------------------------------------- */

enum { BATCH = 5 }; /* more rows than are worked on at once */

static inline hlq_quantizer *activation_of(const layer *l, int depth, double beta)
{
    hlq_quantizer_params params = l->params;
    params.depth = depth;
    params.beta = beta;
    return quantizer_with(&params);
}

static inline void forward(const layer *l, const hlq_quantizer *activation, const float *x,
                           size_t batch, float *y, int threads)
{
    uint64_t overloads = 77;
    if (hlq_linear_forward(l->linear, activation, x, batch, y, &overloads, threads) != HLQ_OK) {
        hlq_test_fail(__FILE__, __LINE__, "no result: %s", hlq_quantizer_error());
    }
    CHECK(overloads <= batch * l->blocks);
}

#endif
