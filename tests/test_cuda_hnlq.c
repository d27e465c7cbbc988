/*
 * The quantizer's kernels of GPUs give the bytes of the scalar variant, on an emulated warp and
 * on a GPU, as test_cuda_lanes has it for those of collectives; and of what is invalid, what
 * cuda_hnlq.h says.
 */
#include "quantizer_test.h"
#include "gpu_kernels.h"

#include <quantizer/quantizer.h>

enum { VECTORS_MAX = 3 * HLQ_BLOCK_ELEMS + 5, WORD_BYTES = 4 };

/* Vectors of a code, and all that is written of them. */
typedef struct batch {
    const hlq_hnlq *code;
    size_t vectors;
    hlq_dither_at dither;
    float x[VECTORS_MAX * HLQ_DIM_MAX], z[VECTORS_MAX * HLQ_DIM_MAX];
} batch;

typedef struct written {
    hlq_guarded digits, retries, overload, x, flat;
    uint64_t overloads, bad;
} written;

static written written_new(const batch *b)
{
    const size_t dim = (size_t)b->code->dim, digits = dim * (size_t)b->code->depth;
    return (written){
        .digits = hlq_guarded_new((b->vectors * digits) << b->code->wide, GUARD_AFTER, WORD_BYTES),
        .retries = hlq_guarded_new(b->vectors, GUARD_AFTER, -1),
        .overload = hlq_guarded_new(b->vectors, GUARD_AFTER, -1),
        .x = hlq_guarded_new(b->vectors * dim * sizeof(float), GUARD_AFTER, -1),
        .flat = hlq_guarded_new(b->vectors * dim * sizeof(uint32_t), GUARD_AFTER, -1),
    };
}

static void written_free(written *w)
{
    hlq_guarded *all[] = {&w->digits, &w->retries, &w->overload, &w->x, &w->flat};
    for (int i = 0; i < 5; i++) {
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

/* What the GPU's functions get: the batch, and where they write. */
static hlq_cuda_vectors vectors_of(const batch *b, written *w)
{
    w->overloads = w->bad = 0;
    return (hlq_cuda_vectors){
        .code = *b->code,
        .vectors = b->vectors,
        .dither = b->dither,
        .digits = w->digits.data,
        .retries = b->code->tries > 1 ? w->retries.data : NULL,
        .overload = w->overload.data,
        .overloads = &w->overloads,
        .bad = &w->bad,
    };
}

static void compare_counts(const written *got, const written *want)
{
    CHECK_EQ(got->overloads, want->overloads);
    CHECK_EQ(got->bad, want->bad);
}

static size_t digits_of_vector(const batch *b) { return (size_t)(b->code->depth * b->code->dim); }

/* Whether a vector holds what is no digit. */
static int is_spoilt(const batch *b, const void *digits, size_t v)
{
    for (size_t i = 0; i < digits_of_vector(b); i++) {
        int digit = digit_at(b->code->q, digits, v * digits_of_vector(b) + i);
        if (digit < 0 || digit >= b->code->q) return 1;
    }
    return 0;
}

/* A few wrong bytes, of digits that may still be right. */
static void spoil(hlq_rng *rng, hlq_guarded *digits)
{
    const int wrong = digits->bytes ? hlq_rng_between(rng, 1, 3) : 0;
    for (int i = 0; i < wrong; i++) {
        const uint8_t byte = i ? (uint8_t)hlq_rng_between(rng, 2, 255) : 0xff;
        ((uint8_t *)digits->data)[hlq_rng_below(rng, digits->bytes)] = byte;
    }
}

static void set_no_numbers(const batch *b, float *x, size_t v)
{
    for (size_t j = 0; j < (size_t)b->code->dim; j++) x[v * (size_t)b->code->dim + j] = NAN;
}

static void set_no_digits(const batch *b, void *digits, size_t v)
{
    const size_t bytes = digits_of_vector(b) << b->code->wide;
    memset((char *)digits + v * bytes, 0xff, bytes);
}

/* Encode, quantize, decode --------------------------------------------------------------------- */

static void compare_encoders(const batch *b, written *got, written *want)
{
    const hlq_encoded scalar =
        hlq_kernels_scalar.hnlq->encode(b->code, b->x, b->vectors, b->dither, want->digits.data,
                                        want->retries.data, want->overload.data);
    const hlq_cuda_vectors vectors = vectors_of(b, got);
    hlq_gpu_hnlq_encode(&vectors, b->x);
    want->overloads = scalar.overloads;
    want->bad = scalar.nonfinite;
    compare_counts(got, want);
    compare(&got->digits, &want->digits, "digits");
    compare(&got->overload, &want->overload, "overload");
    if (b->code->tries > 1) compare(&got->retries, &want->retries, "retries");
}

/* Right after compare_encoders(): quantize() is decode(), but no numbers stay none. In place. */
static void compare_quantizers(batch *b, written *got, written *want)
{
    const size_t dim = (size_t)b->code->dim;
    float *lost = NULL, was = 0;
    if (b->dither.stride && b->vectors) {
        lost = &b->z[b->vectors / 2 * dim];
        was = *lost;
        *lost = INFINITY;
        compare_encoders(b, got, want);
    }
    const uint8_t *retries = b->code->tries > 1 ? want->retries.data : NULL;
    hlq_kernels_scalar.hnlq->decode(b->code, want->digits.data, retries, b->vectors, b->dither,
                                    b->code->depth, want->x.data);
    for (size_t i = 0; i < b->vectors * dim; i++) {
        const int is_number = isfinite(b->x[i]) && (!lost || isfinite(b->z[i]));
        if (!is_number) set_no_numbers(b, want->x.data, i / dim);
    }
    hlq_cuda_vectors vectors = vectors_of(b, got);
    vectors.retries = NULL;
    if (b->vectors) memcpy(got->x.data, b->x, got->x.bytes);
    hlq_gpu_hnlq_quantize(&vectors, got->x.data, got->x.data);
    compare_counts(got, want);
    compare(&got->x, &want->x, "quantized numbers");
    compare(&got->overload, &want->overload, "overload");
    if (lost) *lost = was;
}

/* Of the digits and T in `from`; of those that are none, NaN. */
static void compare_decoders(const batch *b, const written *from, written *got, written *want,
                             int layers)
{
    const size_t dim = (size_t)b->code->dim;
    const uint8_t *retries = b->code->tries > 1 ? from->retries.data : NULL;
    uint8_t known[VECTORS_MAX]; /* T that scalar has a scale for */
    for (size_t v = 0; retries && v < b->vectors; v++) {
        known[v] = retries[v] < b->code->tries ? retries[v] : 0;
    }
    want->bad = hlq_kernels_scalar.hnlq->decode(b->code, from->digits.data, retries ? known : NULL,
                                                b->vectors, b->dither, layers, want->x.data);
    want->overloads = 0;
    for (size_t v = 0; v < b->vectors; v++) {
        const int spoilt = is_spoilt(b, from->digits.data, v);
        const int unknown = retries && retries[v] >= b->code->tries;
        if (spoilt || unknown) set_no_numbers(b, (float *)want->x.data, v);
        want->bad += unknown && !spoilt;
    }
    hlq_cuda_vectors vectors = vectors_of(b, got);
    vectors.digits = from->digits.data;
    vectors.retries = (uint8_t *)(uintptr_t)retries;
    hlq_gpu_hnlq_decode(&vectors, layers, got->x.data);
    compare_counts(got, want);
    hlq_check_bytes(got->x.data, want->x.data, b->vectors * dim * sizeof(float), __FILE__, __LINE__,
                    "numbers");
}

/* Digits --------------------------------------------------------------------------------------- */

/* The sum of two vectors with wrong digits among them: scalar's where all are right. */
static void compare_sums(const batch *b, const written *a, const written *c, int is_alone,
                         written *got, written *want)
{
    want->bad =
        hlq_kernels_scalar.hnlq->add(b->code, a->digits.data, c->digits.data, b->vectors,
                                     want->digits.data, want->overload.data, &want->overloads);
    want->overloads = 0;
    for (size_t v = 0; v < b->vectors; v++) {
        uint8_t *overload = (uint8_t *)want->overload.data + v;
        if (is_spoilt(b, a->digits.data, v) || is_spoilt(b, c->digits.data, v)) {
            *overload = 1;
            set_no_digits(b, want->digits.data, v);
        }
        want->overloads += *overload;
    }
    hlq_cuda_vectors vectors = vectors_of(b, got);
    if (is_alone) { /* in place, and nobody is told */
        vectors.overload = NULL;
        vectors.overloads = vectors.bad = NULL;
        if (b->vectors) memcpy(got->digits.data, a->digits.data, a->digits.bytes);
        hlq_gpu_hnlq_add(&vectors, got->digits.data, c->digits.data);
    } else {
        hlq_gpu_hnlq_add(&vectors, a->digits.data, c->digits.data);
        compare_counts(got, want);
        compare(&got->overload, &want->overload, "overload of sums");
    }
    compare(&got->digits, &want->digits, "digits of sums");
}

static void compare_flat(const batch *b, const written *from, written *got, written *want)
{
    want->bad =
        hlq_kernels_scalar.hnlq->flatten(b->code, from->digits.data, b->vectors, want->flat.data);
    want->overloads = 0;
    for (size_t v = 0; v < b->vectors; v++) {
        const size_t bytes = (size_t)b->code->dim * sizeof(uint32_t);
        if (is_spoilt(b, from->digits.data, v))
            memset((char *)want->flat.data + v * bytes, 0xff, bytes);
    }
    hlq_cuda_vectors vectors = vectors_of(b, got);
    vectors.digits = from->digits.data;
    hlq_gpu_hnlq_flatten(&vectors, got->flat.data);
    compare_counts(got, want);
    compare(&got->flat, &want->flat, "flat codes");
}

/* Any flat codes, and now and then one that is too large. */
static void compare_unflat(hlq_rng *rng, const batch *b, written *got, written *want)
{
    const size_t dim = (size_t)b->code->dim;
    const uint32_t all = (uint32_t)pow(b->code->q, b->code->depth);
    const uint32_t large[] = {all, all + 1, INT32_MAX, UINT32_C(1) << 31, UINT32_MAX};
    uint32_t *flat = got->flat.data, *known = want->flat.data; /* what scalar may see */
    want->bad = want->overloads = 0;
    for (size_t v = 0; v < b->vectors; v++) {
        const size_t wrong = hlq_rng_below(rng, 20);
        for (size_t j = 0; j < dim; j++) {
            known[v * dim + j] = flat[v * dim + j] = (uint32_t)hlq_rng_below(rng, all);
        }
        if (wrong >= dim) continue;
        flat[v * dim + wrong] = large[hlq_rng_below(rng, 5)];
        known[v * dim + wrong] = 0;
        want->bad++;
    }
    hlq_kernels_scalar.hnlq->unflatten(b->code, known, b->vectors, want->digits.data);
    for (size_t v = 0; v < b->vectors; v++) {
        for (size_t j = 0; j < dim; j++) {
            if (flat[v * dim + j] >= all) set_no_digits(b, want->digits.data, v);
        }
    }
    const hlq_cuda_vectors vectors = vectors_of(b, got);
    hlq_gpu_hnlq_unflatten(&vectors, flat);
    compare_counts(got, want);
    compare(&got->digits, &want->digits, "digits of flat codes");
}

/* All of them, in all codes -------------------------------------------------------------------- */

static void check_digits(hlq_rng *rng, const batch *b, int is_alone, written *got, written *want)
{
    written a = written_new(b), c = written_new(b);
    const size_t count = b->vectors * digits_of_vector(b);
    random_digits(rng, b->code->q, a.digits.data, count);
    random_digits(rng, b->code->q, c.digits.data, count);
    spoil(rng, &a.digits);
    spoil(rng, &c.digits);
    compare_sums(b, &a, &c, is_alone, got, want);
    compare_flat(b, &a, got, want);
    compare_unflat(rng, b, got, want);
    written_free(&a);
    written_free(&c);
}

static void check_vectors(hlq_rng *rng, batch *b, written *got, written *want)
{
    compare_encoders(b, got, want);
    compare_quantizers(b, got, want);
    for (int layers = 1; layers <= b->code->depth; layers++) {
        compare_decoders(b, want, got, want, layers);
    }
    spoil(rng, &want->digits);
    if (b->vectors && b->code->tries > 1) {
        uint8_t *retries = want->retries.data;
        retries[hlq_rng_below(rng, b->vectors)] = (uint8_t)b->code->tries;
        retries[hlq_rng_below(rng, b->vectors)] = 255;
    }
    compare_decoders(b, want, got, want, b->code->depth);
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
        written got = written_new(&b), want = written_new(&b);
        check_vectors(&rng, &b, &got, &want);
        if (setting % 3 == 0) check_digits(&rng, &b, setting == 3, &got, &want);
        written_free(&got);
        written_free(&want);
        hlq_quantizer_destroy(quantizer);
    }
}

static void test_a_warp_gives_the_bytes_of_scalar(void) { for_each_code(check_code); }

/* Digits, of which some are none: then so is the sum, but for q = 256. */
static void compare_modq(hlq_rng *rng, int q, size_t count)
{
    const size_t bytes = count * digit_bytes_of(q);
    hlq_guarded a = hlq_guarded_new(bytes, GUARD_AFTER, WORD_BYTES),
                b = hlq_guarded_new(bytes, GUARD_AFTER, WORD_BYTES);
    hlq_guarded got = hlq_guarded_new(bytes, GUARD_AFTER, WORD_BYTES),
                want = hlq_guarded_new(bytes, GUARD_AFTER, -1);
    uint64_t bad = 0, wrong = 0;
    random_digits(rng, q, a.data, count);
    random_digits(rng, q, b.data, count);
    CHECK_EQ(hlq_digits_add_modq(q, a.data, b.data, count, want.data), HLQ_OK);
    for (size_t i = hlq_rng_below(rng, 9); i < count; i += 1 + hlq_rng_below(rng, 40)) {
        const int digit = hlq_rng_between(rng, 0, 3) ? q : -1;
        if (digit >= (q > 256 ? 32768 : 256) || (q == 256)) continue;
        set_digit(q, i % 2 ? a.data : b.data, i, digit);
        set_digit(q, want.data, i, -1);
        wrong++;
    }
    hlq_cuda_modq sum = {q, a.data, b.data, count, got.data, &bad};
    hlq_gpu_hnlq_add_modq(&sum);
    CHECK_EQ(bad, wrong);
    compare(&got, &want, "sums modulo q");
    sum.a = memcpy(got.data, a.data, bytes); /* in place, and nobody counts */
    sum.bad = NULL;
    hlq_gpu_hnlq_add_modq(&sum);
    compare(&got, &want, "sums modulo q in place");
    hlq_guarded *all[] = {&a, &b, &got, &want};
    for (int i = 0; i < 4; i++) {
        CHECK(hlq_guarded_intact(all[i]));
        hlq_guarded_free(all[i]);
    }
}

static void test_digits_are_added_modulo_q_as_on_the_host(void)
{
    static const int of[] = {2, 3, 4, 127, 128, 255, 256, 257, 512, 4097, 16384, 32767, 32768};
    static const size_t counts[] = {0, 1, 2, 3, 4, 5, 63, 64, 65, 127, 128, 129, 1000, 4096};
    hlq_rng rng = hlq_rng_new(2);
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        for (size_t j = 0; j < sizeof counts / sizeof *counts; j++) {
            hlq_test_case("q %d, %zu digits", of[i], counts[j]);
            compare_modq(&rng, of[i], counts[j]);
        }
    }
}

int main(void)
{
    hlq_test_start("test_cuda_hnlq");
    hlq_skip_without_gpu();
    test_a_warp_gives_the_bytes_of_scalar();
    test_digits_are_added_modulo_q_as_on_the_host();
    return hlq_test_end();
}
