/*
 * Linear layers that cannot be, and calls that would go wrong, are refused with a sentence that has
 * the numbers in it.
 */
#include "linear_test.h"

#include <float.h>

enum { OUT = 3, IN = 8 };

static float weight[OUT * IN];
static uint8_t indices[OUT * IN / 4 * 2];
static float scales[OUT] = {1, 1, 1};

static hlq_status pack_with(const hlq_quantizer_params *params, size_t out, size_t in)
{
    hlq_quantizer *quantizer = quantizer_with(params);
    hlq_linear *linear = NULL;
    hlq_status status = hlq_linear_pack(quantizer, weight, out, in, &linear);
    CHECK_EQ(linear != NULL, status == HLQ_OK);
    hlq_linear_destroy(linear);
    hlq_quantizer_destroy(quantizer);
    return status;
}

static hlq_status pack(hlq_lattice lattice, int dim, int q, size_t out, size_t in)
{
    const hnlq_code code = {lattice, dim, q, 1};
    const hlq_quantizer_params params = params_of(&code);
    return pack_with(&params, out, in);
}

static void test_codes_and_shapes_that_do_not_fit_are_refused(void)
{
    hlq_test_case("codes and shapes");
    CHECK_EQ(pack(HLQ_LATTICE_D4, 4, 5, OUT, IN), HLQ_E_UNSUPPORTED);
    CHECK_STR(hlq_quantizer_error(),
              "a linear layer needs q^dim of at most 256; that of D4 with q = 5 is 625");
    CHECK_REFUSED(pack(HLQ_LATTICE_E8, 8, 3, OUT, IN), HLQ_E_UNSUPPORTED, "E8 with q = 3 is 6561");
    CHECK_EQ(pack(HLQ_LATTICE_D4, 4, 4, OUT, 7), HLQ_E_INVALID);
    CHECK_STR(hlq_quantizer_error(), "in_features is 7, not a multiple of dim = 4");
    /* One block more than sums of 32 bits surely hold; nothing is read. */
    CHECK_REFUSED(pack(HLQ_LATTICE_D4, 4, 4, 1, ((size_t)1 << 21) + 4), HLQ_E_UNSUPPORTED,
                  "in_features is 2097156; sums of more than 2097152");
    CHECK_REFUSED(pack(HLQ_LATTICE_D4, 4, 4, SIZE_MAX / 8, IN), HLQ_E_NOMEM, "no memory for");
}

static void test_weights_that_have_no_code_are_refused(void)
{
    static const float wrong[] = {NAN, INFINITY, -INFINITY};
    static const char *said[] = {"weight[13] is NaN", "weight[13] is infinite",
                                 "weight[13] is infinite"};
    hlq_test_case("weights");
    for (int i = 0; i < 3; i++) {
        weight[13] = wrong[i];
        CHECK_REFUSED(pack(HLQ_LATTICE_D4, 4, 4, OUT, IN), HLQ_E_INVALID, said[i]);
    }
    for (int i = 8; i < 16; i++) weight[i] = FLT_MAX;
    hlq_quantizer_params params = HLQ_QUANTIZER_INIT;
    params.beta = 1.9; /* the point nearest to 1 / 1.9 in each coordinate is 1: it decodes to 1.9 */
    CHECK_REFUSED(pack_with(&params, OUT, IN), HLQ_E_INVALID,
                  "row 1 has a root mean square of 3.40282e+38");
    params.beta = 1e-20;
    weight[8] = 1;
    for (int i = 9; i < 16; i++) weight[i] = 0;
    CHECK_REFUSED(pack_with(&params, OUT, IN), HLQ_E_INVALID, "beta is 1e-20");
    memset(weight, 0, sizeof weight);
}

static void test_stored_layers_that_are_damaged_are_refused(void)
{
    const hnlq_code code = {HLQ_LATTICE_D4, 4, 3, 2};
    hlq_quantizer *quantizer = quantizer_of(&code);
    hlq_linear *linear = NULL;
    hlq_test_case("stored layers");
    indices[11] = 81;
    CHECK_REFUSED(hlq_linear_load(quantizer, indices, scales, OUT, IN, &linear), HLQ_E_INVALID,
                  "indices[11] is 81; q^dim is 81");
    indices[11] = 80;
    scales[2] = NAN;
    CHECK_REFUSED(hlq_linear_load(quantizer, indices, scales, OUT, IN, &linear), HLQ_E_INVALID,
                  "scales[2] is NaN");
    scales[2] = 1;
    CHECK(linear == NULL);
    CHECK_REFUSED(hlq_linear_load(quantizer, indices, scales, OUT, 6, &linear), HLQ_E_INVALID,
                  "in_features is 6");
    CHECK_EQ(hlq_linear_load(quantizer, indices, scales, OUT, IN, &linear), HLQ_OK);
    hlq_linear_destroy(linear);
    hlq_quantizer_destroy(quantizer);
}

static hlq_quantizer *quantizer_like(hlq_lattice lattice, int q, int centred)
{
    const hnlq_code code = {lattice, 4, q, 1};
    hlq_quantizer_params params = params_of(&code);
    params.centred = centred;
    return quantizer_with(&params);
}

static void test_activations_that_do_not_fit_are_refused(void)
{
    hlq_quantizer *quantizer = quantizer_like(HLQ_LATTICE_D4, 4, 0);
    hlq_quantizer *others[] = {quantizer_like(HLQ_LATTICE_Z, 4, 0),
                               quantizer_like(HLQ_LATTICE_D4, 3, 0),
                               quantizer_like(HLQ_LATTICE_D4, 4, 1)};
    static const char *said[] = {
        ("activation is of Z in 4 dimensions, q = 4, not centred; the layer "
         "is of D4 in 4, q = 4, not centred"),
        "q = 3, not centred", "q = 4, centred; the layer"};
    float x[2 * IN] = {0}, y[2 * OUT];
    uint64_t overloads;
    hlq_linear *linear;
    hlq_test_case("activations");
    CHECK_EQ(hlq_linear_pack(quantizer, weight, OUT, IN, &linear), HLQ_OK);
    for (int i = 0; i < 3; i++) {
        CHECK_REFUSED(hlq_linear_forward(linear, others[i], x, 2, y, &overloads, 1), HLQ_E_INVALID,
                      said[i]);
        hlq_quantizer_destroy(others[i]);
    }
    x[11] = NAN;
    CHECK_REFUSED(hlq_linear_forward(linear, quantizer, x, 2, y, &overloads, 1), HLQ_E_INVALID,
                  "x[11] is NaN");
    x[11] = INFINITY;
    CHECK_REFUSED(hlq_linear_forward(linear, NULL, x, 2, y, NULL, 1), HLQ_E_INVALID,
                  "x[11] is infinite");
    x[11] = 0;
    CHECK_REFUSED(hlq_linear_forward(linear, NULL, x, 2, y, NULL, -1), HLQ_E_INVALID,
                  "threads is -1");
    CHECK_REFUSED(hlq_linear_forward(linear, quantizer, x, 2, y, NULL, 1), HLQ_E_INVALID,
                  "overloads is NULL");
    CHECK_EQ(hlq_linear_forward(linear, NULL, x, 2, y, NULL, 1), HLQ_OK);
    hlq_linear_destroy(linear);
    hlq_quantizer_destroy(quantizer);
}

static void test_null_is_refused_unless_there_is_nothing_to_do(void)
{
    hlq_quantizer *quantizer = quantizer_like(HLQ_LATTICE_D4, 4, 0);
    hlq_linear *linear, *none;
    hlq_linear_info unset = {0};
    float x[IN] = {0}, y[OUT];
    uint64_t shrunk;
    hlq_test_case("NULL");
    CHECK_REFUSED(hlq_linear_pack(NULL, weight, OUT, IN, &none), HLQ_E_INVALID, "quantizer");
    CHECK_REFUSED(hlq_linear_pack(quantizer, NULL, OUT, IN, &none), HLQ_E_INVALID, "weight is");
    CHECK_REFUSED(hlq_linear_pack(quantizer, weight, OUT, IN, NULL), HLQ_E_INVALID, "linear is");
    CHECK_REFUSED(hlq_linear_load(quantizer, NULL, scales, OUT, IN, &none), HLQ_E_INVALID,
                  "indices or scales is NULL");
    CHECK_REFUSED(hlq_linear_load(quantizer, indices, NULL, OUT, IN, &none), HLQ_E_INVALID,
                  "indices or scales is NULL");
    CHECK_EQ(hlq_linear_pack(quantizer, weight, OUT, IN, &linear), HLQ_OK);
    CHECK_REFUSED(hlq_linear_save(linear, NULL, y), HLQ_E_INVALID, "indices or scales is NULL");
    CHECK_REFUSED(hlq_linear_save(NULL, indices, y), HLQ_E_INVALID, "linear is NULL");
    CHECK_REFUSED(hlq_linear_describe(linear, &unset), HLQ_E_INVALID, "struct_bytes");
    CHECK_REFUSED(hlq_linear_unpack(linear, 0, OUT, NULL), HLQ_E_INVALID, "weight is NULL");
    CHECK_REFUSED(hlq_linear_unpack(linear, 2, 2, y), HLQ_E_INVALID, "the layer has 3 rows");
    CHECK_REFUSED(hlq_linear_unpack(linear, 4, 0, y), HLQ_E_INVALID, "the layer has 3 rows");
    CHECK_REFUSED(hlq_linear_forward(NULL, NULL, x, 1, y, NULL, 1), HLQ_E_INVALID, "linear is");
    CHECK_REFUSED(hlq_linear_forward(linear, NULL, NULL, 1, y, NULL, 1), HLQ_E_INVALID, "x or y");
    CHECK_REFUSED(hlq_linear_forward(linear, NULL, x, 1, NULL, NULL, 1), HLQ_E_INVALID, "x or y");
    CHECK_REFUSED(hlq_rows_quantize(quantizer, x, 1, 7, 0, y, &shrunk), HLQ_E_INVALID,
                  "rows of 7 numbers");
    CHECK_EQ(hlq_linear_forward(linear, NULL, NULL, 0, NULL, NULL, 1), HLQ_OK);
    CHECK_EQ(hlq_linear_unpack(linear, 3, 0, NULL), HLQ_OK);
    hlq_linear_destroy(linear);
    hlq_linear_destroy(NULL);
    hlq_quantizer_destroy(quantizer);
}

static void test_empty_layers_give_nothing_or_zeros(void)
{
    hlq_quantizer *quantizer = quantizer_like(HLQ_LATTICE_D4, 4, 1);
    hlq_linear *linear;
    float x[IN] = {0}, y[OUT] = {1, 2, 3};
    uint64_t overloads;
    hlq_test_case("empty layers");
    CHECK_EQ(hlq_linear_pack(quantizer, NULL, 0, IN, &linear), HLQ_OK);
    CHECK_EQ(hlq_linear_forward(linear, quantizer, x, 1, NULL, &overloads, 0), HLQ_OK);
    CHECK_EQ(layer_info(linear).bytes, 0);
    hlq_linear_destroy(linear);
    CHECK_EQ(hlq_linear_pack(quantizer, NULL, OUT, 0, &linear), HLQ_OK);
    CHECK_EQ(hlq_linear_forward(linear, quantizer, NULL, 1, y, &overloads, 0), HLQ_OK);
    for (int i = 0; i < OUT; i++) CHECK(y[i] == 0);
    hlq_linear_destroy(linear);
    hlq_quantizer_destroy(quantizer);
}

int main(void)
{
    hlq_test_start("test_linear_bad_input");
    test_codes_and_shapes_that_do_not_fit_are_refused();
    test_weights_that_have_no_code_are_refused();
    test_stored_layers_that_are_damaged_are_refused();
    test_activations_that_do_not_fit_are_refused();
    test_null_is_refused_unless_there_is_nothing_to_do();
    test_empty_layers_give_nothing_or_zeros();
    return hlq_test_end();
}
