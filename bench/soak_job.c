/* Collectives drawn at random, their buffers, and running them; soak.h tells. */
#include "soak.h"
#include "tool.h"

#include <sched.h>

enum { GAP = 64 };

/* Geometry ----------------------------------------------------------------------------------- */

int soak_deals_out(const soak_job *j)
{
    return j->operation == HLQ_REDUCE_SCATTER || j->operation == HLQ_ALL_TO_ALL;
}

int soak_collects(const soak_job *j)
{
    return j->operation == HLQ_ALL_GATHER || j->operation == HLQ_ALL_TO_ALL;
}

size_t soak_count_between(const soak_job *j, int p, int q)
{
    hlq_rng rng = {j->stream + (uint64_t)(p * SOAK_RANKS_MAX + q)};
    return j->has_counts ? hlq_rng_below(&rng, j->count + 1) : j->count;
}

static void measure(soak_job *j, const soak_group *g)
{
    j->send_elems = soak_deals_out(j) ? 0 : j->count;
    j->recv_elems = soak_collects(j) ? 0 : j->count;
    for (int p = 0; p < g->size; p++) {
        j->to[p] = soak_count_between(j, g->rank, p);
        j->from[p] = soak_count_between(j, p, g->rank);
        if (soak_deals_out(j)) j->send_elems += j->to[p];
        if (soak_collects(j)) j->recv_elems += j->from[p];
    }
}

/* Drawing ------------------------------------------------------------------------------------ */

static hlq_dtype draw_dtype(hlq_rng *rng)
{
    if (hlq_rng_below(rng, 2)) return HLQ_FLOAT32;
    return (hlq_dtype)hlq_rng_below(rng, DTYPES);
}

static hlq_op draw_op(hlq_rng *rng, const soak_job *j)
{
    if (soak_collects(j)) return HLQ_SUM; /* nobody asks */
    hlq_op op = hlq_rng_below(rng, 4) ? HLQ_SUM : (hlq_op)hlq_rng_below(rng, 5);
    if (op == HLQ_SUM && hlq_rng_below(rng, 2)) op = HLQ_AVG;
    return op == HLQ_AVG && !hlq_dtype_is_float(j->dtype) ? HLQ_SUM : op;
}

static hlq_algorithm draw_algorithm(hlq_rng *rng, const soak_job *j)
{
    hlq_algorithm drawn = (hlq_algorithm)hlq_rng_below(rng, 5);
    int is_sum = j->op == HLQ_SUM || j->op == HLQ_AVG;
    if (drawn == HLQ_ALG_AUTO) return drawn;
    if (!is_sum || !hlq_dtype_is_float(j->dtype)) return HLQ_ALG_NATIVE;
    return drawn == HLQ_ALG_MODQ && soak_collects(j) ? HLQ_ALG_ONESHOT : drawn;
}

/* As many small tensors as large ones, and some of every awkward size. */
static size_t draw_count(hlq_rng *rng, size_t most)
{
    static const size_t awkward[] = {0, 1, 2, 3, 255, 256, 257, 511, 16383, 16384, 16385};
    size_t count = (size_t)exp2(hlq_rng_uniform(rng) * log2((double)most));
    if (hlq_rng_below(rng, 6) == 0) {
        count = awkward[hlq_rng_below(rng, sizeof awkward / sizeof *awkward)];
    } else if (hlq_rng_below(rng, 40) == 0) {
        count = most;
    } else if (hlq_rng_below(rng, 2)) {
        count |= 1;
    }
    return count < most ? count : most;
}

static void draw_job(soak_job *j, const soak_group *g, hlq_rng *rng, size_t most)
{
    *j = (soak_job){.operation = (hlq_operation)hlq_rng_below(rng, 4)};
    int range = 40; /* octaves */
    j->stream = hlq_rng_next(rng);
    j->dtype = draw_dtype(rng);
    j->op = draw_op(rng, j);
    j->algorithm = draw_algorithm(rng, j);
    j->has_counts = j->operation == HLQ_ALL_TO_ALL && hlq_rng_below(rng, 2);
    if (j->operation != HLQ_ALL_REDUCE) most /= (size_t)g->size;
    j->count = draw_count(rng, most);
    j->bits = hlq_rng_below(rng, 2) ? 0 : 1 + hlq_rng_between(rng, 0, 110) / 10.0;
    if (j->dtype == HLQ_FLOAT64) range = 900;
    j->size = exp2(j->dtype == HLQ_FLOAT16 ? hlq_rng_between(rng, -10, -4)
                                           : hlq_rng_between(rng, -range, range));
    j->has_residual = j->dtype != HLQ_FLOAT64 && hlq_rng_below(rng, 3) == 0;
    j->in_place = !j->has_counts && hlq_rng_below(rng, 2);
    measure(j, g);
}

/* Buffers ------------------------------------------------------------------------------------ */

/* The widest of a job: two buffers of 8 bytes an element, and a residual. */
size_t soak_arena_bytes(const soak_options *options)
{
    return 20 * options->most + SOAK_GAPS_MAX * (GAP + 16);
}

/* `bytes` behind a gap, at any address. */
static char *carve(soak_run *run, size_t bytes, size_t misalign)
{
    soak_gap *gap = &run->gap[run->gaps++];
    size_t up = (misalign - (size_t)(uintptr_t)(run->free + GAP)) & 15;
    *gap = (soak_gap){run->free, GAP + up};
    memset(gap->at, SOAK_GAP_BYTE, gap->bytes);
    run->free += gap->bytes + bytes;
    if (run->free > run->arena + soak_arena_bytes(run->options)) abort();
    return gap->at + gap->bytes;
}

static void lay_out(soak_run *run, soak_job *j, hlq_rng *rng)
{
    const soak_group *g = &run->group;
    size_t width = hlq_dtype_bytes(j->dtype);
    size_t send_bytes = j->send_elems * width, recv_bytes = j->recv_elems * width;
    size_t own = (size_t)g->rank * j->count * width;
    size_t larger = send_bytes > recv_bytes ? send_bytes : recv_bytes;
    size_t misalign = hlq_rng_below(rng, 2) ? 0 : hlq_rng_below(rng, 16);
    if (j->in_place) {
        char *both = carve(run, larger, misalign);
        j->send = j->operation == HLQ_ALL_GATHER ? both + own : both;
        j->recv = j->operation == HLQ_REDUCE_SCATTER ? both + own : both;
    } else {
        j->send = carve(run, send_bytes, misalign);
        j->recv = carve(run, recv_bytes, hlq_rng_below(rng, 16));
    }
    if (j->has_residual) {
        j->residual = (float *)(void *)carve(run, j->send_elems * sizeof(float), 0);
        memset(j->residual, 0, j->send_elems * sizeof(float));
    }
}

void soak_draw(soak_run *run, hlq_rng *rng)
{
    run->free = run->arena;
    run->gaps = 0;
    run->jobs = hlq_rng_below(rng, 2) ? 1 : hlq_rng_between(rng, 2, SOAK_JOBS_MAX);
    for (int i = 0; i < run->jobs; i++) {
        soak_job *j = &run->job[i];
        draw_job(j, &run->group, rng, run->options->most / (size_t)run->jobs);
        lay_out(run, j, rng);
        soak_fill(run, j);
        j->sent = tool_hash(j->send, j->send_elems * hlq_dtype_bytes(j->dtype));
    }
    carve(run, 0, 0); /* the gap behind the last */
}

/* Running ------------------------------------------------------------------------------------ */

static hlq_status start(hlq_comm *comm, soak_job *j)
{
    hlq_call call = HLQ_CALL_INIT;
    call.algorithm = j->algorithm;
    call.bits = j->bits;
    call.residual = j->residual;
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
    hlq_call c = HLQ_CALL_INIT;
    c.algorithm = j->algorithm;
    c.bits = j->bits;
    c.residual = j->residual;
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

void soak_do(soak_run *run)
{
    hlq_comm *comm = run->group.comm;
    int order[SOAK_JOBS_MAX];
    /* Its own on each rank. */
    hlq_rng rng = {run->options->seed ^ run->episode << 20 ^ (uint64_t)run->round << 8 ^
                   (uint64_t)run->world->rank};
    if (run->jobs == 1) {
        run->job->status = call(comm, run->job);
        note(run, run->job);
        return;
    }
    for (int i = 0; i < run->jobs; i++) {
        soak_job *j = &run->job[i];
        order[i] = i;
        j->status = start(comm, j);
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
