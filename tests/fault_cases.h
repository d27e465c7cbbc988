/*
 * The body of test_faults and test_faults_mpi: one rank of four is at fault, in all the ways of
 * fault_list.h. Every rank that still runs
 *
 *  - is given a status within the timeout and a second, and a sentence that names the rank at fault
 *    and where it was missed; or the right result;
 *  - is told by the communicator, from then on, that it is broken;
 *  - can destroy it and make another one, which works.
 */
#ifndef HLQ_TEST_FAULT_CASES_H
#define HLQ_TEST_FAULT_CASES_H

#include "fault_list.h"
#include "transport_cases.h"

enum {
    COUNT_FLOWS = 1 << 20, /* 6 bits, 4 ranks: 196,608 bytes in chunks of 174,762 */
    COUNT_LARGE = 1 << 18,
    COUNT_SMALL = 20000,
    COUNT_FEW = 3000,
    TENSORS = 1 + 2 * JOBS_MOST
};

/* Tensors, and two messages. */
#define SCENE_BYTES (TENSORS * COUNT_FLOWS * sizeof(float) + 2 * COPY_MOST)

/* The timeout where somebody waits for it; sanitizers take their time. */
#define TIMEOUT_S (FEWER_CASES ? 3.0 : 0.7)
#define SECOND (FEWER_CASES ? 3.0 : 1.0)

/* Where ranks are, and what becomes of the one at fault. */
typedef struct scene {
    test_rank *me;
    void (*halt)(test_rank *me);       /* returns when the others have ended, if at all */
    void (*others_end)(test_rank *me); /* called by each of the others when it has */
    int kills;                         /* the one that halts is never seen again */
    float *memory;                     /* SCENE_BYTES, for one fault after the other */
} scene;

typedef struct trial {
    scene *scene;
    const fault *fault;
    saboteur saboteur;
    hlq_thread_group *group; /* NULL for MPI */
    hlq_comm *comm;
    hlq_options options;
    int jobs, is_guilty;
    int is_told; /* that the communicator failed */
    size_t count;
    double begin, computing; /* s: when the fault began; what calls take without one */
    float *send, *recv[JOBS_MOST], *right[JOBS_MOST];
    hlq_request *request[JOBS_MOST];
} trial;

/* How long a rank may take: it waits no longer than the timeout, and 1 s is promised for all else,
   which under sanitizers does not even suffice to compute what COUNT_FLOWS asks for. Where somebody
   knows what happened, nobody waits. */
static inline double time_limit(const trial *t)
{
    double computing = FEWER_CASES ? t->computing : 0;
    return t->options.timeout_s + (t->fault->flags & SILENT ? SECOND + computing : 0);
}

static inline int is_halting(const fault *f)
{
    return f->conduct == HALTS_FIRST || f->deed == HALT_BEFORE || f->deed == HALT_AFTER ||
           f->deed == HALT_MIDWAY;
}

static inline int rank_of(const trial *t) { return t->scene->me->rank; }

/* Jobs ------------------------------------------------------------------------------------- */

static inline hlq_algorithm algorithm_of(const trial *t, int job)
{
    static const hlq_algorithm three[JOBS_MOST] = {TWOSHOT, MODQ, NATIVE};
    return t->jobs == 1 ? t->fault->algorithm : three[job];
}

/* Which of the jobs the fault is in. */
static inline int job_at_fault(const trial *t) { return t->jobs == 1 ? 0 : 1; }

static inline void set_cost(const trial *t, hlq_call *call)
{
    /* Short messages: Open MPI 5.0.11 overwrites memory where a long one meets a short receive. */
    if (t->fault->flags & BOUND) call->max_error = 1;
    else call->bits = 6;
}

static inline hlq_status start_job(trial *t, int job)
{
    conduct how = t->is_guilty && job == job_at_fault(t) ? t->fault->conduct : CALLS;
    hlq_call call = HLQ_CALL_INIT;
    size_t count = how == OTHER_COUNT ? t->count - 1 : t->count;
    hlq_dtype dtype = how == OTHER_DTYPE ? HLQ_BFLOAT16 : HLQ_FLOAT32;
    hlq_op op = how == OTHER_OP ? HLQ_AVG : HLQ_SUM;
    call.algorithm = how == OTHER_ALGORITHM ? NATIVE : algorithm_of(t, job);
    set_cost(t, &call);
    if (how == OTHER_BITS) call.bits = 5;
    if (how == HAS_NO_MEMORY) no_memory = 1;
    if (how == OTHER_OPERATION) {
        count /= SABOTEUR_RANKS;
        return hlq_all_gather_start(t->comm, t->send, t->recv[job], count, dtype, &call, NULL,
                                    &t->request[job]);
    }
    return hlq_all_reduce_start(t->comm, t->send, t->recv[job], count, dtype, op, &call, NULL,
                                &t->request[job]);
}

/* What is right, from the communicator that will fail, or for its first call from another one. */
static inline void get_right_results(trial *t, hlq_comm *comm)
{
    double begin = hlq_now();
    for (int job = 0; job < t->jobs; job++) {
        hlq_call call = HLQ_CALL_INIT;
        hlq_stats stats = {.struct_bytes = sizeof stats};
        call.algorithm = algorithm_of(t, job);
        set_cost(t, &call);
        hlq_status status = hlq_all_reduce(comm, t->send, t->right[job], t->count, HLQ_FLOAT32,
                                           HLQ_SUM, &call, NULL);
        CHECK_EQ(status, HLQ_OK);
        CHECK_EQ(hlq_comm_stats(comm, &stats), HLQ_OK);
        /* Without longer codes, faults in their messages would be none. */
        if (call.algorithm == MODQ && t->fault->flags & LARGE) CHECK(stats.retries > 0);
    }
    t->computing = hlq_now() - begin;
}

/* What ranks are given ----------------------------------------------------------------------- */

static inline void check_names_the_guilty(const trial *t, const char *sentence)
{
    int is_clear =
        strstr(sentence, "rank 1") && strstr(sentence, t->fault->says) && !strchr(sentence, '\n');
    if (!CHECK(is_clear)) {
        fprintf(stderr, "  \"%s\" lacks \"rank 1\" or \"%s\"\n", sentence, t->fault->says);
    }
}

static inline void check_in_time(const trial *t, double since)
{
    double took = hlq_now() - since;
    if (getenv("HLQ_TALK")) { /* for those who want to read what users would */
        fprintf(stderr, "%-26s rank %d %6.3f s: %s\n", t->fault->name, rank_of(t), took,
                t->comm ? hlq_comm_last_error(t->comm) : hlq_create_error());
    }
    CHECK_AT_MOST(took, time_limit(t));
}

static inline int is_untouched(const trial *t, int job)
{
    size_t touched = 0;
    for (size_t i = 0; i < t->count; i++) touched += t->recv[job][i] != -1;
    return touched == 0;
}

/* Of a rank that did nothing wrong. */
static inline void check_outcome(const trial *t, int job, hlq_status status)
{
    const fault *f = t->fault;
    int may_be_well =
        job != job_at_fault(t) || (f->outcome == VICTIM_ALONE && rank_of(t) != VICTIM);
    if (status == HLQ_OK && CHECK(may_be_well)) {
        CHECK_BYTES(t->recv[job], t->right[job], t->count * sizeof(float));
        return;
    }
    int is_other = t->jobs > 1 && status == HLQ_E_BROKEN; /* another one of the three failed */
    if (!is_other) CHECK_EQ(status, f->status);
    check_names_the_guilty(t, hlq_comm_last_error(t->comm));
    if (f->outcome == REFUSED) CHECK(is_untouched(t, job));
}

/* Of the rank at fault, if it lives to see it. */
static inline void check_own_outcome(const trial *t, int job, hlq_status status)
{
    if (status == HLQ_OK && (job != job_at_fault(t) || t->fault->outcome == VICTIM_ALONE)) {
        CHECK_BYTES(t->recv[job], t->right[job], t->count * sizeof(float));
    } else {
        CHECK(status != HLQ_OK && status != HLQ_E_PENDING);
        CHECK(*hlq_comm_last_error(t->comm));
    }
}

static inline void run_jobs(trial *t)
{
    double begin = t->begin = hlq_now();
    for (int job = 0; job < t->jobs; job++) {
        hlq_status status = start_job(t, job);
        if (status == HLQ_OK) continue;
        CHECK(!t->request[job]);
        CHECK(status == HLQ_E_BROKEN || (t->is_guilty && status == HLQ_E_NOMEM));
        CHECK(*hlq_comm_last_error(t->comm));
    }
    for (int i = 0; i < t->jobs; i++) {
        int job = (i + rank_of(t)) % t->jobs; /* each rank in another order */
        if (!t->request[job]) continue;
        hlq_status status = hlq_wait(t->request[job], HLQ_FOREVER);
        t->request[job] = NULL;
        t->is_told |= status != HLQ_OK;
        if (t->is_guilty) check_own_outcome(t, job, status);
        else check_outcome(t, job, status);
        check_in_time(t, t->is_guilty ? fmax(begin, t->begin) : begin);
    }
    no_memory = 0;
}

/* The communicator afterwards ---------------------------------------------------------------- */

static inline void check_works(hlq_comm *comm)
{
    static const hlq_algorithm all[] = {TWOSHOT, ONESHOT, MODQ, NATIVE};
    static _Thread_local float x[COUNT_FEW];
    for (int a = 0; a < 4; a++) {
        hlq_call call = HLQ_CALL_INIT;
        size_t wrong = 0;
        call.algorithm = all[a];
        call.bits = 12;
        for (int i = 0; i < COUNT_FEW; i++) x[i] = (float)(i % 5 + 1);
        hlq_status status =
            hlq_all_reduce(comm, x, x, COUNT_FEW, HLQ_FLOAT32, HLQ_SUM, &call, NULL);
        CHECK_EQ(status, HLQ_OK);
        CHECK_STR(hlq_comm_last_error(comm), "");
        for (int i = 0; i < COUNT_FEW; i++) {
            wrong += !(fabs(x[i] - (double)hlq_comm_size(comm) * (i % 5 + 1)) < 0.5);
        }
        CHECK_EQ(wrong, 0);
    }
}

/* Told to all that something broke, also to those that had their result before. */
static inline void check_broken(const trial *t)
{
    hlq_test_case("%s, afterwards, on rank %d", t->fault->name, rank_of(t));
    for (size_t count = 0; count <= COUNT_SMALL; count += COUNT_SMALL) {
        double begin = hlq_now();
        hlq_status status =
            hlq_all_reduce(t->comm, t->send, t->recv[0], count, HLQ_FLOAT32, HLQ_SUM, NULL, NULL);
        CHECK_EQ(status, t->is_told || count ? HLQ_E_BROKEN : t->fault->status);
        if (!t->is_guilty) check_names_the_guilty(t, hlq_comm_last_error(t->comm));
        CHECK_AT_MOST(hlq_now() - begin, time_limit(t));
    }
}

/* On all ranks: another one in its place. */
static inline void make_again(const trial *t)
{
    hlq_comm *comm = NULL;
    hlq_test_case("after %s, on rank %d", t->fault->name, rank_of(t));
    if (CHECK_EQ(rank_create(t->scene->me, NULL, &comm), HLQ_OK)) {
        check_works(comm);
    }
    rank_destroy(t->scene->me, comm);
}

/* One fault ---------------------------------------------------------------------------------- */

static inline void halt_at(void *at)
{
    trial *t = at;
    t->scene->halt(t->scene->me);
    t->begin = hlq_now();
}

/* Much the same on all ranks, so that many sums are too large for modq's first codes. */
static inline void fill(float *x, size_t n, int rank)
{
    hlq_rng common = hlq_rng_new(100), own = hlq_rng_new((uint64_t)rank);
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)(hlq_rng_gauss(&common) + 0.2 * hlq_rng_gauss(&own));
    }
}

static inline void begin_trial(trial *t, scene *stage, const fault *f)
{
    uint8_t *copies = (uint8_t *)(stage->memory + TENSORS * COUNT_FLOWS);
    test_rank *me = stage->me;
    *t = (trial){.scene = stage, .fault = f, .options = HLQ_OPTIONS_INIT};
    t->is_guilty = me->rank == GUILTY;
    t->jobs = f->flags & THREE_JOBS ? JOBS_MOST : 1;
    t->count = f->flags & FLOWS ? COUNT_FLOWS : f->flags & LARGE ? COUNT_LARGE : COUNT_SMALL;
    t->options.timeout_s = f->flags & SILENT ? TIMEOUT_S : 20;
    t->options.topology = f->flags & RING ? HLQ_TOPOLOGY_RING : HLQ_TOPOLOGY_AUTO;
    t->send = stage->memory;
    fill(t->send, t->count, me->rank);
    for (int job = 0; job < t->jobs; job++) {
        t->recv[job] = stage->memory + (1 + 2 * job) * COUNT_FLOWS;
        t->right[job] = t->recv[job] + COUNT_FLOWS;
        for (size_t i = 0; i < t->count; i++) t->recv[job][i] = -1;
    }
    int calls_before = f->flags & FIRST_CALL ? 0 : t->jobs;
    t->saboteur = (saboteur){
        .inner = open_transport(me, &t->group),
        .deed = t->is_guilty ? f->deed : NO_DEED,
        .channel = f->flags & AT_CREATION ? 0 : (uint32_t)(calls_before + 1 + job_at_fault(t)),
        .number = f->number,
        .takes_less = !!(f->flags & RIDES),
        .victim = f->flags & RING ? NEIGHBOUR : VICTIM,
        .at = f->at,
        .halt = halt_at,
        .scene = t,
        .copy = copies,
        .last = copies + COPY_MOST,
    };
    if (t->is_guilty && f->conduct == OTHER_OPTIONS) t->options.bits = 7;
}

/* The fault, if it is one of a call. */
static inline void suffer_call(trial *t)
{
    const fault *f = t->fault;
    conduct how = t->is_guilty ? f->conduct : CALLS;
    if (!(f->flags & FIRST_CALL)) get_right_results(t, t->comm);
    rank_barrier(t->scene->me);
    if (how == LEAVES || how == LEAVES_AMIDST) {
        if (how == LEAVES_AMIDST) CHECK_EQ(start_job(t, 0), HLQ_OK);
        hlq_comm_destroy(t->comm);
        t->comm = NULL;
    } else if (how != NEVER_CALLS) {
        if (how == HALTS_FIRST) halt_at(t);
        if (how == CALLS_LATE) usleep((useconds_t)(1.5e6 * t->options.timeout_s));
        run_jobs(t);
    }
    if (!t->is_guilty && is_halting(t->fault)) t->scene->others_end(t->scene->me);
}

static inline void suffer_creation(trial *t, hlq_status status)
{
    CHECK(!t->comm);
    CHECK(status != HLQ_OK);
    if (!t->is_guilty) CHECK_EQ(status, t->fault->status);
    check_names_the_guilty(t, hlq_create_error());
    check_in_time(t, t->begin);
    if (!t->is_guilty && is_halting(t->fault)) t->scene->others_end(t->scene->me);
}

static inline void suffer(scene *stage, const fault *f)
{
    static _Thread_local trial t;
    begin_trial(&t, stage, f);
    hlq_transport table = saboteur_table(&t.saboteur);
    hlq_test_case("%s, seen on rank %d", f->name, rank_of(&t));
    rank_barrier(stage->me);
    t.begin = hlq_now();
    hlq_status status = hlq_comm_create_callbacks(&table, &t.options, &t.comm);
    if (f->flags & AT_CREATION) suffer_creation(&t, status);
    else if (CHECK_EQ(status, HLQ_OK)) suffer_call(&t);
    if (stage->kills) {
        if (t.comm) check_broken(&t);
        hlq_comm_destroy(t.comm);
        return;
    }
    if (t.is_guilty && f->deed != NO_DEED) CHECK_EQ(t.saboteur.committed, 1);
    rank_barrier(stage->me);
    if (t.comm && f->outcome == REFUSED) check_works(t.comm);
    else if (t.comm) check_broken(&t);
    rank_barrier(stage->me);
    hlq_comm_destroy(t.comm);
    if (t.group) unshare_group(stage->me, t.group);
    make_again(&t);
}

#endif
