/* Running the collectives of a round; soak.h tells. */
#include "soak.h"

#include <sched.h>

static hlq_call call_of(const soak_job *j)
{
    hlq_call c = HLQ_CALL_INIT;
    c.algorithm = j->algorithm;
    c.bits = j->bits;
    c.target_nmse = j->target;
    c.max_error = j->bound;
    c.residual = j->residual;
    c.exempt = j->ranges ? j->exempt : NULL;
    c.exempt_ranges = (size_t)j->ranges;
    return c;
}

static hlq_status start(hlq_comm *comm, soak_job *j)
{
    hlq_call call = call_of(j);
    switch (j->operation) {
    case HLQ_ALL_REDUCE:
        return hlq_all_reduce_start(comm, j->send, j->recv, j->count, j->dtype, j->op, &call, NULL,
                                    &j->request);
    case HLQ_REDUCE_SCATTER:
        return hlq_reduce_scatter_start(comm, j->send, j->recv, j->count, j->dtype, j->op, &call,
                                        NULL, &j->request);
    case HLQ_ALL_GATHER:
        return hlq_all_gather_start(comm, j->send, j->recv, j->count, j->dtype, &call, NULL,
                                    &j->request);
    case HLQ_ALL_TO_ALL: break;
    }
    if (!j->has_counts) {
        return hlq_all_to_all_start(comm, j->send, j->recv, j->count, j->dtype, &call, NULL,
                                    &j->request);
    }
    return hlq_all_to_all_v_start(comm, j->send, j->to, j->recv, j->from, j->dtype, &call, NULL,
                                  &j->request);
}

static hlq_status call(hlq_comm *comm, const soak_job *j)
{
    hlq_call c = call_of(j);
    switch (j->operation) {
    case HLQ_ALL_REDUCE:
        return hlq_all_reduce(comm, j->send, j->recv, j->count, j->dtype, j->op, &c, NULL);
    case HLQ_REDUCE_SCATTER:
        return hlq_reduce_scatter(comm, j->send, j->recv, j->count, j->dtype, j->op, &c, NULL);
    case HLQ_ALL_GATHER:
        return hlq_all_gather(comm, j->send, j->recv, j->count, j->dtype, &c, NULL);
    case HLQ_ALL_TO_ALL: break;
    }
    if (!j->has_counts) return hlq_all_to_all(comm, j->send, j->recv, j->count, j->dtype, &c, NULL);
    return hlq_all_to_all_v(comm, j->send, j->to, j->recv, j->from, j->dtype, &c, NULL);
}

/* In one of the ways there are. */
static hlq_status end(hlq_rng *rng, soak_job *j)
{
    hlq_status status = HLQ_E_PENDING;
    int done = 0;
    switch (hlq_rng_below(rng, 3)) {
    case 0: return hlq_wait(j->request, HLQ_FOREVER);
    case 1:
        while (status == HLQ_E_PENDING) status = hlq_wait(j->request, 1e-3);
        return status;
    default:
        while (!done) {
            status = hlq_test(j->request, &done);
            if (!done) sched_yield();
        }
        return status;
    }
}

/* What the library has to say of the collective that ended last. */
static void note(soak_run *run, soak_job *j)
{
    hlq_comm *comm = run->group.comm;
    j->stats.struct_bytes = sizeof j->stats;
    snprintf(j->error, sizeof j->error, "%s", hlq_comm_last_error(comm));
    if (hlq_comm_stats(comm, &j->stats) != HLQ_OK) j->status = HLQ_E_INVALID;
}

/* What the library says that a job will cost, as things stand. */
static void plan(const soak_run *run, soak_job *j)
{
    hlq_call c = call_of(j);
    if (j->has_counts || j->status != HLQ_OK) return;
    j->plan = (hlq_plan_info){.struct_bytes = sizeof j->plan, .operation = j->operation};
    j->status = hlq_comm_plan(run->group.comm, j->count, j->dtype, j->op, &c, &j->plan);
}

/* One at a time, or all under way and ended in an order that each rank has of its own. */
static void run_jobs(soak_run *run)
{
    hlq_comm *comm = run->group.comm;
    int order[SOAK_JOBS_MAX];
    hlq_rng rng = {run->options->seed ^ run->episode << 20 ^ (uint64_t)run->round << 8 ^
                   (uint64_t)run->world->rank};
    if (run->jobs == 1) {
        run->job->status = call(comm, run->job);
        note(run, run->job);
        plan(run, run->job); /* afterwards: AUTO may have had to measure first */
        return;
    }
    for (int i = 0; i < run->jobs; i++) {
        soak_job *j = &run->job[i];
        order[i] = i;
        plan(run, j);
        if (j->status == HLQ_OK) j->status = start(comm, j);
        if (j->status != HLQ_OK) note(run, j);
    }
    hlq_rng_shuffle(&rng, order, run->jobs);
    for (int i = 0; i < run->jobs; i++) {
        soak_job *j = &run->job[order[i]];
        if (j->status != HLQ_OK) continue;
        j->status = end(&rng, j);
        note(run, j);
    }
}

/* What residuals hold, brought together as the numbers were, but natively. */
static void gather_residuals(soak_run *run)
{
    for (int i = 0; i < run->jobs; i++) {
        soak_job *j = &run->job[i], r = *j;
        if (!j->residual || j->status != HLQ_OK) continue;
        r.send = (char *)j->residual;
        r.recv = (char *)j->kept;
        r.dtype = HLQ_FLOAT32;
        r.op = HLQ_SUM;
        r.algorithm = HLQ_ALG_NATIVE;
        r.bits = r.target = r.bound = 0;
        r.residual = NULL;
        r.ranges = 0;
        j->status = call(run->group.comm, &r);
        if (j->status != HLQ_OK) note(run, j);
    }
}

void soak_do(soak_run *run)
{
    run_jobs(run);
    gather_residuals(run);
}
