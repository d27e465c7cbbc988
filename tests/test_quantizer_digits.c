/*
 * Arithmetic on digits: sums with carries are sums of points, the flat code is the point modulo
 * q^depth L, and addition modulo q is neither.
 */
#include "quantizer_test.h"

enum { VECTORS = 500, BYTES_MAX = VECTORS * 2 * DEPTH_MAX * D };

/* Two codes' worth of vectors, about half of whose sums overload. */
typedef struct operands {
    const hnlq_code *code;
    hlq_quantizer *quantizer;
    size_t digits;    /* of all vectors */
    uint32_t modulus; /* q^depth */
    uint8_t a[BYTES_MAX], b[BYTES_MAX];
} operands;

static void open_operands(operands *o, const hnlq_code *code, hlq_rng *rng)
{
    o->code = code;
    o->quantizer = quantizer_of(code);
    o->digits = VECTORS * (size_t)(code->depth * code->dim);
    o->modulus = (uint32_t)pow(code->q, code->depth);
    random_digits(rng, code->q, o->a, o->digits);
    random_digits(rng, code->q, o->b, o->digits);
    /* Every other pair small, so that it fits: all but the finest layer zero. */
    const int layer = code->dim, length = code->depth * code->dim;
    for (size_t i = 0; code->depth > 1 && i < o->digits; i++) {
        if (i / (size_t)length % 2 == 0 || i % (size_t)length < (size_t)layer) continue;
        set_digit(code->q, o->a, i, 0);
        set_digit(code->q, o->b, i, 0);
    }
    name_case(code, "");
}

static vec point_at(const operands *o, const void *digits, size_t v)
{
    hnlq_digits d = load_digits(o->code, digits, v);
    return decode_point(o->code, &d, o->code->depth);
}

/* Sums with carries -------------------------------------------------------------------------- */

static struct {
    uint64_t sums, overloads;
} counted;

/* The sum's digits are those of Algorithm 1 for the sum of the points; so are the overloads. */
static void check_sums(const hnlq_code *code)
{
    static operands o;
    static uint8_t out[BYTES_MAX], overload[VECTORS];
    hlq_rng rng = hlq_rng_new(1);
    uint64_t overloads = 99, flagged = 0;
    open_operands(&o, code, &rng);
    CHECK_EQ(hlq_digits_add(o.quantizer, o.a, o.b, VECTORS, out, overload, &overloads), HLQ_OK);
    for (size_t v = 0; v < VECTORS; v++) {
        vec sum = vec_add(point_at(&o, o.a, v), point_at(&o, o.b, v), 1);
        hnlq_digits want, got = load_digits(code, out, v);
        CHECK_EQ(overload[v], encode_point(code, sum, &want));
        if (!CHECK(memcmp(&got, &want, sizeof got) == 0)) break;
        CHECK_EQ(!overload[v], vec_equal(point_at(&o, out, v), sum));
        flagged += overload[v];
    }
    CHECK_EQ(overloads, flagged);
    counted.sums += VECTORS;
    counted.overloads += overloads;

    CHECK_EQ(hlq_digits_add(o.quantizer, o.a, o.b, VECTORS, o.a, NULL, &overloads), HLQ_OK);
    CHECK_BYTES(o.a, out, VECTORS * digits_bytes(code)); /* in place */
    CHECK_EQ(overloads, flagged);
    hlq_quantizer_destroy(o.quantizer);
}

static void test_sums_with_carries_are_sums_of_points(void)
{
    for_each_code(check_sums);
    CHECK(counted.overloads > counted.sums / 20 && counted.overloads < counted.sums * 19 / 20);
}

/* The flat code ------------------------------------------------------------------------------ */

/* z = G⁻¹ point modulo q^depth, and back; adding z modulo q^depth is adding points. */
static void check_flat(const hnlq_code *code)
{
    static operands o;
    static uint32_t flat[VECTORS * D], flat_b[VECTORS * D], flat_sum[VECTORS * D];
    static uint8_t back[BYTES_MAX];
    hlq_rng rng = hlq_rng_new(2);
    uint64_t overloads;
    open_operands(&o, code, &rng);
    const size_t dim = (size_t)code->dim;
    CHECK_EQ(hlq_digits_to_flat(o.quantizer, o.a, VECTORS, flat), HLQ_OK);
    CHECK_EQ(hlq_digits_to_flat(o.quantizer, o.b, VECTORS, flat_b), HLQ_OK);
    for (size_t v = 0; v < VECTORS; v++) {
        int z[D];
        coordinates_of(code->lattice, point_at(&o, o.a, v), z);
        for (size_t j = 0; j < dim; j++) {
            CHECK_EQ(flat[v * dim + j], z[j] - o.modulus * floor_div(z[j], o.modulus));
        }
    }
    CHECK_EQ(hlq_flat_to_digits(o.quantizer, flat, VECTORS, back), HLQ_OK);
    CHECK_BYTES(back, o.a, VECTORS * digits_bytes(code));

    for (size_t i = 0; i < VECTORS * dim; i++) {
        const uint64_t sum = (uint64_t)flat[i] + flat_b[i]; /* the sum of the codes */
        flat_b[i] = (uint32_t)(sum % o.modulus);
    }
    CHECK_EQ(hlq_digits_add(o.quantizer, o.a, o.b, VECTORS, o.a, NULL, &overloads), HLQ_OK);
    CHECK_EQ(hlq_digits_to_flat(o.quantizer, o.a, VECTORS, flat_sum), HLQ_OK);
    CHECK_BYTES(flat_sum, flat_b, VECTORS * dim * sizeof *flat_b); /* the code of the sum */
    hlq_quantizer_destroy(o.quantizer);
}

static void test_flat_codes_add_modulo_the_size_of_the_code(void) { for_each_code(check_flat); }

/* With one layer, digits are the flat code. */
static void check_one_layer(const hnlq_code *code)
{
    static operands o;
    static uint32_t flat[VECTORS * D];
    hlq_rng rng = hlq_rng_new(3);
    if (code->depth > 1) return;
    open_operands(&o, code, &rng);
    CHECK_EQ(hlq_digits_to_flat(o.quantizer, o.a, VECTORS, flat), HLQ_OK);
    for (size_t i = 0; i < o.digits; i++) CHECK_EQ(flat[i], digit_at(code->q, o.a, i));
    hlq_quantizer_destroy(o.quantizer);
}

static void test_one_layer_is_the_flat_code(void) { for_each_code(check_one_layer); }

/* Modulo q ----------------------------------------------------------------------------------- */

/*
 * Digit by digit. The finest layer is the sum's, whatever overloads. The others lack its carries:
 * they are wrong for some of the sums, unless there are no others.
 */
static void check_modulo_q(const hnlq_code *code)
{
    static operands o;
    static uint8_t sums[BYTES_MAX], modq[BYTES_MAX];
    hlq_rng rng = hlq_rng_new(4);
    uint64_t overloads, differ = 0;
    open_operands(&o, code, &rng);
    const size_t length = (size_t)(code->depth * code->dim);
    CHECK_EQ(hlq_digits_add_modq(code->q, o.a, o.b, o.digits, modq), HLQ_OK);
    CHECK_EQ(hlq_digits_add(o.quantizer, o.a, o.b, VECTORS, sums, NULL, &overloads), HLQ_OK);
    for (size_t i = 0; i < o.digits; i++) {
        const int sum = digit_at(code->q, o.a, i) + digit_at(code->q, o.b, i);
        const int got = digit_at(code->q, modq, i);
        CHECK_EQ(got, sum % code->q);
        if (i % length < (size_t)code->dim) CHECK_EQ(got, digit_at(code->q, sums, i));
        else differ += got != digit_at(code->q, sums, i);
    }
    CHECK_EQ(differ > 0, code->depth > 1);
    CHECK_EQ(hlq_digits_add_modq(code->q, o.a, o.b, o.digits, o.b), HLQ_OK);
    CHECK_BYTES(o.b, modq, VECTORS * digits_bytes(code)); /* in place */
    hlq_quantizer_destroy(o.quantizer);
}

static void test_only_the_finest_layer_adds_modulo_q(void) { for_each_code(check_modulo_q); }

/* What is refused ---------------------------------------------------------------------------- */

static void test_wrong_digits_are_refused(void)
{
    const hnlq_code code = {HLQ_LATTICE_D4, 4, 3, 2}, wide = {HLQ_LATTICE_Z, 2, 257, 1};
    hlq_quantizer *narrow = quantizer_of(&code), *two_bytes = quantizer_of(&wide);
    static uint8_t good[8 * 40], bad[8 * 40], out[8 * 40];
    int16_t good_wide[2] = {256, 0}, bad_wide[2] = {0, -5}, out_wide[2];
    uint32_t flat[4 * 40] = {0}, flat_wide[2];
    uint64_t overloads;
    bad[8 * 39 + 6] = 3;
    CHECK_REFUSED(hlq_digits_add(narrow, good, bad, 40, out, NULL, &overloads), HLQ_E_INVALID,
                  "digit 318 is 3");
    CHECK_REFUSED(hlq_digits_add(narrow, bad, good, 40, out, NULL, &overloads), HLQ_E_INVALID,
                  "digit 318 is 3");
    CHECK_REFUSED(hlq_digits_add_modq(3, good, bad, 320, out), HLQ_E_INVALID, "digit 318 is 3");
    CHECK_REFUSED(hlq_digits_to_flat(narrow, bad, 40, flat), HLQ_E_INVALID, "digit 318 is 3");
    CHECK_REFUSED(hlq_digits_add_modq(257, good_wide, bad_wide, 2, out_wide), HLQ_E_INVALID,
                  "digit 1 is -5");
    CHECK_REFUSED(hlq_digits_add(two_bytes, good_wide, bad_wide, 1, out_wide, NULL, &overloads),
                  HLQ_E_INVALID, "digit 1 is -5");
    CHECK_REFUSED(hlq_digits_to_flat(two_bytes, bad_wide, 1, flat_wide), HLQ_E_INVALID,
                  "digit 1 is -5");
    flat[159] = 9;
    CHECK_REFUSED(hlq_flat_to_digits(narrow, flat, 40, out), HLQ_E_INVALID, "flat[159] is 9");
    flat[159] = 8;
    CHECK_EQ(hlq_flat_to_digits(narrow, flat, 40, out), HLQ_OK);
    for (int q = -1; q <= 14; q++) {
        const int exists = q == 8 || q == 2 || q == 4 || (q >= 3 && q % 2 == 1);
        CHECK_EQ(hlq_digits_add_modq(q, good, good, 8, out), exists ? HLQ_OK : HLQ_E_INVALID);
    }
    hlq_quantizer_destroy(narrow);
    hlq_quantizer_destroy(two_bytes);
}

static void test_null_is_refused_unless_there_is_nothing_to_do(void)
{
    const hnlq_code code = {HLQ_LATTICE_D4, 4, 4, 2};
    hlq_quantizer_params params = params_of(&code);
    params.centred = 1;
    hlq_quantizer *q = quantizer_of(&code), *centred = quantizer_with(&params);
    uint8_t digits[8] = {0};
    uint32_t flat[4] = {0};
    uint64_t n;
    CHECK_REFUSED(hlq_digits_add(NULL, digits, digits, 1, digits, NULL, &n), HLQ_E_INVALID, "NULL");
    CHECK_REFUSED(hlq_digits_add(q, NULL, digits, 1, digits, NULL, &n), HLQ_E_INVALID, "NULL");
    CHECK_REFUSED(hlq_digits_add(q, digits, NULL, 1, digits, NULL, &n), HLQ_E_INVALID, "NULL");
    CHECK_REFUSED(hlq_digits_add(q, digits, digits, 1, NULL, NULL, &n), HLQ_E_INVALID, "NULL");
    CHECK_REFUSED(hlq_digits_add(q, digits, digits, 1, digits, NULL, NULL), HLQ_E_INVALID,
                  "overloads is NULL");
    CHECK_REFUSED(hlq_digits_add(centred, digits, digits, 1, digits, NULL, &n), HLQ_E_INVALID,
                  "centred");
    CHECK_REFUSED(hlq_digits_add_modq(4, NULL, digits, 1, digits), HLQ_E_INVALID, "NULL");
    CHECK_REFUSED(hlq_digits_add_modq(4, digits, digits, 1, NULL), HLQ_E_INVALID, "NULL");
    CHECK_REFUSED(hlq_digits_to_flat(q, NULL, 1, flat), HLQ_E_INVALID, "NULL");
    CHECK_REFUSED(hlq_digits_to_flat(NULL, digits, 1, flat), HLQ_E_INVALID, "NULL");
    CHECK_REFUSED(hlq_flat_to_digits(q, flat, 1, NULL), HLQ_E_INVALID, "NULL");
    CHECK_EQ(hlq_digits_add(q, NULL, NULL, 0, NULL, NULL, &n), HLQ_OK);
    CHECK_EQ(n, 0);
    CHECK_EQ(hlq_digits_add_modq(4, NULL, NULL, 0, NULL), HLQ_OK);
    CHECK_EQ(hlq_digits_to_flat(q, NULL, 0, NULL), HLQ_OK);
    CHECK_EQ(hlq_flat_to_digits(q, NULL, 0, NULL), HLQ_OK);
    hlq_quantizer_destroy(q);
    hlq_quantizer_destroy(centred);
}

int main(void)
{
    hlq_test_start("test_quantizer_digits");
    test_sums_with_carries_are_sums_of_points();
    test_flat_codes_add_modulo_the_size_of_the_code();
    test_one_layer_is_the_flat_code();
    test_only_the_finest_layer_adds_modulo_q();
    test_wrong_digits_are_refused();
    test_null_is_refused_unless_there_is_nothing_to_do();
    return hlq_test_end();
}
