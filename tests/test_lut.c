/*
 * Look-up tables hold the inner products of representatives, and sums of their entries are the
 * inner products of decoded vectors: exactly where these are integers, else to a rounding that each
 * test states.
 */
#include "quantizer_test.h"

enum { VECTORS_MAX = 1000 };

/* Relative error of one rounding to fp32. */
static const double rounding = 0x1p-24;

static hlq_lut_info table_of(const hlq_lut *lut)
{
    hlq_lut_info info = {.struct_bytes = sizeof info};
    CHECK_EQ(hlq_lut_describe(lut, &info), HLQ_OK);
    return info;
}

static double entry_at(const hlq_lut_info *table, size_t i)
{
    switch (table->type) {
    case HLQ_LUT_INT8: return ((const int8_t *)table->entries)[i];
    case HLQ_LUT_INT16: return ((const int16_t *)table->entries)[i];
    case HLQ_LUT_FLOAT32: return ((const float *)table->entries)[i];
    }
    return NAN;
}

/* ⟨a, b⟩: of representatives an integer, of doubled coordinates four times that. */
static int64_t product_of(vec a, vec b)
{
    int64_t sum = 0;
    for (int r = 0; r < D; r++) sum += (int64_t)a.x[r] * b.x[r];
    CHECK(sum % 4 == 0);
    return sum / 4;
}

/* Two-sided tables ----------------------------------------------------------------------------- */

/* Those of D4 were found by an independent program, as was the tie rule that they follow from. */
static void test_tables_have_the_known_sizes_and_ranges(void)
{
    static const struct {
        hnlq_code code;
        uint64_t entries;
        hlq_lut_type type;
        int least, most;
    } known[] = {
        {{HLQ_LATTICE_D4, 4, 2, 1}, 256, HLQ_LUT_INT8, -1, 4},
        {{HLQ_LATTICE_D4, 4, 3, 1}, 6561, HLQ_LUT_INT8, -4, 6},
        {{HLQ_LATTICE_D4, 4, 4, 1}, 65536, HLQ_LUT_INT8, -9, 16},
        {{HLQ_LATTICE_D4, 4, 5, 1}, 390625, HLQ_LUT_INT8, -16, 18},
        {{HLQ_LATTICE_E8, 8, 2, 1}, 65536, HLQ_LUT_INT8, -1, 4},
        {{HLQ_LATTICE_E8, 8, 3, 1}, 43046721, HLQ_LUT_INT8, -5, 8},
        {{HLQ_LATTICE_Z, 1, 4, 1}, 16, HLQ_LUT_INT8, -2, 4},
        {{HLQ_LATTICE_Z, 1, 361, 1}, 130321, HLQ_LUT_INT16, -32400, 32400},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const hnlq_code *code = &known[i].code;
        hlq_test_case("%s, q %d", hlq_lattice_name(code->lattice), code->q);
        hlq_quantizer *quantizer = quantizer_of(code);
        hlq_lut *lut = two_sided_table_of(quantizer);
        hlq_lut_info table = table_of(lut);
        CHECK_EQ(table.side * table.side, known[i].entries);
        CHECK_EQ(table.type, known[i].type);
        CHECK_EQ(table.bytes, known[i].entries * (known[i].type == HLQ_LUT_INT8 ? 1 : 2));
        CHECK_EQ(table.least, known[i].least);
        CHECK_EQ(table.most, known[i].most);
        hlq_lut_destroy(lut);
        hlq_quantizer_destroy(quantizer);
    }
}

/* Row a, column b, for indices Σ digit[j] q^j: all of a small table, some of a large one. */
static void check_entries(const hnlq_code *code)
{
    hlq_rng rng = hlq_rng_new(1);
    hlq_quantizer *quantizer = quantizer_of(code);
    hlq_lut *lut = two_sided_table_of(quantizer);
    hlq_lut_info table = table_of(lut);
    const uint64_t entries = table.side * table.side;
    hlq_test_case("%s, dim %d, q %d", hlq_lattice_name(code->lattice), code->dim, code->q);
    for (uint64_t n = 0; n < 70000 && n < entries; n++) {
        const uint64_t i = entries <= 70000 ? n : hlq_rng_below(&rng, entries);
        vec a = representative_at(code, i / table.side),
            b = representative_at(code, i % table.side);
        CHECK_EQ(entry_at(&table, i), product_of(a, b));
        CHECK_WITHIN(entry_at(&table, i), table.least, table.most);
    }
    hlq_lut_destroy(lut);
    hlq_quantizer_destroy(quantizer);
}

static void test_entries_are_inner_products_of_representatives(void)
{
    static const hnlq_code codes[] = {
        {HLQ_LATTICE_D4, 4, 2, 1}, {HLQ_LATTICE_D4, 4, 3, 1},  {HLQ_LATTICE_D4, 4, 4, 1},
        {HLQ_LATTICE_D4, 4, 8, 1}, {HLQ_LATTICE_E8, 8, 2, 1},  {HLQ_LATTICE_E8, 8, 3, 1},
        {HLQ_LATTICE_Z, 1, 2, 1},  {HLQ_LATTICE_Z, 1, 257, 1}, {HLQ_LATTICE_Z, 2, 64, 1},
        {HLQ_LATTICE_Z, 4, 3, 1},  {HLQ_LATTICE_Z, 8, 2, 1},
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) check_entries(&codes[i]);
}

/* Products of numbers taken from the mean in double, rounded once. */
static void test_entries_of_centred_tables_are_rounded_once(void)
{
    const hnlq_code code = {HLQ_LATTICE_D4, 4, 4, 2};
    hlq_quantizer_params params = params_of(&code);
    params.centred = 1;
    hlq_quantizer *quantizer = quantizer_with(&params);
    hlq_quantizer_info info = info_of(quantizer);
    hlq_lut *lut = two_sided_table_of(quantizer);
    hlq_lut_info table = table_of(lut);
    double sum = 0, least = HUGE_VAL, most = -HUGE_VAL;
    CHECK_EQ(table.type, HLQ_LUT_FLOAT32);
    CHECK_EQ(table.bytes, 4 * 65536);
    for (uint64_t i = 0; i < 65536; i++) {
        vec a = representative_at(&code, i / 256), b = representative_at(&code, i % 256);
        double product = 0, entry = entry_at(&table, i);
        for (int j = 0; j < 4; j++) {
            product += (0.5 * a.x[j] - info.mean[j]) * (0.5 * b.x[j] - info.mean[j]);
        }
        /* The sum itself was rounded to 53 bits four times. */
        double slack = rounding * fabs(product) + 0x1p-48;
        CHECK_WITHIN(entry, product - slack, product + slack);
        sum += entry;
        least = fmin(least, entry);
        most = fmax(most, entry);
    }
    CHECK_EQ(table.least * 0x1p30, least * 0x1p30);
    CHECK_EQ(table.most * 0x1p30, most * 0x1p30);
    /* Centred: the mean product is zero, but for the rounding of 65536 entries of up to 16 and of
       the mean itself. */
    CHECK_WITHIN(sum / 65536, -16 * rounding, 16 * rounding);
    hlq_lut_destroy(lut);
    hlq_quantizer_destroy(quantizer);
}

/* Inner products ------------------------------------------------------------------------------- */

/* Encoded vectors: any digits are a point of the code, any T up to max_retries a scale. */
typedef struct side {
    hnlq_code code;
    hlq_quantizer *quantizer;
    hlq_guarded digits;
    uint8_t retries[VECTORS_MAX];
    float scale[8], x[VECTORS_MAX * D];
    hlq_code encoded;
} side;

static void open_side(side *s, hlq_rng *rng, const hnlq_code *code, double beta, double alpha,
                      int max_retries, int centred, size_t vectors)
{
    hlq_quantizer_params params = params_of(code);
    params.beta = beta;
    params.alpha = alpha;
    params.max_retries = max_retries;
    params.centred = centred;
    s->code = *code;
    s->quantizer = quantizer_with(&params);
    s->digits = hlq_guarded_new(vectors * digits_bytes(code), GUARD_AFTER, -1);
    random_digits(rng, code->q, s->digits.data, vectors * (size_t)(code->depth * code->dim));
    for (size_t v = 0; v < vectors; v++)
        s->retries[v] = (uint8_t)hlq_rng_between(rng, 0, max_retries);
    for (int t = 0; t <= max_retries; t++) s->scale[t] = (float)(beta * exp2(alpha * t));
    s->encoded = (hlq_code){s->quantizer, s->digits.data, max_retries ? s->retries : NULL};
    CHECK_EQ(hlq_decode(s->quantizer, s->digits.data, s->encoded.retries, vectors, NULL,
                        code->depth, s->x),
             HLQ_OK);
}

static void close_side(side *s)
{
    hlq_quantizer_destroy(s->quantizer);
    hlq_guarded_free(&s->digits);
}

static double scale_of(const side *s, size_t v)
{
    return s->scale[s->encoded.retries ? s->retries[v] : 0];
}

/* Not centred: the terms are integers times exact products of two fp32 scales. */
static void check_exact_dot(const hlq_lut *lut, const side *a, const side *b, size_t vectors)
{
    double dot = -1, want = 0, magnitude = 0, decoded = 0, decoded_magnitude = 0;
    for (size_t v = 0; v < vectors; v++) {
        hnlq_digits da = load_digits(&a->code, a->digits.data, v);
        hnlq_digits db = load_digits(&b->code, b->digits.data, v);
        double term = (double)product_of(decode_point(&a->code, &da, a->code.depth),
                                         decode_point(&b->code, &db, b->code.depth));
        term *= scale_of(a, v) * scale_of(b, v);
        want += term;
        magnitude += fabs(term);
    }
    for (size_t i = 0; i < vectors * (size_t)a->code.dim; i++) {
        decoded += (double)a->x[i] * (double)b->x[i];
        decoded_magnitude += fabs((double)a->x[i] * (double)b->x[i]);
    }
    if (!CHECK_EQ(hlq_lut_dot(lut, &a->encoded, &b->encoded, vectors, &dot), HLQ_OK)) return;
    /* Added in double, in order: one rounding for each addition, whatever was rounded before. */
    double slack = (double)(vectors + 1) * 0x1p-53 * magnitude;
    if (scale_of(a, 0) == 1 && scale_of(b, 0) == 1 && !a->encoded.retries && !b->encoded.retries) {
        slack = 0; /* integers below 2^53 */
    }
    CHECK_WITHIN(dot, want - slack, want + slack);
    /* A decoded number is one fp32 product. */
    slack += 2.001 * rounding * decoded_magnitude;
    CHECK_WITHIN(dot, decoded - slack, decoded + slack);
}

static void check_dots(const hnlq_code *shape, int depth_a, int depth_b)
{
    static const size_t counts[] = {0, 1, 5, 255, 256, 257, VECTORS_MAX};
    static side a, b;
    hlq_rng rng = hlq_rng_new(2);
    hnlq_code code_a = *shape, code_b = *shape;
    code_a.depth = depth_a;
    code_b.depth = depth_b;
    hlq_quantizer *quantizer = quantizer_of(&code_a);
    hlq_lut *lut = two_sided_table_of(quantizer);
    for (size_t n = 0; n < sizeof counts / sizeof *counts; n++) {
        hlq_test_case("%s, dim %d, q %d, depths %d and %d, %zu vectors",
                      hlq_lattice_name(shape->lattice), shape->dim, shape->q, depth_a, depth_b,
                      counts[n]);
        open_side(&a, &rng, &code_a, 1, 1, 0, 0, counts[n]);
        open_side(&b, &rng, &code_b, 1, 1, 0, 0, counts[n]);
        check_exact_dot(lut, &a, &b, counts[n]);
        close_side(&b);
        open_side(&b, &rng, &code_b, 0.3, 1.0 / 3, 7, 0, counts[n]);
        check_exact_dot(lut, &a, &b, counts[n]);
        check_exact_dot(lut, &b, &a, counts[n]);
        check_exact_dot(lut, &b, &b, counts[n]);
        close_side(&a);
        close_side(&b);
    }
    hlq_lut_destroy(lut);
    hlq_quantizer_destroy(quantizer);
}

static void test_dots_are_those_of_decoded_vectors(void)
{
    static const hnlq_code codes[] = {
        {HLQ_LATTICE_D4, 4, 2, 16}, {HLQ_LATTICE_D4, 4, 3, 4}, {HLQ_LATTICE_D4, 4, 4, 4},
        {HLQ_LATTICE_D4, 4, 7, 4},  {HLQ_LATTICE_E8, 8, 2, 4}, {HLQ_LATTICE_E8, 8, 3, 4},
        {HLQ_LATTICE_Z, 1, 361, 1}, {HLQ_LATTICE_Z, 1, 2, 16}, {HLQ_LATTICE_Z, 2, 64, 2},
        {HLQ_LATTICE_Z, 4, 5, 3},   {HLQ_LATTICE_Z, 8, 2, 2},
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        check_dots(&codes[i], codes[i].depth, codes[i].depth);
        if (codes[i].depth > 1) check_dots(&codes[i], codes[i].depth / 2, codes[i].depth);
    }
}

/* Entries, decoded numbers and the centre in the decoder are each rounded to fp32: a few roundings
   of numbers that are at most reach = scale × (q^M - 1)/(q - 1) × (norm + mean) in size. */
static double centred_slack(const side *a, const side *b, size_t vectors)
{
    double slack = 0;
    for (size_t v = 0; v < vectors; v++) {
        double reach_a = 2 * a->code.q * (pow(a->code.q, a->code.depth) - 1) / (a->code.q - 1);
        double reach_b = 2 * b->code.q * (pow(b->code.q, b->code.depth) - 1) / (b->code.q - 1);
        slack += 8 * rounding * scale_of(a, v) * scale_of(b, v) * reach_a * reach_b;
    }
    return slack;
}

static void test_dots_of_centred_codes_are_those_of_decoded_vectors(void)
{
    static const hnlq_code codes[] = {{HLQ_LATTICE_D4, 4, 4, 2},
                                      {HLQ_LATTICE_D4, 4, 2, 4},
                                      {HLQ_LATTICE_E8, 8, 2, 3},
                                      {HLQ_LATTICE_Z, 4, 4, 2}};
    static side a, b;
    hlq_rng rng = hlq_rng_new(3);
    for (size_t c = 0; c < sizeof codes / sizeof *codes; c++) {
        double dot = 0, decoded = 0;
        hlq_test_case("%s, q %d, centred", hlq_lattice_name(codes[c].lattice), codes[c].q);
        open_side(&a, &rng, &codes[c], 0.2, 1.0 / 3, 5, 1, 700);
        open_side(&b, &rng, &codes[c], 0.7, 0.5, 0, 1, 700);
        hlq_lut *lut = two_sided_table_of(a.quantizer);
        for (size_t i = 0; i < 700 * (size_t)codes[c].dim; i++) {
            decoded += (double)a.x[i] * (double)b.x[i];
        }
        double slack = centred_slack(&a, &b, 700);
        CHECK_EQ(hlq_lut_dot(lut, &a.encoded, &b.encoded, 700, &dot), HLQ_OK);
        CHECK_WITHIN(dot, decoded - slack, decoded + slack);
        hlq_lut_destroy(lut);
        close_side(&a);
        close_side(&b);
    }
}

/* One-sided tables ----------------------------------------------------------------------------- */

static void check_one_sided(hlq_rng *rng, const hnlq_code *code, int centred, size_t vectors)
{
    static side b;
    float y[8 * D];
    double dot = -1, want = 0, slack = 0, decoded = 0;
    hlq_test_case("%s, dim %d, q %d, centred %d", hlq_lattice_name(code->lattice), code->dim,
                  code->q, centred);
    open_side(&b, rng, code, 0.3, 1.0 / 3, 7, centred, vectors);
    hlq_quantizer_info info = info_of(b.quantizer);
    const size_t side_points = info.layer_points, dim = (size_t)code->dim;
    hlq_guarded table = hlq_guarded_new(vectors * side_points * sizeof(float), GUARD_AFTER, -1);
    const float *entries = table.data;
    hlq_rng_fill(rng, hlq_rng_gauss, y, vectors * dim);
    CHECK_EQ(hlq_lut_build_one_sided(b.quantizer, y, vectors, table.data), HLQ_OK);
    for (size_t n = 0; n < 2000; n++) {
        const size_t v = hlq_rng_below(rng, vectors), i = hlq_rng_below(rng, side_points);
        vec p = representative_at(code, i);
        double product = 0, entry = entries[v * side_points + i];
        for (size_t j = 0; j < dim; j++) product += y[v * dim + j] * (0.5 * p.x[j] - info.mean[j]);
        /* Rounded once, but for 8 roundings of the sum in double. */
        double once = rounding * fabs(product) + 0x1p-44;
        CHECK_WITHIN(entry, product - once, product + once);
    }

    for (size_t v = 0; v < vectors; v++) { /* by definition */
        hnlq_digits d = load_digits(code, b.digits.data, v);
        double weight = scale_of(&b, v);
        for (int m = 0; m < code->depth; m++, weight *= code->q) {
            size_t index = 0;
            for (int j = code->dim - 1; j >= 0; j--) {
                index = index * (size_t)code->q + (size_t)d.digit[m][j];
            }
            want += weight * entries[v * side_points + index];
            slack += weight * fabs(entries[v * side_points + index]);
        }
        for (size_t j = 0; j < dim; j++) decoded += (double)y[v * dim + j] * b.x[v * dim + j];
        slack += scale_of(&b, v) * pow(code->q, code->depth);
    }
    CHECK_EQ(hlq_lut_dot_one_sided(table.data, &b.encoded, vectors, &dot), HLQ_OK);
    CHECK_WITHIN(dot, want - 0x1p-48 * slack, want + 0x1p-48 * slack);
    /* Entries are rounded to fp32, and so are the numbers of the decoder (up to q^M, three times)
       that |y| of up to 6 multiplies. */
    CHECK_WITHIN(dot, decoded - 50 * rounding * slack, decoded + 50 * rounding * slack);
    CHECK(hlq_guarded_intact(&table));
    hlq_guarded_free(&table);
    close_side(&b);
}

static void test_one_sided_tables_give_dots_with_decoded_vectors(void)
{
    static const hnlq_code codes[] = {
        {HLQ_LATTICE_D4, 4, 4, 2},   {HLQ_LATTICE_D4, 4, 3, 4},  {HLQ_LATTICE_D4, 4, 16, 2},
        {HLQ_LATTICE_E8, 8, 4, 2},   {HLQ_LATTICE_E8, 8, 2, 4},  {HLQ_LATTICE_Z, 1, 4, 3},
        {HLQ_LATTICE_Z, 1, 4096, 1}, {HLQ_LATTICE_Z, 2, 255, 2}, {HLQ_LATTICE_Z, 2, 300 + 1, 1},
        {HLQ_LATTICE_Z, 8, 3, 2},
    };
    hlq_rng rng = hlq_rng_new(4);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        for (int centred = 0; centred <= 1; centred++) check_one_sided(&rng, &codes[i], centred, 5);
    }
}

int main(void)
{
    hlq_test_start("test_lut");
    test_tables_have_the_known_sizes_and_ranges();
    test_entries_are_inner_products_of_representatives();
    test_entries_of_centred_tables_are_rounded_once();
    test_dots_are_those_of_decoded_vectors();
    test_dots_of_centred_codes_are_those_of_decoded_vectors();
    test_one_sided_tables_give_dots_with_decoded_vectors();
    return hlq_test_end();
}
