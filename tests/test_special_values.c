/*
 * NaN, Inf, zeros, denormals, the largest and the smallest numbers, on one rank or on all, through
 * every algorithm. What must come out of a block follows from what went in:
 *
 *   any rank has NaN or Inf in it     all 256 are NaN, on every rank
 *   nothing but zeros and denormals   exactly zero
 *   else                              the sum within the model's bound; a number may be Inf or NaN
 *                                     only where the sum reaches the end of the float range
 *
 * native has no blocks: it adds as IEEE 754 says.
 */
#include "dtypes.h"
#include "model.h"
#include "ranks.h"

#include <float.h>

/* Five blocks and a part of one. */
enum { COUNT = 5 * MODEL_BLOCK + 100 };

typedef struct scenario {
    const char *name;
    float whole, block, one; /* what fills the tensor, block 2, one number of it; 0: Gaussian */
    float elsewhere;         /* what ranks that are not special have; 0: Gaussian */
    int last_block;          /* the partial block instead of block 2 */
    int any_size;            /* Gaussian blocks of sizes from one end of the range to the other */
} scenario;

static const float ZERO = -12345.0f; /* in a scenario: 0.0f itself */

static const scenario scenarios[] = {
    {.name = "one NaN", .one = NAN},
    {.name = "one NaN in the last block", .one = NAN, .last_block = 1},
    {.name = "one Inf", .one = INFINITY},
    {.name = "one -Inf in the last block", .one = -INFINITY, .last_block = 1},
    {.name = "a block of Inf", .block = INFINITY},
    {.name = "NaN everywhere", .whole = NAN},
    {.name = "all zero", .whole = ZERO},
    {.name = "all -0", .whole = -0.0f},
    {.name = "a zero block", .block = ZERO},
    {.name = "all denormal", .whole = 1e-39f},
    {.name = "a block of denormals", .block = 1e-40f, .one = 3e-39f},
    {.name = "one hot", .whole = ZERO, .one = 1.0f},
    {.name = "one hot in the last block", .block = ZERO, .one = -1e10f, .last_block = 1},
    {.name = "constant", .whole = 3.25f},
    {.name = "small", .whole = 1.2e-38f},
    {.name = "a small block", .block = 2e-38f},
    {.name = "1e38", .whole = 1e38f},
    {.name = "a block of -1e38", .block = -1e38f},
    {.name = "3e38", .whole = 3e38f},
    {.name = "one 3e38", .one = 3e38f},
    {.name = "1e38 beside 1e-38", .whole = 1e38f, .elsewhere = 1e-38f},
    {.name = "1e25 beside 1e-25", .whole = 1e25f, .elsewhere = 1e-25f},
    {.name = "1e-30 beside 1e30", .whole = 1e-30f, .elsewhere = 1e30f},
    {.name = "zero beside 3e38", .whole = ZERO, .elsewhere = 3e38f},
    {.name = "3e38 beside -3e38", .whole = 3e38f, .elsewhere = -3e38f},
    {.name = "sizes from 1e-38 to 1e37", .any_size = 1},
    {.name = "Inf beside -Inf", .whole = INFINITY, .elsewhere = -INFINITY},
};

typedef struct run {
    const scenario *scenario;
    hlq_algorithm algorithm;
    hlq_dtype dtype;
    hlq_op op;
    int special; /* the rank that is special; -1: all are */
} run;

static float meant(float x) { return x == ZERO ? 0.0f : x; }

/* -0 is asked for by its sign. */
static int is_given(float x) { return x != 0 || signbit(x); }

static void fill(double *x, size_t from, size_t to, float value)
{
    for (size_t i = from; i < to; i++) x[i] = (double)meant(value);
}

/* The largest number of a type, and the smallest that is not denormal. */
static double largest(hlq_dtype dtype)
{
    if (dtype == HLQ_FLOAT16) return 65504;
    return dtype == HLQ_FLOAT64 ? DBL_MAX : FLT_MAX;
}

static double smallest(hlq_dtype dtype) { return dtype == HLQ_FLOAT64 ? DBL_MIN : FLT_MIN; }

/* Rank p's tensor, of numbers that the type can hold. Signs of a rank's large numbers do not
   alternate: sums overflow. */
static void input(const run *r, int p, double *x)
{
    const scenario *s = r->scenario;
    size_t from = s->last_block ? 5 * MODEL_BLOCK : 2 * MODEL_BLOCK;
    size_t to = s->last_block ? COUNT : from + MODEL_BLOCK;
    hlq_rng rng = hlq_rng_new((uint64_t)p + 1);
    for (size_t i = 0; i < COUNT; i++) x[i] = (float)hlq_rng_gauss(&rng);
    for (size_t b = 0; b < 6 && s->any_size; b++) {
        int is_wide = r->dtype == HLQ_FLOAT64;
        double size = ldexp(1, is_wide ? hlq_rng_between(&rng, -1020, 1010)
                                       : hlq_rng_between(&rng, -126, 122));
        for (size_t i = b * MODEL_BLOCK; i < (b + 1) * MODEL_BLOCK && i < COUNT; i++) x[i] *= size;
    }
    if (r->special < 0 || p == r->special) {
        if (is_given(s->whole)) fill(x, 0, COUNT, s->whole);
        if (is_given(s->block)) fill(x, from, to, s->block);
        if (is_given(s->one)) x[from + 17] = (double)meant(s->one);
    } else if (is_given(s->elsewhere)) {
        fill(x, 0, COUNT, s->elsewhere);
    }
    for (size_t i = 0; i < COUNT; i++) x[i] = dtype_round(r->dtype, x[i]);
}

/* What is known of the inputs of all ranks. */
typedef struct expectation {
    model model;
    double native[COUNT];
    int nonfinite[6], zero[6]; /* per block */
} expectation;

static void expect(const run *r, int ranks, expectation *e)
{
    double x[COUNT];
    e->model = model_new(COUNT, ranks, r->op);
    memset(e->native, 0, sizeof e->native);
    for (int b = 0; b < 6; b++) e->nonfinite[b] = 0, e->zero[b] = 1;
    for (int p = 0; p < ranks; p++) {
        input(r, p, x);
        model_add_wide(&e->model, x);
        for (size_t i = 0; i < COUNT; i++) {
            e->native[i] += x[i];
            if (r->dtype != HLQ_FLOAT64) e->native[i] = (float)e->native[i];
            e->nonfinite[i / MODEL_BLOCK] |= !isfinite(x[i]);
            e->zero[i / MODEL_BLOCK] &= fabs(x[i]) < smallest(r->dtype);
        }
    }
    for (size_t i = 0; i < COUNT; i++) {
        if (r->op == HLQ_AVG && r->dtype == HLQ_FLOAT64) e->native[i] *= 1.0 / ranks;
        if (r->op == HLQ_AVG && r->dtype != HLQ_FLOAT64) {
            e->native[i] = (float)e->native[i] * (1.0f / (float)ranks);
        }
        e->native[i] = dtype_round(r->dtype, e->native[i]);
    }
}

static void check_native(const expectation *e, const double *result)
{
    size_t wrong = 0;
    for (size_t i = 0; i < COUNT; i++) {
        if (isnan(e->native[i]) ? !isnan(result[i]) : result[i] != e->native[i]) wrong++;
    }
    CHECK_EQ(wrong, 0);
}

/* A block of numbers: each finite, or the sum does not fit. */
static void check_sum(const expectation *e, const model_bound *bound, size_t block,
                      const double *result)
{
    double allowed = model_block_bound(&e->model, bound, block);
    long double squares = 0;
    size_t lost = 0;
    for (size_t i = block * MODEL_BLOCK; i < (block + 1) * MODEL_BLOCK && i < COUNT; i++) {
        double exact = model_exact(&e->model, i);
        long double off = (long double)result[i] - exact;
        if (isfinite(result[i])) squares += off * off;
        else lost += fabs(exact) + allowed < largest(bound->dtype);
    }
    CHECK_EQ(lost, 0);
    CHECK_WITHIN(sqrtl(squares), 0, allowed);
}

static void check_blocks(const expectation *e, const model_bound *bound, const hlq_stats *stats,
                         const double *result)
{
    uint64_t nonfinite = 0;
    for (size_t b = 0; b < 6; b++) {
        size_t nan = 0, zero = 0, all = b < 5 ? MODEL_BLOCK : COUNT - 5 * MODEL_BLOCK;
        for (size_t i = b * MODEL_BLOCK; i < b * MODEL_BLOCK + all; i++) {
            nan += isnan(result[i]) != 0;
            zero += result[i] == 0 && !signbit(result[i]);
        }
        nonfinite += (uint64_t)e->nonfinite[b];
        if (e->nonfinite[b]) CHECK_EQ(nan, all);
        else if (e->zero[b]) CHECK_EQ(zero, all);
        else check_sum(e, bound, b, result);
    }
    CHECK_EQ(stats->nonfinite_blocks, nonfinite);
}

/* Nothing that is not finite stays in a residual, and nothing at all of this rank's own such
   blocks. */
static void check_residual(const double *x, const float *residual)
{
    size_t bad = 0, kept = 0;
    for (size_t b = 0; b < 6; b++) {
        int nonfinite = 0;
        for (size_t i = b * MODEL_BLOCK; i < (b + 1) * MODEL_BLOCK && i < COUNT; i++) {
            nonfinite |= !isfinite(x[i]);
        }
        for (size_t i = b * MODEL_BLOCK; i < (b + 1) * MODEL_BLOCK && i < COUNT; i++) {
            bad += !isfinite(residual[i]);
            kept += nonfinite && residual[i] != 0;
        }
    }
    CHECK_EQ(bad, 0);
    CHECK_EQ(kept, 0);
}

static void check_run(test_rank *me, hlq_comm *comm, const run *r, const expectation *e)
{
    double x[COUNT], result[COUNT], buffer[COUNT];
    float residual[COUNT] = {0};
    double scales[RANKS_MAX];
    hlq_call call = HLQ_CALL_INIT;
    hlq_stats stats = {.struct_bytes = sizeof stats};
    call.algorithm = r->algorithm;
    if (r->dtype != HLQ_FLOAT64) call.residual = residual;
    input(r, me->rank, x);
    dtype_store(r->dtype, x, COUNT, buffer);
    CHECK_EQ(hlq_all_reduce(comm, buffer, buffer, COUNT, r->dtype, r->op, &call, NULL), HLQ_OK);
    CHECK_STR(hlq_comm_last_error(comm), "");
    CHECK_EQ(hlq_comm_stats(comm, &stats), HLQ_OK);
    CHECK(rank_same(me, buffer, COUNT * hlq_dtype_bytes(r->dtype)));
    check_residual(x, residual);
    rank_gather(me, &stats.largest_scale, sizeof *scales, scales);
    if (me->rank != 0) return;
    model_bound bound = {HLQ_LATTICE_E8, r->dtype, model_scales(r->algorithm, scales, me->size)};
    dtype_load(r->dtype, buffer, COUNT, result);
    if (r->algorithm == HLQ_ALG_NATIVE) check_native(e, result);
    else check_blocks(e, &bound, &stats, result);
}

static void check_scenario(test_rank *me, hlq_comm *comm, run *r, int dither)
{
    for (int i = 0; i < 4 * 2 * 4; i++) {
        if (dither && i / 8 > 1) break; /* twoshot, oneshot */
        r->dtype = (hlq_dtype)(i & 3);
        r->op = (hlq_op)(i >> 2 & 1);
        r->algorithm = (hlq_algorithm)(1 + i / 8);
        hlq_test_case("%s on rank %d of %d, %s, %s, %s%s", r->scenario->name, r->special, me->size,
                      hlq_algorithm_name(r->algorithm), hlq_dtype_name(r->dtype),
                      hlq_op_name(r->op), dither ? ", dithered" : "");
        expectation e = {0};
        if (me->rank == 0) expect(r, me->size, &e);
        check_run(me, comm, r, &e);
        if (me->rank == 0) model_free(&e.model);
    }
}

static void check_all(test_rank *me, void *argument)
{
    hlq_options options = HLQ_OPTIONS_INIT;
    options.dither = *(const int *)argument;
    options.bits = options.dither ? 12 : 6; /* which dither wants for oneshot of 8 */
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        const int who[] = {-1, 0, me->size - 1};
        for (int w = 0; w < 3; w++) {
            run r = {.scenario = &scenarios[i], .special = who[w]};
            hlq_comm *comm = NULL;
            if (CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) {
                check_scenario(me, comm, &r, options.dither);
            }
            rank_destroy(me, comm);
        }
    }
}

int main(void)
{
    static const int ranks[] = {2, 3, 4, 8};
    hlq_test_start("test_special_values");
    for (int dither = 0; dither <= 1; dither++) {
        for (int i = 0; i < 4; i++) ranks_as_threads(ranks[i], check_all, &dither);
    }
    return hlq_test_end();
}
