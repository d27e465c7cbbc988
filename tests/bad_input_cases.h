/*
 * The body of test_bad_input and test_bad_input_mpi: everything a caller can get wrong, on one rank
 * or on all. Every rank gets an error and the same sentence, which names the rank at fault; nothing
 * is written; and the communicator works afterwards.
 */
#ifndef HLQ_TEST_BAD_INPUT_CASES_H
#define HLQ_TEST_BAD_INPUT_CASES_H

#include "hlq_test.h"
#include "ranks.h"

#include <transport/transport_internal.h>

enum { GUILTY = 1, COUNT = 3000, EVERYBODY = -1 };

/* One clear sentence, with `part` in it. */
static inline void check_sentence(const char *got, const char *part)
{
    CHECK(*got && !strchr(got, '\n') && strlen(got) < 160);
    if (!CHECK(strstr(got, part))) fprintf(stderr, "  \"%s\" lacks \"%s\"\n", got, part);
}

/* Sentences are the same on all ranks. */
static inline void check_same_sentence(test_rank *me, const char *got)
{
    char text[256] = "";
    snprintf(text, sizeof text, "%s", got);
    CHECK(rank_same(me, text, sizeof text));
}

/* The ranks that did nothing wrong learn that another one did. */
static inline hlq_status expected_status(const test_rank *me, int guilty)
{
    return guilty == EVERYBODY || guilty == me->rank ? HLQ_E_INVALID : HLQ_E_REMOTE;
}

/* An all-reduce of small whole numbers. 12 bits have them right to far less than 1. */
static inline void check_works(test_rank *me, hlq_comm *comm, hlq_algorithm algorithm)
{
    float x[COUNT];
    size_t wrong = 0;
    hlq_call call = HLQ_CALL_INIT;
    call.algorithm = algorithm;
    call.bits = 12;
    for (int i = 0; i < COUNT; i++) x[i] = (float)(me->rank + i % 5);
    CHECK_EQ(hlq_all_reduce(comm, x, x, COUNT, HLQ_FLOAT32, HLQ_SUM, &call, NULL), HLQ_OK);
    CHECK_STR(hlq_comm_last_error(comm), "");
    for (int i = 0; i < COUNT; i++) {
        double exact = me->size * (me->size - 1) / 2.0 + me->size * (i % 5);
        wrong += !(fabs(x[i] - exact) < 0.5);
    }
    CHECK_EQ(wrong, 0);
}

/* Options --------------------------------------------------------------------------------- */

typedef struct bad_options {
    const char *sentence; /* a part of it */
    hlq_options options;
    hlq_status status; /* of all, if MISMATCH; else INVALID where it is, REMOTE elsewhere */
} bad_options;

#define SIZED_OPTIONS(size, lattice_, algorithm_, bits_, seed_, min_bytes_, timeout_s_)            \
    {.struct_bytes = (size),                                                                       \
     .lattice = (lattice_),                                                                        \
     .algorithm = (algorithm_),                                                                    \
     .bits = (bits_),                                                                              \
     .seed = (seed_),                                                                              \
     .min_bytes = (min_bytes_),                                                                    \
     .timeout_s = (timeout_s_)}
#define OPTIONS(...) SIZED_OPTIONS(sizeof(hlq_options), __VA_ARGS__)

static const bad_options all_bad_options[] = {
    {"options.bits", OPTIONS(HLQ_LATTICE_E8, HLQ_ALG_AUTO, -4, 0, 65536, 9), HLQ_E_INVALID},
    {"options.bits", OPTIONS(HLQ_LATTICE_E8, HLQ_ALG_AUTO, 0, 0, 65536, 9), HLQ_E_INVALID},
    {"options.bits", OPTIONS(HLQ_LATTICE_E8, HLQ_ALG_AUTO, 0.99, 0, 65536, 9), HLQ_E_INVALID},
    {"options.bits", OPTIONS(HLQ_LATTICE_E8, HLQ_ALG_AUTO, 13, 0, 65536, 9), HLQ_E_INVALID},
    {"options.bits", OPTIONS(HLQ_LATTICE_E8, HLQ_ALG_AUTO, NAN, 0, 65536, 9), HLQ_E_INVALID},
    {"options.bits", OPTIONS(HLQ_LATTICE_E8, HLQ_ALG_AUTO, INFINITY, 0, 65536, 9), HLQ_E_INVALID},
    {"options.lattice", OPTIONS((hlq_lattice)7, HLQ_ALG_AUTO, 4, 0, 65536, 9), HLQ_E_INVALID},
    {"options.algorithm", OPTIONS(HLQ_LATTICE_E8, (hlq_algorithm)9, 4, 0, 65536, 9), HLQ_E_INVALID},
    {"options.timeout_s", OPTIONS(HLQ_LATTICE_E8, HLQ_ALG_AUTO, 4, 0, 65536, 0), HLQ_E_INVALID},
    {"options.timeout_s", OPTIONS(HLQ_LATTICE_E8, HLQ_ALG_AUTO, 4, 0, 65536, -1), HLQ_E_INVALID},
    {"options.timeout_s", OPTIONS(HLQ_LATTICE_E8, HLQ_ALG_AUTO, 4, 0, 65536, NAN), HLQ_E_INVALID},
    {"options.struct_bytes", SIZED_OPTIONS(8, HLQ_LATTICE_E8, HLQ_ALG_AUTO, 4, 0, 65536, 9),
     HLQ_E_INVALID},
    {"options.struct_bytes", SIZED_OPTIONS(0, HLQ_LATTICE_E8, HLQ_ALG_AUTO, 4, 0, 65536, 9),
     HLQ_E_INVALID},
    {"options.dither",
     {.struct_bytes = sizeof(hlq_options), .bits = 4, .timeout_s = 9, .dither = 2},
     HLQ_E_INVALID},
    {"options.bits is below 2.4",
     {.struct_bytes = sizeof(hlq_options), .bits = 2.3, .timeout_s = 9, .dither = 1},
     HLQ_E_INVALID},
    {"dither 1",
     {.struct_bytes = sizeof(hlq_options),
      .bits = 4,
      .min_bytes = 65536,
      .timeout_s = 9,
      .dither = 1},
     HLQ_E_MISMATCH},
    {"bits 5", OPTIONS(HLQ_LATTICE_E8, HLQ_ALG_AUTO, 5, 0, 65536, 9), HLQ_E_MISMATCH},
    {"lattice D4", OPTIONS(HLQ_LATTICE_D4, HLQ_ALG_AUTO, 4, 0, 65536, 9), HLQ_E_MISMATCH},
    {"algorithm modq", OPTIONS(HLQ_LATTICE_E8, HLQ_ALG_MODQ, 4, 0, 65536, 9), HLQ_E_MISMATCH},
    {"seed 77", OPTIONS(HLQ_LATTICE_E8, HLQ_ALG_AUTO, 4, 77, 65536, 9), HLQ_E_MISMATCH},
    {"min_bytes 1", OPTIONS(HLQ_LATTICE_E8, HLQ_ALG_AUTO, 4, 0, 1, 9), HLQ_E_MISMATCH},
};

static inline void check_bad_options(test_rank *me, const bad_options *bad, int guilty)
{
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_comm *comm = NULL;
    int mismatch = bad->status == HLQ_E_MISMATCH;
    char culprit[32];
    snprintf(culprit, sizeof culprit, "rank %d", guilty == EVERYBODY ? me->rank : guilty);
    hlq_test_case("%s wrong on rank %d, seen on rank %d", bad->sentence, guilty, me->rank);
    if (guilty == EVERYBODY || guilty == me->rank) options = bad->options;
    hlq_status status = rank_create(me, &options, &comm);
    CHECK_EQ(status, mismatch ? HLQ_E_MISMATCH : expected_status(me, guilty));
    CHECK(!comm);
    check_sentence(hlq_create_error(), bad->sentence);
    check_sentence(hlq_create_error(), culprit);
    if (guilty != EVERYBODY) check_same_sentence(me, hlq_create_error());
    rank_destroy(me, comm);
}

static inline void bad_options_are_refused(test_rank *me)
{
    for (size_t i = 0; i < sizeof all_bad_options / sizeof *all_bad_options; i++) {
        check_bad_options(me, &all_bad_options[i], GUILTY);
        if (all_bad_options[i].status != HLQ_E_MISMATCH) {
            check_bad_options(me, &all_bad_options[i], EVERYBODY);
        }
    }
    /* What may differ. */
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_comm *comm = NULL;
    options.timeout_s = 10 + me->rank;
    hlq_test_case("different timeouts");
    if (CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) check_works(me, comm, HLQ_ALG_AUTO);
    rank_destroy(me, comm);
}

/* Arguments ------------------------------------------------------------------------------- */

typedef struct arguments {
    float *send, *recv;
    size_t count;
    hlq_dtype dtype;
    hlq_op op;
    hlq_call call;
    hlq_stream stream;
} arguments;

typedef enum fault {
    SEND_NULL,
    RECV_NULL,
    DTYPE,
    OP,
    COUNT_HUGE,
    STREAM,
    OVERLAP,
    RESIDUAL_ON_SEND,
    RESIDUAL_ON_RECV,
    CALL_STRUCT_BYTES,
    CALL_ALGORITHM,
    CALL_BITS_NEGATIVE,
    CALL_BITS_13,
    CALL_BITS_NAN,
    /* legal by themselves, but different from the other ranks' */
    OTHER_COUNT,
    NO_COUNT,
    OTHER_DTYPE,
    OTHER_OP,
    OTHER_ALGORITHM,
    OTHER_BITS,
    FAULTS,
} fault;

/* A part of the sentence. */
static const char *const fault_sentence[FAULTS] = {
    [SEND_NULL] = "send is NULL",
    [RECV_NULL] = "recv is NULL",
    [DTYPE] = "dtype",
    [OP] = "op",
    [COUNT_HUGE] = "count",
    [STREAM] = "stream",
    [OVERLAP] = "send and recv overlap",
    [RESIDUAL_ON_SEND] = "call.residual overlaps",
    [RESIDUAL_ON_RECV] = "call.residual overlaps",
    [CALL_STRUCT_BYTES] = "call.struct_bytes",
    [CALL_ALGORITHM] = "call.algorithm",
    [CALL_BITS_NEGATIVE] = "call.bits",
    [CALL_BITS_13] = "call.bits",
    [CALL_BITS_NAN] = "call.bits",
    [OTHER_COUNT] = "count 2999",
    [NO_COUNT] = "count 0",
    [OTHER_DTYPE] = "dtype",
    [OTHER_OP] = "op",
    [OTHER_ALGORITHM] = "algorithm modq",
    [OTHER_BITS] = "bits 5",
};

static inline void commit(fault f, arguments *a)
{
    switch (f) {
    case SEND_NULL: a->send = NULL; break;
    case RECV_NULL: a->recv = NULL; break;
    case DTYPE: a->dtype = (hlq_dtype)99; break;
    case OP: a->op = (hlq_op)9; break;
    case COUNT_HUGE: a->count = SIZE_MAX / 2; break;
    case STREAM: a->stream = (hlq_stream)(void *)a; break;
    case OVERLAP: a->recv = a->send + 1; break;
    case RESIDUAL_ON_SEND: a->call.residual = a->send + COUNT - 1; break;
    case RESIDUAL_ON_RECV: a->call.residual = a->recv; break;
    case CALL_STRUCT_BYTES: a->call.struct_bytes = 1; break;
    case CALL_ALGORITHM: a->call.algorithm = (hlq_algorithm)9; break;
    case CALL_BITS_NEGATIVE: a->call.bits = -1; break;
    case CALL_BITS_13: a->call.bits = 13; break;
    case CALL_BITS_NAN: a->call.bits = NAN; break;
    case OTHER_COUNT: a->count = COUNT - 1; break;
    case NO_COUNT: a->count = 0; break;
    case OTHER_DTYPE: a->dtype = HLQ_BFLOAT16; break;
    case OTHER_OP: a->op = HLQ_AVG; break;
    case OTHER_ALGORITHM: a->call.algorithm = HLQ_ALG_MODQ; break;
    case OTHER_BITS: a->call.bits = 5; break;
    case FAULTS: break;
    }
}

static inline void check_fault(test_rank *me, hlq_comm *comm, fault f, int guilty)
{
    /* Twice as long, so that overlaps have room; a residual may lie anywhere. */
    static _Thread_local float send[2 * COUNT], recv[2 * COUNT], residual[COUNT];
    for (int i = 0; i < 2 * COUNT; i++) send[i] = (float)i, recv[i] = -(float)i;
    for (int i = 0; i < COUNT; i++) residual[i] = 0.5f;
    arguments a = {.send = send, .recv = recv, .count = COUNT, .call = HLQ_CALL_INIT};
    a.call.algorithm = HLQ_ALG_TWOSHOT;
    a.call.residual = residual;
    if (guilty == EVERYBODY || guilty == me->rank) commit(f, &a);
    uint64_t sent = digest_of(send, sizeof send), kept = digest_of(recv, sizeof recv);
    uint64_t left = digest_of(residual, sizeof residual);
    char culprit[32];
    snprintf(culprit, sizeof culprit, "rank %d", guilty == EVERYBODY ? me->rank : guilty);
    hlq_test_case("%s (%d) on rank %d, seen on rank %d", fault_sentence[f], (int)f, guilty,
                  me->rank);
    hlq_status status =
        hlq_all_reduce(comm, a.send, a.recv, a.count, a.dtype, a.op, &a.call, a.stream);
    CHECK_EQ(status, f >= OTHER_COUNT ? HLQ_E_MISMATCH : expected_status(me, guilty));
    check_sentence(hlq_comm_last_error(comm), fault_sentence[f]);
    check_sentence(hlq_comm_last_error(comm), culprit);
    if (guilty != EVERYBODY) check_same_sentence(me, hlq_comm_last_error(comm));
    CHECK(digest_of(send, sizeof send) == sent);
    CHECK(digest_of(recv, sizeof recv) == kept);
    CHECK(digest_of(residual, sizeof residual) == left);
}

static inline void bad_arguments_are_refused(test_rank *me)
{
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_comm *comm = NULL;
    options.timeout_s = 20;
    if (CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) {
        for (int f = 0; f < FAULTS; f++) {
            check_fault(me, comm, (fault)f, GUILTY);
            check_works(me, comm, (hlq_algorithm)(f % 5));
            if (f >= OTHER_COUNT) continue; /* the same on all ranks is fine */
            check_fault(me, comm, (fault)f, EVERYBODY);
            check_works(me, comm, (hlq_algorithm)(f % 5));
        }
        check_fault(me, comm, OTHER_OP, 0); /* also the rank that others are compared with */
        check_works(me, comm, HLQ_ALG_TWOSHOT);
    }
    rank_destroy(me, comm);
}

/* Local calls ----------------------------------------------------------------------------- */

static inline void local_calls_refuse(test_rank *me)
{
    hlq_comm *comm = NULL;
    float x = 0;
    hlq_stats stats = {.struct_bytes = sizeof stats};
    hlq_plan_info plan = {.struct_bytes = sizeof plan};
    hlq_test_case("local calls");
    CHECK_EQ(hlq_all_reduce(NULL, &x, &x, 1, HLQ_FLOAT32, HLQ_SUM, NULL, NULL), HLQ_E_INVALID);
    CHECK_EQ(hlq_comm_stats(NULL, &stats), HLQ_E_INVALID);
    CHECK_EQ(hlq_comm_plan(NULL, 1, HLQ_FLOAT32, HLQ_SUM, NULL, &plan), HLQ_E_INVALID);
    CHECK_STR(hlq_comm_last_error(NULL), "");
    CHECK(hlq_comm_rank(NULL) < 0 && hlq_comm_size(NULL) < 0);
    hlq_comm_destroy(NULL);
    CHECK(!hlq_algorithm_name((hlq_algorithm)9) && !hlq_lattice_name((hlq_lattice)7));
    CHECK_EQ(hlq_dtype_bytes((hlq_dtype)99), 0);
    CHECK(*hlq_status_string((hlq_status)12345));

    if (CHECK_EQ(rank_create(me, NULL, &comm), HLQ_OK)) {
        static const hlq_stats nothing = {.struct_bytes = sizeof nothing};
        hlq_call call = HLQ_CALL_INIT;
        CHECK_EQ(hlq_comm_stats(comm, &stats), HLQ_OK);
        CHECK_BYTES(&stats, &nothing, sizeof stats); /* before the first call */
        CHECK_EQ(hlq_comm_stats(comm, NULL), HLQ_E_INVALID);
        CHECK_EQ(hlq_comm_plan(comm, 1, HLQ_FLOAT32, HLQ_SUM, NULL, NULL), HLQ_E_INVALID);
        CHECK_EQ(hlq_comm_plan(comm, 1, (hlq_dtype)99, HLQ_SUM, NULL, &plan), HLQ_E_INVALID);
        CHECK_EQ(hlq_comm_plan(comm, 1, HLQ_FLOAT32, (hlq_op)9, NULL, &plan), HLQ_E_INVALID);
        call.bits = NAN;
        CHECK_EQ(hlq_comm_plan(comm, 1, HLQ_FLOAT32, HLQ_SUM, &call, &plan), HLQ_E_INVALID);
        check_sentence(hlq_comm_last_error(comm), "call.bits");
        stats.struct_bytes = 4;
        CHECK_EQ(hlq_comm_stats(comm, &stats), HLQ_E_INVALID);
        plan.struct_bytes = 4;
        CHECK_EQ(hlq_comm_plan(comm, 1, HLQ_FLOAT32, HLQ_SUM, NULL, &plan), HLQ_E_INVALID);
    }
    rank_destroy(me, comm);
}

/* A rank that does not call --------------------------------------------------------------- */

/* Waiting ends when the timeout says so; how soon after is up to the machine's load. A rank that
   began a little earlier is the first whose time is over, and the others hear of it. */
static inline void a_missing_rank_is_named(test_rank *me, hlq_algorithm algorithm)
{
    const double timeout_s = 1, earlier_s = 0.5, reason_s = 10;
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_comm *comm = NULL;
    float x[COUNT] = {0};
    options.timeout_s = timeout_s;
    options.algorithm = algorithm;
    hlq_test_case("a missing rank, %s, seen on rank %d", hlq_algorithm_name(algorithm), me->rank);
    if (CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) {
        check_works(me, comm, algorithm);
        rank_barrier(me);
        double begin = hlq_now();
        if (me->rank != GUILTY) {
            hlq_status status = hlq_all_reduce(comm, x, x, COUNT, HLQ_FLOAT32, HLQ_SUM, NULL, NULL);
            CHECK_EQ(status, HLQ_E_TIMEOUT);
            CHECK_WITHIN(hlq_now() - begin, timeout_s - earlier_s, timeout_s + reason_s);
            check_sentence(hlq_comm_last_error(comm), "rank 1 ");
        }
        rank_barrier(me);
        /* Too late. */
        begin = hlq_now();
        hlq_status status = hlq_all_reduce(comm, x, x, COUNT, HLQ_FLOAT32, HLQ_SUM, NULL, NULL);
        if (me->rank != GUILTY) CHECK_EQ(status, HLQ_E_BROKEN);
        else CHECK(status != HLQ_OK);
        CHECK_AT_MOST(hlq_now() - begin, timeout_s + reason_s);
        CHECK_EQ(hlq_all_reduce(comm, x, x, 0, HLQ_FLOAT32, HLQ_SUM, NULL, NULL), HLQ_E_BROKEN);
    }
    rank_barrier(me);
    rank_destroy(me, comm);
}

static inline void bad_input(test_rank *me, void *argument)
{
    (void)argument;
    local_calls_refuse(me);
    bad_options_are_refused(me);
    bad_arguments_are_refused(me);
    a_missing_rank_is_named(me, HLQ_ALG_TWOSHOT);
    a_missing_rank_is_named(me, HLQ_ALG_NATIVE);
}

#endif
