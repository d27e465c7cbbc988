/*
 * Target mode: the caller says what error the result may have, and the ranks find the bits. They
 * find them to be the same, few where numbers are easy, more where they are not, and the error is
 * what was asked for.
 */
#include "hlq_test.h"
#include "model.h"
#include "ranks.h"

#include <wire/plan.h>

enum { COUNT = 60000 };

typedef struct setting {
    hlq_operation operation;
    hlq_algorithm algorithm;
    hlq_distribution *draw;
    double alike; /* share of every rank's numbers that is the same on all */
    double size, target;
    int dither;
} setting;

static double constant(hlq_rng *rng)
{
    (void)rng;
    return 0;
}

/* Rank p's tensor: what all have in common, and its own. */
static void fill(const setting *s, int p, float *x, size_t count)
{
    hlq_rng common = hlq_rng_new(99), own = hlq_rng_new((uint64_t)p);
    for (size_t i = 0; i < count; i++) {
        double both = s->alike * s->draw(&common) + (1 - s->alike) * s->draw(&own);
        x[i] = (float)(s->size * both);
    }
}

/* ‖result - exact‖² / ‖exact‖² of all ranks' results together. */
static double measure(test_rank *me, const setting *s, const float *result, size_t count)
{
    size_t n = (size_t)me->size, all = n * count;
    float *x = malloc(all * sizeof *x);
    double *exact = calloc(all, sizeof *exact), error = 0, energy = 0;
    for (int p = 0; p < me->size; p++) {
        size_t from = (size_t)me->rank * count, elems = all;
        fill(s, p, x, s->operation == HLQ_ALL_REDUCE ? count : all);
        if (s->operation == HLQ_ALL_REDUCE) from = 0, elems = count;
        if (s->operation == HLQ_REDUCE_SCATTER) elems = count;
        for (size_t i = 0; i < elems; i++) {
            if (s->operation == HLQ_ALL_GATHER && i / count == (size_t)p) exact[i] = x[i % count];
            if (s->operation <= HLQ_REDUCE_SCATTER) exact[i] += x[from + i];
        }
    }
    size_t elems = s->operation == HLQ_ALL_GATHER ? all : count;
    for (size_t i = 0; i < elems; i++) {
        error += (result[i] - exact[i]) * (result[i] - exact[i]);
        energy += exact[i] * exact[i];
    }
    free(x);
    free(exact);
    error = rank_sum(me, error);
    energy = rank_sum(me, energy);
    return energy > 0 ? error / energy : error;
}

static hlq_status collect(hlq_comm *comm, const setting *s, const float *x, float *y, size_t count)
{
    hlq_call call = HLQ_CALL_INIT;
    call.algorithm = s->algorithm;
    call.target_nmse = s->target;
    switch (s->operation) {
    case HLQ_REDUCE_SCATTER:
        return hlq_reduce_scatter(comm, x, y, count, HLQ_FLOAT32, HLQ_SUM, &call, NULL);
    case HLQ_ALL_GATHER: return hlq_all_gather(comm, x, y, count, HLQ_FLOAT32, &call, NULL);
    default: return hlq_all_reduce(comm, x, y, count, HLQ_FLOAT32, HLQ_SUM, &call, NULL);
    }
}

static void try_setting(test_rank *me, hlq_comm *comm, const setting *s)
{
    size_t n = (size_t)me->size;
    float *x = malloc(n * COUNT * sizeof *x), *y = malloc(n * COUNT * sizeof *y);
    hlq_stats stats = {.struct_bytes = sizeof stats};
    fill(s, me->rank, x, n * COUNT);
    hlq_test_case("%d ranks, %s, %s, target %g, alike %g, size %g", me->size,
                  hlq_operation_name(s->operation), hlq_algorithm_name(s->algorithm), s->target,
                  s->alike, s->size);
    CHECK_EQ(collect(comm, s, x, y, COUNT), HLQ_OK);
    CHECK_EQ(hlq_comm_stats(comm, &stats), HLQ_OK);
    CHECK(rank_same(me, &stats.bits, sizeof stats.bits));
    double vnmse = measure(me, s, y, COUNT);
    /* A whole code for everybody has 2/n of the bits. */
    int is_whole = s->operation == HLQ_ALL_REDUCE && s->algorithm == HLQ_ALG_ONESHOT;
    int is_short = is_whole && me->size > 3;
    double least = !s->dither ? 1 : HLQ_DITHER_BUDGET * (is_whole ? me->size / 2.0 : 1);
    if (s->draw == constant) {
        CHECK_WITHIN(stats.bits, least, least);
        CHECK(vnmse == 0);
    } else if (s->target < 1e-7 || (is_short && s->target < 1e-4)) {
        CHECK_EQ(stats.algorithm, HLQ_ALG_NATIVE); /* 12 bits do not reach that */
        CHECK(vnmse < 1e-11);
    } else {
        /* The sum's size is an estimate with a standard deviation of 9 %, of which this allows
           four; the plan's model of errors is good to 10 %; all on top of each other. Bits come in
           64ths, and below 2 the same error may cost fewer of them. */
        CHECK_EQ(stats.algorithm, s->operation == HLQ_ALL_REDUCE ? s->algorithm : HLQ_ALG_ONESHOT);
        CHECK_AT_MOST(vnmse, 1.5 * s->target);
        CHECK_WITHIN(stats.bits, least, 12);
        if (stats.bits > least) CHECK_WITHIN(vnmse, 0.55 * s->target, 1.5 * s->target);
    }
    free(x);
    free(y);
}

/* argument: whether with dither. */
static void targets_are_met(test_rank *me, void *argument)
{
    static const double targets[] = {0.1, 1e-2, 1e-3, 1e-5, 1e-9};
    hlq_comm *comm = NULL;
    hlq_options options = HLQ_OPTIONS_INIT;
    options.dither = *(const int *)argument;
    if (!CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) return;
    for (int operation = HLQ_ALL_REDUCE; operation <= HLQ_ALL_GATHER; operation++) {
        for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
            setting s = {(hlq_operation)operation,
                         HLQ_ALG_TWOSHOT,
                         hlq_rng_gauss,
                         0,
                         1,
                         targets[t],
                         options.dither};
            try_setting(me, comm, &s);
            s.draw = hlq_rng_lognormal;
            s.size = 1e-12;
            s.algorithm = HLQ_ALG_ONESHOT;
            try_setting(me, comm, &s);
            s.alike = 0.5;
            s.algorithm = HLQ_ALG_TWOSHOT;
            try_setting(me, comm, &s);
        }
        setting zeros = {
            (hlq_operation)operation, HLQ_ALG_TWOSHOT, constant, 0, 1, 1e-3, options.dither};
        try_setting(me, comm, &zeros);
    }
    rank_destroy(me, comm);
}

/* Bits follow the data: what contributions have in common is cheap, what cancels out is not. */
static void bits_follow_the_numbers(test_rank *me, void *argument)
{
    static _Thread_local float x[COUNT], y[COUNT];
    hlq_comm *comm = NULL;
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_stats stats = {.struct_bytes = sizeof stats};
    double bits[3];
    (void)argument;
    options.algorithm = HLQ_ALG_TWOSHOT;
    options.target_nmse = 1e-3; /* of every call that does not say otherwise */
    if (!CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) return;
    for (int i = 0; i < 3; i++) {
        setting s = {.draw = hlq_rng_gauss, .alike = i == 0 ? 1 : 0, .size = 1};
        fill(&s, i == 2 ? 0 : me->rank, x, COUNT);
        float factor = i < 2 ? 1.0f : me->rank ? -0.49f : 1.0f; /* 3 ranks: 2 % are left */
        for (size_t j = 0; j < COUNT; j++) x[j] *= factor;
        hlq_test_case("same, independent, cancelling: %d", i);
        CHECK_EQ(hlq_all_reduce(comm, x, y, COUNT, HLQ_FLOAT32, HLQ_SUM, NULL, NULL), HLQ_OK);
        CHECK_EQ(hlq_comm_stats(comm, &stats), HLQ_OK);
        bits[i] = stats.bits;
    }
    CHECK(bits[0] < bits[1] - 0.3);
    CHECK(bits[1] < bits[2] - 2);
    /* A call's own bits win. */
    hlq_call call = HLQ_CALL_INIT;
    call.bits = 7;
    CHECK_EQ(hlq_all_reduce(comm, x, y, COUNT, HLQ_FLOAT32, HLQ_SUM, &call, NULL), HLQ_OK);
    CHECK_EQ(hlq_comm_stats(comm, &stats), HLQ_OK);
    CHECK_EQ(stats.bits, 7);
    /* modq cannot aim, whoever asks for it. */
    call.algorithm = HLQ_ALG_MODQ;
    CHECK_EQ(hlq_all_reduce(comm, x, y, COUNT, HLQ_FLOAT32, HLQ_SUM, &call, NULL), HLQ_OK);
    call.bits = 0;
    CHECK_EQ(hlq_all_reduce(comm, x, y, COUNT, HLQ_FLOAT32, HLQ_SUM, &call, NULL),
             HLQ_E_UNSUPPORTED);
    CHECK(strstr(hlq_comm_last_error(comm), "target mode"));
    rank_destroy(me, comm);
}

/* Numbers that are not coded before they are added up, since their owner has them, count, too. */
static void sums_of_own_parts_meet_it(test_rank *me, void *argument)
{
    enum { BLOCK = 256 };
    float *x = calloc(COUNT, sizeof *x), *y = malloc(COUNT * sizeof *y);
    float *all = malloc((size_t)me->size * COUNT * sizeof *all);
    hlq_call call = HLQ_CALL_INIT;
    hlq_comm *comm = NULL;
    double error = 0, energy = 0;
    (void)argument;
    if (!CHECK_EQ(rank_create(me, NULL, &comm), HLQ_OK)) return;
    hlq_rng rng = hlq_rng_new((uint64_t)me->rank);
    for (int i = 0; i < COUNT; i++) {
        if (i / BLOCK % me->size == me->rank) x[i] = (float)hlq_rng_gauss(&rng);
    }
    call.algorithm = HLQ_ALG_TWOSHOT;
    call.target_nmse = 1e-3;
    CHECK_EQ(hlq_all_reduce(comm, x, y, COUNT, HLQ_FLOAT32, HLQ_SUM, &call, NULL), HLQ_OK);
    rank_gather(me, x, COUNT * sizeof *x, all);
    for (int i = 0; i < COUNT; i++) {
        double exact = all[(size_t)(i / BLOCK % me->size) * COUNT + (size_t)i];
        error += (y[i] - exact) * (y[i] - exact);
        energy += exact * exact;
    }
    CHECK_WITHIN(error / energy, 0.55e-3, 1.5e-3);
    rank_destroy(me, comm);
    free(x);
    free(y);
    free(all);
}

/* Of float64, too, whose squares may be outside of what a double can say. */
static void bits_do_not_follow_the_unit(test_rank *me, void *argument)
{
    static const int octaves[] = {0, -700, 700};
    enum { ELEMS = 20000 };
    double *x = malloc(ELEMS * sizeof *x), bits = 0;
    hlq_comm *comm = NULL;
    (void)argument;
    if (!CHECK_EQ(rank_create(me, NULL, &comm), HLQ_OK)) return;
    for (int i = 0; i < 3; i++) {
        hlq_rng rng = hlq_rng_new((uint64_t)(50 + me->rank));
        hlq_call call = HLQ_CALL_INIT;
        hlq_stats stats = {.struct_bytes = sizeof stats};
        hlq_test_case("numbers times 2^%d", octaves[i]);
        for (int e = 0; e < ELEMS; e++) x[e] = ldexp(hlq_rng_gauss(&rng), octaves[i]);
        call.target_nmse = 1e-3;
        call.algorithm = HLQ_ALG_TWOSHOT;
        CHECK_EQ(hlq_all_reduce(comm, x, x, ELEMS, HLQ_FLOAT64, HLQ_SUM, &call, NULL), HLQ_OK);
        CHECK_EQ(hlq_comm_stats(comm, &stats), HLQ_OK);
        if (i == 0) bits = stats.bits;
        CHECK(stats.bits == bits && bits > 3);
    }
    rank_destroy(me, comm);
    free(x);
}

/* Targets that cannot be, on one rank or that differ: an error on all. */
static void wrong_targets_are_refused(test_rank *me, void *argument)
{
    static const double wrong[] = {-1, 1, NAN, INFINITY};
    float x[1000] = {0};
    hlq_comm *comm = NULL;
    (void)argument;
    if (!CHECK_EQ(rank_create(me, NULL, &comm), HLQ_OK)) return;
    for (int i = 0; i < 7; i++) {
        hlq_call call = HLQ_CALL_INIT;
        hlq_test_case("wrong target %d on rank %d", i, me->rank);
        call.target_nmse = me->rank == 0 ? 1e-3 : 1e-2; /* i = 6: a difference */
        if (i < 4) call.target_nmse = wrong[i];
        if (i == 4) call.bits = 4;
        call.algorithm = i == 5 ? HLQ_ALG_MODQ : HLQ_ALG_TWOSHOT;
        hlq_status status = hlq_all_reduce(comm, x, x, 1000, HLQ_FLOAT32, HLQ_SUM, &call, NULL);
        CHECK_EQ(status, i < 5 ? HLQ_E_INVALID : i == 5 ? HLQ_E_UNSUPPORTED : HLQ_E_MISMATCH);
        CHECK(strstr(hlq_comm_last_error(comm), i == 5 ? "target mode" : "target_nmse"));
    }
    rank_destroy(me, comm);
}

/* With the argument "every", for 4 and 5 ranks, too. */
int main(int argc, char **argv)
{
    hlq_test_start("test_target");
    int without = 0, with = 1, most = argc > 1 && strcmp(argv[1], "every") == 0 ? 5 : 3;
    for (int n = 2; n <= (FEWER_CASES ? 2 : most); n++) {
        ranks_as_threads(n, targets_are_met, &without);
    }
    for (int n = 2; n <= (FEWER_CASES ? 2 : 3); n++) ranks_as_threads(n, targets_are_met, &with);
    ranks_as_threads(3, bits_follow_the_numbers, NULL);
    ranks_as_threads(3, sums_of_own_parts_meet_it, NULL);
    ranks_as_threads(3, bits_do_not_follow_the_unit, NULL);
    ranks_as_threads(3, wrong_targets_are_refused, NULL);
    return hlq_test_end();
}
