/*
 * Every kernel variant gives the same bytes as the scalar one, whatever the tensor, the options,
 * the place of the blocks, the alignment of memory and the caller's floating-point environment;
 * none of them touches memory it was not given, or changes its input.
 *
 * One case (kernel_case.h) is one random choice of all of these. Every function of hlq_kernels runs
 * on it, once per variant (kernel_outcome.h).
 */
#include "kernel_outcome.h"

static void test_case_on_all(hlq_rng *rng, const kernel_case *c)
{
    const hlq_kernels *k;
    int supported;
    outcome want = run_variant(rng, c, &hlq_kernels_scalar, USUAL, 1);
    for (int i = 0; (k = hlq_kernels_at(i, &supported)); i++) {
        if (!supported) continue;
        unsigned env = hlq_rng_between(rng, 0, 1) ? USUAL : HOSTILE;
        check_variant(rng, c, k, env, 1, &want);
    }
    outcome_free(&want);
}

static void test_all_variants_give_the_bytes_of_scalar(void)
{
    static const case_size sizes[] = {{0, 1},    {1, 40},    {255, 40},  {256, 40},
                                      {257, 40}, {1021, 40}, {7919, 10}, {65536, 2}};
    for_each_case(sizes, sizeof sizes / sizeof *sizes, test_case_on_all);
}

/* hlq_run_take cuts a run where its side words, planes and wide bits can be cut. */
static void test_pieces_of_a_run_make_the_whole(void)
{
    hlq_rng rng = hlq_rng_new(2);
    for (int choice = 0; choice < 200; choice++) {
        size_t elems = 1 + hlq_rng_below(&rng, 20000);
        kernel_case c = case_new(&rng, elems, (hlq_lattice)(choice % 3), HLQ_FLOAT32, choice & 1);
        hlq_test_case("%zu blocks, %s", c.place.blocks, c.modular ? "modular" : "ramp");
        outcome whole = {0}, pieces = {0};
        void *in_whole[BUFFERS], *in_pieces[BUFFERS];
        for (int i = 0; i < BUFFERS; i++) {
            whole.buffer[i] = hlq_guarded_new(c.bytes[i], GUARD_AFTER, -1);
            pieces.buffer[i] = hlq_guarded_new(c.bytes[i], GUARD_AFTER, -1);
            in_whole[i] = memcpy(whole.buffer[i].data, c.content[i], c.bytes[i]);
            in_pieces[i] = memcpy(pieces.buffer[i].data, c.content[i], c.bytes[i]);
        }
        hlq_run run = run_of(&c, in_whole), rest = run_of(&c, in_pieces);
        hlq_source source = source_of(&c, in_whole, 0), cut = source_of(&c, in_pieces, 0);
        whole.count[ENCODED] = hlq_kernels_scalar.encode(&run, &source);
        hlq_kernels_scalar.decode(&run, 1, c.dtype, in_whole[DECODED], elems, NULL);
        while (rest.place.blocks) {
            hlq_run piece = hlq_run_take(&rest, 8 * (size_t)hlq_rng_between(&rng, 1, 4));
            pieces.count[ENCODED] += hlq_kernels_scalar.encode(&piece, &cut);
            hlq_kernels_scalar.decode(&piece, 1, c.dtype, in_pieces[DECODED], elems, NULL);
        }
        compare(&pieces, &whole);
        outcome_free(&whole);
        outcome_free(&pieces);
        case_free(&c);
    }
}

/* Sums are made in units near the largest rank's numbers; another rank's may be 2^-200 of these. */
static void test_a_tiny_run_adds_nothing_to_a_huge_sum(void)
{
    float x[HLQ_BLOCK_ELEMS], acc[HLQ_BLOCK_ELEMS];
    uint32_t side[HLQ_RAMP_WORDS], planes[HLQ_BITS_MAX * HLQ_PLANE_WORDS];
    uint8_t code, bits = 4, wide;
    int16_t exponent;
    hlq_rng rng = hlq_rng_new(3);
    hlq_rng_fill(&rng, hlq_rng_gauss, x, HLQ_BLOCK_ELEMS);
    for (int i = 0; i < HLQ_BLOCK_ELEMS; i++) x[i] *= 1e-30f;
    hlq_source source = {.data = x, .elems = HLQ_BLOCK_ELEMS};
    hlq_run run = {.place = {.blocks = 1, .stride = 1},
                   .code = &code,
                   .bits = &bits,
                   .wide = &wide,
                   .side = side,
                   .planes = planes};
    hlq_kernels_scalar.exponents(&run.place, &source, &exponent);
    run.base = hlq_base_of_exponents(HLQ_FLOAT32, &exponent, 1);
    hlq_codes_from_exponents(&exponent, 1, run.base, &code);
    hlq_kernels_scalar.encode(&run, &source);
    for (int unit = run.base; unit <= HLQ_UNIT_LIMIT; unit++) {
        hlq_test_case("base %d, unit %d", run.base, unit);
        for (int i = 0; i < HLQ_BLOCK_ELEMS; i++) acc[i] = 1;
        hlq_kernels_scalar.decode_add(&run, unit, acc);
        double most = 0;
        for (int i = 0; i < HLQ_BLOCK_ELEMS; i++) most = fmax(most, fabs(acc[i] - 1.0));
        /* No rotated number exceeds 16 rms, nor its code 1.5 times that; rounding to float32. */
        if (!CHECK_AT_MOST(most, 24 * exp2(run.base - unit) + 0x1p-23)) break;
    }
}

/* Where others have numbers, a rank may have a block of denormals. exponents() says it is zero, and
   that others may have agreed on a size far below it; so it is coded as zero. */
static void test_a_block_of_denormals_is_coded_as_zeros(void)
{
    enum {
        SMALLEST = -130,
        WORDS = HLQ_BITS_MAX * HLQ_PLANE_WORDS
    }; /* base of a block with a single 2^-126 */
    static const uint32_t zeros[WORDS];
    float x[HLQ_BLOCK_ELEMS];
    uint32_t side[1], planes[WORDS];
    uint8_t code = HLQ_CODE_TOP, bits = HLQ_BITS_MAX;
    hlq_rng rng = hlq_rng_new(4);
    for (int i = 0; i < HLQ_BLOCK_ELEMS; i++) x[i] = (float)hlq_rng_uniform(&rng) * 0x1p-126f;
    hlq_source source = {.data = x, .elems = HLQ_BLOCK_ELEMS};
    hlq_run run = {.place = {.blocks = 1, .stride = 1},
                   .base = SMALLEST,
                   .modular = 1,
                   .code = &code,
                   .bits = &bits,
                   .side = side,
                   .planes = planes};
    const hlq_kernels *k;
    int supported;
    for (int i = 0; (k = hlq_kernels_at(i, &supported)); i++) {
        if (!supported) continue;
        hlq_test_case("denormals by %s", k->name);
        CHECK_EQ(k->encode(&run, &source), 0);
        CHECK_EQ(side[0], 0);
        CHECK_BYTES(planes, zeros, sizeof zeros);
    }
}

int main(void)
{
    const hlq_kernels *k;
    int supported;
    hlq_test_start("test_kernels");
    for (int i = 0; (k = hlq_kernels_at(i, &supported)); i++) {
        printf("%s: %s\n", k->name, supported ? "tested" : "this processor cannot run it");
    }
    test_all_variants_give_the_bytes_of_scalar();
    test_pieces_of_a_run_make_the_whole();
    test_a_tiny_run_adds_nothing_to_a_huge_sum();
    test_a_block_of_denormals_is_coded_as_zeros();
    hlq_test_case("all");
    for (int i = 0; i < COUNTS; i++) CHECK(seen[i] > 0);
    return hlq_test_end();
}
