/*
 * The quantizer is Algorithms 1 and 2: every kernel variant gives the digits, retries, overloads
 * and numbers of the model in hnlq_model.h, whatever the scale, ramp, dither and centre.
 */
#include "quantizer_test.h"

#include <quantizer/quantizer.h>

enum { VECTORS_MAX = 37 * 8 };

typedef struct batch {
    hnlq_code code;
    hlq_quantizer_params params;
    size_t vectors;
    float x[VECTORS_MAX * D], out[VECTORS_MAX * D], z[VECTORS_MAX * D];
    hlq_dither dither, *dithered; /* NULL or &dither */
    float centre[D];              /* of the code */
    hlq_guarded digits;
    uint8_t retries[VECTORS_MAX], overload[VECTORS_MAX];
} batch;

/* Gaussian vectors of all sizes: well inside, at the edge, far outside; and multiples of 1/2. */
static void fill_batch(batch *b, hlq_rng *rng)
{
    const size_t dim = (size_t)b->code.dim;
    const double reach = b->params.beta * pow(b->code.q, b->code.depth);
    for (size_t v = 0; v < b->vectors; v++) {
        const double size = reach * exp2(hlq_rng_between(rng, -6, 3));
        const int special = hlq_rng_between(rng, 0, 63), tied = hlq_rng_between(rng, 0, 3) == 0;
        for (size_t j = 0; j < dim; j++) {
            float *x = &b->x[v * dim + j];
            *x = (float)(size * hlq_rng_gauss(rng));
            if (tied) *x = (float)(b->params.beta * rint(2 * *x / b->params.beta) / 2);
            if (special == 0) *x = 0.0f;
            if (special == 1) *x *= 1e-42f;
            if (special == 2 && j == v % dim) *x = v % 2 ? 3e38f : -2e7f;
        }
    }
    hlq_rng_fill(rng, hlq_rng_gauss, b->z, VECTORS_MAX * D);
}

static void shift_at(const batch *b, size_t v, const float *centre, float shift[D])
{
    const size_t dim = (size_t)b->code.dim;
    for (size_t j = 0; j < dim; j++) {
        const size_t row = b->dithered && b->dither.vectors == 1 ? 0 : v;
        shift[j] = (b->dithered ? b->z[row * dim + j] : 0.0f) + centre[j];
    }
}

/* Mean of a code of the layers depth - layers … depth - 1. */
static void centre_of(const hnlq_code *code, const float *mean, int layers, float centre[D])
{
    double weight = 0;
    for (int m = code->depth - layers; m < code->depth; m++) weight += pow(code->q, m);
    for (int j = 0; j < D; j++) centre[j] = (float)(mean[j] * weight);
}

static void check_encode(batch *b, const hlq_quantizer *quantizer)
{
    const size_t dim = (size_t)b->code.dim;
    uint64_t overloads = 99, want_overloads = 0;
    memset(b->retries, 0xee, sizeof b->retries);
    memset(b->overload, 0xee, sizeof b->overload);
    CHECK_EQ(hlq_encode(quantizer, b->x, b->vectors, b->dithered, b->digits.data, b->retries,
                        b->overload, &overloads),
             HLQ_OK);
    for (size_t v = 0; v < b->vectors; v++) {
        float shift[D];
        shift_at(b, v, b->centre, shift);
        hnlq_encoded want = encode_vector(&b->code, &b->params, b->x + v * dim, shift);
        hnlq_digits got = load_digits(&b->code, b->digits.data, v);
        if (!CHECK(memcmp(&got, &want.digits, sizeof got) == 0)) break;
        CHECK_EQ(b->retries[v], want.retries);
        CHECK_EQ(b->overload[v], want.overload);
        want_overloads += (uint64_t)want.overload;
    }
    CHECK_EQ(overloads, want_overloads);
    CHECK(hlq_guarded_intact(&b->digits));
}

static void check_decode(batch *b, const hlq_quantizer *quantizer, int layers)
{
    const size_t dim = (size_t)b->code.dim;
    float centre[D];
    centre_of(&b->code, info_of(quantizer).mean, layers, centre);
    CHECK_EQ(
        hlq_decode(quantizer, b->digits.data, b->retries, b->vectors, b->dithered, layers, b->out),
        HLQ_OK);
    for (size_t v = 0; v < b->vectors; v++) {
        float shift[D], want[D];
        shift_at(b, v, centre, shift);
        hnlq_digits digits = load_digits(&b->code, b->digits.data, v);
        decode_vector(&b->code, &b->params, &digits, b->retries[v], shift, layers, want);
        for (size_t j = 0; j < dim; j++) {
            if (b->out[v * dim + j] == want[j]) continue;
            CHECK_WITHIN(b->out[v * dim + j], want[j], want[j]);
            return;
        }
    }
}

/* quantize is decode after encode, in place too. */
static void check_quantize(batch *b, const hlq_quantizer *quantizer)
{
    const size_t dim = (size_t)b->code.dim;
    float inplace[VECTORS_MAX * D];
    uint8_t overload[VECTORS_MAX];
    uint64_t overloads;
    memcpy(inplace, b->x, sizeof inplace);
    CHECK_EQ(
        hlq_quantize(quantizer, inplace, b->vectors, b->dithered, inplace, overload, &overloads),
        HLQ_OK);
    CHECK_BYTES(inplace, b->out, b->vectors * dim * sizeof(float));
    CHECK_BYTES(overload, b->overload, b->vectors);
}

static void check_batch(batch *b, const hlq_kernels *kernels)
{
    hlq_quantizer *quantizer = quantizer_with(&b->params);
    quantizer->kernels = kernels;
    centre_of(&b->code, info_of(quantizer).mean, b->code.depth, b->centre);
    b->digits = hlq_guarded_new(b->vectors * digits_bytes(&b->code), GUARD_AFTER, -1);
    check_encode(b, quantizer);
    for (int layers = 1; layers <= b->code.depth; layers++) check_decode(b, quantizer, layers);
    check_quantize(b, quantizer);
    hlq_guarded_free(&b->digits);
    hlq_quantizer_destroy(quantizer);
}

static void check_code_with_model(const hnlq_code *code)
{
    static const size_t counts[] = {0, 1, 37, VECTORS_MAX};
    static batch b;
    hlq_rng rng = hlq_rng_new(1);
    const hlq_kernels *kernels;
    int supported;
    for (int setting = 0; setting < 6; setting++) {
        b.code = *code;
        b.params = params_of(code);
        b.params.beta = setting == 0 ? 1 : 0.37;
        b.params.max_retries = setting == 2 ? 3 : setting == 4 ? 12 : 0;
        b.params.alpha = setting == 2 ? 0.5 : 1.0 / 3;
        b.params.centred = setting >= 4 && few(code->q, code->dim) > 0;
        b.vectors = setting == 1 ? counts[hlq_rng_below(&rng, 4)] : VECTORS_MAX;
        b.dither = (hlq_dither){b.z, setting == 3 ? 1 : b.vectors};
        b.dithered = setting == 3 || setting == 5 ? &b.dither : NULL;
        fill_batch(&b, &rng);
        for (int i = 0; (kernels = hlq_kernels_at(i, &supported)) != NULL; i++) {
            char what[64];
            if (!supported) continue; /* test_dispatch says so */
            snprintf(what, sizeof what, "setting %d, %s", setting, kernels->name);
            name_case(code, what);
            check_batch(&b, kernels);
        }
    }
}

static void test_every_variant_gives_what_the_model_gives(void)
{
    for_each_code(check_code_with_model);
}

int main(void)
{
    hlq_test_start("test_quantizer_model");
    test_every_variant_gives_what_the_model_gives();
    return hlq_test_end();
}
