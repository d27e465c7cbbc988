/*
 * The lattices that the quantizer offers: their constants, nearest points, and the examples that
 * the literature and other programs give.
 */
#include "quantizer_test.h"

enum { SAMPLES = 1 << 19 };

static hlq_lattice_info lattice_info(const hnlq_code *code)
{
    hlq_lattice_info info = {.struct_bytes = sizeof info};
    CHECK_EQ(hlq_lattice_describe(code->lattice, code->dim, &info), HLQ_OK);
    hlq_test_case("%s, dim %d", hlq_lattice_name(code->lattice), code->dim);
    return info;
}

/* Constants ---------------------------------------------------------------------------------- */

static void test_generator_and_inverse_are_those_of_the_codes(void)
{
    for (int l = 0; l < LATTICES; l++) {
        const int dim = lattice_of[l].dim, (*g)[D] = generator_of(lattice_of[l].lattice);
        hlq_lattice_info info = lattice_info(&lattice_of[l]);
        CHECK_EQ(info.dim, dim);
        for (int r = 0; r < dim; r++) {
            for (int c = 0; c < dim; c++) {
                double product = 0;
                for (int k = 0; k < dim; k++) {
                    product += info.generator[r * dim + k] * info.inverse[k * dim + c];
                }
                CHECK(product == (r == c));
                CHECK(2 * info.generator[r * dim + c] == g[r][c]);
            }
        }
    }
}

static double determinant(const double *matrix, int dim)
{
    double a[D * D], det = 1;
    memcpy(a, matrix, (size_t)(dim * dim) * sizeof *a);
    for (int k = 0; k < dim; k++) { /* the pivots of these generators are never 0 */
        det *= a[k * dim + k];
        for (int r = k + 1; r < dim; r++) {
            const double factor = a[r * dim + k] / a[k * dim + k];
            for (int c = k; c < dim; c++) a[r * dim + c] -= factor * a[k * dim + c];
        }
    }
    return det;
}

/* Of the points with doubled coordinates of up to 2, the shortest but zero. */
static double shortest_vector(const hnlq_code *code)
{
    int64_t least = INT64_MAX;
    int64_t patterns = (int64_t)pow(5, code->dim);
    for (int64_t i = 0; i < patterns; i++) {
        vec v = {{0}};
        int64_t norm = 0;
        for (int64_t j = 0, rest = i; j < code->dim; j++, rest /= 5) {
            v.x[j] = (int)(rest % 5) - 2;
            norm += (int64_t)v.x[j] * v.x[j];
        }
        if (norm && norm < least && is_point(code->lattice, v)) least = norm;
    }
    return sqrt((double)least) / 2;
}

static void test_volume_and_packing_radius_are_those_of_the_points(void)
{
    for (int l = 0; l < LATTICES; l++) {
        hlq_lattice_info info = lattice_info(&lattice_of[l]);
        CHECK_WITHIN(info.volume, fabs(determinant(info.generator, info.dim)) - 1e-12,
                     fabs(determinant(info.generator, info.dim)) + 1e-12);
        CHECK_WITHIN(info.packing_radius, shortest_vector(&lattice_of[l]) / 2 - 1e-12,
                     shortest_vector(&lattice_of[l]) / 2 + 1e-12);
    }
}

/* Distances of random x to the nearest point: their mean square is the second moment (known to a
   standard error below 0.1 % here), none is above the covering radius, and deep holes reach it. */
static void test_second_moment_and_covering_radius_are_those_of_the_cells(void)
{
    static float x[SAMPLES * D], point[SAMPLES * D];
    static const float hole_z[D] = {0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f}, hole[D] = {1};
    hlq_rng rng = hlq_rng_new(1);
    for (size_t i = 0; i < SAMPLES * D; i++) x[i] = (float)(256 * hlq_rng_uniform(&rng));
    for (int l = 0; l < LATTICES; l++) {
        const size_t dim = (size_t)lattice_of[l].dim;
        const hlq_lattice lattice = lattice_of[l].lattice;
        hlq_lattice_info info = lattice_info(&lattice_of[l]);
        double sum = 0, largest = 0, deep = 0;
        CHECK_EQ(hlq_lattice_nearest(lattice, (int)dim, x, SAMPLES, point), HLQ_OK);
        for (size_t v = 0; v < SAMPLES; v++) {
            double norm = 0;
            for (size_t j = 0; j < dim; j++) {
                const double error = (double)x[v * dim + j] - (double)point[v * dim + j];
                norm += error * error;
            }
            sum += norm / (double)dim / SAMPLES;
            largest = fmax(largest, sqrt(norm));
        }
        CHECK_WITHIN(sum, 0.995 * info.second_moment, 1.005 * info.second_moment);
        CHECK_AT_MOST(largest, info.covering_radius);
        const float *at = lattice == HLQ_LATTICE_Z ? hole_z : hole;
        CHECK_EQ(hlq_lattice_nearest(lattice, (int)dim, at, 1, point), HLQ_OK);
        for (size_t j = 0; j < dim; j++) deep += pow((double)at[j] - (double)point[j], 2);
        CHECK_WITHIN(sqrt(deep), info.covering_radius - 1e-7, info.covering_radius + 1e-7);
    }
}

/* Nearest points ----------------------------------------------------------------------------- */

/* By the rule of lattice_model.h, which is compared with a search of all points elsewhere; sizes
   from 2^-30 to the limit, half of them rounded to multiples of 1/4, which are nearly all ties. */
static void test_nearest_points_follow_the_rule(void)
{
    static float x[1000 * D], point[1000 * D];
    hlq_rng rng = hlq_rng_new(2);
    for (int l = 0; l < LATTICES; l++) {
        const hnlq_code *code = &lattice_of[l];
        const size_t dim = (size_t)code->dim;
        for (int scale = -30; scale <= 18; scale++) {
            hlq_test_case("%s, dim %d, 2^%d", hlq_lattice_name(code->lattice), code->dim, scale);
            for (size_t i = 0; i < 1000 * dim; i++) {
                x[i] = (float)(exp2(scale) * fmax(-4, fmin(4, hlq_rng_gauss(&rng))));
                if (i / dim % 2) x[i] = rintf(4 * x[i]) / 4;
                x[i] = fmaxf(-0x1.fffffep19f, fminf(0x1.fffffep19f, x[i]));
            }
            CHECK_EQ(hlq_lattice_nearest(code->lattice, code->dim, x, 1000, point), HLQ_OK);
            for (size_t v = 0; v < 1000; v++) {
                int far;
                vec p = first_point(code, x + v * dim, &far);
                for (size_t j = 0; j < dim; j++) CHECK(2 * point[v * dim + j] == p.x[j]);
            }
            CHECK_EQ(hlq_lattice_nearest(code->lattice, code->dim, x, 999, x), HLQ_OK);
            CHECK_BYTES(x, point, 999 * dim * sizeof *x); /* in place */
        }
    }
}

static void test_numbers_beyond_the_limit_are_refused(void)
{
    float x[8] = {0};
    for (int l = 0; l < LATTICES; l++) {
        const hnlq_code *code = &lattice_of[l];
        const int last = code->dim - 1;
        x[last] = -0x1p20f;
        CHECK_REFUSED(hlq_lattice_nearest(code->lattice, code->dim, x, 1, x), HLQ_E_INVALID,
                      "1048576");
        x[last] = 0x1p20f;
        CHECK_REFUSED(hlq_lattice_nearest(code->lattice, code->dim, x, 1, x), HLQ_E_INVALID,
                      "1048576");
        x[last] = 0;
        CHECK_EQ(hlq_lattice_nearest(code->lattice, code->dim, NULL, 0, NULL), HLQ_OK);
    }
}

/* Published examples ------------------------------------------------------------------------- */

/* Conway and Sloane 1982 (D4 and E8), and one between both cosets of E8. */
static void test_nearest_points_of_published_examples(void)
{
    static const struct {
        hlq_lattice lattice;
        int dim;
        float x[D], point[D];
    } example[] = {
        {HLQ_LATTICE_D4, 4, {0.6f, -1.1f, 1.7f, 0.1f}, {1, -1, 2, 0}},
        {HLQ_LATTICE_E8,
         8,
         {0.1f, 0.1f, 0.8f, 1.3f, 2.2f, -0.6f, -0.7f, 0.9f},
         {0, 0, 1, 1, 2, 0, -1, 1}},
        {HLQ_LATTICE_E8, 8, {0.49f, 1.01f, 1.01f, 0.49f}, {0, 1, 1}},
    };
    for (size_t e = 0; e < sizeof example / sizeof *example; e++) {
        float point[D] = {0};
        hlq_test_case("example %zu", e);
        CHECK_EQ(hlq_lattice_nearest(example[e].lattice, example[e].dim, example[e].x, 1, point),
                 HLQ_OK);
        CHECK_BYTES(point, example[e].point, sizeof point);
    }
}

/* Digits, T and decoded numbers that other programs print; T and digits where they print them. */
static void test_codes_of_published_examples(void)
{
    static const struct {
        hnlq_code code;
        double beta, alpha;
        int max_retries, retries, overload;
        float x[D], decoded[D];
        int digits[2 * D]; /* -1: not given */
    } example[] = {
        {{HLQ_LATTICE_D4, 4, 4, 2},
         1,
         1,
         0,
         0,
         0,
         {0.6f, -1.1f, 1.7f, 0.1f},
         {1, -1, 2, 0},
         {3, 0, 2, 0, 0, 0, 0, 0}},
        {{HLQ_LATTICE_Z, 2, 3, 2}, 1, 1, 0, 0, 0, {2.7f, -1.2f}, {3, -1}, {0, 2, 1, 0}},
        {{HLQ_LATTICE_Z, 2, 4, 1}, 1, 1, 0, 0, 1, {3.6f, 3.3f}, {0, -1}, {0, 3}},
        {{HLQ_LATTICE_Z, 2, 32, 1}, 0.5, 1, 0, 0, 0, {3.6f, 3.2f}, {3.5f, 3}, {7, 6}},
        {{HLQ_LATTICE_Z, 2, 3, 2}, 0.5, 1, 9, 4, 0, {20.3f, 20.4f}, {24, 24}, {-1}},
        {{HLQ_LATTICE_Z, 2, 3, 1}, 0.5, 1, 9, 5, 0, {20.3f, 20.4f}, {16, 16}, {1, 1}},
    };
    for (size_t e = 0; e < sizeof example / sizeof *example; e++) {
        hlq_quantizer_params params = params_of(&example[e].code);
        uint8_t digits[2 * D], retries, overload;
        uint64_t overloads;
        float decoded[D] = {0};
        params.beta = example[e].beta;
        params.alpha = example[e].alpha;
        params.max_retries = example[e].max_retries;
        hlq_quantizer *quantizer = quantizer_with(&params);
        hlq_test_case("example %zu", e);
        CHECK_EQ(
            hlq_encode(quantizer, example[e].x, 1, NULL, digits, &retries, &overload, &overloads),
            HLQ_OK);
        CHECK_EQ(retries, example[e].retries);
        CHECK_EQ(overload, example[e].overload);
        CHECK_EQ(overloads, example[e].overload);
        for (int i = 0; i < params.depth * params.dim && example[e].digits[0] >= 0; i++) {
            CHECK_EQ(digits[i], example[e].digits[i]);
        }
        CHECK_EQ(hlq_decode(quantizer, digits, &retries, 1, NULL, params.depth, decoded), HLQ_OK);
        CHECK_BYTES(decoded, example[e].decoded, (size_t)params.dim * sizeof *decoded);
        hlq_quantizer_destroy(quantizer);
    }
}

int main(void)
{
    hlq_test_start("test_quantizer_lattices");
    test_generator_and_inverse_are_those_of_the_codes();
    test_volume_and_packing_radius_are_those_of_the_points();
    test_second_moment_and_covering_radius_are_those_of_the_cells();
    test_nearest_points_follow_the_rule();
    test_numbers_beyond_the_limit_are_refused();
    test_nearest_points_of_published_examples();
    test_codes_of_published_examples();
    return hlq_test_end();
}
