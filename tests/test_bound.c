/*
 * Bound mode: the caller says how far a number may be off, and none is off by more: all operations,
 * types, algorithms and kinds of numbers, bounds from far above the numbers to far below what codes
 * can say. And that it costs what it should: little where much is allowed, never more than plain
 * numbers.
 */
#include "bound_cases.h"

/* The looser the bound, the fewer the bits: each fourfold is worth two. */
static void bits_follow_the_bound(test_rank *me, void *argument)
{
    enum { COUNT = 40000 };
    float *x = malloc(COUNT * sizeof *x), *y = malloc(COUNT * sizeof *y);
    hlq_comm *comm = NULL;
    double before = 0;
    (void)argument;
    if (!CHECK_EQ(rank_create(me, NULL, &comm), HLQ_OK)) return;
    hlq_rng rng = hlq_rng_new((uint64_t)me->rank);
    for (int i = 0; i < COUNT; i++) x[i] = (float)hlq_rng_gauss(&rng);
    for (int i = 0; i < 5; i++) {
        hlq_stats stats = {.struct_bytes = sizeof stats};
        hlq_call call = HLQ_CALL_INIT;
        call.algorithm = HLQ_ALG_TWOSHOT;
        call.max_error = ldexp(4, -2 * i);
        hlq_test_case("bound %g", call.max_error);
        CHECK_EQ(hlq_all_reduce(comm, x, y, COUNT, HLQ_FLOAT32, HLQ_SUM, &call, NULL), HLQ_OK);
        CHECK_EQ(hlq_comm_stats(comm, &stats), HLQ_OK);
        CHECK_EQ(stats.bits, 0);
        /* An error of 1/4 bound for each leg's, of which a third is usual: 3.2 bits at bound 1. */
        if (i > 1) CHECK_WITHIN(stats.bits_per_elem - before, 1.7, 2.3);
        before = stats.bits_per_elem;
    }
    CHECK_WITHIN(before, 9, 13);
    rank_destroy(me, comm);
    free(x);
    free(y);
}

/* Blocks that are small beside the bound cost no more than their codes. */
static void small_numbers_cost_nothing(test_rank *me, void *argument)
{
    enum { COUNT = 65536 };
    float *x = malloc(COUNT * sizeof *x), *y = malloc(COUNT * sizeof *y);
    hlq_stats stats = {.struct_bytes = sizeof stats};
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_comm *comm = NULL;
    (void)argument;
    options.max_error = 1;
    options.algorithm = HLQ_ALG_ONESHOT;
    if (!CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) return;
    for (int i = 0; i < COUNT; i++) x[i] = i % 3 ? 0.1f : -0.1f;
    x[5000] = 1000; /* one block that is not */
    CHECK_EQ(hlq_all_reduce(comm, x, y, COUNT, HLQ_FLOAT32, HLQ_AVG, NULL, NULL), HLQ_OK);
    CHECK_EQ(hlq_comm_stats(comm, &stats), HLQ_OK);
    CHECK_WITHIN(y[5000], 999, 1001);
    /* 256 blocks: 40 + 416 bytes without the one */
    CHECK_AT_MOST((double)stats.bytes_sent, (me->size - 1) * (456.0 + 8 + 12 * 32));
    /* A call's own bits win. */
    hlq_call call = HLQ_CALL_INIT;
    call.bits = 5;
    CHECK_EQ(hlq_all_reduce(comm, x, y, COUNT, HLQ_FLOAT32, HLQ_AVG, &call, NULL), HLQ_OK);
    CHECK_EQ(hlq_comm_stats(comm, &stats), HLQ_OK);
    CHECK_EQ(stats.bits, 5);
    rank_destroy(me, comm);
    free(x);
    free(y);
}

/* No message is longer than planned, whatever the numbers. */
static void plan_is_the_most(test_rank *me, void *argument)
{
    enum { COUNT = 10000 };
    float *x = malloc(COUNT * sizeof *x), *y = malloc(COUNT * sizeof *y);
    hlq_comm *comm = NULL;
    (void)argument;
    if (!CHECK_EQ(rank_create(me, NULL, &comm), HLQ_OK)) return;
    for (int algorithm = HLQ_ALG_TWOSHOT; algorithm <= HLQ_ALG_ONESHOT; algorithm++) {
        hlq_rng rng = hlq_rng_new((uint64_t)me->rank);
        hlq_stats stats = {.struct_bytes = sizeof stats};
        hlq_plan_info plan = {.struct_bytes = sizeof plan};
        hlq_call call = HLQ_CALL_INIT;
        call.algorithm = (hlq_algorithm)algorithm;
        call.max_error = 1e-9;
        for (int i = 0; i < COUNT; i++) x[i] = (float)hlq_rng_gauss(&rng);
        CHECK_EQ(hlq_comm_plan(comm, COUNT, HLQ_FLOAT32, HLQ_SUM, &call, &plan), HLQ_OK);
        CHECK_EQ(hlq_all_reduce(comm, x, y, COUNT, HLQ_FLOAT32, HLQ_SUM, &call, NULL), HLQ_OK);
        CHECK_EQ(hlq_comm_stats(comm, &stats), HLQ_OK);
        CHECK_EQ(stats.bytes_sent, plan.wire_bytes); /* all blocks whole */
        /* With oneshot a whole code goes to everybody. */
        double hops = algorithm == HLQ_ALG_ONESHOT ? me->size / 2.0 : 1;
        CHECK_WITHIN(plan.bits_per_elem / hops, 32, 34);
    }
    rank_destroy(me, comm);
    free(x);
    free(y);
}

/* Bounds that cannot be, on one rank or that differ: an error on all. */
static void wrong_bounds_are_refused(test_rank *me, void *argument)
{
    static const double wrong[] = {-1, NAN, INFINITY};
    float x[1000] = {0};
    hlq_comm *comm = NULL;
    (void)argument;
    if (!CHECK_EQ(rank_create(me, NULL, &comm), HLQ_OK)) return;
    for (int i = 0; i < 7; i++) {
        hlq_call call = HLQ_CALL_INIT;
        hlq_test_case("wrong bound %d on rank %d", i, me->rank);
        call.max_error = me->rank == 0 ? 1e-3 : 1e-2; /* i = 6: a difference */
        if (i < 3) call.max_error = wrong[i];
        if (i == 3) call.bits = 4;
        if (i == 4) call.target_nmse = 1e-3;
        call.algorithm = i == 5 ? HLQ_ALG_MODQ : HLQ_ALG_TWOSHOT;
        hlq_status status = hlq_all_reduce(comm, x, x, 1000, HLQ_FLOAT32, HLQ_SUM, &call, NULL);
        CHECK_EQ(status, i < 5 ? HLQ_E_INVALID : i == 5 ? HLQ_E_UNSUPPORTED : HLQ_E_MISMATCH);
        CHECK(strstr(hlq_comm_last_error(comm), i == 5 ? "bound mode" : "max_error"));
    }
    rank_destroy(me, comm);

    hlq_options options = HLQ_OPTIONS_INIT;
    options.max_error = 1;
    options.algorithm = HLQ_ALG_MODQ;
    CHECK_EQ(rank_create(me, &options, &comm), HLQ_E_INVALID);
    CHECK(strstr(hlq_create_error(), "bound mode"));
    rank_destroy(me, comm);
}

int main(void)
{
    hlq_test_start("test_bound");
    for (int n = 1; n <= (FEWER_CASES ? 2 : 6); n++) ranks_as_threads(n, bound_cases, NULL);
    ranks_as_threads(3, bits_follow_the_bound, NULL);
    ranks_as_threads(2, small_numbers_cost_nothing, NULL);
    ranks_as_threads(3, plan_is_the_most, NULL);
    ranks_as_threads(2, wrong_bounds_are_refused, NULL);
    return hlq_test_end();
}
