/*
 * What goes wrong in collectives on a device by way of the host (transport/staged.h):
 * nccl_fault_cases.h, and a transport that fails or falls silent at every exchange of a call. Every
 * rank has a status and NaN, or its right result; no stream hangs. CUDA by its stand-in, ranks are
 * threads.
 */
#include "nccl_fault_cases.h"
#include "pair_staged.h"

#include <collective/agree.h>
#include <collective/progress.h>
#include <transport/staged.h>
#include <transport/transport_internal.h>

/* A transport that fails ---------------------------------------------------------------------- */

typedef struct {
    staged_kind kind;
    hlq_algorithm algorithm;
    int exchanges; /* of the call, its terms included; of all that follow nobody hears */
} trouble;

/* Whether the transport, whose last words are "the cable was cut", or its silence is told. */
static void check_trouble(const test_rank *me, const trouble *t, const outcome *o)
{
    int is_source = me->rank == t->kind.failing, is_silent = t->kind.failure == IS_SILENT;
    const char *sentence = is_silent ? "did not" : "the cable was cut";
    if (!is_source && is_silent) sentence = "";
    CHECK_EQ(o->status, is_silent ? HLQ_E_TIMEOUT : HLQ_E_TRANSPORT);
    if (!CHECK(strstr(o->sentence, sentence) != NULL))
        fprintf(stderr, "  it says: %s\n", o->sentence);
}

/* The numbers of a call are right, or all NaN and its status says why. */
static void trouble_body(test_rank *me, void *argument)
{
    const trouble *t = argument;
    const fault_case f = {.rank = -1, .what = "trouble", .algorithm = t->algorithm};
    hlq_options options = HLQ_OPTIONS_INIT;
    float *send = pair_memory(FAULT_COUNT * sizeof *send),
          *recv = pair_memory(FAULT_COUNT * sizeof *recv);
    float *want = malloc(FAULT_COUNT * sizeof *want);
    hlq_call call = HLQ_CALL_INIT;
    pair p;
    options.timeout_s = t->kind.failure == IS_SILENT ? 0.3 : 20;
    options.group = 1 + me->rank / 2;
    pair_open(me, &options, 0, &p);
    for (int i = 0; i < FAULT_COUNT; i++) send[i] = (float)sin(i + me->rank);
    call.algorithm = t->algorithm;
    CHECK_EQ(hlq_all_reduce(p.host, send, want, FAULT_COUNT, HLQ_FLOAT32, HLQ_SUM, &call, NULL),
             HLQ_OK);
    rank_barrier(me);
    hlq_test_case("%s, trouble %d in exchange %d of %d", hlq_algorithm_name(t->algorithm),
                  t->kind.failure, t->kind.exchange, t->exchanges);
    outcome o = one_call(&p, &f, send, recv);
    pair_synchronize(&p);
    int nans = 0;
    for (int i = 0; i < FAULT_COUNT; i++) nans += isnan(recv[i]) != 0;
    if (o.status == HLQ_OK) {
        CHECK(t->kind.exchange >= t->exchanges - (me->rank != t->kind.failing));
        CHECK_BYTES(recv, want, FAULT_COUNT * sizeof *want);
    } else {
        check_trouble(me, t, &o);
        int is_partial = t->algorithm == HLQ_ALG_HIERARCHICAL || t->kind.piece_bytes < FAULT_COUNT;
        if (is_partial) CHECK(nans > 0);
        else CHECK_EQ(nans, FAULT_COUNT);
        CHECK_EQ(hlq_comm_async_error(p.nccl), HLQ_E_BROKEN);
    }
    rank_barrier(me);
    pair_close(&p);
    pair_free(send), pair_free(recv), free(want);
}

static void test_transports_that_fail(int is_direct, size_t piece_bytes)
{
    static const trouble walks[] = {
        {.algorithm = HLQ_ALG_TWOSHOT, .exchanges = 3},
        {.algorithm = HLQ_ALG_ONESHOT, .exchanges = 2},
        {.algorithm = HLQ_ALG_HIERARCHICAL, .exchanges = 4},
    };
    for (int i = 0; i < 3 * 3; i++) {
        trouble t = walks[i / 3];
        int most = piece_bytes < FAULT_COUNT ? t.exchanges + 2 : t.exchanges;
        for (int at = 0; at < most; at++) {
            t.kind = (staged_kind){.is_direct = is_direct, .piece_bytes = piece_bytes};
            t.kind.failing = 1;
            t.kind.failure = i % 3;
            t.kind.exchange = at;
            pair_staged_as(&t.kind);
            ranks_as_threads(4, trouble_body, &t);
        }
    }
}

/* What ranks tell each other before a native sum, behind the terms of the call, which are as
   long. */
static int terms_seen;

static void flip_in_second_terms(int from, int to, void *data, size_t bytes)
{
    if (from == 0 && to == 1 && bytes >= sizeof(hlq_terms) && terms_seen++ == 1) {
        ((unsigned char *)data)[20] ^= 4;
    }
}

/* Sums that fail do so on all ranks, and leave nothing. */
static void sum_body(test_rank *me, void *argument)
{
    const fault_case f = {.rank = -1, .what = "sum", .algorithm = HLQ_ALG_NATIVE};
    hlq_options options = HLQ_OPTIONS_INIT;
    float *send = pair_memory(FAULT_COUNT * sizeof *send),
          *recv = pair_memory(FAULT_COUNT * sizeof *recv);
    pair p;
    (void)argument;
    pair_open(me, &options, 0, &p);
    for (int i = 0; i < FAULT_COUNT; i++) send[i] = (float)i;
    rank_barrier(me);
    if (me->rank == 0) terms_seen = 0, stand_in_set_tamper(flip_in_second_terms);
    rank_barrier(me);
    hlq_test_case("damaged terms of a native sum");
    outcome o = one_call(&p, &f, send, recv);
    if (me->rank == 0) stand_in_set_tamper(NULL);
    pair_synchronize(&p);
    int nans = 0;
    for (int i = 0; i < FAULT_COUNT; i++) nans += isnan(recv[i]) != 0;
    CHECK_EQ(o.status, HLQ_E_WIRE);
    CHECK_EQ(nans, FAULT_COUNT);
    rank_barrier(me);
    pair_close(&p);
    pair_free(send), pair_free(recv);
}

/* What one rank finds in the terms that it got, the others hear in the middle of an exchange for
   which it does not come, before their time is over. */
static void told_body(test_rank *me, void *argument)
{
    const hlq_algorithm *algorithm = argument;
    const fault_case f = {.rank = -1, .what = "terms", .algorithm = *algorithm};
    hlq_options options = HLQ_OPTIONS_INIT;
    float *send = pair_memory(FAULT_COUNT * sizeof *send);
    float *recv = pair_memory(FAULT_COUNT * sizeof *recv);
    pair p;
    options.timeout_s = 20;
    pair_open(me, &options, 0, &p);
    for (int i = 0; i < FAULT_COUNT; i++) send[i] = (float)i;
    rank_barrier(me);
    if (me->rank == 0) terms_seen = 1, stand_in_set_tamper(flip_in_second_terms);
    rank_barrier(me);
    hlq_test_case("damaged terms of a call, rank %d of %d", me->rank, me->size);
    outcome o = one_call(&p, &f, send, recv);
    pair_synchronize(&p);
    if (me->rank == 0) stand_in_set_tamper(NULL);
    int nans = 0;
    for (int i = 0; i < FAULT_COUNT; i++) nans += isnan(recv[i]) != 0;
    CHECK_EQ(o.status, HLQ_E_WIRE);
    CHECK(strstr(o.sentence, "from rank 0: what it called with is damaged") != NULL);
    CHECK_EQ(nans, FAULT_COUNT);
    rank_barrier(me);
    pair_close(&p);
    pair_free(send), pair_free(recv);
}

/* A communicator that breaks for another reason takes back what its stream waits in, for which the
   other rank, whose terms came damaged, will not come. */
static void broken_body(test_rank *me, void *argument)
{
    const hlq_algorithm *algorithm = argument;
    const fault_case f = {.rank = -1, .what = "terms", .algorithm = *algorithm};
    const struct timespec while_it_waits = {0, 50000000};
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_request *request = NULL;
    float *send = pair_memory(FAULT_COUNT * sizeof *send);
    float *recv = pair_memory(FAULT_COUNT * sizeof *recv);
    pair p;
    options.timeout_s = 1000;
    pair_open(me, &options, 0, &p);
    for (int i = 0; i < FAULT_COUNT; i++) send[i] = (float)i;
    rank_barrier(me);
    if (me->rank == 0) terms_seen = 1, stand_in_set_tamper(flip_in_second_terms);
    rank_barrier(me);
    hlq_test_case("a communicator that breaks, %s", hlq_algorithm_name(*algorithm));
    CHECK_EQ(start_call(&p, &f, send, recv, &request), HLQ_OK);
    if (me->rank == 0) {
        nanosleep(&while_it_waits, NULL);
        hlq_comm_break(p.nccl, HLQ_E_NOMEM, "out of luck");
        CHECK_EQ(hlq_wait(request, HLQ_FOREVER), HLQ_E_BROKEN);
    }
    pair_synchronize(&p);
    int nans = 0;
    for (int i = 0; i < FAULT_COUNT; i++) nans += isnan(recv[i]) != 0;
    CHECK_EQ(nans, FAULT_COUNT);
    rank_barrier(me);
    if (me->rank == 0) stand_in_set_tamper(NULL);
    else CHECK(hlq_wait(request, HLQ_FOREVER) != HLQ_OK);
    pair_close(&p);
    pair_free(send), pair_free(recv);
}

static void test_other_ranks_hear(void)
{
    hlq_algorithm algorithms[] = {HLQ_ALG_TWOSHOT, HLQ_ALG_NATIVE};
    for (int a = 0; a < 2; a++) {
        for (int n = 2; n <= 3; n++) ranks_as_threads(n, told_body, &algorithms[a]);
        ranks_as_threads(2, broken_body, &algorithms[a]);
    }
}

/* Creation ------------------------------------------------------------------------------------ */

typedef struct {
    hlq_thread_group *host, *device;
} two_groups;

static hlq_staged_parts parts_of(const two_groups *g, int rank)
{
    char error[HLQ_ERROR_BYTES];
    hlq_staged_parts parts = {
        .cuda = &stand_in_cuda,
        .wire = &stand_in_wire,
        .piece_bytes = 1 << 20,
    };
    MUST(hlq_transport_threads(g->host, rank, &parts.host, error) == HLQ_OK);
    MUST(hlq_transport_threads(g->device, rank, &parts.device, error) == HLQ_OK);
    return parts;
}

static void creation_body(test_rank *me, void *argument)
{
    const two_groups *g = argument;
    hlq_comm *comm = (hlq_comm *)argument; /* anything but NULL */
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_staged_parts parts = parts_of(g, me->rank);
    parts.is_direct = me->rank == 1;
    CHECK_EQ(hlq_staged_create(&parts, NULL, &comm), HLQ_E_MISMATCH);
    CHECK(comm == NULL);
    CHECK(strstr(hlq_create_error(), me->rank ? "rank 1 go direct" : "rank 1 direct") != NULL);

    rank_barrier(me);
    parts = parts_of(g, me->rank);
    if (me->rank == 1) parts.fault = (hlq_staged_fault){HLQ_E_UNSUPPORTED, "it has no hands"};
    CHECK_EQ(hlq_staged_create(&parts, NULL, &comm), me->rank ? HLQ_E_UNSUPPORTED : HLQ_E_REMOTE);
    CHECK_STR(hlq_create_error(), "rank 1: it has no hands");

    rank_barrier(me);
    parts = parts_of(g, me->rank);
    options.bits = me->rank == 1 ? 3 : 4;
    CHECK_EQ(hlq_staged_create(&parts, &options, &comm), HLQ_E_MISMATCH);
    CHECK_STR(hlq_create_error(), "rank 0 called with bits 4, rank 1 with bits 3");

    rank_barrier(me);
    options = (hlq_options)HLQ_OPTIONS_INIT;
    options.timeout_s = 0.2;
    if (me->rank == 0) {
        parts = parts_of(g, me->rank);
        CHECK_EQ(hlq_staged_create(&parts, &options, &comm), HLQ_E_TIMEOUT);
        CHECK_STR(hlq_create_error(), "rank 1 did not answer within 0.2 s");
    }
    rank_barrier(me);
}

static void test_creation(void)
{
    two_groups g;
    MUST(hlq_thread_group_create(2, &g.host) == HLQ_OK);
    MUST(hlq_thread_group_create(2, &g.device) == HLQ_OK);
    ranks_as_threads(2, creation_body, &g);
    hlq_thread_group_destroy(g.host);
    hlq_thread_group_destroy(g.device);
}

/* What a transport may yet write to stays allocated: workspace of 2 ranks, and of each its terms
   and its report. */
static void test_memory_in_use(void)
{
    trouble t = {
        .kind = {.piece_bytes = 1 << 20, .is_direct = 1, .exchange = 1, .keeps = 1, .failing = 1},
        .algorithm = HLQ_ALG_ONESHOT,
        .exchanges = 2,
    };
    pair_staged_as(&t.kind);
    ranks_as_threads(2, trouble_body, &t);
    CHECK_EQ((long long)stand_in_allocations(), 6);
}

/* Where ranks want different things, messages might not fit: terms are all that they exchange. */
static void test_nothing_is_exchanged(const staged_kind *kind)
{
    fault_case f;
    MUST(different_call(0, &f));
    pair_staged_as(kind);
    ranks_as_threads(3, fault_body, &f);
    CHECK_EQ(pair_staged_exchanges(), 3);
}

static void test_faults_of_ranks(const staged_kind *kind)
{
    pair_staged_as(kind);
    test_ranks_that_call_something_else();
    test_messages_that_are_damaged();
}

int main(void)
{
    const staged_kind whole = {.piece_bytes = 1 << 20, .failing = -1};
    const staged_kind pieces = {.piece_bytes = 4096, .failing = -1};
    const staged_kind direct = {.piece_bytes = 1 << 20, .is_direct = 1, .failing = -1};
    hlq_test_start("test_staged_faults");
    test_faults_of_ranks(&whole);
    test_faults_of_ranks(&pieces);
    test_faults_of_ranks(&direct);
    test_nothing_is_exchanged(&pieces);
    test_nothing_is_exchanged(&direct);
    pair_staged_as(&whole);
    ranks_as_threads(4, rail_body, NULL);
    test_transports_that_fail(0, 1 << 20);
    test_transports_that_fail(0, 4096);
    test_transports_that_fail(1, 1 << 20);
    pair_staged_as(&whole);
    ranks_as_threads(3, sum_body, NULL);
    test_other_ranks_hear();
    test_creation();
    CHECK_EQ((long long)stand_in_allocations(), 0);
    test_memory_in_use();
    return hlq_test_end();
}
