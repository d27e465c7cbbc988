/*
 * What coding costs: the error is what the plan forecasts, never beyond the covering radius of the
 * scaled lattice, and what is lost lands in the residual. Runs on the variant in use;
 * test_kernels.c shows that all give the same bytes.
 */
#include "hlq_test.h"
#include "segments.h"

#include <collective/partition.h>
#include <kernels/body/scales.h>
#include <wire/codec.h>
#include <wire/plan.h>

enum { BLOCKS = 256, ELEMS = BLOCKS * HLQ_BLOCK_ELEMS, SEED = 11 };

static const hlq_kernels *k;

static int dithered; /* whether runs are coded with dither */

/* One run and its memory. */
static int16_t exponent[BLOCKS];
static uint8_t code[BLOCKS], bits_of[BLOCKS], wide[BLOCKS / 8], failed[BLOCKS / 8];
static uint32_t side[BLOCKS * HLQ_RAMP_WORDS], planes[BLOCKS * HLQ_BITS_MAX * HLQ_PLANE_WORDS];
static float x[ELEMS], decoded[ELEMS], residual[ELEMS], rotated[ELEMS], sent[ELEMS];

static const struct {
    const char *name;
    hlq_distribution *draw;
    double low, high; /* error over forecast */
    double gain;      /* least improvement by the next budget below */
} distributions[] = {
    /* The forecast was measured on Gaussian numbers; it decides between errors four times apart, so
       15 % (0.1 bit) is close. Blocks of Laplace numbers are Gaussian once rotated. A few
       log-normal numbers carry their whole block, which is rotated to few levels, perhaps near
       lattice points; and the largest of these blocks soon have all 12 bits. */
    {"gauss", hlq_rng_gauss, 0.85, 1.15, 1.5},
    {"laplace", hlq_rng_laplace, 0.85, 1.15, 1.5},
    {"lognormal", hlq_rng_lognormal, 0, 2, 1},
};
enum { DISTRIBUTIONS = sizeof distributions / sizeof *distributions };

static double energy(const float *a, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * a[i];
    return sum;
}

static double squared_distance(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sum;
}

static hlq_source source_of(const float *data, float *with_residual)
{
    return (hlq_source){.data = data, .elems = ELEMS, .residual = with_residual};
}

/* The run of all blocks with the same bits, coded. spread < 0: with ramp. */
static hlq_run coded_run(hlq_lattice lattice, int bits, int spread, const hlq_source *source)
{
    hlq_run run = {.place = hlq_place_all(ELEMS, SEED),
                   .lattice = lattice,
                   .modular = spread >= 0,
                   .spread = spread < 0 ? 0 : spread,
                   .dithered = spread < 0 && dithered,
                   .dither_key = (uint64_t)bits,
                   .code = code,
                   .bits = bits_of,
                   .wide = spread < 0 ? wide : NULL,
                   .side = side,
                   .planes = planes};
    k->exponents(&run.place, source, exponent);
    run.base = hlq_base_of_exponents(HLQ_FLOAT32, exponent, BLOCKS);
    hlq_codes_from_exponents(exponent, BLOCKS, run.base, code);
    for (int b = 0; b < BLOCKS; b++) {
        bits_of[b] =
            (uint8_t)(code[b] == HLQ_CODE_ZERO || code[b] == HLQ_CODE_NONFINITE ? 0 : bits);
    }
    k->encode(&run, source);
    return run;
}

/* Mean errors ---------------------------------------------------------------------------------- */

static void test_errors_are_what_the_plan_expects(void)
{
    hlq_rng rng = hlq_rng_new(1);
    for (int d = 0; d < DISTRIBUTIONS; d++) {
        hlq_rng_fill(&rng, distributions[d].draw, x, ELEMS);
        hlq_source source = source_of(x, NULL);
        for (hlq_lattice lattice = HLQ_LATTICE_E8; lattice <= HLQ_LATTICE_Z; lattice++) {
            for (int bits = 2; bits <= HLQ_BITS_MAX; bits++) {
                hlq_run run = coded_run(lattice, bits, -1, &source);
                k->decode(&run, 1, HLQ_FLOAT32, decoded, ELEMS, NULL);
                double error = squared_distance(x, decoded, ELEMS) / energy(x, ELEMS);
                hlq_test_case("%s, %s, %d bits", distributions[d].name, hlq_lattice_name(lattice),
                              bits);
                CHECK_WITHIN(error / hlq_plan_distortion(lattice, dithered, bits),
                             distributions[d].low, distributions[d].high);
            }
        }
    }
}

/* A whole segment, written over whatever was there, and read back. */
static hlq_code_stats through_segment(hlq_rng *rng, hlq_lattice lattice, double bits)
{
    hlq_frame frame = {.form = HLQ_FORM_RAMP,
                       .lattice = lattice,
                       .place = hlq_place_all(ELEMS, SEED),
                       .dithered = dithered,
                       .bytes = hlq_segment_bytes(HLQ_FORM_RAMP, BLOCKS, bits * ELEMS / 8, 0)};
    hlq_guarded first = hlq_guarded_new(frame.bytes, GUARD_AFTER, -1);
    hlq_guarded second = hlq_guarded_new(frame.bytes, GUARD_AFTER, -1);
    hlq_source source = source_of(x, NULL);
    hlq_code_stats stats = {0}, again = {0}, read = {0};
    char error[256] = "";
    hlq_run run;
    hlq_rng_bytes(rng, first.data, first.bytes);
    hlq_rng_bytes(rng, second.data, second.bytes);
    segment_encode(k, &frame, &source, (hlq_scratch){exponent, bits_of}, first.data, &stats);
    segment_encode(k, &frame, &source, (hlq_scratch){exponent, bits_of}, second.data, &again);
    CHECK_BYTES(second.data, first.data, frame.bytes);
    if (CHECK_EQ(segment_read(&frame, first.data, bits_of, &run, error), HLQ_OK)) {
        k->decode(&run, 1, HLQ_FLOAT32, decoded, ELEMS, NULL);
        hlq_code_stats_add(&read, &run);
        CHECK_WITHIN(read.error, stats.error, stats.error);
    }
    hlq_guarded_free(&first);
    hlq_guarded_free(&second);
    return stats;
}

/* Blocks of sizes 2^±8, budgets that give each its own bits; exponents round sizes up by 1/16
   octave on average, so forecasts in absolute numbers are some 9 % high. */
static void test_segments_keep_their_forecast_and_gain_by_every_bit(void)
{
    static const double budgets[] = {1.5, 2, 2.5, 3, 4, 5, 6, 8};
    hlq_rng rng = hlq_rng_new(2);
    for (int d = 0; d < DISTRIBUTIONS; d++) {
        hlq_rng_fill(&rng, distributions[d].draw, x, ELEMS);
        for (int b = 0; b < BLOCKS; b++) {
            float size = (float)exp2(hlq_rng_between(&rng, -8, 8));
            for (int i = 0; i < HLQ_BLOCK_ELEMS; i++) x[b * HLQ_BLOCK_ELEMS + i] *= size;
        }
        for (hlq_lattice lattice = HLQ_LATTICE_E8; lattice <= HLQ_LATTICE_Z; lattice++) {
            double before = energy(x, ELEMS);
            for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++) {
                if (dithered && budgets[i] < HLQ_DITHER_BUDGET) continue;
                hlq_test_case("%s, %s, %g bits%s", distributions[d].name, hlq_lattice_name(lattice),
                              budgets[i], dithered ? ", dithered" : "");
                hlq_code_stats stats = through_segment(&rng, lattice, budgets[i]);
                double error = squared_distance(x, decoded, ELEMS);
                CHECK_WITHIN(error / stats.error, 0.9 * distributions[d].low,
                             distributions[d].high);
                CHECK_WITHIN(stats.energy / energy(x, ELEMS), 1, exp2(0.25));
                CHECK_AT_MOST(error, before / distributions[d].gain); /* 3 dB by half a bit */
                before = error;
            }
        }
    }
}

/* Largest errors ------------------------------------------------------------------------------- */

/* Blocks with a single number, vector, or constant where it hurts: in the rotated domain. */
static void fill_adversarial(hlq_rng *rng)
{
    memset(rotated, 0, sizeof rotated);
    for (int b = 0; b < BLOCKS; b++) {
        float *y = rotated + b * HLQ_BLOCK_ELEMS;
        int lane = hlq_rng_between(rng, 0, HLQ_LANES - 1), kind = b % 6;
        for (int row = 0; row < HLQ_ROWS; row++) {
            float gauss = (float)hlq_rng_gauss(rng);
            if (kind == 1) y[HLQ_LANES * row + lane] = gauss;
            if (kind == 2) y[HLQ_LANES * row + lane] = 1;
            if (kind == 3 && row < 2) y[HLQ_LANES * row + lane] = gauss < 0 ? -1 : 1;
            for (int l = 0; l < HLQ_LANES; l++) {
                if (kind == 4) y[HLQ_LANES * row + l] = 1;
                if (kind == 5) y[HLQ_LANES * row + l] = (float)hlq_rng_gauss(rng);
            }
        }
        if (kind == 0) y[hlq_rng_between(rng, 0, HLQ_BLOCK_ELEMS - 1)] = 1;
    }
    hlq_place all = hlq_place_all(ELEMS, SEED);
    k->unrotate(&all, rotated, 0, 1, HLQ_FLOAT32, x, ELEMS);
}

/* Units of a lane's lattice: the scale of its ramp step, times the block's rms. */
static double unit_of(const hlq_run *run, int b, int lane)
{
    hlq_steps steps[HLQ_BITS_MAX + 1];
    const uint32_t *ramp = side + HLQ_RAMP_WORDS * b;
    int step = 0;
    steps_fill(steps, run->lattice, run->modular, run->spread, run->dithered);
    if (!run->modular) {
        step = (int)((ramp[0] >> lane & 1) + 2 * (ramp[1] >> lane & 1));
        if (wide[b / 8] >> b % 8 & 1) step += HLQ_RAMP_STEPS - 1;
    }
    double rms = exp2((code[b] - HLQ_CODE_TOP) / 8.0 + run->base);
    return rms * steps[run->bits[b]].scale[step];
}

/* Covering radii: 1 for a vector of E8 or D4, half the root of the dimension for Z. */
static double largest_error_in_units(const hlq_run *run, int b, int lane)
{
    int rows = run->lattice == HLQ_LATTICE_E8 ? 8 : run->lattice == HLQ_LATTICE_D4 ? 4 : 1;
    double unit = unit_of(run, b, lane), largest = 0;
    for (int first = 0; first < HLQ_ROWS; first += rows) {
        double sum = 0, size = 0;
        for (int row = first; row < first + rows; row++) {
            size_t i = (size_t)(HLQ_BLOCK_ELEMS * b + HLQ_LANES * row + lane);
            sum += ((double)rotated[i] - sent[i]) * ((double)rotated[i] - sent[i]);
            size += (double)rotated[i] * rotated[i];
        }
        double radius = rows == 1 ? 0.5 : 1;
        /* float32 rounds rotated numbers by 2^-24 of them, some times over */
        double rounding = 4e-6 * sqrt(size) / unit;
        largest = fmax(largest, (sqrt(sum) / unit - rounding) / radius);
    }
    return largest;
}

/* |x̂ - x| ≤ scale × covering radius, for every vector of every block, whatever it holds; in
   modular form unless the check tells. The fixed point of the encoder adds 2^-13 per coordinate. */
static void check_bound(hlq_lattice lattice, int bits, int spread)
{
    hlq_place all = hlq_place_all(ELEMS, SEED);
    hlq_source source = source_of(x, NULL);
    hlq_run run = coded_run(lattice, bits, spread, &source);
    hlq_code_stats stats = {0};
    double largest = 0, largest_unit = 0;
    hlq_code_stats_add(&stats, &run);
    memset(rotated, 0, sizeof rotated);
    memset(sent, 0, sizeof sent);
    memset(failed, 0, sizeof failed);
    k->rotate_add(&all, &source, 0, rotated);
    k->decode_add(&run, 0, sent);
    if (run.modular) k->decode(&run, 1, HLQ_FLOAT32, decoded, ELEMS, failed);
    for (int b = 0; b < BLOCKS; b++) {
        if (failed[b / 8] >> b % 8 & 1) continue;
        for (int lane = 0; lane < HLQ_LANES; lane++) {
            largest = fmax(largest, largest_error_in_units(&run, b, lane));
            largest_unit = fmax(largest_unit, unit_of(&run, b, lane));
        }
    }
    CHECK_WITHIN(largest, 0.1, 1 + 8 * 0x1p-13);
    CHECK_AT_MOST(largest_unit, stats.largest_scale * (1 + 1e-6));
}

static void test_no_vector_is_off_by_more_than_the_covering_radius(void)
{
    hlq_rng rng = hlq_rng_new(3);
    for (hlq_lattice lattice = HLQ_LATTICE_E8; lattice <= HLQ_LATTICE_Z; lattice++) {
        for (int bits = 2; bits <= HLQ_BITS_MAX; bits++) {
            hlq_test_case("%s, %d bits", hlq_lattice_name(lattice), bits);
            fill_adversarial(&rng);
            check_bound(lattice, bits, -1);
            int all_wide = 0;
            for (int b = 0; b < BLOCKS; b++) all_wide += wide[b / 8] >> b % 8 & 1;
            CHECK_WITHIN(all_wide, BLOCKS / 6, BLOCKS);
            check_bound(lattice, bits, hlq_rng_between(&rng, 12, 24));
        }
    }
}

/* Residuals and special values ----------------------------------------------------------------- */

/* residual = (data + residual) - decoded: nothing is lost between calls. */
static void check_residual(hlq_lattice lattice, int bits, int spread)
{
    static float whole[ELEMS];
    hlq_source source = source_of(x, residual);
    for (int i = 0; i < ELEMS; i++) whole[i] = x[i] + residual[i];
    hlq_run run = coded_run(lattice, bits, spread, &source);
    k->decode(&run, 1, HLQ_FLOAT32, decoded, ELEMS, NULL);
    for (int b = 0; b < BLOCKS; b++) {
        const size_t at = (size_t)b * HLQ_BLOCK_ELEMS;
        double size = sqrt(energy(whole + at, HLQ_BLOCK_ELEMS)), most = 0;
        for (size_t i = at; i < at + HLQ_BLOCK_ELEMS; i++) {
            most = fmax(most, fabs((double)whole[i] - decoded[i] - residual[i]));
        }
        CHECK_AT_MOST(most, 1e-6 * size); /* float32 */
    }
}

static void test_what_is_not_sent_stays_in_the_residual(void)
{
    hlq_rng rng = hlq_rng_new(4);
    for (hlq_lattice lattice = HLQ_LATTICE_E8; lattice <= HLQ_LATTICE_Z; lattice++) {
        for (int bits = 0; bits <= HLQ_BITS_MAX; bits += 2) {
            hlq_test_case("%s, %d bits", hlq_lattice_name(lattice), bits);
            hlq_rng_fill(&rng, hlq_rng_gauss, x, ELEMS);
            hlq_rng_fill(&rng, hlq_rng_laplace, residual, ELEMS);
            check_residual(lattice, bits, -1);
            check_residual(lattice, bits, 24); /* wide enough for all: sums are exact */
        }
    }
}

static int count_of(const float *block, int (*is)(float))
{
    int count = 0;
    for (int i = 0; i < HLQ_BLOCK_ELEMS; i++) count += is(block[i]);
    return count;
}

static int is_zero(float v) { return v == 0 && !signbit(v); }
static int is_nan(float v) { return isnan(v); }
static int is_finite(float v) { return isfinite(v); }

/* Block 0 is zero, 1 is -0, 2 denormal, 3 has a NaN, 4 an Inf, 5 is too small beside the rest. */
static void test_special_blocks_keep_to_themselves(void)
{
    hlq_rng rng = hlq_rng_new(5);
    enum { SPECIAL = 6 };
    hlq_rng_fill(&rng, hlq_rng_gauss, x, ELEMS);
    for (int i = 0; i < HLQ_BLOCK_ELEMS; i++) {
        x[i] = 0;
        x[HLQ_BLOCK_ELEMS + i] = -0.0f;
        x[2 * HLQ_BLOCK_ELEMS + i] *= 1e-41f;
        x[5 * HLQ_BLOCK_ELEMS + i] *= 0x1p-40f;
    }
    x[3 * HLQ_BLOCK_ELEMS + 17] = NAN;
    x[4 * HLQ_BLOCK_ELEMS + 255] = -INFINITY;
    for (hlq_lattice lattice = HLQ_LATTICE_E8; lattice <= HLQ_LATTICE_Z; lattice++) {
        hlq_test_case("%s", hlq_lattice_name(lattice));
        memset(residual, 0, sizeof residual);
        hlq_source source = source_of(x, residual);
        hlq_run run = coded_run(lattice, 4, -1, &source);
        k->decode(&run, 1, HLQ_FLOAT32, decoded, ELEMS, NULL);
        CHECK_EQ(hlq_run_nonfinite(&run), 2);
        for (int b = 0; b < BLOCKS; b++) {
            const float *block = decoded + b * HLQ_BLOCK_ELEMS;
            int nan = b == 3 || b == 4, zero = b < SPECIAL && !nan;
            CHECK_EQ(count_of(block, is_nan), nan ? HLQ_BLOCK_ELEMS : 0);
            if (zero) CHECK_EQ(count_of(block, is_zero), HLQ_BLOCK_ELEMS);
            CHECK_EQ(count_of(residual + b * HLQ_BLOCK_ELEMS, is_finite), HLQ_BLOCK_ELEMS);
            if (nan) CHECK_EQ(count_of(residual + b * HLQ_BLOCK_ELEMS, is_zero), HLQ_BLOCK_ELEMS);
        }
        CHECK_BYTES(residual + 5 * HLQ_BLOCK_ELEMS, x + 5 * HLQ_BLOCK_ELEMS, 1024);
    }
}

/* Exponents ------------------------------------------------------------------------------------ */

/* 2^((E-1)/8) < rms ≤ 2^(E/8), for every size a block can have: 2^-119 … 2^126. */
static void test_exponents_round_the_rms_up(void)
{
    hlq_rng rng = hlq_rng_new(6);
    for (int b = 0; b < BLOCKS; b++) {
        float size = (float)exp2(0.96 * b - 119 + hlq_rng_uniform(&rng));
        for (int i = 0; i < HLQ_BLOCK_ELEMS; i++) {
            x[b * HLQ_BLOCK_ELEMS + i] = (float)(2 * hlq_rng_uniform(&rng) - 1) * size;
        }
    }
    x[ELEMS - 1] = INFINITY;
    hlq_source source = source_of(x, NULL);
    hlq_place all = hlq_place_all(ELEMS, SEED);
    k->exponents(&all, &source, exponent);
    for (int b = 0; b < BLOCKS - 1; b++) {
        double rms = sqrt(energy(x + b * HLQ_BLOCK_ELEMS, HLQ_BLOCK_ELEMS) / HLQ_BLOCK_ELEMS);
        hlq_test_case("block %d of rms %g", b, rms);
        CHECK_WITHIN(exponent[b] - 8 * log2(rms), -1e-5, 1 + 1e-5); /* sums are float32 */
    }
    int base = hlq_base_of_exponents(HLQ_FLOAT32, exponent, BLOCKS);
    hlq_codes_from_exponents(exponent, BLOCKS, base, code);
    hlq_test_case("base %d", base);
    CHECK_WITHIN(code[BLOCKS - 2], HLQ_CODE_TOP - 7, HLQ_CODE_TOP);
    CHECK_EQ(exponent[BLOCKS - 1], HLQ_EXPONENT_NONFINITE);
    for (int b = 0; b < BLOCKS; b++) {
        int said = exponent[b] - 8 * base + HLQ_CODE_TOP;
        if (exponent[b] == HLQ_EXPONENT_NONFINITE) CHECK_EQ(code[b], HLQ_CODE_NONFINITE);
        else CHECK_EQ(code[b], said < 1 ? HLQ_CODE_ZERO : said);
    }
}

int main(void)
{
    hlq_test_start("test_codec");
    k = hlq_kernels_get();
    for (dithered = 0; dithered <= 1; dithered++) {
        test_errors_are_what_the_plan_expects();
        test_segments_keep_their_forecast_and_gain_by_every_bit();
        test_no_vector_is_off_by_more_than_the_covering_radius();
        test_what_is_not_sent_stays_in_the_residual();
        test_special_blocks_keep_to_themselves();
    }
    test_exponents_round_the_rms_up();
    return hlq_test_end();
}
