/*
 * The quantizer's kernels of GPUs give the bytes of the scalar variant, on an emulated warp and
 * on a GPU, as test_cuda_lanes has it for those of collectives.
 */
#include "quantizer_test.h"
#include "gpu_kernels.h"

#include <quantizer/quantizer.h>

enum { VECTORS_MAX = 3 * HLQ_BLOCK_ELEMS + 5, WORD_BYTES = 4 };

/* Vectors of a code, and where an encoder and a decoder write. */
typedef struct batch {
    const hlq_hnlq *code;
    size_t vectors;
    hlq_dither_at dither;
    float x[VECTORS_MAX * HLQ_DIM_MAX], z[VECTORS_MAX * HLQ_DIM_MAX];
} batch;

typedef struct written {
    hlq_guarded digits, retries, overload, x;
} written;

static written written_new(const batch *b)
{
    const size_t dim = (size_t)b->code->dim, digits = dim * (size_t)b->code->depth;
    return (written){
        .digits = hlq_guarded_new((b->vectors * digits) << b->code->wide, GUARD_AFTER, WORD_BYTES),
        .retries = hlq_guarded_new(b->vectors, GUARD_AFTER, -1),
        .overload = hlq_guarded_new(b->vectors, GUARD_AFTER, -1),
        .x = hlq_guarded_new(b->vectors * dim * sizeof(float), GUARD_AFTER, -1),
    };
}

static void written_free(written *w)
{
    hlq_guarded *all[] = {&w->digits, &w->retries, &w->overload, &w->x};
    for (int i = 0; i < 4; i++) {
        CHECK(hlq_guarded_intact(all[i]));
        hlq_guarded_free(all[i]);
    }
}

/* From well inside the code to far outside; ties; every now and then a number that is none. */
static void fill_batch(hlq_rng *rng, batch *b, const hlq_quantizer_params *params)
{
    const size_t dim = (size_t)b->code->dim;
    const double reach = params->beta * pow(params->q, params->depth);
    for (size_t v = 0; v < b->vectors; v++) {
        const double size = reach * exp2(hlq_rng_between(rng, -6, 3));
        const int special = hlq_rng_between(rng, 0, 99), tied = hlq_rng_between(rng, 0, 3) == 0;
        for (size_t j = 0; j < dim; j++) {
            float *x = &b->x[v * dim + j];
            *x = (float)(size * hlq_rng_gauss(rng));
            if (tied) *x = (float)(params->beta * rint(2 * *x / params->beta) / 2);
            if (special == 0) *x = -0.0f;
            if (special == 1) *x *= 1e-42f;
            if (special == 2 && j == v % dim) *x = v % 2 ? NAN : -INFINITY;
            if (special == 3) *x = 3e38f;
        }
    }
    hlq_rng_fill(rng, hlq_rng_gauss, b->z, VECTORS_MAX * HLQ_DIM_MAX);
}

static void compare(const hlq_guarded *got, const hlq_guarded *want, const char *what)
{
    hlq_check_bytes(got->data, want->data, want->bytes, __FILE__, __LINE__, what);
}

static void compare_encoders(const batch *b, const written *got, const written *want)
{
    const hlq_encoded scalar =
        hlq_kernels_scalar.hnlq->encode(b->code, b->x, b->vectors, b->dither, want->digits.data,
                                        want->retries.data, want->overload.data);
    const hlq_encoded warp =
        hlq_hnlq_kernels_gpu.encode(b->code, b->x, b->vectors, b->dither, got->digits.data,
                                    got->retries.data, got->overload.data);
    CHECK_EQ(warp.overloads, scalar.overloads);
    CHECK_EQ(warp.nonfinite, scalar.nonfinite);
    compare(&got->digits, &want->digits, "digits");
    compare(&got->overload, &want->overload, "overload");
    if (b->code->tries > 1) compare(&got->retries, &want->retries, "retries");
}

/* Of the digits in `from`: numbers, where all digits are below q; else how many lanes are not. */
static void compare_decoders(const batch *b, const written *from, const written *got,
                             const written *want, int layers)
{
    const uint8_t *retries = b->code->tries > 1 ? from->retries.data : NULL;
    const uint64_t scalar = hlq_kernels_scalar.hnlq->decode(
        b->code, from->digits.data, retries, b->vectors, b->dither, layers, want->x.data);
    const uint64_t warp = hlq_hnlq_kernels_gpu.decode(b->code, from->digits.data, retries,
                                                      b->vectors, b->dither, layers, got->x.data);
    CHECK_EQ(warp, scalar);
    if (!scalar) compare(&got->x, &want->x, "numbers");
}

static void check_batch(hlq_rng *rng, const batch *b)
{
    written got = written_new(b), want = written_new(b);
    compare_encoders(b, &got, &want);
    for (int layers = 1; layers <= b->code->depth; layers++) {
        compare_decoders(b, &want, &got, &want, layers);
    }
    if (b->vectors) { /* one wrong byte, of a digit that may still be right */
        ((uint8_t *)want.digits.data)[hlq_rng_below(rng, want.digits.bytes)] = 0xff;
        compare_decoders(b, &want, &got, &want, b->code->depth);
    }
    written_free(&got);
    written_free(&want);
}

static void check_code(const hnlq_code *code)
{
    static const size_t counts[] = {0, 1, 37, VECTORS_MAX};
    static batch b;
    hlq_rng rng = hlq_rng_new(1);
    for (int setting = 0; setting < 4; setting++) {
        hlq_quantizer_params params = params_of(code);
        params.beta = setting == 0 ? 1 : 0.37;
        params.max_retries = setting == 1 ? 3 : setting == 2 ? 12 : 0;
        params.alpha = setting == 1 ? 0.5 : 1.0 / 3;
        params.centred = setting >= 2 && few(code->q, code->dim) > 0;
        hlq_quantizer *quantizer = quantizer_with(&params);
        b.code = &quantizer->code;
        b.vectors = setting == 3 ? counts[hlq_rng_below(&rng, 3)] : counts[3] / (size_t)code->dim;
        b.dither = (hlq_dither_at){setting == 0 ? NULL : b.z, setting == 2 ? (size_t)code->dim : 0};
        fill_batch(&rng, &b, &params);
        name_case(code, setting == 0 ? "plain" : setting == 1 ? "ramp" : "centred");
        check_batch(&rng, &b);
        hlq_quantizer_destroy(quantizer);
    }
}

static void test_a_warp_gives_the_bytes_of_scalar(void) { for_each_code(check_code); }

int main(void)
{
    hlq_test_start("test_cuda_hnlq");
    hlq_skip_without_gpu();
    test_a_warp_gives_the_bytes_of_scalar();
    return hlq_test_end();
}
