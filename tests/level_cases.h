/*
 * The body of test_levels and test_levels_mpi: all-reduces put together from others. Two levels of
 * ranks, and exempt ranges, with every algorithm, type and place; targets and residuals with them.
 */
#ifndef HLQ_TEST_LEVEL_CASES_H
#define HLQ_TEST_LEVEL_CASES_H

#include "dtypes.h"
#include "ranks.h"

typedef struct level_case {
    hlq_algorithm algorithm;
    hlq_dtype dtype;
    hlq_op op;
    size_t count;
    int in_place, has_residual, is_target, ranges;
    hlq_range exempt[8];
} level_case;

static inline level_case draw_case(hlq_rng *rng, int n)
{
    static const size_t counts[] = {1, 255, 257, 1000, 5000, 40000};
    level_case c = {.algorithm = HLQ_ALG_HIERARCHICAL};
    if (hlq_rng_below(rng, 2)) c.algorithm = (hlq_algorithm)hlq_rng_between(rng, 1, 4);
    c.dtype = (hlq_dtype)hlq_rng_below(rng, 4);
    c.op = (hlq_op)hlq_rng_below(rng, 2);
    c.count = counts[hlq_rng_below(rng, 6)];
    c.in_place = (int)hlq_rng_below(rng, 2);
    c.has_residual = c.dtype != HLQ_FLOAT64 && hlq_rng_below(rng, 2);
    c.is_target = c.algorithm != HLQ_ALG_MODQ && hlq_rng_below(rng, 3) == 0;
    c.ranges = c.algorithm == HLQ_ALG_HIERARCHICAL ? 0 : hlq_rng_between(rng, 0, 8);
    if (n == 1) c.has_residual = 0;
    size_t at = 0;
    for (int i = 0; i < c.ranges; i++) {
        size_t gap = hlq_rng_below(rng, c.count / 5 + 1), most = c.count - at;
        c.exempt[i].start = at + (gap < most ? gap : most);
        most = c.count - c.exempt[i].start;
        c.exempt[i].count = hlq_rng_below(rng, c.count / 10 + 2);
        if (c.exempt[i].count > most) c.exempt[i].count = most;
        at = c.exempt[i].start + c.exempt[i].count;
    }
    return c;
}

static inline int is_exempt(const level_case *c, size_t i)
{
    for (int r = 0; r < c->ranges; r++) {
        if (i >= c->exempt[r].start && i - c->exempt[r].start < c->exempt[r].count) return 1;
    }
    return 0;
}

/* Rank p's numbers; exempt ones are huge, which others must not feel. */
static inline void numbers(const level_case *c, int p, uint64_t stream, double *x)
{
    hlq_rng rng = hlq_rng_new(stream * 64 + (uint64_t)p);
    for (size_t i = 0; i < c->count; i++) {
        double drawn = hlq_rng_gauss(&rng) * (is_exempt(c, i) ? 500 : 1);
        x[i] = dtype_round(c->dtype, drawn);
    }
}

/* What the result should be, less what residuals kept: exactly so, but for rounding. Errors are
   measured against the contributions' energy too, since single sums may cancel out. */
static inline void check_result(test_rank *me, const level_case *c, uint64_t stream,
                                const double *result, const float *residual, double tolerance)
{
    double *x = calloc(c->count, sizeof *x), *exact = calloc(c->count, sizeof *exact);
    float *kept = calloc(c->count * (size_t)me->size, sizeof *kept);
    double error = 0, energy = 0, worst_exempt = 0, factor = c->op == HLQ_AVG ? 1.0 / me->size : 1;
    rank_gather(me, residual, c->count * sizeof *residual, kept);
    for (int p = 0; p < me->size; p++) {
        numbers(c, p, stream, x);
        for (size_t i = 0; i < c->count; i++) {
            exact[i] += factor * x[i];
            if (!is_exempt(c, i)) energy += factor * factor * x[i] * x[i];
            if (c->has_residual) exact[i] -= factor * (double)kept[(size_t)p * c->count + i];
        }
    }
    for (size_t i = 0; i < c->count; i++) {
        double off = fabs(result[i] - exact[i]);
        if (is_exempt(c, i)) {
            worst_exempt = fmax(worst_exempt, off / (500 * factor * me->size));
        } else {
            error += off * off;
            energy += exact[i] * exact[i];
        }
    }
    CHECK_AT_MOST(error, tolerance * energy + 1e-30);
    /* Rounding to the type, of sums that a type's own precision holds 3 or more digits of. */
    double digits = c->dtype == HLQ_BFLOAT16 ? 1.0 / 64 : c->dtype == HLQ_FLOAT16 ? 1e-3 : 1e-6;
    CHECK_AT_MOST(worst_exempt, digits);
    free(x);
    free(exact);
    free(kept);
}

static inline void run_case(test_rank *me, hlq_comm *comm, const level_case *c, uint64_t stream)
{
    size_t bytes = c->count * hlq_dtype_bytes(c->dtype);
    double *x = calloc(c->count + 1, sizeof *x);
    void *send = malloc(bytes + 1), *recv = c->in_place ? send : malloc(bytes + 1);
    float *residual = calloc(c->count + 1, sizeof *residual);
    hlq_call call = HLQ_CALL_INIT;
    call.algorithm = c->algorithm;
    call.residual = c->has_residual ? residual : NULL;
    if (c->is_target) call.target_nmse = 1e-3;
    else call.bits = 6;
    call.exempt = c->exempt;
    call.exempt_ranges = (size_t)c->ranges;
    numbers(c, me->rank, stream, x);
    dtype_store(c->dtype, x, c->count, send);
    hlq_test_case("%d ranks, %s, %s, %s, count %zu, %d ranges%s%s%s, rank %d", me->size,
                  hlq_algorithm_name(c->algorithm), hlq_dtype_name(c->dtype), hlq_op_name(c->op),
                  c->count, c->ranges, c->in_place ? ", in place" : "",
                  c->has_residual ? ", residual" : "", c->is_target ? ", target" : "", me->rank);
    hlq_status status = hlq_all_reduce(comm, send, recv, c->count, c->dtype, c->op, &call, NULL);
    CHECK_STR(hlq_comm_last_error(comm), "");
    if (CHECK_EQ(status, HLQ_OK)) {
        CHECK(rank_same(me, recv, bytes));
        dtype_load(c->dtype, recv, c->count, x);
        /* With residuals, what is left is their and the type's rounding, (2^-8)² at worst; without,
           6 bits' error (5e-4 in twoshot, 3e-2 in modq on 9 ranks; a single number is worse),
           oneshot's on n > 2 ranks aside. */
        double rounding = c->dtype == HLQ_BFLOAT16 ? 1.6e-5 : 1e-6, tolerance = 6e-2;
        if (c->algorithm == HLQ_ALG_ONESHOT && !c->is_target) tolerance = 2;
        check_result(me, c, stream, x, residual, c->has_residual ? rounding : tolerance);
    }
    if (!c->in_place) free(recv);
    free(send);
    free(residual);
    free(x);
}

/* Ranks in groups of `each`, neighbours or dealt out. */
static inline void levels_in_groups(test_rank *me, int each, int dealt)
{
    int groups = me->size / each;
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_comm *comm = NULL;
    options.group = 1 + (dealt ? me->rank % groups : me->rank / each);
    hlq_test_case("%d ranks, %d in a group, rank %d", me->size, each, me->rank);
    if (!CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) return;
    hlq_rng rng = hlq_rng_new((uint64_t)(100 * me->size + each));
    for (uint64_t i = 0; i < (FEWER_CASES ? 4 : 24); i++) {
        level_case c = draw_case(&rng, me->size);
        run_case(me, comm, &c, i);
    }
    /* Which algorithm that is. */
    hlq_plan_info plan = {.struct_bytes = sizeof plan};
    hlq_call call = HLQ_CALL_INIT;
    CHECK_EQ(hlq_comm_plan(comm, 1000000, HLQ_FLOAT32, HLQ_SUM, &call, &plan), HLQ_OK);
    if (each > 1 && groups > 1) CHECK_EQ(plan.algorithm, HLQ_ALG_HIERARCHICAL);
    else CHECK_EQ(plan.algorithm, me->size == 2 ? HLQ_ALG_ONESHOT : HLQ_ALG_TWOSHOT);
    rank_destroy(me, comm);
}

static inline void wrong_levels_are_refused(test_rank *me)
{
    static const hlq_range wrong[][2] = {
        {{5, 10}, {14, 2}}, {{0, 1}, {90, 11}}, {{101, 0}, {0, 0}}};
    float x[100] = {0};
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_comm *comm = NULL;
    options.group = me->rank == 0 ? 1 : 2;
    if (!CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) return;
    for (int i = 0; i < 6; i++) {
        hlq_call call = HLQ_CALL_INIT;
        hlq_range good[2] = {{3, 4}, {50, 10 + (me->rank == 1 && i == 4)}};
        call.algorithm = i == 5 ? HLQ_ALG_HIERARCHICAL : HLQ_ALG_TWOSHOT;
        call.exempt = i < 3 ? wrong[i] : i == 3 ? NULL : good;
        call.exempt_ranges = i == 5 ? 0 : 2;
        hlq_test_case("wrong ranges %d of %d ranks", i, me->size);
        hlq_status status = hlq_all_reduce(comm, x, x, 100, HLQ_FLOAT32, HLQ_SUM, &call, NULL);
        if (i == 4) CHECK_EQ(status, me->size > 1 ? HLQ_E_MISMATCH : HLQ_OK);
        else if (i == 5) CHECK_EQ(status, me->size > 2 ? HLQ_E_UNSUPPORTED : HLQ_OK);
        else CHECK_EQ(status, HLQ_E_INVALID);
        if (status != HLQ_OK) CHECK(strstr(hlq_comm_last_error(comm), i == 5 ? "node" : "exempt"));
    }
    rank_destroy(me, comm);
}

static inline void level_cases(test_rank *me, void *argument)
{
    (void)argument;
    for (int each = 1; each <= me->size; each++) {
        if (me->size % each) continue;
        levels_in_groups(me, each, 0);
        levels_in_groups(me, each, 1);
    }
    wrong_levels_are_refused(me);
}

#endif
