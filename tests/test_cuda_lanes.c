/*
 * The GPU's kernels give the bytes of the scalar variant: the lane words of kernels/lanes/cuda*.h,
 * the bodies over them and the walks of kernels/cuda/. The test runs on an emulated warp (what is
 * left then is that CUDA's own words do what warp.h says, and the launches), and where there is
 * one, on a GPU.
 */
#include "kernel_outcome.h"
#include "gpu_kernels.h"

/* Doubles are aligned on GPUs. */
enum { ALIGN = 8 };

static void compare_with_scalar(hlq_rng *rng, const kernel_case *c)
{
    hlq_kernels warp = hlq_kernels_gpu;
    warp.encode_within = hlq_kernels_scalar.encode_within; /* whole blocks, for decode */
    outcome want = run_variant(rng, c, &hlq_kernels_scalar, USUAL, ALIGN);
    check_variant(rng, c, &warp, USUAL, ALIGN, &want);
    outcome_free(&want);
}

static void test_a_warp_gives_the_bytes_of_scalar(void)
{
    static const case_size sizes[] = {{0, 1},    {1, 4},   {31, 4},    {255, 4},
                                      {256, 12}, {257, 4}, {1021, 12}, {7919, 4}};
    for_each_case(sizes, sizeof sizes / sizeof *sizes, compare_with_scalar);
}

/* A run's side words and planes that are any bytes at all, as those of another rank. */
static hlq_run any_run(hlq_rng *rng, const kernel_case *c)
{
    hlq_run run = run_of(c, c->content);
    run.side = malloc(c->bytes[SIDE] + 1);
    run.planes = malloc(c->bytes[PLANES] + 1);
    hlq_rng_bytes(rng, run.side, c->bytes[SIDE]);
    hlq_rng_bytes(rng, run.planes, c->bytes[PLANES]);
    return run;
}

/* A sum of `count` terms, own before term own_at (or nowhere), by both. */
static void compare_sums(hlq_rng *rng, const kernel_case *c, int count, int own_at)
{
    size_t blocks = c->place.blocks, acc_bytes = blocks * HLQ_BLOCK_ELEMS * sizeof(float);
    float *want = calloc(acc_bytes + 1, 1), *got = malloc(acc_bytes + 1);
    int16_t *want_exponent = malloc(blocks * 2 + 1), *exponent = malloc(blocks * 2 + 1);
    hlq_cuda_run *terms = malloc((size_t)(count + 1) * sizeof *terms);
    hlq_start *start = malloc((blocks + 1) * sizeof *start);
    hlq_source own = source_of(c, c->content, 0);
    hlq_gpu_starts(c->content[BITS], blocks, start);
    for (int t = 0; t <= count; t++) {
        if (t == own_at) hlq_kernels_scalar.rotate_add(&c->place, &own, c->unit, want);
        if (t == count) break;
        terms[t] = (hlq_cuda_run){any_run(rng, c), start};
        hlq_kernels_scalar.decode_add(&terms[t].run, c->unit, want);
    }
    hlq_source sum = {.data = want, .elems = c->elems, .rotated = 1, .unit = c->unit};
    hlq_kernels_scalar.exponents(&c->place, &sum, want_exponent);
    hlq_gpu_sum_up(&(hlq_cuda_sum){.place = c->place,
                                   .terms = terms,
                                   .count = count,
                                   .own = own_at < 0 ? NULL : &own,
                                   .own_at = own_at,
                                   .unit = c->unit,
                                   .acc = got,
                                   .exponent = exponent});
    for (size_t i = 0; i < blocks * HLQ_BLOCK_ELEMS; i++) {
        if (isnan(want[i]) && isnan(got[i])) got[i] = want[i]; /* any NaN */
    }
    CHECK_BYTES(got, want, acc_bytes);
    CHECK_BYTES(exponent, want_exponent, blocks * sizeof *exponent);
    for (int t = 0; t < count; t++) free(terms[t].run.side), free(terms[t].run.planes);
    free(want), free(got), free(want_exponent), free(exponent), free(terms), free(start);
}

/* One pass over all terms is decode_add after decode_add, and rotate_add in its place; more terms
   than fit into one pass take several. */
static void test_sums_in_one_pass_are_the_sums_term_by_term(void)
{
    static const int counts[] = {0, 1, 2, 3, HLQ_CUDA_TERMS, HLQ_CUDA_TERMS + 1};
    hlq_rng rng = hlq_rng_new(2);
    for (int choice = 0; choice < 96; choice += hlq_test_stride()) {
        kernel_case c = case_new(&rng, 1 + hlq_rng_below(&rng, 1500), (hlq_lattice)(choice % 3),
                                 (hlq_dtype)(choice / 3 % 4), choice / 12 % 2);
        int count = counts[choice / 2 % 6];
        int own_at = choice % 2 ? count : hlq_rng_between(&rng, -1, count);
        hlq_test_case("%d terms, own before term %d, %zu blocks", count, own_at, c.place.blocks);
        compare_sums(&rng, &c, count, own_at);
        case_free(&c);
    }
}

static void test_starts_count_what_comes_before(void)
{
    static const size_t sizes[] = {0, 1, 255, 256, 257, 767, 769, 5000};
    hlq_rng rng = hlq_rng_new(3);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t blocks = sizes[i];
        hlq_guarded start = hlq_guarded_new(blocks * sizeof(hlq_start), GUARD_AFTER, -1);
        hlq_guarded bits = hlq_guarded_new(blocks, GUARD_AFTER, -1);
        const uint8_t *bit = bits.data;
        const hlq_start *got = start.data;
        hlq_start want = {0, 0};
        for (size_t b = 0; b < blocks; b++) {
            ((uint8_t *)bits.data)[b] = (uint8_t)hlq_rng_between(&rng, 0, HLQ_BITS_MAX);
        }
        hlq_test_case("starts of %zu blocks", blocks);
        hlq_gpu_starts(bit, blocks, start.data);
        for (size_t b = 0; b < blocks; want.coded += bit[b] != 0, want.planes += bit[b], b++) {
            if (!CHECK_EQ(got[b].coded, want.coded)) break;
            if (!CHECK_EQ(got[b].planes, want.planes)) break;
        }
        CHECK(hlq_guarded_intact(&start));
        hlq_guarded_free(&start);
        hlq_guarded_free(&bits);
    }
}

int main(void)
{
    hlq_test_start("test_cuda_lanes");
    hlq_skip_without_gpu();
    test_a_warp_gives_the_bytes_of_scalar();
    test_sums_in_one_pass_are_the_sums_term_by_term();
    test_starts_count_what_comes_before();
    hlq_test_case("all");
    for (int i = 0; i < COUNTS; i++) CHECK(seen[i] > 0 || hlq_test_stride() > 1);
    return hlq_test_end();
}
