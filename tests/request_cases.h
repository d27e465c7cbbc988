/*
 * The body of test_requests and test_requests_mpi: collectives that were started and left to
 * themselves give what blocking ones give, however many are under way and in whatever order each
 * rank ends them.
 */
#ifndef HLQ_TEST_REQUEST_CASES_H
#define HLQ_TEST_REQUEST_CASES_H

#include "hlq_test.h"
#include "ranks.h"

enum { JOBS = 24, JOB_MOST = 3000, WRONG_JOB = 11 };

/* One collective, drawn alike on all ranks. */
typedef struct job {
    hlq_operation operation;
    hlq_algorithm algorithm;
    hlq_dtype dtype;
    size_t count, counts[RANKS_MAX]; /* counts: of hlq_all_to_all_v, all ranks' the same */
    int has_counts, has_residual;
    float *send, *recv, *residual; /* of this rank */
    size_t send_elems, recv_elems;
    hlq_request *request;
} job;

static inline void draw_job(job *j, const test_rank *me, int number)
{
    hlq_rng rng = hlq_rng_new((uint64_t)number), own = hlq_rng_new((uint64_t)(1000 + me->rank));
    size_t n = (size_t)me->size;
    *j = (job){.operation = (hlq_operation)hlq_rng_below(&rng, 4)};
    int is_sum = j->operation <= HLQ_REDUCE_SCATTER;
    j->algorithm = (hlq_algorithm)hlq_rng_below(&rng, 5);
    if (!is_sum && j->algorithm == HLQ_ALG_MODQ) j->algorithm = HLQ_ALG_NATIVE;
    j->dtype = hlq_rng_below(&rng, 4) ? HLQ_FLOAT32 : HLQ_BFLOAT16;
    j->count = hlq_rng_below(&rng, 6) ? hlq_rng_below(&rng, JOB_MOST) : 0;
    j->has_counts = j->operation == HLQ_ALL_TO_ALL && hlq_rng_below(&rng, 2);
    /* float64, which the wrong one is on one rank, has no residuals. */
    j->has_residual = hlq_rng_below(&rng, 3) == 0 && number != WRONG_JOB;
    if (number % 2 && me->rank % 2) j->has_residual = 0; /* on some ranks only: nothing rides */
    size_t sum = 0;
    for (size_t p = 0; p < n; p++) {
        j->counts[p] = j->has_counts ? j->count / (p + 1) : j->count;
        sum += j->counts[p];
    }
    j->send_elems = j->operation == HLQ_REDUCE_SCATTER ? n * j->count : j->count;
    j->recv_elems = j->operation == HLQ_ALL_GATHER ? n * j->count : j->count;
    if (j->operation == HLQ_ALL_TO_ALL) j->send_elems = j->recv_elems = sum;
    if (j->has_counts) j->recv_elems = n * j->counts[me->rank];
    j->send = calloc(j->send_elems + 1, sizeof *j->send);
    j->recv = calloc(j->recv_elems + 1, sizeof *j->recv);
    j->residual = calloc(j->send_elems + 1, sizeof *j->residual);
    hlq_rng_fill(&own, hlq_rng_gauss, j->send, j->send_elems);
    if (j->dtype != HLQ_BFLOAT16) return;
    uint16_t *half = (uint16_t *)(void *)j->send;
    for (size_t i = 0; i < j->send_elems; i++) half[i] = hlq_bfloat16_of_float(j->send[i]);
}

static inline void free_job(job *j)
{
    free(j->send);
    free(j->recv);
    free(j->residual);
}

/* All-to-all with counts: rank p sends counts[q] to rank q, so it receives its own from
   everybody. */
static inline hlq_status start_job(hlq_comm *comm, job *j, hlq_dtype dtype)
{
    hlq_call call = HLQ_CALL_INIT;
    size_t expected[RANKS_MAX];
    call.algorithm = j->algorithm;
    call.residual = j->has_residual ? j->residual : NULL;
    for (int p = 0; p < hlq_comm_size(comm); p++) expected[p] = j->counts[hlq_comm_rank(comm)];
    switch (j->operation) {
    case HLQ_ALL_REDUCE:
        return hlq_all_reduce_start(comm, j->send, j->recv, j->count, dtype, HLQ_AVG, &call, NULL,
                                    &j->request);
    case HLQ_REDUCE_SCATTER:
        return hlq_reduce_scatter_start(comm, j->send, j->recv, j->count, dtype, HLQ_SUM, &call,
                                        NULL, &j->request);
    case HLQ_ALL_GATHER:
        return hlq_all_gather_start(comm, j->send, j->recv, j->count, dtype, &call, NULL,
                                    &j->request);
    case HLQ_ALL_TO_ALL: break;
    }
    if (!j->has_counts) {
        return hlq_all_to_all_start(comm, j->send, j->recv, j->count, dtype, &call, NULL,
                                    &j->request);
    }
    /* The lists, and call, may go when start returns. */
    return hlq_all_to_all_v_start(comm, j->send, j->counts, j->recv, expected, dtype, &call, NULL,
                                  &j->request);
}

/* In one of the ways there are. */
static inline hlq_status end_job(hlq_rng *rng, job *j)
{
    hlq_status status = HLQ_E_PENDING;
    int done = 0;
    switch (hlq_rng_below(rng, 3)) {
    case 0: return hlq_wait(j->request, HLQ_FOREVER);
    case 1:
        while (status == HLQ_E_PENDING) status = hlq_wait(j->request, 1e-4);
        return status;
    default:
        while (!done) status = hlq_test(j->request, &done);
        return status;
    }
}

/* What each job leaves behind when nothing else is under way. */
static inline void run_alone(test_rank *me, hlq_comm *comm, job *jobs, uint64_t *digests)
{
    for (int i = 0; i < JOBS; i++) {
        job *j = &jobs[i];
        hlq_test_case("job %d alone, on rank %d of %d", i, me->rank, me->size);
        CHECK_EQ(start_job(comm, j, j->dtype), HLQ_OK);
        CHECK_EQ(hlq_wait(j->request, HLQ_FOREVER), HLQ_OK);
        digests[i] = digest_of(j->recv, j->recv_elems * hlq_dtype_bytes(j->dtype)) ^
                     digest_of(j->residual, j->send_elems * sizeof *j->residual);
        memset(j->recv, 0, j->recv_elems * sizeof *j->recv);
        memset(j->residual, 0, j->send_elems * sizeof *j->residual);
    }
}

/* One of them is wrong on rank 1, and only that one ends with an error, everywhere. */
static inline void many_are_under_way(test_rank *me, hlq_comm *comm, job *jobs,
                                      const uint64_t *digests, int round)
{
    hlq_rng rng = hlq_rng_new((uint64_t)(77 * round + me->rank));
    int order[JOBS], wrong = me->size > 1 && round % 2;
    for (int i = 0; i < JOBS; i++) {
        job *j = &jobs[i];
        hlq_dtype dtype = wrong && i == WRONG_JOB && me->rank == 1 ? HLQ_FLOAT64 : j->dtype;
        hlq_test_case("round %d, job %d of many, on rank %d of %d", round, i, me->rank, me->size);
        CHECK_EQ(start_job(comm, j, dtype), HLQ_OK);
        order[i] = i;
    }
    hlq_rng_shuffle(&rng, order, JOBS);
    for (int i = 0; i < JOBS; i++) {
        job *j = &jobs[order[i]];
        int is_wrong = wrong && order[i] == WRONG_JOB;
        hlq_test_case("round %d, job %d of many, on rank %d of %d", round, order[i], me->rank,
                      me->size);
        CHECK_EQ(end_job(&rng, j), is_wrong ? HLQ_E_MISMATCH : HLQ_OK);
        if (is_wrong) CHECK(strstr(hlq_comm_last_error(comm), "float64"));
        else CHECK_STR(hlq_comm_last_error(comm), "");
        uint64_t digest = digest_of(j->recv, j->recv_elems * hlq_dtype_bytes(j->dtype)) ^
                          digest_of(j->residual, j->send_elems * sizeof *j->residual);
        if (!wrong || order[i] != WRONG_JOB) CHECK(digest == digests[order[i]]);
        memset(j->recv, 0, j->recv_elems * sizeof *j->recv);
        memset(j->residual, 0, j->send_elems * sizeof *j->residual);
    }
}

static inline void requests_give_what_calls_give(test_rank *me, hlq_comm *comm)
{
    job *jobs = calloc(JOBS, sizeof *jobs);
    uint64_t digests[JOBS];
    for (int i = 0; i < JOBS; i++) draw_job(&jobs[i], me, i);
    run_alone(me, comm, jobs, digests);
    for (int round = 0; round < 4; round++) many_are_under_way(me, comm, jobs, digests, round);
    for (int i = 0; i < JOBS; i++) free_job(&jobs[i]);
    free(jobs);
}

/* What is under way when a communicator is destroyed goes with it. */
static inline void destruction_ends_what_is_under_way(test_rank *me)
{
    static _Thread_local float x[5000], y[3][5000];
    hlq_comm *comm = NULL;
    hlq_request *request[3];
    hlq_test_case("destroyed with requests, on rank %d of %d", me->rank, me->size);
    if (!CHECK_EQ(rank_create(me, NULL, &comm), HLQ_OK)) return;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(hlq_all_reduce_start(comm, x, y[i], 5000, HLQ_FLOAT32, HLQ_SUM, NULL, NULL,
                                      &request[i]),
                 HLQ_OK);
    }
    CHECK_EQ(hlq_wait(request[1], HLQ_FOREVER), HLQ_OK);
    rank_barrier(me);
    rank_destroy(me, comm);
}

static inline void wrong_requests_are_refused(void)
{
    hlq_request *request = NULL;
    int done = 0;
    float x = 0;
    CHECK_EQ(hlq_wait(NULL, 1), HLQ_E_INVALID);
    CHECK_EQ(hlq_test(NULL, &done), HLQ_E_INVALID);
    CHECK_EQ(hlq_all_reduce_start(NULL, &x, &x, 1, HLQ_FLOAT32, HLQ_SUM, NULL, NULL, &request),
             HLQ_E_INVALID);
    CHECK(!request);
}

static inline void request_cases(test_rank *me, void *argument)
{
    hlq_comm *comm = NULL;
    (void)argument;
    wrong_requests_are_refused();
    if (CHECK_EQ(rank_create(me, NULL, &comm), HLQ_OK)) requests_give_what_calls_give(me, comm);
    rank_destroy(me, comm);
    destruction_ends_what_is_under_way(me);
}

#endif
