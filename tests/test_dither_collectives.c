/*
 * What dither promises of collectives: over calls, the mean of every number of the result tends to
 * the exact one, whatever the numbers are; and what it refuses. That ranks end with the same bits
 * is shown with all else they must agree on, in test_collectives.
 */
#include "hlq_test.h"
#include "ranks.h"

enum { COUNT = 12288, CALLS = 400, RANKS = 4, RECV_MAX = RANKS * COUNT };

typedef struct dither_case {
    hlq_operation operation;
    hlq_algorithm algorithm;
    double bits;
    size_t send, recv; /* elements per rank */
} dither_case;

static const dither_case cases[] = {
    {HLQ_ALL_REDUCE, HLQ_ALG_TWOSHOT, 4, COUNT, COUNT},
    {HLQ_ALL_REDUCE, HLQ_ALG_TWOSHOT, 2.5, COUNT, COUNT},
    {HLQ_ALL_REDUCE, HLQ_ALG_ONESHOT, 6, COUNT, COUNT},
    {HLQ_ALL_REDUCE, HLQ_ALG_HIERARCHICAL, 3, COUNT, COUNT},
    {HLQ_REDUCE_SCATTER, HLQ_ALG_ONESHOT, 3, COUNT, COUNT / RANKS},
    {HLQ_ALL_GATHER, HLQ_ALG_ONESHOT, 2.5, COUNT / RANKS, COUNT},
    {HLQ_ALL_TO_ALL, HLQ_ALG_ONESHOT, 3.5, COUNT, COUNT},
};

static hlq_options options_of(const test_rank *me, const dither_case *c, int dither)
{
    hlq_options options = HLQ_OPTIONS_INIT;
    options.algorithm = c->algorithm;
    options.bits = c->bits;
    options.dither = dither;
    options.group = 1 + me->rank / 2;
    return options;
}

static hlq_status call(hlq_comm *comm, const dither_case *c, const float *send, float *recv)
{
    size_t part = COUNT / RANKS;
    switch (c->operation) {
    case HLQ_ALL_REDUCE:
        return hlq_all_reduce(comm, send, recv, COUNT, HLQ_FLOAT32, HLQ_SUM, NULL, NULL);
    case HLQ_REDUCE_SCATTER:
        return hlq_reduce_scatter(comm, send, recv, part, HLQ_FLOAT32, HLQ_SUM, NULL, NULL);
    case HLQ_ALL_GATHER: return hlq_all_gather(comm, send, recv, part, HLQ_FLOAT32, NULL, NULL);
    case HLQ_ALL_TO_ALL: break;
    }
    return hlq_all_to_all(comm, send, recv, part, HLQ_FLOAT32, NULL, NULL);
}

/* Blocks of sizes from 1/8 to 8 with Gaussian numbers, with few large ones, and with one. */
static void input(int rank, float *x)
{
    hlq_rng rng = hlq_rng_new((uint64_t)rank + 1);
    for (int i = 0; i < COUNT; i++) {
        int block = i / 256, kind = block % 4;
        double draw = kind == 1 ? hlq_rng_lognormal(&rng) : hlq_rng_gauss(&rng);
        if (kind == 2 && i % 256 != block) draw *= 1e-3;
        x[i] = (float)ldexp(draw, block * 5 % 7 - 3);
    }
}

/* What this rank should get. all: every rank's send, one after the other. */
static void exact_of(const test_rank *me, const dither_case *c, const float *all, double *exact)
{
    size_t part = COUNT / RANKS;
    for (size_t i = 0; i < c->recv; i++) {
        exact[i] = 0;
        for (size_t p = 0; p < (size_t)me->size; p++) {
            const float *x = all + p * c->send;
            size_t own = (size_t)me->rank * part;
            if (c->operation == HLQ_ALL_REDUCE) exact[i] += x[i];
            if (c->operation == HLQ_REDUCE_SCATTER) exact[i] += x[own + i];
            if (i / part != p) continue;
            if (c->operation == HLQ_ALL_GATHER) exact[i] = x[i % part];
            if (c->operation == HLQ_ALL_TO_ALL) exact[i] = x[own + i % part];
        }
    }
}

typedef struct moments {
    double error[RECV_MAX], squares[RECV_MAX]; /* sums over calls */
} moments;

static void measure(test_rank *me, const dither_case *c, int dither, int calls, const float *send,
                    const double *exact, moments *m)
{
    static _Thread_local float recv[RECV_MAX];
    hlq_options options = options_of(me, c, dither);
    hlq_comm *comm = NULL;
    memset(m, 0, sizeof *m);
    if (CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) {
        for (int n = 0; n < calls; n++) {
            if (!CHECK_EQ(call(comm, c, send, recv), HLQ_OK)) break;
            for (size_t i = 0; i < c->recv; i++) {
                double error = recv[i] - exact[i];
                m->error[i] += error;
                m->squares[i] += error * error;
            }
        }
    }
    rank_destroy(me, comm);
}

/* Whether it is never coded: what a rank sends to itself. */
static int is_own(const test_rank *me, const dither_case *c, size_t i)
{
    return c->operation == HLQ_ALL_TO_ALL && (int)(i / (COUNT / RANKS)) == me->rank;
}

/*
 * z of a number: the mean of its errors over CALLS calls by the standard deviation of that mean, as
 * the dithered calls themselves show it. If the mean of the errors is 0, Σ z² over the numbers is
 * χ² of that many degrees of freedom, times (CALLS - 1) / (CALLS - 3), since z is Student's. Errors
 * of a block's numbers are a little dependent, by their rotation (its vectors have different
 * scales, by up to 1.3^3): that is less than half the degrees. Mean z² then leaves 1 ± 4.9 √(2 /
 * degrees) but once in a million.
 */
static double mean_z2(const test_rank *me, const dither_case *c, const moments *dithered,
                      const moments *m, int calls, size_t *numbers)
{
    double sum = 0;
    *numbers = 0;
    for (size_t i = 0; i < c->recv; i++) {
        double mean = dithered->error[i] / CALLS;
        double variance = (dithered->squares[i] - CALLS * mean * mean) / (CALLS - 1);
        if (is_own(me, c, i)) continue;
        double error = m->error[i] / calls;
        sum += error * error / (variance / CALLS);
        ++*numbers;
    }
    return sum / (double)*numbers * (CALLS - 3.0) / (CALLS - 1.0);
}

/* Σ over numbers of mean error × exact number, in its standard deviations. */
static double correlation(const dither_case *c, const moments *m, const double *exact)
{
    double sum = 0, variance = 0;
    for (size_t i = 0; i < c->recv; i++) {
        sum += m->error[i] * exact[i];
        variance += m->squares[i] * exact[i] * exact[i];
    }
    return sum / sqrt(variance);
}

static void check_case(test_rank *me, const dither_case *c)
{
    static _Thread_local float send[COUNT];
    static _Thread_local double exact[RECV_MAX];
    static _Thread_local moments with, without;
    float *all = malloc(RANKS * sizeof send);
    size_t numbers;
    input(me->rank, send);
    rank_gather(me, send, c->send * sizeof *send, all);
    exact_of(me, c, all, exact);
    free(all);
    measure(me, c, 1, CALLS, send, exact, &with);
    measure(me, c, 0, 1, send, exact, &without);
    hlq_test_case("%s, %s, %g bits, on rank %d", hlq_operation_name(c->operation),
                  hlq_algorithm_name(c->algorithm), c->bits, me->rank);
    double z2 = mean_z2(me, c, &with, &with, CALLS, &numbers);
    double reach = 4.9 * sqrt(2 / ((double)numbers / 2));
    CHECK_WITHIN(z2, 1 - reach, 1 + reach);
    /* Errors of different vectors are independent; the bound is for their mixture as above. */
    CHECK_AT_MOST(fabs(correlation(c, &with, exact)), 4.9 * sqrt(2));
    /* Without dither errors are the same on every call: their mean is as large as they are. */
    CHECK(mean_z2(me, c, &with, &without, 1, &numbers) > 20);
}

static void check_means(test_rank *me, void *argument)
{
    (void)argument;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_case(me, &cases[i]);
}

/* What is refused, and what is not ------------------------------------------------------------- */

static hlq_status try_call(hlq_comm *comm, hlq_algorithm algorithm, double bits, hlq_dtype dtype)
{
    static _Thread_local float x[COUNT];
    hlq_call options = HLQ_CALL_INIT;
    options.algorithm = algorithm;
    options.bits = bits;
    input(hlq_comm_rank(comm), x);
    return hlq_all_reduce(comm, x, x, COUNT, dtype, HLQ_SUM, &options, NULL);
}

static void check_refusals(test_rank *me, void *argument)
{
    (void)argument;
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_comm *comm = NULL;
    options.dither = 1;
    options.probe = HLQ_PROBE_OFF;
    hlq_test_case("refusals on rank %d", me->rank);
    if (CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) {
        CHECK_EQ(try_call(comm, HLQ_ALG_MODQ, 0, HLQ_FLOAT32), HLQ_E_UNSUPPORTED);
        CHECK(strstr(hlq_comm_last_error(comm), "modq has no dither"));
        CHECK_EQ(try_call(comm, HLQ_ALG_TWOSHOT, 2, HLQ_FLOAT32), HLQ_E_INVALID);
        CHECK(strstr(hlq_comm_last_error(comm), "2 bits are too few for dither"));
        CHECK_EQ(try_call(comm, HLQ_ALG_ONESHOT, 4, HLQ_FLOAT32), HLQ_E_INVALID);
        CHECK(strstr(hlq_comm_last_error(comm), "which needs 4.8 here"));
        CHECK_EQ(try_call(comm, HLQ_ALG_ONESHOT, 4.8, HLQ_FLOAT32), HLQ_OK);
        CHECK_EQ(try_call(comm, HLQ_ALG_TWOSHOT, 2.4, HLQ_FLOAT32), HLQ_OK);
        CHECK_EQ(try_call(comm, HLQ_ALG_NATIVE, 2, HLQ_FLOAT32), HLQ_OK);
        CHECK_EQ(try_call(comm, HLQ_ALG_AUTO, 2, HLQ_INT32), HLQ_OK);
    }
    rank_destroy(me, comm);
    options.algorithm = HLQ_ALG_MODQ; /* whose all-gather is oneshot's */
    if (CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) {
        float x[RANKS * 300] = {1};
        CHECK_EQ(hlq_all_gather(comm, x + me->rank * 300, x, 300, HLQ_FLOAT32, NULL, NULL), HLQ_OK);
        CHECK_EQ(try_call(comm, HLQ_ALG_AUTO, 0, HLQ_FLOAT32), HLQ_E_UNSUPPORTED);
    }
    rank_destroy(me, comm);
}

int main(void)
{
    hlq_test_start("test_dither_collectives");
    ranks_as_threads(RANKS, check_means, NULL);
    ranks_as_threads(RANKS, check_refusals, NULL);
    return hlq_test_end();
}
