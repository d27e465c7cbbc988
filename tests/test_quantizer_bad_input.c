/*
 * Parameters, numbers and digits that the quantizer cannot work with are refused, with a sentence
 * that has the numbers in it.
 */
#include "quantizer_test.h"

/* Parameters --------------------------------------------------------------------------------- */

static hlq_quantizer_params with(int q, int depth)
{
    hlq_quantizer_params params = HLQ_QUANTIZER_INIT;
    params.q = q;
    params.depth = depth;
    return params;
}

/* Refused with `part` in the sentence, or made if part is NULL. */
static void check_create(const hlq_quantizer_params *params, const char *part)
{
    hlq_quantizer *quantizer = NULL;
    hlq_status status = hlq_quantizer_create(params, &quantizer);
    CHECK_EQ(status == HLQ_OK, quantizer != NULL);
    if (part) CHECK_REFUSED(status, HLQ_E_INVALID, part);
    else CHECK_EQ(status, HLQ_OK);
    hlq_quantizer_destroy(quantizer);
}

static void test_parameters_out_of_range_are_refused(void)
{
    static const struct {
        int q, depth;
        const char *part;
    } sizes[] = {
        {1, 1, "q is 1"},      {0, 1, "q is 0"},       {-4, 1, "q is -4"},
        {6, 1, "q is 6"},      {10, 2, "q is 10"},     {65536, 1, "q is 65536"},
        {2, 0, "depth is 0"},  {2, 17, "depth is 17"}, {2, -1, "depth is -1"},
        {4, 9, "4^9"},         {256, 3, "256^3"},      {257, 2, "257^2"},
        {32767, 2, "32767^2"}, {2, 16, NULL},          {3, 10, NULL},
        {4, 8, NULL},          {256, 2, NULL},         {255, 2, NULL},
        {257, 1, NULL},        {32768, 1, NULL},       {32767, 1, NULL},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        hlq_quantizer_params params = with(sizes[i].q, sizes[i].depth);
        hlq_test_case("q %d, depth %d", sizes[i].q, sizes[i].depth);
        check_create(&params, sizes[i].part);
    }
}

static void test_scales_that_fp32_cannot_hold_are_refused(void)
{
    static const double betas[] = {0, -1, NAN, INFINITY, 1e-40, 1e40};
    hlq_quantizer_params params = with(4, 2);
    for (size_t i = 0; i < sizeof betas / sizeof *betas; i++) {
        params.beta = betas[i];
        hlq_test_case("beta %g", betas[i]);
        check_create(&params, "beta");
    }
    params = with(4, 2);
    params.max_retries = 255;
    check_create(&params, NULL);
    params.alpha = 4; /* 2^1020 */
    check_create(&params, "scales range from beta = 1 to 1.1");
    params.max_retries = 256;
    check_create(&params, "max_retries is 256");
    params.max_retries = -1;
    check_create(&params, "max_retries is -1");
    params = with(4, 2);
    params.alpha = 0;
    check_create(&params, "alpha is 0");
    params.alpha = NAN;
    check_create(&params, "alpha is nan");
}

static void test_centring_is_refused_where_it_would_take_too_long(void)
{
    hlq_quantizer_params params = with(256, 1);
    params.centred = 1;
    check_create(&params, "centred needs q^dim of at most 16777216; it is 256^4 = 4294967296");
    params.q = 64;
    check_create(&params, NULL);
}

static void test_lattices_that_do_not_exist_are_refused(void)
{
    static const struct {
        int lattice, dim;
    } none[] = {{HLQ_LATTICE_E8, 4},
                {HLQ_LATTICE_D4, 8},
                {HLQ_LATTICE_Z, 3},
                {HLQ_LATTICE_Z, 0},
                {HLQ_LATTICE_Z, -1},
                {HLQ_LATTICE_Z, 16},
                {3, 4},
                {-1, 4}};
    char part[64];
    float x[16] = {0};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        hlq_lattice_info info = {.struct_bytes = sizeof info};
        hlq_quantizer_params params = with(4, 2);
        params.lattice = (hlq_lattice)none[i].lattice;
        params.dim = none[i].dim;
        snprintf(part, sizeof part, "in %d dimensions", none[i].dim);
        check_create(&params, part);
        CHECK_REFUSED(hlq_lattice_describe(params.lattice, params.dim, &info), HLQ_E_INVALID, part);
        CHECK_REFUSED(hlq_lattice_nearest(params.lattice, params.dim, x, 1, x), HLQ_E_INVALID,
                      part);
    }
}

/* Arrays ------------------------------------------------------------------------------------- */

static void test_numbers_that_are_not_finite_are_refused(void)
{
    static float x[8 * 50], z[8 * 50], out[8 * 50];
    static uint8_t digits[16 * 50], retries[50];
    static const float wrong[] = {NAN, INFINITY, -INFINITY};
    uint64_t overloads;
    for (int l = 0; l < LATTICES; l++) {
        hnlq_code code = lattice_of[l];
        code.q = 4, code.depth = 2;
        hlq_quantizer *quantizer = quantizer_of(&code);
        const size_t last = 50 * (size_t)code.dim - 1;
        const hlq_dither dither = {z, 50};
        for (int w = 0; w < 3; w++) {
            char part[32];
            x[last] = wrong[w];
            snprintf(part, sizeof part, "x[%zu] is %s", last, w ? "infinite" : "NaN");
            CHECK_REFUSED(hlq_encode(quantizer, x, 50, NULL, digits, NULL, NULL, &overloads),
                          HLQ_E_INVALID, part);
            CHECK_REFUSED(hlq_quantize(quantizer, x, 50, NULL, out, NULL, &overloads),
                          HLQ_E_INVALID, part);
            CHECK_REFUSED(hlq_lattice_nearest(code.lattice, code.dim, x, 50, out), HLQ_E_INVALID,
                          part);
            x[last] = 0;
            z[last] = wrong[w];
            snprintf(part, sizeof part, "dither[%zu] is %s", last, w ? "infinite" : "NaN");
            CHECK_REFUSED(hlq_encode(quantizer, x, 50, &dither, digits, NULL, NULL, &overloads),
                          HLQ_E_INVALID, part);
            CHECK_REFUSED(hlq_decode(quantizer, digits, NULL, 50, &dither, 2, out), HLQ_E_INVALID,
                          part);
            z[last] = 0;
        }
        CHECK_EQ(hlq_encode(quantizer, x, 50, &dither, digits, retries, NULL, &overloads), HLQ_OK);
        hlq_quantizer_destroy(quantizer);
    }
}

static void test_the_decoder_refuses_what_no_encoder_writes(void)
{
    const hnlq_code code = {HLQ_LATTICE_D4, 4, 5, 3};
    hlq_quantizer_params params = params_of(&code);
    params.max_retries = 2;
    hlq_quantizer *quantizer = quantizer_with(&params);
    static uint8_t digits[12 * 70], retries[70];
    static float x[4 * 70];
    digits[12 * 69 + 11] = 5;
    CHECK_REFUSED(hlq_decode(quantizer, digits, retries, 70, NULL, 3, x), HLQ_E_INVALID,
                  "digit 839 is 5");
    CHECK_REFUSED(hlq_decode(quantizer, digits, retries, 70, NULL, 1, x), HLQ_E_INVALID,
                  "digit 839 is 5");
    digits[12 * 69 + 11] = 4;
    retries[68] = 3;
    CHECK_REFUSED(hlq_decode(quantizer, digits, retries, 70, NULL, 3, x), HLQ_E_INVALID,
                  "retries[68] is 3");
    retries[68] = 2;
    CHECK_EQ(hlq_decode(quantizer, digits, retries, 70, NULL, 3, x), HLQ_OK);
    CHECK_REFUSED(hlq_decode(quantizer, digits, retries, 70, NULL, 0, x), HLQ_E_INVALID,
                  "layers is 0");
    CHECK_REFUSED(hlq_decode(quantizer, digits, retries, 70, NULL, 4, x), HLQ_E_INVALID,
                  "layers is 4");
    CHECK_REFUSED(hlq_decode(quantizer, digits, NULL, 70, NULL, 3, x), HLQ_E_INVALID,
                  "retries is NULL");
    hlq_quantizer_destroy(quantizer);
}

static void test_dither_has_one_vector_or_as_many_as_x(void)
{
    const hnlq_code code = {HLQ_LATTICE_D4, 4, 4, 2};
    hlq_quantizer *quantizer = quantizer_of(&code);
    float x[12] = {0}, z[12] = {0};
    uint8_t digits[24];
    uint64_t overloads;
    for (size_t vectors = 0; vectors <= 4; vectors++) {
        const hlq_dither dither = {z, vectors};
        hlq_status status = hlq_encode(quantizer, x, 3, &dither, digits, NULL, NULL, &overloads);
        CHECK_EQ(status, vectors == 1 || vectors == 3 ? HLQ_OK : HLQ_E_INVALID);
    }
    hlq_quantizer_destroy(quantizer);
}

static void test_null_is_refused_unless_there_is_nothing_to_do(void)
{
    const hnlq_code code = {HLQ_LATTICE_D4, 4, 4, 2};
    hlq_quantizer *quantizer = quantizer_of(&code), *made;
    hlq_quantizer_params unset = {0}, ramp = params_of(&code);
    hlq_quantizer_info info = {0};
    hlq_lattice_info lattice = {0};
    float x[4] = {0};
    uint8_t digits[8] = {0};
    uint64_t overloads = 7;
    CHECK_REFUSED(hlq_quantizer_create(NULL, &made), HLQ_E_INVALID, "params is NULL");
    CHECK_REFUSED(hlq_quantizer_create(&unset, &made), HLQ_E_INVALID, "struct_bytes");
    CHECK_REFUSED(hlq_quantizer_create(&ramp, NULL), HLQ_E_INVALID, "quantizer is NULL");
    CHECK_REFUSED(hlq_quantizer_describe(quantizer, &info), HLQ_E_INVALID, "struct_bytes");
    CHECK_REFUSED(hlq_lattice_describe(HLQ_LATTICE_D4, 4, &lattice), HLQ_E_INVALID, "struct_bytes");
    CHECK_REFUSED(hlq_lattice_nearest(HLQ_LATTICE_D4, 4, NULL, 1, x), HLQ_E_INVALID, "NULL");
    CHECK_REFUSED(hlq_encode(NULL, x, 1, NULL, digits, NULL, NULL, &overloads), HLQ_E_INVALID,
                  "quantizer is NULL");
    CHECK_REFUSED(hlq_encode(quantizer, NULL, 1, NULL, digits, NULL, NULL, &overloads),
                  HLQ_E_INVALID, "NULL");
    CHECK_REFUSED(hlq_encode(quantizer, x, 1, NULL, NULL, NULL, NULL, &overloads), HLQ_E_INVALID,
                  "NULL");
    CHECK_REFUSED(hlq_encode(quantizer, x, 1, NULL, digits, NULL, NULL, NULL), HLQ_E_INVALID,
                  "overloads is NULL");
    CHECK_REFUSED(hlq_quantize(quantizer, x, 1, NULL, x, NULL, NULL), HLQ_E_INVALID,
                  "overloads is NULL");
    CHECK_REFUSED(hlq_quantize(quantizer, x, 1, NULL, NULL, NULL, &overloads), HLQ_E_INVALID,
                  "NULL");
    CHECK_REFUSED(hlq_decode(quantizer, NULL, NULL, 1, NULL, 2, x), HLQ_E_INVALID, "NULL");
    CHECK_REFUSED(hlq_decode(quantizer, digits, NULL, 1, NULL, 2, NULL), HLQ_E_INVALID, "NULL");
    CHECK_EQ(hlq_encode(quantizer, NULL, 0, NULL, NULL, NULL, NULL, &overloads), HLQ_OK);
    CHECK_EQ(overloads, 0);
    CHECK_EQ(hlq_decode(quantizer, NULL, NULL, 0, NULL, 2, NULL), HLQ_OK);
    hlq_quantizer_destroy(quantizer);
    hlq_quantizer_destroy(NULL);

    ramp.max_retries = 1;
    quantizer = quantizer_with(&ramp);
    CHECK_REFUSED(hlq_encode(quantizer, x, 1, NULL, digits, NULL, NULL, &overloads), HLQ_E_INVALID,
                  "retries is NULL, but max_retries is 1");
    hlq_quantizer_destroy(quantizer);
}

int main(void)
{
    hlq_test_start("test_quantizer_bad_input");
    CHECK_STR(hlq_quantizer_error(), ""); /* nothing has failed yet */
    test_parameters_out_of_range_are_refused();
    test_scales_that_fp32_cannot_hold_are_refused();
    test_centring_is_refused_where_it_would_take_too_long();
    test_lattices_that_do_not_exist_are_refused();
    test_numbers_that_are_not_finite_are_refused();
    test_the_decoder_refuses_what_no_encoder_writes();
    test_dither_has_one_vector_or_as_many_as_x();
    test_null_is_refused_unless_there_is_nothing_to_do();
    return hlq_test_end();
}
