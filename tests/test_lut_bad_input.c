/*
 * Look-up tables that cannot be, and look-ups that would go wrong, are refused with a sentence that
 * has the numbers in it.
 */
#include "quantizer_test.h"

#include <float.h>

static hlq_status build(hlq_lattice lattice, int dim, int q, int centred)
{
    const hnlq_code code = {lattice, dim, q, 1};
    hlq_quantizer_params params = params_of(&code);
    params.centred = centred;
    hlq_quantizer *quantizer = quantizer_with(&params);
    hlq_lut *lut = NULL;
    hlq_status status = hlq_lut_build_two_sided(quantizer, &lut);
    CHECK_EQ(lut != NULL, status == HLQ_OK);
    hlq_lut_destroy(lut);
    hlq_quantizer_destroy(quantizer);
    return status;
}

static void test_tables_too_large_are_refused_with_what_to_use_instead(void)
{
    CHECK_EQ(build(HLQ_LATTICE_E8, 8, 4, 0), HLQ_E_UNSUPPORTED);
    CHECK_STR(hlq_quantizer_error(),
              "a two-sided table of E8 with q = 4 would have 65536 x 65536 entries, more than "
              "67108864; use one-sided tables (hlq_lut_build_one_sided)");
    CHECK_EQ(build(HLQ_LATTICE_E8, 8, 16, 0), HLQ_E_UNSUPPORTED);
    CHECK_STR(
        hlq_quantizer_error(),
        "a two-sided table of E8 with q = 16 would have 4294967296 x 4294967296 entries, more "
        "than 67108864; decode (hlq_decode) and multiply");
    CHECK_REFUSED(build(HLQ_LATTICE_D4, 4, 11, 0), HLQ_E_UNSUPPORTED, "14641 x 14641");
    CHECK_REFUSED(build(HLQ_LATTICE_D4, 4, 11, 1), HLQ_E_UNSUPPORTED, "14641 x 14641");
    CHECK_REFUSED(build(HLQ_LATTICE_Z, 1, 363 + 2, 0), HLQ_E_UNSUPPORTED, "would reach 33306");
    CHECK_EQ(build(HLQ_LATTICE_D4, 4, 9, 0), HLQ_OK);

    const hnlq_code code = {HLQ_LATTICE_E8, 8, 16, 1};
    hlq_quantizer *quantizer = quantizer_of(&code);
    float y[8] = {0}, table[1];
    CHECK_REFUSED(hlq_lut_build_one_sided(quantizer, y, 1, table), HLQ_E_UNSUPPORTED,
                  "E8 with q = 16 would have 4294967296 entries");
    static const uint8_t digits[8] = {0};
    const hlq_code encoded = {quantizer, digits, NULL};
    double dot;
    CHECK_REFUSED(hlq_lut_dot_one_sided(y, &encoded, 1, &dot), HLQ_E_UNSUPPORTED,
                  "E8 with q = 16 would have 4294967296 entries");
    hlq_quantizer_destroy(quantizer);
}

static void test_sides_of_another_code_are_refused(void)
{
    static const hnlq_code right = {HLQ_LATTICE_D4, 4, 4, 2}, deep = {HLQ_LATTICE_D4, 4, 4, 8},
                           lattice = {HLQ_LATTICE_Z, 4, 4, 2}, base = {HLQ_LATTICE_D4, 4, 8, 2};
    static const uint8_t digits[32] = {0};
    hlq_quantizer_params params = params_of(&right);
    params.centred = 1;
    hlq_quantizer *centred = quantizer_with(&params), *same = quantizer_of(&right);
    hlq_quantizer *other[] = {quantizer_of(&lattice), quantizer_of(&base), centred};
    static const char *said[] = {"is of Z in 4 dimensions, q = 4", "q = 8", ", centred; the table"};
    hlq_quantizer *deeper = quantizer_of(&deep);
    hlq_lut *lut = two_sided_table_of(same);
    double dot;
    hlq_code a = {same, digits, NULL}, b = {deeper, digits, NULL};
    CHECK_EQ(hlq_lut_dot(lut, &a, &b, 1, &dot), HLQ_OK); /* depths may differ */
    for (int i = 0; i < 3; i++) {
        b.quantizer = other[i];
        CHECK_REFUSED(hlq_lut_dot(lut, &a, &b, 1, &dot), HLQ_E_INVALID, said[i]);
        CHECK_REFUSED(hlq_lut_dot(lut, &b, &a, 1, &dot), HLQ_E_INVALID, said[i]);
        hlq_quantizer_destroy(other[i]);
    }
    hlq_lut_destroy(lut);
    hlq_quantizer_destroy(same);
    hlq_quantizer_destroy(deeper);
}

static void test_bad_digits_and_retries_are_refused(void)
{
    const hnlq_code code = {HLQ_LATTICE_D4, 4, 4, 2};
    hlq_quantizer_params params = params_of(&code);
    params.max_retries = 3;
    hlq_quantizer *quantizer = quantizer_with(&params);
    hlq_lut *lut = two_sided_table_of(quantizer);
    static uint8_t good[8 * 300], bad[8 * 300], retries[300];
    static float table[300 * 256];
    double dot = 7;
    hlq_code a = {quantizer, good, NULL}, b = {quantizer, bad, NULL};
    bad[8 * 299 + 5] = 4;
    CHECK_REFUSED(hlq_lut_dot(lut, &a, &b, 300, &dot), HLQ_E_INVALID, "digit 2397 is 4");
    CHECK_REFUSED(hlq_lut_dot(lut, &b, &a, 300, &dot), HLQ_E_INVALID, "digit 2397 is 4");
    CHECK_REFUSED(hlq_lut_dot_one_sided(table, &b, 300, &dot), HLQ_E_INVALID, "digit 2397 is 4");
    retries[298] = 4;
    a.retries = retries;
    CHECK_REFUSED(hlq_lut_dot(lut, &a, &a, 300, &dot), HLQ_E_INVALID, "retries[298] is 4");
    CHECK_REFUSED(hlq_lut_dot_one_sided(table, &a, 300, &dot), HLQ_E_INVALID, "retries[298] is 4");
    hlq_lut_destroy(lut);
    hlq_quantizer_destroy(quantizer);
}

static void test_numbers_that_have_no_table_are_refused(void)
{
    const hnlq_code code = {HLQ_LATTICE_D4, 4, 4, 2};
    hlq_quantizer *quantizer = quantizer_of(&code);
    static float table[2 * 256];
    float y[8] = {1, 2, 3, 4, 5, NAN, 7, 8};
    CHECK_REFUSED(hlq_lut_build_one_sided(quantizer, y, 2, table), HLQ_E_INVALID, "y[5] is NaN");
    y[5] = -INFINITY;
    CHECK_REFUSED(hlq_lut_build_one_sided(quantizer, y, 2, table), HLQ_E_INVALID,
                  "y[5] is infinite");
    y[5] = FLT_MAX / 2; /* times a representative of norm 4 */
    CHECK_REFUSED(hlq_lut_build_one_sided(quantizer, y, 2, table), HLQ_E_INVALID,
                  "vector 1 of y has norm 1.70141e+38");
    y[5] = FLT_MAX / 8;
    CHECK_EQ(hlq_lut_build_one_sided(quantizer, y, 2, table), HLQ_OK);
    for (int i = 0; i < 512; i++) CHECK(isfinite(table[i]));
    hlq_quantizer_destroy(quantizer);
}

static void test_null_is_refused_unless_there_is_nothing_to_do(void)
{
    const hnlq_code code = {HLQ_LATTICE_D4, 4, 4, 2};
    hlq_quantizer *quantizer = quantizer_of(&code);
    hlq_lut *lut = two_sided_table_of(quantizer), *none;
    hlq_lut_info unset = {0}, *info = &unset;
    static const uint8_t digits[8];
    float table[256] = {0}, y[4] = {0};
    double dot = 7;
    const hlq_code a = {quantizer, digits, NULL}, no_digits = {quantizer, NULL, NULL},
                   no_quantizer = {NULL, digits, NULL};
    CHECK_REFUSED(hlq_lut_build_two_sided(NULL, &none), HLQ_E_INVALID, "quantizer is NULL");
    CHECK_REFUSED(hlq_lut_build_two_sided(quantizer, NULL), HLQ_E_INVALID, "lut is NULL");
    CHECK_REFUSED(hlq_lut_describe(lut, NULL), HLQ_E_INVALID, "info is NULL");
    CHECK_REFUSED(hlq_lut_describe(lut, info), HLQ_E_INVALID, "struct_bytes");
    CHECK_REFUSED(hlq_lut_dot(NULL, &a, &a, 1, &dot), HLQ_E_INVALID, "lut is NULL");
    CHECK_REFUSED(hlq_lut_dot(lut, &a, &a, 1, NULL), HLQ_E_INVALID, "dot is NULL");
    CHECK_REFUSED(hlq_lut_dot(lut, NULL, &a, 1, &dot), HLQ_E_INVALID, "a, its quantizer");
    CHECK_REFUSED(hlq_lut_dot(lut, &a, &no_digits, 1, &dot), HLQ_E_INVALID, "b, its quantizer");
    CHECK_REFUSED(hlq_lut_dot(lut, &a, &no_quantizer, 1, &dot), HLQ_E_INVALID, "b, its quantizer");
    CHECK_REFUSED(hlq_lut_dot_one_sided(NULL, &a, 1, &dot), HLQ_E_INVALID, "table is NULL");
    CHECK_REFUSED(hlq_lut_dot_one_sided(table, &a, 1, NULL), HLQ_E_INVALID, "dot is NULL");
    CHECK_REFUSED(hlq_lut_dot_one_sided(table, NULL, 1, &dot), HLQ_E_INVALID, "b, its quantizer");
    CHECK_REFUSED(hlq_lut_build_one_sided(NULL, y, 1, table), HLQ_E_INVALID, "quantizer is NULL");
    CHECK_REFUSED(hlq_lut_build_one_sided(quantizer, NULL, 1, table), HLQ_E_INVALID, "y is NULL");
    CHECK_REFUSED(hlq_lut_build_one_sided(quantizer, y, 1, NULL), HLQ_E_INVALID, "table is NULL");

    CHECK_EQ(hlq_lut_build_one_sided(quantizer, NULL, 0, NULL), HLQ_OK);
    CHECK_EQ(hlq_lut_dot(lut, &no_digits, &no_digits, 0, &dot), HLQ_OK);
    CHECK_EQ(dot, 0);
    dot = 7;
    CHECK_EQ(hlq_lut_dot_one_sided(NULL, &no_digits, 0, &dot), HLQ_OK);
    CHECK_EQ(dot, 0);
    hlq_lut_destroy(lut);
    hlq_lut_destroy(NULL);
    hlq_quantizer_destroy(quantizer);
}

int main(void)
{
    hlq_test_start("test_lut_bad_input");
    test_tables_too_large_are_refused_with_what_to_use_instead();
    test_sides_of_another_code_are_refused();
    test_bad_digits_and_retries_are_refused();
    test_numbers_that_have_no_table_are_refused();
    test_null_is_refused_unless_there_is_nothing_to_do();
    return hlq_test_end();
}
