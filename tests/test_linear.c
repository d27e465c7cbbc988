/*
 * Linear layers multiply by what they hold: exactly, to the last bit, where sums are integers, else
 * to the rounding that the header states; the same bytes with any kernel variant and any threads.
 */
#include "linear_test.h"

/* Relative error of one rounding to fp32, to double. */
static const double rounding32 = 0x1p-24, rounding64 = 0x1p-53;

/* Points of a row of activations, doubled: an encoder of the public interface, and the model. */
static void points_of_row(const layer *l, const hlq_quantizer *activation, const float *x,
                          vec *points, float *rms)
{
    hlq_quantizer_params params = info_of(activation).params;
    const hnlq_code code = {params.lattice, params.dim, params.q, params.depth};
    float *z = room(l->in * 4);
    uint8_t *digits = room(l->in * DEPTH_MAX), *retries = room(l->blocks);
    uint64_t overloads;
    params.alpha = 1.0 / 8;
    params.max_retries = 255;
    hlq_quantizer *shrinking = quantizer_with(&params);
    *rms = hlq_row_rms(x, l->in);
    for (size_t i = 0; i < l->in; i++) z[i] = x[i] / *rms;
    CHECK_EQ(hlq_encode(shrinking, z, l->blocks, NULL, digits, retries, NULL, &overloads), HLQ_OK);
    for (size_t b = 0; b < l->blocks; b++) {
        hnlq_digits d = load_digits(&code, digits, b);
        points[b] = decode_point(&code, &d, code.depth);
    }
    hlq_quantizer_destroy(shrinking);
    free(z), free(digits), free(retries);
}

/* mean × Σ q^m, as hlq_decode() takes it off. */
static void centre_of_code(const hlq_quantizer *quantizer, double centre[D])
{
    const hlq_quantizer_info info = info_of(quantizer);
    double weight = 0;
    for (int m = 0; m < info.params.depth; m++) weight += pow(info.params.q, m);
    for (int j = 0; j < D; j++) centre[j] = (float)(info.mean[j] * weight);
}

/* Not centred: an integer, and then exactly two products in double and a rounding. */
static void check_two_sided_row(const layer *l, const hlq_quantizer *activation, const float *x,
                                const float *y)
{
    vec *points = room(l->blocks * sizeof *points);
    float rms;
    double cw[D], cx[D], magnitude = 0;
    points_of_row(l, activation, x, points, &rms);
    centre_of_code(l->quantizer, cw);
    centre_of_code(activation, cx);
    const double beta = (double)(float)l->params.beta * (float)info_of(activation).params.beta;
    for (size_t r = 0; r < l->out; r++) {
        int64_t sum = 0;
        double shifted = 0;
        for (size_t b = 0; b < l->blocks; b++) {
            const vec w = layer_point(l, r, b);
            for (int j = 0; j < l->code.dim; j++) {
                const double term = (0.5 * w.x[j] - cw[j]) * (0.5 * points[b].x[j] - cx[j]);
                sum += (int64_t)w.x[j] * points[b].x[j];
                shifted += term;
                magnitude += fabs(0.25 * w.x[j] * points[b].x[j]) + fabs(term);
            }
        }
        CHECK(sum % 4 == 0);
        const double scale = (double)l->scales[r] * (beta * rms);
        const float want = (float)((double)(sum / 4) * scale);
        if (!l->params.centred) {
            CHECK_BYTES(&y[r], &want, sizeof want);
        } else {
            /* Centres are taken off one by one, or from the sum: doubles of this magnitude. */
            const double slack = ((double)l->in + 16) * 4 * rounding64 * magnitude * scale +
                                 rounding32 * fabs(shifted * scale);
            CHECK_WITHIN(y[r], shifted * scale - slack, shifted * scale + slack);
        }
    }
    free(points);
}

static void check_two_sided(hlq_rng *rng, layer *l)
{
    float *x = random_rows(rng, BATCH, l->in), *y = room(BATCH * l->out * 4);
    for (int depth = 1; depth <= 2; depth++) {
        if (depth > 1 && l->code.q > 255) continue;
        const hnlq_code code = {l->code.lattice, l->code.dim, l->code.q, depth};
        hlq_quantizer *activation = activation_of(l, depth, beta_for(&code));
        forward(l, activation, x, BATCH, y, 1);
        for (size_t i = 0; i < BATCH; i++) {
            check_two_sided_row(l, activation, x + i * l->in, y + i * l->out);
        }
        hlq_quantizer_destroy(activation);
    }
    hlq_quantizer *deep = activation_of(l, l->code.depth, l->params.beta);
    forward(l, deep, x, 1, y, 1);
    check_two_sided_row(l, deep, x, y);
    hlq_quantizer_destroy(deep);
    free(x), free(y);
}

static void test_two_sided_products_are_those_of_the_points(void) { on_layers(check_two_sided); }

/* Largest norm of x's blocks times that of representatives: what the header calls B. */
static double bound_of_entries(const layer *l, const float *x)
{
    static const float zeros[D];
    const hlq_quantizer_info info = info_of(l->quantizer);
    double block2 = 0, point2 = 0;
    for (size_t b = 0; b < l->blocks; b++) {
        const size_t dim = (size_t)l->code.dim;
        block2 = fmax(block2, distance2(x + b * dim, zeros, dim));
    }
    for (uint64_t i = 0; i < info.layer_points; i++) {
        const vec p = l->representative[i];
        double norm2 = 0;
        for (int j = 0; j < l->code.dim; j++) {
            norm2 += (0.5 * p.x[j] - info.mean[j]) * (0.5 * p.x[j] - info.mean[j]);
        }
        point2 = fmax(point2, norm2);
    }
    return sqrt(block2 * point2);
}

static void check_one_sided_row(const layer *l, const float *x, const float *y)
{
    /* Each entry: half a step, and the fp32 roundings of x / max |x|, products, sums, factor. */
    const double entry =
        bound_of_entries(l, x) * (0.5 / 32600 + (2.0 * l->code.dim + 5) * rounding32);
    double weights = 0, centre[D];
    for (int m = 0; m < l->code.depth; m++) weights += pow(l->code.q, m);
    centre_of_code(l->quantizer, centre);
    for (size_t r = 0; r < l->out; r++) {
        const float *w = l->unpacked + r * l->in;
        double want = 0, magnitude = 0, offset = 0;
        for (size_t j = 0; j < l->in; j++) {
            want += (double)x[j] * w[j];
            magnitude += fabs((double)x[j] * w[j]);
            offset += fabs(x[j] * centre[j % (size_t)l->code.dim]);
        }
        const double scale = fabs(l->scales[r] * l->params.beta);
        /* An unpacked weight is rounded to fp32 four times, its centre twice. */
        const double slack = (double)l->blocks * weights * entry * scale +
                             5 * rounding32 * (magnitude + offset * scale);
        CHECK_WITHIN(y[r], want - slack, want + slack);
    }
}

static void check_one_sided(hlq_rng *rng, layer *l)
{
    float *x = random_rows(rng, BATCH, l->in), *y = room(BATCH * l->out * 4);
    forward(l, NULL, x, BATCH, y, 1);
    for (size_t i = 0; i < BATCH; i++) check_one_sided_row(l, x + i * l->in, y + i * l->out);
    free(x), free(y);
}

static void test_one_sided_products_are_rounded_as_stated(void) { on_layers(check_one_sided); }

/* "About 2^-14" for normal numbers. */
static void test_one_sided_products_are_near(void)
{
    hlq_rng rng = hlq_rng_new(3);
    layer l = layer_new(&rng, &linear_codes[1], 0, 256, 1024);
    float *x = random_rows(&rng, 1, l.in), *y = room(l.out * 4);
    double error = 0, norm2 = 0;
    hlq_test_case("256 x 1024");
    forward(&l, NULL, x, 1, y, 1);
    for (size_t r = 0; r < l.out; r++) {
        double want = 0;
        for (size_t i = 0; i < l.in; i++) want += (double)x[i] * l.unpacked[r * l.in + i];
        error += (y[r] - want) * (y[r] - want) / l.scales[r] / l.scales[r];
        norm2 += want * want / l.scales[r] / l.scales[r];
    }
    CHECK_WITHIN(sqrt(error / norm2), 0, 0x1p-13);
    free(x), free(y);
    layer_free(&l);
}

static void check_variants_and_threads(hlq_rng *rng, layer *l)
{
    static const int threads[] = {1, 2, 3, 0};
    const hlq_kernels *kernels;
    int supported;
    const size_t bytes = BATCH * l->out * 4;
    float *x = random_rows(rng, BATCH, l->in), *one_sided = room(bytes), *two_sided = room(bytes);
    hlq_quantizer *activation = activation_of(l, 1, 1);
    forward(l, NULL, x, BATCH, one_sided, 1);
    forward(l, activation, x, BATCH, two_sided, 1);
    for (int i = 0; (kernels = hlq_kernels_at(i, &supported)) != NULL; i++) {
        layer other = *l;
        if (!supported) continue;
        l->quantizer->kernels = activation->kernels = kernels;
        CHECK_EQ(hlq_linear_pack(l->quantizer, l->weight, l->out, l->in, &other.linear), HLQ_OK);
        hlq_guarded y = hlq_guarded_new(bytes, GUARD_AFTER, -1);
        forward(&other, NULL, x, BATCH, y.data, threads[i % 4]);
        CHECK_BYTES(y.data, one_sided, bytes);
        forward(&other, activation, x, BATCH, y.data, threads[i % 4]);
        CHECK_BYTES(y.data, two_sided, bytes);
        hlq_guarded_free(&y);
        hlq_linear_destroy(other.linear);
    }
    hlq_quantizer_destroy(activation);
    free(x), free(one_sided), free(two_sided);
}

static void test_variants_and_threads_change_nothing(void)
{
    on_layers(check_variants_and_threads);
}

/* Large enough for several threads to be worth it. */
static void test_many_threads_change_nothing(void)
{
    hlq_rng rng = hlq_rng_new(4);
    layer l = layer_new(&rng, &linear_codes[1], 0, FEWER_CASES ? 300 : 1000, 2048);
    float *x = random_rows(&rng, BATCH, l.in);
    float *want = room(BATCH * l.out * 4), *y = room(BATCH * l.out * 4);
    forward(&l, NULL, x, BATCH, want, 1);
    for (int threads = 0; threads <= 9; threads += 3) {
        hlq_test_case("%zu x %zu, %d threads", l.out, l.in, threads);
        forward(&l, NULL, x, BATCH, y, threads);
        CHECK_BYTES(y, want, BATCH * l.out * 4);
    }
    free(x), free(want), free(y);
    layer_free(&l);
}

/* Sums of 16 bits are emptied in time, and entries fit their planes: all terms have one sign and
   the largest size there is. */
static void test_the_largest_sums_do_not_overflow(void)
{
    hlq_rng rng = hlq_rng_new(6);
    for (int c = 0; c < LINEAR_CODES; c += FEWER_CASES ? 5 : 1) {
        const hnlq_code *code = &linear_codes[c];
        const size_t blocks = 3000, depth = (size_t)code->depth;
        name_case(code, "largest sums");
        layer l = layer_new(&rng, code, 0, 2, blocks * (size_t)code->dim);
        int64_t most = -1;
        uint8_t largest = 0;
        for (uint64_t i = 0; i < few(code->q, code->dim); i++) {
            const vec p = l.representative[i];
            int64_t norm2 = 0;
            for (int j = 0; j < code->dim; j++) norm2 += (int64_t)p.x[j] * p.x[j];
            if (norm2 > most) most = norm2, largest = (uint8_t)i;
        }
        memset(l.indices, largest, 2 * blocks * depth);
        l.scales[0] = 1, l.scales[1] = -1;
        hlq_linear_destroy(l.linear);
        CHECK_EQ(hlq_linear_load(l.quantizer, l.indices, l.scales, 2, l.in, &l.linear), HLQ_OK);
        CHECK_EQ(hlq_linear_unpack(l.linear, 0, 2, l.unpacked), HLQ_OK);
        float y[2];
        hlq_quantizer *activation = activation_of(&l, 1, 0.1);
        forward(&l, activation, l.unpacked, 1, y, 1);
        check_two_sided_row(&l, activation, l.unpacked, y);
        CHECK(y[0] > 0 && y[1] == -y[0]);
        forward(&l, NULL, l.unpacked, 1, y, 1); /* x has the direction of the longest point */
        check_one_sided_row(&l, l.unpacked, y);
        hlq_quantizer_destroy(activation);
        layer_free(&l);
    }
}

int main(void)
{
    hlq_test_start("test_linear");
    test_two_sided_products_are_those_of_the_points();
    test_one_sided_products_are_rounded_as_stated();
    test_one_sided_products_are_near();
    test_variants_and_threads_change_nothing();
    test_many_threads_change_nothing();
    test_the_largest_sums_do_not_overflow();
    return hlq_test_end();
}
