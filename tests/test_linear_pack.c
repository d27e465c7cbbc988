/*
 * What linear layers hold: W quantized row by row, each with the best of eight scales, vectors that
 * overload shrunk; described as it is, unpacked in parts, saved and loaded.
 */
#include "linear_test.h"

/* What is packed ------------------------------------------------------------------------------- */

/* (Σ q^m x_m - centre) × β, all in fp32 as hlq_decode() has it, × the row's scale. */
static void check_unpacked(hlq_rng *rng, layer *l)
{
    const size_t dim = (size_t)l->code.dim, depth = (size_t)l->code.depth;
    uint8_t digits[DEPTH_MAX * D];
    float decoded[D];
    (void)rng;
    for (size_t v = 0; v < l->out * l->blocks; v++) {
        for (size_t i = 0; i < depth; i++) {
            int index = l->indices[v * depth + i];
            for (size_t j = 0; j < dim; j++, index /= l->code.q) {
                digits[i * dim + j] = (uint8_t)(index % l->code.q);
            }
        }
        CHECK_EQ(hlq_decode(l->quantizer, digits, NULL, 1, NULL, l->code.depth, decoded), HLQ_OK);
        for (size_t j = 0; j < dim; j++) decoded[j] *= l->scales[v / l->blocks];
        CHECK_BYTES(l->unpacked + v * dim, decoded, dim * sizeof *decoded);
    }
}

static void test_a_layer_holds_decoded_digits_times_scales(void) { on_layers(check_unpacked); }

static void check_description(hlq_rng *rng, layer *l)
{
    const hlq_linear_info info = layer_info(l->linear);
    const uint64_t bytes = l->out * (l->blocks * (size_t)l->code.depth + 4);
    static const float zeros[1];
    double norm2 = 0;
    (void)rng;
    for (size_t i = 0; i < l->out * l->in; i++) norm2 += distance2(l->weight + i, zeros, 1);
    const double error = distance2(l->weight, l->unpacked, l->out * l->in) / norm2;
    CHECK_EQ(info.out_features, l->out);
    CHECK_EQ(info.in_features, l->in);
    CHECK_EQ(info.bytes, bytes);
    CHECK_WITHIN(info.bits_per_weight * (double)(l->out * l->in), 8 * (double)bytes * (1 - 1e-9),
                 8 * (double)bytes * (1 + 1e-9));
    /* Two sums of as many positive doubles, in whatever order. */
    const double slack = (double)(l->out * l->in + 4) * 2 * 0x1p-53 * error;
    CHECK_WITHIN(info.relative_error, error - slack, error + slack);
    CHECK(info.shrunk_vectors <= l->out * l->blocks);
}

static void test_a_layer_is_described_as_it_is(void) { on_layers(check_description); }

/* The scale is 2^(k/8) × rms, and no other k of -2 … 5 gives less error. */
static void check_scales(hlq_rng *rng, layer *l)
{
    hlq_rows rows;
    float *out = room(l->in * sizeof *out);
    uint64_t shrunk;
    (void)rng;
    CHECK_EQ(hlq_rows_open(&rows, "W", l->quantizer, l->in), HLQ_OK);
    for (size_t r = 0; r < l->out; r += 7) {
        const float *w = l->weight + r * l->in;
        const double error = distance2(w, l->unpacked + r * l->in, l->in);
        int found = 0;
        for (int k = -2; k <= 5; k++) {
            const float scale = (float)(hlq_row_rms(w, l->in) * exp2(k / 8.0));
            CHECK_EQ(hlq_row_encode(&rows, w, scale, &shrunk), HLQ_OK);
            hlq_row_decode(&rows, scale, out);
            CHECK_AT_MOST(error, distance2(w, out, l->in));
            found += scale == l->scales[r];
        }
        CHECK_EQ(found, 1);
    }
    hlq_rows_close(&rows);
    free(out);
}

static void test_the_scale_of_a_row_is_the_best_of_eight(void) { on_layers(check_scales); }

/* Overloaded vectors are those that hlq_encode() flags, and become what they are at β 2^(T/8). */
static void check_shrinking(hlq_rng *rng, layer *l)
{
    hlq_quantizer_params ramp = l->params;
    ramp.alpha = 1.0 / 8;
    ramp.max_retries = 255;
    hlq_quantizer *shrinking = quantizer_with(&ramp);
    float *x = random_rows(rng, 1, l->in), *got = room(l->in * 4), *want = room(l->in * 4);
    uint8_t *retries = room(l->blocks);
    uint8_t *digits = room(l->in * (size_t)l->code.depth);
    uint64_t shrunk, overloads, more = 0;
    for (size_t i = 0; i < l->in; i += 5) x[i] *= 6; /* some that overload */
    const float rms = hlq_row_rms(x, l->in);
    CHECK_EQ(hlq_rows_quantize(l->quantizer, x, 1, l->in, 0, got, &shrunk), HLQ_OK);
    for (size_t i = 0; i < l->in; i++) x[i] /= rms;
    CHECK_EQ(hlq_encode(shrinking, x, l->blocks, NULL, digits, retries, NULL, &overloads), HLQ_OK);
    CHECK_EQ(overloads, 0);
    CHECK_EQ(hlq_decode(l->quantizer, digits, NULL, l->blocks, NULL, l->code.depth, want), HLQ_OK);
    for (size_t i = 0; i < l->in; i++) want[i] *= rms;
    for (size_t v = 0; v < l->blocks; v++) more += retries[v] > 0;
    CHECK_BYTES(got, want, l->in * 4);
    CHECK_EQ(shrunk, more);
    CHECK_EQ(hlq_encode(l->quantizer, x, l->blocks, NULL, digits, NULL, NULL, &overloads), HLQ_OK);
    CHECK_EQ(shrunk, overloads);
    hlq_quantizer_destroy(shrinking);
    free(x), free(got), free(want), free(retries), free(digits);
}

static void test_overloaded_vectors_are_shrunk_until_they_fit(void) { on_layers(check_shrinking); }

/* Training quantizes rows as packing does; in place too, with and without a search for scales. */
static void check_rows(hlq_rng *rng, layer *l)
{
    const size_t bytes = l->out * l->in * 4;
    float *out = room(bytes), *inplace = room(bytes);
    uint64_t shrunk;
    (void)rng;
    CHECK_EQ(hlq_rows_quantize(l->quantizer, l->weight, l->out, l->in, 0, out, &shrunk), HLQ_OK);
    memcpy(inplace, l->weight, bytes);
    CHECK_EQ(hlq_rows_quantize(l->quantizer, inplace, l->out, l->in, 0, inplace, &shrunk), HLQ_OK);
    CHECK_BYTES(inplace, out, bytes);
    memcpy(inplace, l->weight, bytes);
    CHECK_EQ(hlq_rows_quantize(l->quantizer, inplace, l->out, l->in, 1, inplace, &shrunk), HLQ_OK);
    CHECK_BYTES(inplace, l->unpacked, bytes);
    CHECK_EQ(hlq_rows_quantize(l->quantizer, l->weight, l->out, l->in, 1, out, &shrunk), HLQ_OK);
    CHECK_BYTES(out, l->unpacked, l->out * l->in * 4);
    CHECK_EQ(shrunk, layer_info(l->linear).shrunk_vectors);
    free(out), free(inplace);
}

static void test_rows_are_quantized_as_layers_are(void) { on_layers(check_rows); }

static void check_parts(hlq_rng *rng, layer *l)
{
    const size_t first = hlq_rng_below(rng, l->out + 1);
    const size_t rows = hlq_rng_below(rng, l->out - first + 1);
    hlq_guarded part = hlq_guarded_new(rows * l->in * 4, GUARD_AFTER, -1);
    CHECK_EQ(hlq_linear_unpack(l->linear, first, rows, part.data), HLQ_OK);
    CHECK_BYTES(part.data, l->unpacked + first * l->in, part.bytes);
    hlq_guarded_free(&part);
}

static void test_any_rows_can_be_unpacked(void) { on_layers(check_parts); }

/* Save and load -------------------------------------------------------------------------------- */

static void check_loaded(hlq_rng *rng, layer *l)
{
    float *x = random_rows(rng, BATCH, l->in), *y = room(BATCH * l->out * 4);
    float *want = room(BATCH * l->out * 4), *unpacked = room(l->out * l->in * 4);
    hlq_quantizer *activation = activation_of(l, 1, 1);
    forward(l, activation, x, BATCH, want, 1);
    hlq_linear *packed = l->linear;
    CHECK_EQ(hlq_linear_load(l->quantizer, l->indices, l->scales, l->out, l->in, &l->linear),
             HLQ_OK);
    forward(l, activation, x, BATCH, y, 1);
    CHECK_BYTES(y, want, BATCH * l->out * 4);
    CHECK_EQ(hlq_linear_unpack(l->linear, 0, l->out, unpacked), HLQ_OK);
    CHECK_BYTES(unpacked, l->unpacked, l->out * l->in * 4);
    CHECK(isnan(layer_info(l->linear).relative_error));
    CHECK_EQ(layer_info(l->linear).bytes, layer_info(packed).bytes);
    hlq_linear_destroy(packed);
    hlq_quantizer_destroy(activation);
    free(x), free(y), free(want), free(unpacked);
}

static void test_a_loaded_layer_is_the_one_that_was_saved(void) { on_layers(check_loaded); }

/* Special numbers ------------------------------------------------------------------------------ */

/* Zero, denormal and huge rows of W stand side by side, each with its own scale. */
static void test_rows_of_all_sizes(void)
{
    enum { ROWS = 6, IN = 64 };
    static const float sizes[ROWS] = {0, 1, 1e-40f, 1e-30f, 1e30f, 3e37f};
    hlq_rng rng = hlq_rng_new(5);
    hlq_quantizer_params params = params_of(&linear_codes[1]);
    params.beta = beta_for(&linear_codes[1]);
    float w[ROWS * IN], unpacked[ROWS * IN], x[IN] = {0}, y[ROWS];
    for (int centred = 0; centred <= 1; centred++) {
        params.centred = centred;
        hlq_quantizer *quantizer = quantizer_with(&params);
        hlq_linear *linear;
        for (int i = 0; i < ROWS * IN; i++) w[i] = sizes[i / IN] * (float)hlq_rng_gauss(&rng);
        CHECK_EQ(hlq_linear_pack(quantizer, w, ROWS, IN, &linear), HLQ_OK);
        CHECK_EQ(hlq_linear_unpack(linear, 0, ROWS, unpacked), HLQ_OK);
        for (int r = 0; r < ROWS; r++) {
            hlq_test_case("row of size %g, %scentred", sizes[r], centred ? "" : "not ");
            double error = 0, norm2 = 0;
            for (int i = IN * r; i < IN * (r + 1); i++) {
                error += pow((double)w[i] - unpacked[i], 2);
                norm2 += pow(w[i], 2);
            }
            /* 4 bits a number: measured .004 to .012; a row of denormals has 16 bits of its own. */
            CHECK_AT_MOST(error, 0.03 * norm2);
        }
        uint64_t overloads;
        for (int two_sided = 0; two_sided <= 1; two_sided++) {
            hlq_test_case("x of zeros, %s-sided", two_sided ? "two" : "one");
            CHECK_EQ(
                hlq_linear_forward(linear, two_sided ? quantizer : NULL, x, 1, y, &overloads, 1),
                HLQ_OK);
            for (int r = 0; r < ROWS; r++) CHECK(y[r] == 0);
            CHECK_EQ(overloads, 0);
        }
        hlq_linear_destroy(linear);
        hlq_quantizer_destroy(quantizer);
    }
}

int main(void)
{
    hlq_test_start("test_linear_pack");
    test_a_layer_holds_decoded_digits_times_scales();
    test_a_layer_is_described_as_it_is();
    test_the_scale_of_a_row_is_the_best_of_eight();
    test_overloaded_vectors_are_shrunk_until_they_fit();
    test_rows_are_quantized_as_layers_are();
    test_any_rows_can_be_unpacked();
    test_a_loaded_layer_is_the_one_that_was_saved();
    test_rows_of_all_sizes();
    return hlq_test_end();
}
