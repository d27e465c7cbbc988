/*
 * Transports: what the one over threads promises; and what the library makes of a carrier that
 * damages headers, fails, is incomplete, or has a sum of its own.
 */
#include "transport_cases.h"

#include <math.h>

enum { RANKS = 3, COUNT = 20000 };

/* A meddler passes everything on to the threads transport, and then does damage. */
typedef struct meddler {
    hlq_transport inner;
    int exchanges;             /* so far */
    int target;                /* the exchange to damage or to fail in; 0: none */
    int from;                  /* whose message is damaged */
    size_t offset;             /* which byte of it */
    int fail_start, fail_test; /* instead */
    int sums, destroyed;       /* calls */
    float *all;                /* of a sum under way */
    hlq_message send[RANKS], recv[RANKS];
} meddler;

static hlq_status meddler_start(void *self, hlq_exchange *exchange, char *error)
{
    meddler *m = self;
    m->exchanges++;
    if (m->fail_start && m->exchanges == m->target) {
        snprintf(error, HLQ_ERROR_BYTES, "the cable was cut");
        return HLQ_E_TRANSPORT;
    }
    return m->inner.start(m->inner.self, exchange, error);
}

/* Numbers of all ranks, gathered over the library's own transport: enough to see that it is
   used. */
static void add_up(meddler *m, hlq_exchange *exchange)
{
    size_t count = exchange->count;
    memcpy(m->all + (size_t)m->inner.rank * count, exchange->sum, count * sizeof(float));
    for (size_t i = 0; i < count; i++) {
        exchange->sum[i] = 0;
        for (int p = 0; p < RANKS; p++) exchange->sum[i] += m->all[(size_t)p * count + i];
    }
    free(m->all);
    m->all = NULL;
}

static hlq_status meddler_test(void *self, hlq_exchange *exchange, int *done, char *error)
{
    meddler *m = self;
    hlq_status status = m->inner.test(m->inner.self, exchange, done, error);
    if (status == HLQ_OK && *done && m->all) add_up(m, exchange);
    if (m->exchanges != m->target || status != HLQ_OK || !*done) return status;
    if (m->fail_test) {
        snprintf(error, HLQ_ERROR_BYTES, "the cable was cut");
        return HLQ_E_TRANSPORT;
    }
    size_t bytes = exchange->recv[m->from].bytes;
    if (bytes) {
        uint8_t *message = exchange->recv[m->from].data;
        message[m->offset % bytes] ^= 1;
    }
    return status;
}

static int meddler_cancel(void *self, hlq_exchange *exchange, char *missing)
{
    meddler *m = self;
    if (m->exchanges == m->target && m->fail_test) return 0; /* it was over */
    return m->inner.cancel(m->inner.self, exchange, missing);
}

static void meddler_rest(void *self, double seconds)
{
    meddler *m = self;
    m->inner.rest(m->inner.self, seconds);
}

static void meddler_give_up(void *self, hlq_status status, const char *sentence)
{
    meddler *m = self;
    m->inner.give_up(m->inner.self, status, sentence);
}

static hlq_status meddler_sum(void *self, hlq_exchange *exchange, char *error)
{
    meddler *m = self;
    size_t count = exchange->count;
    m->all = malloc(RANKS * count * sizeof *m->all);
    m->sums++;
    for (int p = 0; p < RANKS; p++) {
        m->send[p] = (hlq_message){exchange->sum, count * sizeof(float)};
        m->recv[p] = (hlq_message){m->all + (size_t)p * count, count * sizeof(float)};
    }
    exchange->send = m->send;
    exchange->recv = m->recv;
    return m->inner.start(m->inner.self, exchange, error);
}

static void meddler_destroy(void *self)
{
    meddler *m = self;
    m->destroyed++;
    m->inner.destroy(m->inner.self);
}

static hlq_transport table_of(meddler *m, const hlq_transport *inner)
{
    m->inner = *inner;
    return (hlq_transport){
        .struct_bytes = sizeof(hlq_transport),
        .name = "meddler",
        .self = m,
        .rank = inner->rank,
        .size = inner->size,
        .start = meddler_start,
        .test = meddler_test,
        .cancel = meddler_cancel,
        .rest = meddler_rest,
        .give_up = meddler_give_up,
        .destroy = meddler_destroy,
    };
}

/* Damage --------------------------------------------------------------------------------------- */

/* Rank p's tensor. Ranks 0 and 1 cancel out, so that modq's sums fit at once: then every message
   has a header. */
static void input(int p, float *x)
{
    static const float factor[RANKS] = {1, -1, 0.1f};
    hlq_rng rng = hlq_rng_new(1);
    hlq_rng_fill(&rng, hlq_rng_gauss, x, COUNT);
    for (int i = 0; i < COUNT; i++) x[i] *= factor[p];
}

/* What to damage. */
typedef struct plot {
    hlq_algorithm algorithm;
    int target, last;
    size_t offset;
} plot;

/* One call with rank 0's message from rank 1 damaged, and one after it. */
static void damage(test_rank *me, plot *how)
{
    static _Thread_local float x[COUNT];
    hlq_thread_group *group;
    hlq_transport inner = open_transport(me, &group);
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_comm *comm = NULL;
    meddler m = {.from = 1, .offset = how->offset};
    hlq_transport table = table_of(&m, &inner);
    hlq_test_case("%s, exchange %d of %d, byte %zu, seen on rank %d",
                  hlq_algorithm_name(how->algorithm), how->target, how->last, how->offset,
                  me->rank);
    if (me->rank == 0) m.target = how->target;
    options.timeout_s = 30;
    options.algorithm = how->algorithm;
    options.bits = 6;
    if (CHECK_EQ(hlq_comm_create_callbacks(&table, &options, &comm), HLQ_OK)) {
        input(me->rank, x);
        hlq_status status = hlq_all_reduce(comm, x, x, COUNT, HLQ_FLOAT32, HLQ_SUM, NULL, NULL);
        if (how->target) {
            /* Of a damaged verdict nobody else can hear: theirs were all well. */
            int is_verdict = how->target == how->last;
            if (me->rank == 0 || !is_verdict) {
                CHECK_EQ(status, HLQ_E_WIRE);
                CHECK(strstr(hlq_comm_last_error(comm), "from rank 1: "));
            }
            rank_barrier(me);
            status = hlq_all_reduce(comm, x, x, 0, HLQ_FLOAT32, HLQ_SUM, NULL, NULL);
            CHECK_EQ(status, me->rank == 0 || !is_verdict ? HLQ_E_BROKEN : HLQ_E_WIRE);
        } else {
            CHECK_EQ(status, HLQ_OK);
            how->last = m.exchanges;
        }
    }
    rank_barrier(me);
    hlq_comm_destroy(comm);
    CHECK_EQ(m.destroyed, 1);
    unshare_group(me, group);
}

/* Any bit of any message: every rank hears of it, well before the timeout. */
static void damage_is_an_error_everywhere(test_rank *me, void *argument)
{
    (void)argument;
    for (int algorithm = HLQ_ALG_TWOSHOT; algorithm <= HLQ_ALG_MODQ; algorithm++) {
        plot how = {.algorithm = (hlq_algorithm)algorithm};
        damage(me, &how);
        /* Creation is exchange 1, the call's arguments 2, and the last one are the verdicts. */
        CHECK(how.last >= 4);
        for (how.target = 2; how.target <= how.last; how.target++) {
            /* Every field of a header, and bytes behind it. */
            for (how.offset = 0; how.offset < 120; how.offset += 1 + (size_t)(5 * algorithm)) {
                damage(me, &how);
            }
        }
    }
}

/* A failing carrier ------------------------------------------------------------------------ */

static void a_carrier_that_fails_breaks_the_communicator(test_rank *me, void *argument)
{
    float x[100] = {0};
    (void)argument;
    for (int in_test = 0; in_test < 2; in_test++) {
        hlq_thread_group *group;
        hlq_transport inner = open_transport(me, &group);
        hlq_options options = HLQ_OPTIONS_INIT;
        hlq_comm *comm = NULL;
        meddler m = {.fail_start = !in_test, .fail_test = in_test, .target = 3};
        hlq_transport table = table_of(&m, &inner);
        options.timeout_s = 1;
        hlq_test_case("failing in %s", in_test ? "test" : "start");
        if (CHECK_EQ(hlq_comm_create_callbacks(&table, &options, &comm), HLQ_OK)) {
            hlq_status status = hlq_all_reduce(comm, x, x, 100, HLQ_FLOAT32, HLQ_SUM, NULL, NULL);
            CHECK_EQ(status, HLQ_E_TRANSPORT);
            CHECK(strstr(hlq_comm_last_error(comm), "the cable was cut"));
            status = hlq_all_reduce(comm, x, x, 100, HLQ_FLOAT32, HLQ_SUM, NULL, NULL);
            CHECK_EQ(status, HLQ_E_BROKEN);
        }
        rank_barrier(me);
        hlq_comm_destroy(comm);
        CHECK_EQ(m.destroyed, 1);
        unshare_group(me, group);
    }
}

/* Creation that fails on the way still destroys the transport, once. */
static void a_failed_creation_destroys_the_transport(test_rank *me, void *argument)
{
    (void)argument;
    for (int in_test = 0; in_test < 2; in_test++) {
        hlq_thread_group *group;
        hlq_transport inner = open_transport(me, &group);
        hlq_comm *comm = NULL;
        meddler m = {.fail_start = !in_test, .fail_test = in_test, .target = 1};
        hlq_transport table = table_of(&m, &inner);
        hlq_test_case("creation fails in %s", in_test ? "test" : "start");
        CHECK_EQ(hlq_comm_create_callbacks(&table, NULL, &comm), HLQ_E_TRANSPORT);
        CHECK(!comm);
        CHECK(strstr(hlq_create_error(), "the cable was cut"));
        CHECK_EQ(m.destroyed, 1);
        unshare_group(me, group);
    }
}

static void an_incomplete_table_is_refused(test_rank *me, void *argument)
{
    (void)argument;
    for (int i = 0; i < 6; i++) {
        hlq_thread_group *group;
        hlq_transport inner = open_transport(me, &group);
        hlq_comm *comm = NULL;
        meddler m = {0};
        hlq_transport table = table_of(&m, &inner);
        if (i == 0) table.start = NULL;
        if (i == 1) table.test = NULL;
        if (i == 2) table.size = 0;
        if (i == 3) table.rank = table.size;
        if (i == 4) table.rank = -1;
        if (i == 5) table.struct_bytes = 8;
        hlq_test_case("incomplete table %d", i);
        CHECK_EQ(hlq_comm_create_callbacks(&table, NULL, &comm), HLQ_E_INVALID);
        CHECK(!comm);
        CHECK(*hlq_create_error());
        /* A table of unknown size cannot be asked for its destroy(). */
        if (i == 5) inner.destroy(inner.self);
        else CHECK_EQ(m.destroyed, 1);
        unshare_group(me, group);
    }
    hlq_comm *comm = NULL;
    CHECK_EQ(hlq_comm_create_callbacks(NULL, NULL, &comm), HLQ_E_INVALID);
}

/* native float32 sums go to the carrier where it has a sum, and nothing else does. */
static void a_sum_of_the_carrier_is_used(test_rank *me, void *argument)
{
    static _Thread_local float x[COUNT];
    hlq_thread_group *group;
    hlq_transport inner = open_transport(me, &group);
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_comm *comm = NULL;
    meddler m = {0};
    hlq_transport table = table_of(&m, &inner);
    (void)argument;
    table.start_sum = meddler_sum;
    hlq_test_case("a carrier's sum");
    if (CHECK_EQ(hlq_comm_create_callbacks(&table, &options, &comm), HLQ_OK)) {
        hlq_call native = HLQ_CALL_INIT;
        native.algorithm = HLQ_ALG_NATIVE;
        for (int i = 0; i < COUNT; i++) x[i] = (float)(me->rank + i);
        CHECK_EQ(hlq_all_reduce(comm, x, x, COUNT, HLQ_FLOAT32, HLQ_AVG, &native, NULL), HLQ_OK);
        CHECK_EQ(m.sums, 1);
        int wrong = 0;
        for (int i = 0; i < COUNT; i++) wrong += !(fabsf(x[i] - (float)(i + 1)) < 0.01f);
        CHECK_EQ(wrong, 0);
        memset(x, 0, sizeof x);
        CHECK_EQ(hlq_all_reduce(comm, x, x, COUNT, HLQ_BFLOAT16, HLQ_SUM, &native, NULL), HLQ_OK);
        CHECK_EQ(hlq_all_reduce(comm, x, x, COUNT, HLQ_FLOAT32, HLQ_SUM, NULL, NULL), HLQ_OK);
        CHECK_EQ(m.sums, 1);
    }
    rank_barrier(me);
    hlq_comm_destroy(comm);
    unshare_group(me, group);
}

/* Ranks need not wait for each other between one communicator and the next. */
static void a_group_serves_communicators_in_turn(test_rank *me, void *argument)
{
    hlq_thread_group *group = share_group(me);
    (void)argument;
    for (int i = 0; i < 50; i++) {
        float x[500];
        int wrong = 0;
        hlq_comm *comm = NULL;
        hlq_test_case("communicator %d of a group, on rank %d", i, me->rank);
        for (int j = 0; j < 500; j++) x[j] = (float)(me->rank + i);
        if (!CHECK_EQ(hlq_comm_create_threads(group, me->rank, NULL, &comm), HLQ_OK)) break;
        CHECK_EQ(hlq_all_reduce(comm, x, x, 500, HLQ_FLOAT32, HLQ_AVG, NULL, NULL), HLQ_OK);
        for (int j = 0; j < 500; j++) wrong += !(fabsf(x[j] - (float)(i + 1)) < 1e-3f);
        CHECK_EQ(wrong, 0);
        hlq_comm_destroy(comm);
    }
    unshare_group(me, group);
}

/* A rank that comes when the others have given up and gone must not touch what they left. */
static void a_late_rank_finds_nobody(test_rank *me, void *argument)
{
    float x[1000] = {0};
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_comm *comm = NULL;
    (void)argument;
    options.timeout_s = 0.5;
    options.algorithm = HLQ_ALG_TWOSHOT;
    hlq_test_case("a late rank");
    if (CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) {
        if (me->rank != 1) {
            CHECK_EQ(hlq_all_reduce(comm, x, x, 1000, HLQ_FLOAT32, HLQ_SUM, NULL, NULL),
                     HLQ_E_TIMEOUT);
            hlq_comm_destroy(comm);
        }
        rank_barrier(me);
        if (me->rank == 1) {
            CHECK(hlq_all_reduce(comm, x, x, 1000, HLQ_FLOAT32, HLQ_SUM, NULL, NULL) != HLQ_OK);
            CHECK(*hlq_comm_last_error(comm));
            hlq_comm_destroy(comm);
        }
    }
    rank_destroy(me, NULL);
}

int main(void)
{
    hlq_test_start("test_transport");
    for (int n = 1; n <= 4; n++) ranks_as_threads(n, transport_promises, NULL);
    ranks_as_threads(RANKS, damage_is_an_error_everywhere, NULL);
    ranks_as_threads(RANKS, a_carrier_that_fails_breaks_the_communicator, NULL);
    ranks_as_threads(RANKS, a_failed_creation_destroys_the_transport, NULL);
    ranks_as_threads(RANKS, an_incomplete_table_is_refused, NULL);
    ranks_as_threads(RANKS, a_sum_of_the_carrier_is_used, NULL);
    ranks_as_threads(RANKS, a_group_serves_communicators_in_turn, NULL);
    ranks_as_threads(RANKS, a_late_rank_finds_nobody, NULL);
    return hlq_test_end();
}
