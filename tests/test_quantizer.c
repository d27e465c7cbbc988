/*
 * What hierarchical nested-lattice quantization promises: points of the code come back exactly, the
 * layers telescope, their order matters, Z is scalar arithmetic. That the library is this algorithm
 * is test_quantizer_model.c's matter.
 */
#include "quantizer_test.h"

enum { POINTS = 20000 };

/* encode and decode without anything beside them; returns how many vectors overloaded. */
static uint64_t encode_simply(const hlq_quantizer *quantizer, const float *x, size_t vectors,
                              void *digits, uint8_t *overload)
{
    uint64_t overloads = 0;
    CHECK_EQ(hlq_encode(quantizer, x, vectors, NULL, digits, NULL, overload, &overloads), HLQ_OK);
    return overloads;
}

static void decode_simply(const hlq_quantizer *quantizer, const void *digits, size_t vectors,
                          int layers, float *x)
{
    CHECK_EQ(hlq_decode(quantizer, digits, NULL, vectors, NULL, layers, x), HLQ_OK);
}

static struct { /* of all codes */
    uint64_t codewords, points, inside;
} counted;

/*
 * Every digit pattern is a codeword, and the code of its own point: all of them where there are few
 * (then no two are the same point), else some.
 */
static void check_codewords(const hnlq_code *code)
{
    static uint8_t digits[256 * 4 * D], back[256 * 4 * D];
    static float x[256 * D];
    hlq_rng rng = hlq_rng_new(2);
    hlq_quantizer *quantizer = quantizer_of(code);
    const size_t length = (size_t)(code->depth * code->dim);
    const uint64_t all = few(code->q, (int)length), words = all ? all : POINTS;
    if (length * digit_bytes_of(code->q) > 4 * D) goto done;
    for (uint64_t first = 0; first < words; first += 256) {
        const size_t count = words - first < 256 ? (size_t)(words - first) : 256;
        if (!all) random_digits(&rng, code->q, digits, count * length);
        for (uint64_t i = 0; all && i < count * length; i++) {
            uint64_t index = first + i / length;
            for (uint64_t j = i % length; j > 0; j--) index /= (uint64_t)code->q;
            set_digit(code->q, digits, i, (int)(index % (uint64_t)code->q));
        }
        decode_simply(quantizer, digits, count, code->depth, x);
        CHECK_EQ(encode_simply(quantizer, x, count, back, NULL), 0);
        CHECK_BYTES(back, digits, count * length * digit_bytes_of(code->q));
        counted.codewords += count;
    }
done:
    hlq_quantizer_destroy(quantizer);
}

/* A lattice point decodes to itself exactly if it is not overloaded, and to another if it is. */
static void check_lattice_points(const hnlq_code *code)
{
    static uint8_t digits[2 * 256 * DEPTH_MAX * D], overload[256];
    static float x[256 * D], back[256 * D];
    hlq_rng rng = hlq_rng_new(3);
    hlq_quantizer *quantizer = quantizer_of(code);
    const int reach = (int)pow(code->q, code->depth) + 2;
    const size_t dim = (size_t)code->dim;
    for (int round = 0; round < POINTS / 256; round++) {
        for (size_t v = 0; v < 256; v++) {
            int64_t near[D] = {0};
            for (size_t j = 0; j < dim; j++) near[j] = hlq_rng_between(&rng, -reach, reach);
            vec p = nearest_by_the_rule(code->lattice, near, 1);
            for (size_t j = 0; j < dim; j++) x[v * dim + j] = 0.5f * (float)p.x[j];
        }
        encode_simply(quantizer, x, 256, digits, overload);
        decode_simply(quantizer, digits, 256, code->depth, back);
        for (size_t v = 0; v < 256; v++) {
            const int same = memcmp(x + v * dim, back + v * dim, dim * sizeof *x) == 0;
            CHECK_EQ(overload[v], !same);
            counted.inside += (uint64_t)same;
        }
        counted.points += 256;
    }
    hlq_quantizer_destroy(quantizer);
}

static void test_lattice_points_of_the_code_come_back_exactly(void)
{
    for_each_code(check_codewords);
    for_each_code(check_lattice_points);
    printf("  codewords: %llu; lattice points: %llu, of them in the code %llu\n",
           (unsigned long long)counted.codewords, (unsigned long long)counted.points,
           (unsigned long long)counted.inside);
}

/* Of the top t layers and the top t - 1, the difference is q^m x_m with m = depth - t; and x_m is
   what Q leaves: p_m = q p_(m+1) + x_m, which makes the sum a telescope. */
static void check_telescope(const hnlq_code *code)
{
    uint8_t digits[2 * DEPTH_MAX * D];
    hlq_rng rng = hlq_rng_new(4);
    hlq_quantizer *quantizer = quantizer_of(code);
    name_case(code, "");
    for (int n = 0; n < 50; n++) {
        float part[D] = {0}, before[D] = {0};
        random_digits(&rng, code->q, digits, (size_t)(code->depth * code->dim));
        hnlq_digits d = load_digits(code, digits, 0);
        double weight = pow(code->q, code->depth);
        for (int t = 1; t <= code->depth; t++) {
            vec x = representative_of(code, d.digit[code->depth - t]);
            weight /= code->q;
            decode_simply(quantizer, digits, 1, t, part);
            for (int j = 0; j < code->dim; j++) {
                CHECK(part[j] - before[j] == 0.5 * x.x[j] * rint(weight));
                before[j] = part[j];
            }
        }
        vec p = decode_point(code, &d, code->depth);
        for (int m = 0; m < code->depth; m++) {
            vec next = coarser_point(code, p);
            CHECK(vec_equal(vec_add(p, next, -code->q), representative_of(code, d.digit[m])));
            p = next;
        }
        CHECK(is_zero(p));
    }
    hlq_quantizer_destroy(quantizer);
}

static void test_layers_telescope(void) { for_each_code(check_telescope); }

/* Swapping two layers gives another point, unless they are equal. */
static void check_permutation(const hnlq_code *code)
{
    uint8_t digits[2 * DEPTH_MAX * D], swapped[2 * DEPTH_MAX * D];
    float x[D], y[D];
    hlq_rng rng = hlq_rng_new(5);
    hlq_quantizer *quantizer = quantizer_of(code);
    const size_t layer = (size_t)code->dim * digit_bytes_of(code->q);
    name_case(code, "");
    for (int n = 0; n < 200; n++) {
        random_digits(&rng, code->q, digits, (size_t)(code->depth * code->dim));
        const size_t a = hlq_rng_below(&rng, (uint64_t)code->depth);
        const size_t b = hlq_rng_below(&rng, (uint64_t)code->depth);
        memcpy(swapped, digits, sizeof swapped);
        memcpy(swapped + a * layer, digits + b * layer, layer);
        memcpy(swapped + b * layer, digits + a * layer, layer);
        const int equal = memcmp(swapped, digits, (size_t)code->depth * layer) == 0;
        decode_simply(quantizer, digits, 1, code->depth, x);
        decode_simply(quantizer, swapped, 1, code->depth, y);
        CHECK_EQ(memcmp(x, y, (size_t)code->dim * sizeof *x) == 0, equal);
    }
    hlq_quantizer_destroy(quantizer);
}

static void test_layers_in_another_order_are_another_point(void)
{
    for_each_code(check_permutation);
}

/* Quantized numbers are quantized to themselves, with any β, centre and T, to fp32 rounding. */
static void check_idempotence(const hnlq_code *code)
{
    static float x[256 * D], once[256 * D], twice[256 * D];
    static uint8_t overload[256];
    hlq_rng rng = hlq_rng_new(6);
    uint64_t overloads;
    const size_t dim = (size_t)code->dim;
    name_case(code, "");
    for (int centred = 0; centred <= 1; centred++) {
        hlq_quantizer_params params = params_of(code);
        params.beta = 0.37;
        params.centred = centred;
        if (centred && !few(code->q, code->dim)) continue;
        hlq_quantizer *quantizer = quantizer_with(&params);
        for (size_t i = 0; i < 256 * dim; i++) {
            x[i] = (float)(0.1 * pow(code->q, code->depth) * hlq_rng_gauss(&rng));
        }
        CHECK_EQ(hlq_quantize(quantizer, x, 256, NULL, once, overload, &overloads), HLQ_OK);
        CHECK_EQ(hlq_quantize(quantizer, once, 256, NULL, twice, overload, &overloads), HLQ_OK);
        CHECK_EQ(overloads, 0);
        CHECK_BYTES(twice, once, 256 * dim * sizeof *x);
        hlq_quantizer_destroy(quantizer);
    }
}

static void test_quantizing_twice_changes_nothing(void) { for_each_code(check_idempotence); }

/* Z: digits are those of the balanced number system, found without any lattice. */
static void test_z_is_scalar_arithmetic(void)
{
    hlq_rng rng = hlq_rng_new(7);
    for (int l = 0; l < 4; l++) {
        for (int b = 0; b < BASES; b++) {
            const hnlq_code code = {HLQ_LATTICE_Z, lattice_of[l].dim, bases[b], 3};
            hlq_quantizer *quantizer = quantizer_of(&code);
            const double q = code.q;
            name_case(&code, "");
            for (int n = 0; n < 500; n++) {
                float x[D];
                uint8_t digits[3 * D], overload;
                int over = 0;
                for (int j = 0; j < code.dim; j++) x[j] = (float)(q * q * hlq_rng_gauss(&rng));
                encode_simply(quantizer, x, 1, digits, &overload);
                for (int j = 0; j < code.dim; j++) {
                    double n_m = floor((double)x[j] + 0.5);
                    for (int m = 0; m < 3; m++) {
                        CHECK_EQ(digits[m * code.dim + j], n_m - q * floor(n_m / q));
                        n_m = floor(n_m / q + 0.5);
                    }
                    over |= n_m != 0;
                }
                CHECK_EQ(overload, over);
            }
            hlq_quantizer_destroy(quantizer);
        }
    }
}

/* Representatives have mean zero once centred: the mean is what the quantizer says it is. */
static void test_the_mean_is_that_of_the_representatives(void)
{
    for (int l = 0; l < LATTICES; l++) {
        for (int b = 0; b < BASES; b++) {
            const hnlq_code code = {lattice_of[l].lattice, lattice_of[l].dim, bases[b], 2};
            hlq_quantizer_params params = params_of(&code);
            const uint64_t points = few(code.q, code.dim);
            double sum[D] = {0};
            if (!points) continue;
            name_case(&code, "");
            params.centred = 1;
            hlq_quantizer *centred = quantizer_with(&params), *plain = quantizer_of(&code);
            hlq_quantizer_info info = info_of(centred), plain_info = info_of(plain);
            for (uint64_t i = 0; i < points; i++) {
                vec p = representative_at(&code, i);
                for (int j = 0; j < code.dim; j++) sum[j] += 0.5 * p.x[j];
            }
            CHECK_EQ(info.layer_points, points);
            for (int j = 0; j < HLQ_DIM_MAX; j++) {
                CHECK(info.mean[j] == (float)(sum[j] / (double)points));
                CHECK(plain_info.mean[j] == 0);
            }
            hlq_quantizer_destroy(centred);
            hlq_quantizer_destroy(plain);
        }
    }
}

int main(void)
{
    hlq_test_start("test_quantizer");
    test_lattice_points_of_the_code_come_back_exactly();
    test_layers_telescope();
    test_layers_in_another_order_are_another_point();
    test_quantizing_twice_changes_nothing();
    test_z_is_scalar_arithmetic();
    test_the_mean_is_that_of_the_representatives();
    return hlq_test_end();
}
