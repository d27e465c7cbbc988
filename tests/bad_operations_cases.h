/*
 * What a caller can get wrong in the collectives other than all-reduce, and in combinations of
 * arguments; part of test_bad_input and test_bad_input_mpi. As in bad_input_cases.h, everybody
 * learns of it in the same words, nothing is written, and the communicator works afterwards.
 */
#ifndef HLQ_TEST_BAD_OPERATIONS_CASES_H
#define HLQ_TEST_BAD_OPERATIONS_CASES_H

#include "bad_input_cases.h"

/* Parts of PART elements for each of up to RANKS ranks. */
enum { PART = 300, RANKS = 4, WHOLE = PART * RANKS };

typedef struct operands {
    hlq_operation operation;
    int has_counts;
    float *send, *recv;
    size_t count, to[RANKS], from[RANKS];
    const size_t *send_counts, *recv_counts;
    hlq_dtype dtype;
    hlq_op op;
    hlq_call call;
    hlq_stream stream;
} operands;

static inline hlq_status call_operation(hlq_comm *comm, const operands *o)
{
    const hlq_call *call = &o->call;
    hlq_stream stream = o->stream;
    switch (o->operation) {
    case HLQ_ALL_REDUCE:
        return hlq_all_reduce(comm, o->send, o->recv, o->count, o->dtype, o->op, call, stream);
    case HLQ_REDUCE_SCATTER:
        return hlq_reduce_scatter(comm, o->send, o->recv, o->count, o->dtype, o->op, call, stream);
    case HLQ_ALL_GATHER:
        return hlq_all_gather(comm, o->send, o->recv, o->count, o->dtype, call, stream);
    case HLQ_ALL_TO_ALL: break;
    }
    if (!o->has_counts) {
        return hlq_all_to_all(comm, o->send, o->recv, o->count, o->dtype, call, stream);
    }
    return hlq_all_to_all_v(comm, o->send, o->send_counts, o->recv, o->recv_counts, o->dtype, call,
                            stream);
}

/* Mistakes, and what the guilty rank says ------------------------------------------------------ */

typedef struct mistake {
    const char *sentence; /* a part of it */
    hlq_status status;    /* of the guilty rank; MISMATCH: of all */
    void (*make)(operands *o);
} mistake;

static inline void no_send(operands *o) { o->send = NULL; }
static inline void no_recv(operands *o) { o->recv = NULL; }
static inline void no_dtype(operands *o) { o->dtype = (hlq_dtype)99; }
static inline void no_bits(operands *o) { o->call.bits = 0.5; }
static inline void a_stream(operands *o) { o->stream = (hlq_stream)(void *)o; }
static inline void overlapping(operands *o) { o->recv = o->send + 1; }
static inline void own_residual(operands *o) { o->call.residual = o->send; }
static inline void other_dtype(operands *o) { o->dtype = HLQ_FLOAT16; }
static inline void other_bits(operands *o) { o->call.bits = 7; }
static inline void other_operation(operands *o)
{
    o->operation = o->operation == HLQ_ALL_GATHER ? HLQ_ALL_TO_ALL : HLQ_ALL_GATHER;
    o->has_counts = 0;
}

static const mistake mistakes[] = {
    {"send is NULL", HLQ_E_INVALID, no_send},
    {"recv is NULL", HLQ_E_INVALID, no_recv},
    {"dtype does not exist", HLQ_E_INVALID, no_dtype},
    {"call.bits", HLQ_E_INVALID, no_bits},
    {"stream", HLQ_E_INVALID, a_stream},
    {"send and recv overlap", HLQ_E_INVALID, overlapping},
    {"call.residual overlaps", HLQ_E_INVALID, own_residual},
    {"dtype float16", HLQ_E_MISMATCH, other_dtype},
    {"bits 7", HLQ_E_MISMATCH, other_bits},
    {"rank 1 with hlq_all_", HLQ_E_MISMATCH, other_operation},
};

static inline void huge_count(operands *o) { o->count = SIZE_MAX / 20; }
static inline void other_count(operands *o) { o->count = PART - 1; }

static const mistake count_mistakes[] = {
    {"count is larger than memory", HLQ_E_INVALID, huge_count},
    {"count 299", HLQ_E_MISMATCH, other_count},
};

static inline void no_send_counts(operands *o) { o->send_counts = NULL; }
static inline void no_recv_counts(operands *o) { o->recv_counts = NULL; }
static inline void huge_recv_count(operands *o) { o->from[2] = SIZE_MAX / 2; }
static inline void expects_more(operands *o) { o->from[2]++; }
static inline void sends_more(operands *o) { o->to[0]++; }
static inline void keeps_more(operands *o) { o->to[GUILTY]++; }

static const mistake counts_mistakes[] = {
    {"send_counts is NULL", HLQ_E_INVALID, no_send_counts},
    {"recv_counts is NULL", HLQ_E_INVALID, no_recv_counts},
    {"count is larger than memory", HLQ_E_INVALID, huge_recv_count},
    {"rank 1: recv_counts[2] is 302, but rank 2 sends 301", HLQ_E_MISMATCH, expects_more},
    {"rank 0: recv_counts[1] is 301, but rank 1 sends 302", HLQ_E_MISMATCH, sends_more},
    {"rank 1: recv_counts[1] is 300, but rank 1 sends 301", HLQ_E_MISMATCH, keeps_more},
};

static inline void code_integers(operands *o) { o->dtype = HLQ_INT32; }
static inline void code_products(operands *o) { o->op = HLQ_PRODUCT; }
static inline void average_integers(operands *o)
{
    o->dtype = HLQ_INT8, o->op = HLQ_AVG, o->call.algorithm = HLQ_ALG_AUTO;
}
static inline void feed_doubles_back(operands *o)
{
    static float elsewhere[WHOLE];
    o->dtype = HLQ_FLOAT64, o->count /= 2, o->call.residual = elsewhere;
}
static inline void modular_gather(operands *o)
{
    o->operation = HLQ_ALL_GATHER, o->call.algorithm = HLQ_ALG_MODQ;
}
static inline void modular_exchange(operands *o)
{
    o->operation = HLQ_ALL_TO_ALL, o->call.algorithm = HLQ_ALG_MODQ;
}

static const mistake unsupported[] = {
    {"oneshot is for floating point; int32 goes native only", HLQ_E_UNSUPPORTED, code_integers},
    {"oneshot is for sums and averages; product goes native only", HLQ_E_UNSUPPORTED,
     code_products},
    {"an average of int8 is not one", HLQ_E_UNSUPPORTED, average_integers},
    {"a float32 residual cannot hold float64's", HLQ_E_UNSUPPORTED, feed_doubles_back},
    {"modq makes sums; all_gather has none", HLQ_E_UNSUPPORTED, modular_gather},
    {"modq makes sums; all_to_all has none", HLQ_E_UNSUPPORTED, modular_exchange},
};

/* One mistake ---------------------------------------------------------------------------------- */

static inline void check_mistake(test_rank *me, hlq_comm *comm, hlq_operation operation,
                                 int has_counts, const mistake *m, int guilty)
{
    static _Thread_local float send[2 * WHOLE], recv[2 * WHOLE];
    int is_guilty = guilty == EVERYBODY || guilty == me->rank;
    for (int i = 0; i < 2 * WHOLE; i++) send[i] = (float)i, recv[i] = -(float)i;
    operands o = {
        .operation = operation,
        .has_counts = has_counts,
        .send = send,
        .recv = recv,
        .count = PART,
        .call = HLQ_CALL_INIT,
    };
    o.send_counts = o.to, o.recv_counts = o.from;
    o.call.algorithm = HLQ_ALG_ONESHOT;
    /* Pairs one rank apart have one element more. */
    for (int p = 0; p < me->size; p++) {
        o.to[p] = PART + (abs(p - me->rank) == 1);
        o.from[p] = o.to[p];
    }
    if (is_guilty) m->make(&o);
    uint64_t sent = digest_of(send, sizeof send), kept = digest_of(recv, sizeof recv);
    hlq_test_case("%s%s: %s, on rank %d, seen on rank %d", hlq_operation_name(operation),
                  has_counts ? " with counts" : "", m->sentence, guilty, me->rank);
    hlq_status expected = is_guilty ? m->status : HLQ_E_REMOTE;
    if (m->status == HLQ_E_MISMATCH) expected = HLQ_E_MISMATCH;
    CHECK_EQ(call_operation(comm, &o), expected);
    check_sentence(hlq_comm_last_error(comm), m->sentence);
    if (guilty != EVERYBODY) check_same_sentence(me, hlq_comm_last_error(comm));
    CHECK(digest_of(send, sizeof send) == sent);
    CHECK(digest_of(recv, sizeof recv) == kept);
    check_works(me, comm, HLQ_ALG_TWOSHOT);
}

static inline void bad_operations(test_rank *me, void *argument)
{
    (void)argument;
    hlq_comm *comm = NULL;
    if (!CHECK_EQ(rank_create(me, NULL, &comm), HLQ_OK)) return;
    for (int o = HLQ_REDUCE_SCATTER; o <= HLQ_ALL_TO_ALL + 1; o++) {
        int has_counts = o > HLQ_ALL_TO_ALL;
        hlq_operation operation = has_counts ? HLQ_ALL_TO_ALL : (hlq_operation)o;
        for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
            const mistake *m = &mistakes[i];
            check_mistake(me, comm, operation, has_counts, m, GUILTY);
            if (m->status == HLQ_E_MISMATCH) continue; /* the same on all ranks is fine */
            check_mistake(me, comm, operation, has_counts, m, EVERYBODY);
        }
        for (int i = 0; i < 2 && !has_counts; i++) {
            check_mistake(me, comm, operation, 0, &count_mistakes[i], GUILTY);
        }
        for (int i = 0; i < 6 && has_counts; i++) {
            check_mistake(me, comm, operation, 1, &counts_mistakes[i], GUILTY);
        }
    }
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++) {
        for (int o = HLQ_ALL_REDUCE; o <= HLQ_REDUCE_SCATTER; o++) {
            check_mistake(me, comm, (hlq_operation)o, 0, &unsupported[i], GUILTY);
            check_mistake(me, comm, (hlq_operation)o, 0, &unsupported[i], EVERYBODY);
        }
    }
    rank_destroy(me, comm);
}

#endif
