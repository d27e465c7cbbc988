/*
 * Error feedback: what a call fails to send stays in the residual, and nothing else does.
 *
 *   Every call   Σ over ranks of (input + residual before - residual after) = the sum that came out
 *   Many calls   so the mean of their results tends to the exact sum, as 1 / calls
 */
#include "hlq_test.h"
#include "model.h"
#include "ranks.h"

#include <float.h>

enum { COUNT = 5000, CALLS = 64 };

typedef struct feedback {
    hlq_algorithm algorithm;
    hlq_lattice lattice;
    hlq_dtype dtype;
    hlq_op op;
    double bits;
    hlq_distribution *draw;
} feedback;

static void input(const feedback *f, int p, float *x)
{
    hlq_rng rng = hlq_rng_new((uint64_t)p + 1);
    hlq_rng_fill(&rng, f->draw, x, COUNT);
    for (size_t i = 0; i < COUNT && f->dtype == HLQ_BFLOAT16; i++) {
        x[i] = hlq_float_of_bfloat16(hlq_bfloat16_of_float(x[i]));
    }
}

static void store(hlq_dtype dtype, const float *x, void *to)
{
    uint16_t *h = to;
    if (dtype == HLQ_FLOAT32) memcpy(to, x, COUNT * sizeof *x);
    else
        for (size_t i = 0; i < COUNT; i++) h[i] = hlq_bfloat16_of_float(x[i]);
}

static void load(hlq_dtype dtype, const void *from, float *x)
{
    const uint16_t *h = from;
    if (dtype == HLQ_FLOAT32) memcpy(x, from, COUNT * sizeof *x);
    else
        for (size_t i = 0; i < COUNT; i++) x[i] = hlq_float_of_bfloat16(h[i]);
}

static double norm(const double *x)
{
    double squares = 0;
    for (size_t i = 0; i < COUNT; i++) squares += x[i] * x[i];
    return sqrt(squares);
}

/* Adds every rank's x × factor to sum. */
static void add_from_all(test_rank *me, const float *x, double factor, double *sum)
{
    float *all = malloc((size_t)me->size * COUNT * sizeof *all);
    rank_gather(me, x, COUNT * sizeof *x, all);
    for (size_t i = 0; i < COUNT; i++) {
        for (int p = 0; p < me->size; p++) sum[i] += factor * all[(size_t)p * COUNT + i];
    }
    free(all);
}

/* One call; missing becomes how far the identity is off, element by element. */
static void one_call(test_rank *me, hlq_comm *comm, const feedback *f, const float *x,
                     float *residual, float *result, double *missing)
{
    float buffer[COUNT];
    hlq_call call = HLQ_CALL_INIT;
    call.residual = residual;
    memset(missing, 0, COUNT * sizeof *missing);
    add_from_all(me, x, 1, missing);
    add_from_all(me, residual, 1, missing);
    store(f->dtype, x, buffer);
    CHECK_EQ(hlq_all_reduce(comm, buffer, buffer, COUNT, f->dtype, f->op, &call, NULL), HLQ_OK);
    load(f->dtype, buffer, result);
    add_from_all(me, residual, -1, missing);
    for (size_t i = 0; i < COUNT; i++) {
        missing[i] -= f->op == HLQ_AVG ? (double)me->size * result[i] : result[i];
    }
}

/* Σ over ranks of the l2 norm of x. */
static double sizes_of(test_rank *me, const float *x)
{
    double squares = 0;
    for (size_t i = 0; i < COUNT; i++) squares += (double)x[i] * x[i];
    return rank_sum(me, sqrt(squares));
}

/*
 * What the identity allows is rounding: of fp32 numbers no larger than the inputs and residuals, in
 * the rotations (32 steps) and in the sum; and of the result, where it is bfloat16. Twice the calls
 * leave half of the mean's error; 0.7 of it where the residual is still growing to the size at
 * which blocks without bits get some.
 */
static void check_feedback(test_rank *me, hlq_comm *comm, const feedback *f)
{
    static _Thread_local float x[COUNT], residual[COUNT], result[COUNT];
    static _Thread_local double exact[COUNT], missing[COUNT], off[COUNT];
    double narrowed = f->dtype == HLQ_BFLOAT16 ? ldexp(1, -8) : 0, at_half = 0;
    input(f, me->rank, x);
    memset(residual, 0, sizeof residual);
    memset(off, 0, sizeof off);
    memset(exact, 0, sizeof exact);
    add_from_all(me, x, 1, exact);
    for (int k = 1; k <= CALLS; k++) {
        one_call(me, comm, f, x, residual, result, missing);
        double size = sizes_of(me, x) + sizes_of(me, residual);
        CHECK_AT_MOST(norm(missing), ((32 + me->size) * FLT_EPSILON + narrowed) * size);
        for (size_t i = 0; i < COUNT; i++) {
            off[i] += (f->op == HLQ_AVG ? (double)me->size * result[i] : result[i]) - exact[i];
        }
        if (k == CALLS / 2) at_half = norm(off) / k;
    }
    CHECK(at_half > 0);
    CHECK_AT_MOST(norm(off) / CALLS, 0.7 * at_half + narrowed * norm(exact));
}

static void check_all(test_rank *me, void *argument)
{
    static hlq_distribution *const draw[] = {hlq_rng_gauss, hlq_rng_laplace, hlq_rng_lognormal};
    static const double bits[] = {4, 5, 7};
    (void)argument;
    for (int i = 0; i < 12; i++) {
        hlq_rng rng = hlq_rng_new((uint64_t)(1000 + 50 * me->size + i));
        feedback f = {
            .algorithm = (hlq_algorithm)(1 + i % 3),
            .lattice = (hlq_lattice)hlq_rng_below(&rng, 3),
            .dtype = i < 9 ? HLQ_FLOAT32 : HLQ_BFLOAT16,
            .op = (hlq_op)hlq_rng_below(&rng, 2),
            .bits = bits[hlq_rng_below(&rng, 3)],
            .draw = draw[hlq_rng_below(&rng, 3)],
        };
        hlq_options options = HLQ_OPTIONS_INIT;
        hlq_comm *comm = NULL;
        options.algorithm = f.algorithm;
        options.lattice = f.lattice;
        options.bits = f.bits;
        int is_enough = f.algorithm == HLQ_ALG_TWOSHOT || f.bits >= 1.2 * me->size;
        options.dither = f.algorithm != HLQ_ALG_MODQ && is_enough && i / 3 % 2;
        hlq_test_case("%d ranks, %s, %s, %s, %s, %g bits%s", me->size,
                      hlq_algorithm_name(f.algorithm), hlq_lattice_name(f.lattice),
                      f.dtype == HLQ_FLOAT32 ? "float32" : "bfloat16",
                      f.op == HLQ_SUM ? "sum" : "avg", f.bits, options.dither ? ", dithered" : "");
        if (CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) check_feedback(me, comm, &f);
        rank_destroy(me, comm);
    }
}

int main(void)
{
    hlq_test_start("test_error_feedback");
    for (int n = 2; n <= 6; n += 2) ranks_as_threads(n, check_all, NULL);
    return hlq_test_end();
}
