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
    hlq_message recv[RANKS];
    int exchanges;             /* so far */
    int target;                /* the exchange to damage or to fail in; 0: none */
    int from;                  /* whose message is damaged */
    size_t offset;             /* which byte of it */
    int fail_start, fail_wait; /* instead */
    int sums, destroyed;       /* calls */
} meddler;

static hlq_status meddler_start(void *self, const hlq_message *send, const hlq_message *recv,
                                char *error)
{
    meddler *m = self;
    m->exchanges++;
    memcpy(m->recv, recv, sizeof m->recv);
    if (m->fail_start && m->exchanges == m->target) {
        snprintf(error, HLQ_ERROR_BYTES, "the cable was cut");
        return HLQ_E_TRANSPORT;
    }
    return m->inner.start(m->inner.self, send, recv, error);
}

static hlq_status meddler_wait(void *self, double timeout_s, char *error)
{
    meddler *m = self;
    hlq_status status = m->inner.wait(m->inner.self, timeout_s, error);
    if (m->exchanges != m->target) return status;
    if (m->fail_wait) {
        snprintf(error, HLQ_ERROR_BYTES, "the cable was cut");
        return HLQ_E_TRANSPORT;
    }
    uint8_t *message = m->recv[m->from].data;
    CHECK(m->recv[m->from].bytes >= 32 && memcmp(message, "HLQ", 3) == 0);
    message[m->offset] ^= 0xff;
    return status;
}

/* Rank 0 gathers and adds by means of the library's own exchange: enough to see that it is used. */
static hlq_status meddler_sum(void *self, float *data, size_t count, double timeout_s, char *error)
{
    meddler *m = self;
    float *all = malloc(RANKS * count * sizeof *all);
    hlq_message send[RANKS], recv[RANKS];
    m->sums++;
    for (int p = 0; p < RANKS; p++) {
        send[p] = (hlq_message){data, count * sizeof *data};
        recv[p] = (hlq_message){all + (size_t)p * count, count * sizeof *data};
    }
    hlq_status status = m->inner.start(m->inner.self, send, recv, error);
    if (status == HLQ_OK) status = m->inner.wait(m->inner.self, timeout_s, error);
    memcpy(all + (size_t)m->inner.rank * count, data, count * sizeof *data);
    for (size_t i = 0; i < count && status == HLQ_OK; i++) {
        data[i] = 0;
        for (int p = 0; p < RANKS; p++) data[i] += all[(size_t)p * count + i];
    }
    free(all);
    return status;
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
        .wait = meddler_wait,
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

/* What to damage, and what came of a run without damage. */
typedef struct plot {
    hlq_algorithm algorithm;
    int target, last;
    size_t offset;
    uint64_t clean; /* digest of the right result */
} plot;

static void check_damaged(test_rank *me, hlq_comm *comm, const plot *how, hlq_status status,
                          const float *x)
{
    int to_owner = how->target == 3 || (how->algorithm == HLQ_ALG_MODQ && how->target == 5);
    if (me->rank == 0) {
        CHECK_EQ(status, HLQ_E_WIRE);
        CHECK(*hlq_comm_last_error(comm));
    }
    if (status == HLQ_OK) {
        /* Who received everything undamaged, and need not wait for the others any more. */
        CHECK_EQ(how->target, how->last);
        CHECK(digest_of(x, COUNT * sizeof *x) == how->clean);
    } else if (to_owner && how->last > how->target) {
        CHECK_EQ(status, HLQ_E_WIRE); /* the owner's answer tells everybody */
    } else {
        /* TRANSPORT: of a rank that comes when another has given up. */
        CHECK(status == HLQ_E_WIRE || status == HLQ_E_TIMEOUT || status == HLQ_E_TRANSPORT);
    }
}

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
    options.timeout_s = how->target ? 0.25 : 30;
    options.algorithm = how->algorithm;
    options.bits = 6;
    if (CHECK_EQ(hlq_comm_create_callbacks(&table, &options, &comm), HLQ_OK)) {
        input(me->rank, x);
        hlq_status status = hlq_all_reduce(comm, x, x, COUNT, HLQ_FLOAT32, HLQ_SUM, NULL, NULL);
        if (how->target) {
            check_damaged(me, comm, how, status, x);
            rank_barrier(me);
            CHECK(hlq_all_reduce(comm, x, x, 0, HLQ_FLOAT32, HLQ_SUM, NULL, NULL) != HLQ_OK);
        } else {
            CHECK_EQ(status, HLQ_OK);
            how->last = m.exchanges;
            how->clean = digest_of(x, sizeof x);
        }
    }
    rank_barrier(me);
    hlq_comm_destroy(comm);
    CHECK_EQ(m.destroyed, 1);
    unshare_group(me, group);
}

/* All fields of a header: magic, version, form, lattice, zero, base, spread, call, first, blocks */
static void a_damaged_header_is_an_error_everywhere(test_rank *me, void *argument)
{
    static const size_t offsets[] = {0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15, 16, 23, 24, 31};
    (void)argument;
    for (int algorithm = HLQ_ALG_TWOSHOT; algorithm <= HLQ_ALG_MODQ; algorithm++) {
        plot how = {.algorithm = (hlq_algorithm)algorithm};
        damage(me, &how);
        /* Creation and the call's arguments are compared in exchanges 1 and 2. */
        CHECK(how.last >= 3);
        for (how.target = 3; how.target <= how.last; how.target++) {
            for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i += 1 + (size_t)algorithm) {
                how.offset = offsets[i];
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
    for (int in_wait = 0; in_wait < 2; in_wait++) {
        hlq_thread_group *group;
        hlq_transport inner = open_transport(me, &group);
        hlq_options options = HLQ_OPTIONS_INIT;
        hlq_comm *comm = NULL;
        meddler m = {.fail_start = !in_wait, .fail_wait = in_wait, .target = 3};
        hlq_transport table = table_of(&m, &inner);
        options.timeout_s = 1;
        hlq_test_case("failing in %s", in_wait ? "wait" : "start");
        if (CHECK_EQ(hlq_comm_create_callbacks(&table, &options, &comm), HLQ_OK)) {
            hlq_status status = hlq_all_reduce(comm, x, x, 100, HLQ_FLOAT32, HLQ_SUM, NULL, NULL);
            CHECK_EQ(status, HLQ_E_TRANSPORT);
            CHECK_STR(hlq_comm_last_error(comm), "the cable was cut");
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
    for (int in_wait = 0; in_wait < 2; in_wait++) {
        hlq_thread_group *group;
        hlq_transport inner = open_transport(me, &group);
        hlq_comm *comm = NULL;
        meddler m = {.fail_start = !in_wait, .fail_wait = in_wait, .target = 1};
        hlq_transport table = table_of(&m, &inner);
        hlq_test_case("creation fails in %s", in_wait ? "wait" : "start");
        CHECK_EQ(hlq_comm_create_callbacks(&table, NULL, &comm), HLQ_E_TRANSPORT);
        CHECK(!comm);
        CHECK_STR(hlq_create_error(), "the cable was cut");
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
        if (i == 1) table.wait = NULL;
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
    table.sum_float32 = meddler_sum;
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
    ranks_as_threads(RANKS, a_damaged_header_is_an_error_everywhere, NULL);
    ranks_as_threads(RANKS, a_carrier_that_fails_breaks_the_communicator, NULL);
    ranks_as_threads(RANKS, a_failed_creation_destroys_the_transport, NULL);
    ranks_as_threads(RANKS, an_incomplete_table_is_refused, NULL);
    ranks_as_threads(RANKS, a_sum_of_the_carrier_is_used, NULL);
    ranks_as_threads(RANKS, a_group_serves_communicators_in_turn, NULL);
    ranks_as_threads(RANKS, a_late_rank_finds_nobody, NULL);
    return hlq_test_end();
}
