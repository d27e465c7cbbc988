/*
 * Dither, block by block: the random vectors are what dither.h says they are; whatever is coded,
 * the error is as if drawn from the Voronoi cell, and no choice shows what was drawn. Runs on the
 * variant in use; test_kernels.c shows that all give the same bytes.
 */
#include "lattice_model.h"

#include <collective/partition.h>
#include <kernels/body/dither.h>
#include <wire/codec.h>

enum { BLOCKS = 256, ELEMS = BLOCKS * HLQ_BLOCK_ELEMS };

/* A sum of independent numbers of mean 0 is within this many of its standard deviations but once in
   a million. */
static const double SIGMAS = 4.9;

/* Second moment of the cell per coordinate: Conway and Sloane, chapter 21. */
static const double second_moment[3] = {
    [HLQ_LATTICE_E8] = 929.0 / 12960, [HLQ_LATTICE_D4] = 13.0 / 120, [HLQ_LATTICE_Z] = 1.0 / 12};

static const hlq_kernels *k;
static vec root[3][240];
static int roots[3];

/* Voronoi norm of a vector in lattice units, by definition. */
static double norm_of(hlq_lattice lattice, const double x[D])
{
    double most = 0; /* 2 ⟨x, v⟩ / ⟨v, v⟩; root[] is doubled */
    for (int i = 0; i < roots[lattice]; i++) {
        double product = 0;
        for (int r = 0; r < D; r++) product += x[r] * root[lattice][i].x[r];
        most = fmax(most, product * (lattice == HLQ_LATTICE_Z ? 1 : 0.5));
    }
    return most;
}

/* The vectors themselves ----------------------------------------------------------------------- */

/* Means and products of coordinates, over many vectors, are those of the cell. */
static void check_uniform(hlq_lattice lattice, const double *u, size_t vectors)
{
    double n = (double)vectors;
    for (int r = 0; r < D; r++) {
        for (int q = 0; q <= r; q++) {
            double sum = 0, product = 0, squares = 0;
            for (size_t v = 0; v < vectors; v++) {
                double one = u[v * D + (size_t)r] * u[v * D + (size_t)q];
                sum += u[v * D + (size_t)r];
                product += one;
                squares += one * one;
            }
            double mean = product / n, spread = sqrt((squares / n - mean * mean) / n);
            CHECK_AT_MOST(fabs(sum), SIGMAS * sqrt(n * second_moment[lattice]));
            CHECK_AT_MOST(fabs(mean - (r == q ? second_moment[lattice] : 0)), SIGMAS * spread);
        }
    }
}

static void test_dither_is_uniform_over_the_cell(void)
{
    enum { KEYS = 40, EACH = 25, VECTORS = KEYS * EACH * LANES };
    static double u[VECTORS * D];
    hlq_rng rng = hlq_rng_new(1);
    for (hlq_lattice lattice = HLQ_LATTICE_E8; lattice <= HLQ_LATTICE_Z; lattice++) {
        size_t v = 0;
        double most = 0;
        hlq_test_case("%s", hlq_lattice_name(lattice));
        for (int i = 0; i < KEYS; i++) {
            uint64_t key = hlq_rng_next(&rng);
            for (uint64_t block = 0; block < EACH; block++) {
                F row[HLQ_ROWS];
                dither_rows(lattice, key, block, row);
                for (int lane = 0; lane < LANES; lane++, v++) {
                    for (int r = 0; r < D; r++) u[v * D + (size_t)r] = row[r].v[lane] / 2.0;
                    most = fmax(most, norm_of(lattice, u + v * D));
                }
            }
        }
        /* Beyond the cell by 1/16384 in all coordinates, no more. */
        CHECK_WITHIN(most, 0.98, 1 + 8 * 0.5 / 16384 * 1.01);
        check_uniform(lattice, u, VECTORS);
    }
}

/* Errors --------------------------------------------------------------------------------------- */

static int16_t exponent[BLOCKS];
static uint8_t code[BLOCKS], bits_of[BLOCKS], wide[2][BLOCKS / 8];
static uint32_t side[2][BLOCKS * HLQ_RAMP_WORDS], planes[BLOCKS * HLQ_BITS_MAX * HLQ_PLANE_WORDS];
static float y[ELEMS], sent[ELEMS]; /* rotated: what is coded, what is decoded */

static hlq_run coded_run(hlq_lattice lattice, int bits, int dithered, uint64_t key, int which)
{
    hlq_source source = {.data = y, .elems = ELEMS, .rotated = 1};
    hlq_run run = {.place = hlq_place_all(ELEMS, 7),
                   .lattice = lattice,
                   .dithered = dithered,
                   .dither_key = key,
                   .code = code,
                   .bits = bits_of,
                   .wide = wide[which],
                   .side = side[which],
                   .planes = planes};
    k->exponents(&run.place, &source, exponent);
    run.base = hlq_base_of_exponents(HLQ_FLOAT32, exponent, BLOCKS);
    hlq_codes_from_exponents(exponent, BLOCKS, run.base, code);
    for (int b = 0; b < BLOCKS; b++) bits_of[b] = (uint8_t)(code[b] ? bits : 0);
    k->encode(&run, &source);
    memset(sent, 0, sizeof sent);
    k->decode_add(&run, 0, sent);
    return run;
}

enum { GAUSS, LOGNORMAL, HOT, HOT_VECTOR, EDGE, KINDS };
static const char *const kind_name[KINDS] = {"gauss", "lognormal", "one number", "one vector",
                                             "vectors at the limit of a step"};

/* Blocks of any size; those of one number or vector are wide. EDGE: lanes as long as the ramp's
   limits allow, give or take a part in 1000, beside lanes that make the block's size 1. */
static void fill(hlq_rng *rng, int kind)
{
    for (int b = 0; b < BLOCKS; b++) {
        float *block = y + b * HLQ_BLOCK_ELEMS, size = (float)exp2(hlq_rng_between(rng, -9, 9));
        int hot = hlq_rng_between(rng, 0, HLQ_BLOCK_ELEMS - 1);
        for (int i = 0; i < HLQ_BLOCK_ELEMS; i++) {
            double draw = kind == LOGNORMAL ? hlq_rng_lognormal(rng) : hlq_rng_gauss(rng);
            if (kind == HOT && i != hot) draw = 0;
            if (kind == HOT_VECTOR && i % HLQ_LANES != hot % HLQ_LANES) draw = 0;
            if (kind == EDGE) {
                double length = 2.94 * pow(1.3, hlq_rng_between(rng, 0, 3)) * 0.5;
                draw = length * (1 + 0.001 * hlq_rng_gauss(rng)) * (draw < 0 ? -1 : 1);
                if (i / HLQ_LANES > 1) draw *= 0.2;
            }
            block[i] = (float)draw * size;
        }
    }
}

/* The lattice unit of a lane. */
static double unit_of_lane(const hlq_run *run, const hlq_steps *steps, int b, int lane)
{
    const uint32_t *ramp = run->side + HLQ_RAMP_WORDS * b;
    int step = (int)((ramp[0] >> lane & 1) + 2 * (ramp[1] >> lane & 1));
    if (run->wide[b / 8] >> b % 8 & 1) step += HLQ_RAMP_STEPS - 1;
    return steps[run->bits[b]].scale[step] * exp2((code[b] - HLQ_CODE_TOP) / 8.0 + run->base);
}

typedef struct errors {
    double largest;        /* Voronoi norm */
    double sum, squares;   /* of coordinates, lattice units */
    double with, with_var; /* Σ error × what is coded, and the variance to expect of it */
    double coordinates;
} errors;

static errors errors_of(const hlq_run *run)
{
    hlq_steps steps[HLQ_BITS_MAX + 1];
    errors all = {0};
    steps_fill(steps, run->lattice, 0, 0, run->dithered);
    for (int i = 0; i < BLOCKS * LANES; i++) {
        int b = i / LANES, lane = i % LANES;
        if (!run->bits[b]) continue;
        double unit = unit_of_lane(run, steps, b, lane), e[D], size = 0;
        for (int r = 0; r < D; r++) {
            size_t at = (size_t)(HLQ_BLOCK_ELEMS * b + LANES * r + lane);
            double x = y[at] / unit;
            e[r] = (sent[at] - (double)y[at]) / unit;
            size += fabs(x);
            all.sum += e[r];
            all.squares += e[r] * e[r];
            all.with += e[r] * x;
            all.with_var += second_moment[run->lattice] * x * x;
            all.coordinates++;
        }
        /* float32 rounds the scales and what they multiply, six times in all */
        all.largest = fmax(all.largest, norm_of(run->lattice, e) - 6 * 0x1p-24 * size);
    }
    return all;
}

static void check_errors(const hlq_run *run)
{
    errors e = errors_of(run);
    double variance = second_moment[run->lattice];
    CHECK_WITHIN(e.largest, 0.9, 1 + 1.0 / 512); /* what scales.h allows for arithmetic */
    CHECK_AT_MOST(fabs(e.sum), SIGMAS * sqrt(e.coordinates * variance));
    CHECK_AT_MOST(fabs(e.with), SIGMAS * sqrt(e.with_var));
    /* (error of a vector)² varies by less than 2 times its mean */
    CHECK_AT_MOST(fabs(e.squares / (e.coordinates * variance) - 1),
                  SIGMAS * 2 / sqrt(e.coordinates / D));
}

/* Two draws have the same wide bits and steps: what the data alone decides. */
static void test_errors_are_drawn_from_the_cell_whatever_is_coded(void)
{
    hlq_rng rng = hlq_rng_new(2);
    int wide_blocks = 0;
    for (hlq_lattice lattice = HLQ_LATTICE_E8; lattice <= HLQ_LATTICE_Z; lattice++) {
        for (int bits = 2; bits <= HLQ_BITS_MAX; bits++) {
            for (int kind = 0; kind < KINDS; kind++) {
                hlq_test_case("%s, %d bits, %s", hlq_lattice_name(lattice), bits, kind_name[kind]);
                fill(&rng, kind);
                for (int which = 0; which < 2; which++) {
                    hlq_run run = coded_run(lattice, bits, 1, hlq_rng_next(&rng), which);
                    check_errors(&run);
                }
                CHECK_BYTES(wide[1], wide[0], sizeof wide[0]);
                CHECK_BYTES(side[1], side[0], sizeof side[0]);
                for (int b = 0; b < BLOCKS; b++) wide_blocks += wide[0][b / 8] >> b % 8 & 1;
            }
        }
    }
    hlq_test_case("all");
    CHECK(wide_blocks > 3 * 11 * 2 * BLOCKS / 2); /* of those with one number or vector, most */
}

/* What the tests above would see without dither: at 2 bits errors go with the numbers. */
static void test_errors_without_dither_depend_on_the_data(void)
{
    hlq_rng rng = hlq_rng_new(3);
    for (hlq_lattice lattice = HLQ_LATTICE_E8; lattice <= HLQ_LATTICE_Z; lattice++) {
        hlq_test_case("%s", hlq_lattice_name(lattice));
        fill(&rng, GAUSS);
        hlq_run run = coded_run(lattice, 2, 0, 0, 0);
        errors e = errors_of(&run);
        CHECK(fabs(e.with) > 4 * SIGMAS * sqrt(e.with_var));
    }
}

int main(void)
{
    hlq_test_start("test_dither");
    k = hlq_kernels_get();
    for (int lattice = 0; lattice < 3; lattice++) {
        roots[lattice] = count_roots((hlq_lattice)lattice, root[lattice]);
    }
    test_dither_is_uniform_over_the_cell();
    test_errors_are_drawn_from_the_cell_whatever_is_coded();
    test_errors_without_dither_depend_on_the_data();
    return hlq_test_end();
}
