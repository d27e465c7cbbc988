/*
 * Runs one line of hlq_perf's table. A timed call starts behind a barrier, on tensors that are in
 * place; its time is that of the slowest rank. The line's time is the median over calls.
 */
#include "perf_run.h"

#include "perf_rivals.h"
#include "tool.h"
#include "transport/transport_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As frameworks' allocators align tensors: loads that straddle cache lines take longer. */
enum { ALIGNMENT = 64 };

/* Of the larger buffer, in --dtype, or as float32 for the baselines. */
static size_t buffer_bytes(const perf_bench *bench)
{
    size_t width = hlq_dtype_bytes(bench->options->dtype);
    size_t bytes =
        perf_shape_elems(&bench->shape) * (width > sizeof(float) ? width : sizeof(float));
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

int perf_bench_prepare(perf_bench *bench, size_t count, char *error)
{
    const perf_options *options = bench->options;
    bench->shape = (perf_shape){options->op, bench->world->size, bench->world->rank, count};
    bench->loaded = -1;
    bench->send = aligned_alloc(ALIGNMENT, buffer_bytes(bench));
    bench->recv = aligned_alloc(ALIGNMENT, buffer_bytes(bench));
    int failed = bench->send == NULL || bench->recv == NULL;
    if (!failed && options->check)
        failed = perf_exact_make(&bench->exact, &bench->shape, bench->input, options->dtype);
    if (failed) snprintf(error, TOOL_ERROR_BYTES, "no memory for tensors of %zu numbers", count);
    return perf_world_agree(bench->world, error) ? -1 : 0;
}

void perf_bench_release(perf_bench *bench)
{
    free(bench->send);
    free(bench->recv);
    perf_exact_free(&bench->exact);
    bench->send = bench->recv = NULL;
}

size_t perf_bench_bytes(const perf_bench *bench, const perf_entry *entry, const hlq_plan_info *plan)
{
    size_t bytes = 2 * buffer_bytes(bench);
    if (bench->options->check) bytes += perf_exact_bytes(&bench->shape);
    bytes += entry->codec != NULL ? rival_buffer_bytes(entry->codec, &bench->shape)
                                  : (size_t)plan->workspace_bytes;
    return bytes * (size_t)bench->world->local_ranks;
}

/* Fills send with this rank's tensor as entry wants it: values of --dtype, stored as its type. */
static void load_tensor(perf_bench *bench, hlq_dtype dtype)
{
    if (bench->loaded == (int)dtype) return;
    size_t count = perf_shape_sent(&bench->shape);
    for (size_t at = 0; at < count; at += PERF_CHUNK_ELEMS) {
        float x[PERF_CHUNK_ELEMS];
        size_t elems = count - at < PERF_CHUNK_ELEMS ? count - at : PERF_CHUNK_ELEMS;
        perf_input_read(bench->input, bench->world->rank, at, elems, bench->options->dtype, x);
        perf_numbers_store(dtype, x, elems, (char *)bench->send + at * hlq_dtype_bytes(dtype));
    }
    bench->loaded = (int)dtype;
}

/* One entry under way on this rank. */
typedef struct perf_job {
    perf_bench *bench;
    const perf_entry *entry;
    rival *rival; /* NULL: the library runs */
    size_t size_bytes;
    hlq_algorithm resolved;
    double *seconds;  /* one for each timed call */
    rival_cost total; /* stages, summed over timed calls; bytes of the last */
    hlq_stats stats;  /* of the last call */
} perf_job;

/* What a rank tells the others when it is done. */
typedef struct perf_notes {
    double encode, exchange, reduce, decode, vnmse_estimate;
    uint64_t bytes_sent, control_bytes, overloads, retries, nonfinite_blocks;
} perf_notes;

static hlq_status call_collective(const perf_job *job, const void *send, void *recv)
{
    const perf_bench *bench = job->bench;
    hlq_dtype dtype = job->entry->dtype;
    hlq_comm *comm = bench->comm;
    size_t count = bench->shape.count;
    hlq_call call = HLQ_CALL_INIT;
    call.algorithm = job->entry->algorithm;
    call.bits = job->entry->bits;
    call.target_nmse = job->entry->target;
    call.max_error = job->entry->max_error;
    switch (bench->shape.op) {
    case HLQ_REDUCE_SCATTER:
        return hlq_reduce_scatter(comm, send, recv, count, dtype, HLQ_SUM, &call, NULL);
    case HLQ_ALL_GATHER: return hlq_all_gather(comm, send, recv, count, dtype, &call, NULL);
    case HLQ_ALL_TO_ALL: return hlq_all_to_all(comm, send, recv, count, dtype, &call, NULL);
    case HLQ_ALL_REDUCE: break;
    }
    return hlq_all_reduce(comm, send, recv, count, dtype, HLQ_SUM, &call, NULL);
}

static int call_library(perf_job *job, const void *send, void *recv, char *error)
{
    hlq_status status = call_collective(job, send, recv);
    if (status == HLQ_OK) return 0;
    snprintf(error, TOOL_ERROR_BYTES, "hlq_%s: %s (%s)", hlq_operation_name(job->bench->shape.op),
             hlq_comm_last_error(job->bench->comm), hlq_status_string(status));
    return -1;
}

static void read_stats(perf_job *job, int timed)
{
    job->stats.struct_bytes = sizeof job->stats;
    if (hlq_comm_stats(job->bench->comm, &job->stats) != HLQ_OK)
        perf_world_die(job->bench->world, "the library has no statistics of the call");
    job->resolved = job->stats.algorithm;
    if (!timed) return;
    job->total.encode += job->stats.seconds_encode;
    job->total.exchange += job->stats.seconds_exchange;
    job->total.reduce += job->stats.seconds_reduce;
    job->total.decode += job->stats.seconds_decode;
    job->total.bytes_sent = job->stats.bytes_sent;
}

/* Whether the entry is the carrier's own sum: MPI's, without anything of the library's. */
static int is_carriers_sum(const perf_bench *bench, const perf_entry *entry)
{
    return entry->name != NULL && entry->codec == NULL && bench->shape.op == HLQ_ALL_REDUCE &&
           bench->world->wire.start_sum != NULL;
}

static void call_carrier(perf_job *job, const float *send, float *recv)
{
    perf_world *world = job->bench->world;
    size_t count = job->bench->shape.count, n = (size_t)world->size;
    char error[HLQ_ERROR_BYTES] = "";
    hlq_exchange sum = {.number = world->exchanges++, .sum = recv, .count = count};
    if (recv != send) memcpy(recv, send, count * sizeof *recv);
    if (hlq_transport_run(&world->wire, &sum, PERF_TIMEOUT_S, error) != HLQ_OK)
        perf_world_die(world, error);
    job->resolved = HLQ_ALG_NATIVE;
    job->total.bytes_sent = 2 * (n - 1) * count * sizeof *recv / n; /* counted as a ring */
}

static void call_rival(perf_job *job, const void *send, void *recv, int timed)
{
    char error[HLQ_ERROR_BYTES] = "";
    rival_cost cost;
    if (rival_run(job->rival, send, recv, PERF_TIMEOUT_S, &cost, error) != HLQ_OK)
        perf_world_die(job->bench->world, error);
    if (!timed) return;
    job->total.encode += cost.encode;
    job->total.exchange += cost.exchange;
    job->total.reduce += cost.reduce;
    job->total.decode += cost.decode;
    job->total.bytes_sent = cost.bytes_sent;
}

/* Where the result goes. */
static void *result_of(const perf_job *job)
{
    const perf_bench *bench = job->bench;
    size_t at = bench->options->in_place ? perf_shape_recv_at(&bench->shape) : 0;
    return (char *)bench->recv + at * hlq_dtype_bytes(job->entry->dtype);
}

/* One call; i counts from 0 through the timed ones and is negative during warm-up. */
static int call_once(perf_job *job, int i, char *error)
{
    perf_bench *bench = job->bench;
    const perf_shape *shape = &bench->shape;
    size_t width = hlq_dtype_bytes(job->entry->dtype);
    const void *send = bench->send;
    if (bench->options->in_place) {
        void *place = (char *)bench->recv + perf_shape_send_at(shape) * width;
        memcpy(place, bench->send, perf_shape_sent(shape) * width);
        send = place;
    }
    perf_world_barrier(bench->world);
    double begin = tool_seconds();
    int is_carriers = is_carriers_sum(bench, job->entry);
    if (job->rival != NULL) call_rival(job, send, result_of(job), i >= 0);
    else if (is_carriers) call_carrier(job, send, result_of(job));
    else if (call_library(job, send, result_of(job), error) != 0) return -1;
    double seconds = tool_seconds() - begin;
    if (i >= 0) job->seconds[i] = seconds;
    if (job->rival == NULL && !is_carriers) read_stats(job, i >= 0);
    return 0;
}

/* The times of calls become those of the slowest rank, then the row's. */
static void fill_times(perf_job *job, perf_row *row)
{
    perf_world *world = job->bench->world;
    size_t calls = (size_t)job->bench->options->iterations;
    double *all = malloc((size_t)world->size * calls * sizeof *all);
    if (all == NULL) perf_world_die(world, "no memory for the times of all ranks");
    perf_world_gather(world, job->seconds, calls * sizeof *all, all);
    for (size_t at = 0; at < (size_t)world->size * calls; at++)
        job->seconds[at % calls] = fmax(job->seconds[at % calls], all[at]);
    free(all);
    row->time_min_s = tool_quantile(job->seconds, calls, 0.0);
    row->time_s = tool_quantile(job->seconds, calls, 0.5);
    row->time_p99_s = tool_quantile(job->seconds, calls, 0.99);
    row->time_max_s = tool_quantile(job->seconds, calls, 1.0);
}

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

static perf_notes write_notes(const perf_job *job)
{
    double calls = (double)job->bench->options->iterations;
    const hlq_stats *stats = &job->stats;
    return (perf_notes){
        .encode = job->total.encode / calls,
        .exchange = job->total.exchange / calls,
        .reduce = job->total.reduce / calls,
        .decode = job->total.decode / calls,
        .vnmse_estimate =
            job->rival != NULL || !stats->struct_bytes ? (double)NAN : stats->vnmse_estimate,
        .bytes_sent = job->total.bytes_sent,
        .control_bytes = stats->control_bytes,
        .overloads = stats->overloads,
        .retries = stats->retries,
        .nonfinite_blocks = stats->nonfinite_blocks,
    };
}

/* What all ranks noted becomes the row's. */
static void fill_costs(const perf_job *job, perf_row *row)
{
    perf_world *world = job->bench->world;
    perf_notes mine = write_notes(job);
    perf_notes *all = malloc((size_t)world->size * sizeof *all);
    if (all == NULL) perf_world_die(world, "no memory for the notes of all ranks");
    perf_world_gather(world, &mine, sizeof mine, all);
    double share = 1.0 / (double)world->size;
    for (int rank = 0; rank < world->size; rank++) {
        const perf_notes *notes = &all[rank];
        row->encode_s += notes->encode * share;
        row->exchange_s += notes->exchange * share;
        row->reduce_s += notes->reduce * share;
        row->decode_s += notes->decode * share;
        row->wire_bytes = larger(row->wire_bytes, notes->bytes_sent);
        row->control_bytes = larger(row->control_bytes, notes->control_bytes);
        row->overloads += notes->overloads;
        row->retries = larger(row->retries, notes->retries);
        row->nonfinite_blocks = larger(row->nonfinite_blocks, notes->nonfinite_blocks);
    }
    row->vnmse_estimate = all[0].vnmse_estimate;
    free(all);
}

/* Smaller tensors may exceed the budget by their headers (hlq_options.bits). */
enum { SMALLEST_BUDGETED = 16384 };

/* What follows from time, bytes and ranks: the bandwidths, bits per element, the budget. */
static void fill_rates(const perf_job *job, perf_row *row)
{
    size_t tensor = perf_shape_elems(&job->bench->shape);
    double factor = perf_shape_factor(&job->bench->shape);
    double elems = factor * (double)tensor;
    size_t plain_bytes = tensor * hlq_dtype_bytes(job->bench->options->dtype);
    row->algbw = (double)row->size_bytes / row->time_s * 1e-9;
    row->busbw = row->algbw * factor;
    row->effbw = (double)plain_bytes * factor / row->time_s * 1e-9;
    row->bits_per_elem = elems > 0.0 ? 8.0 * (double)row->wire_bytes / elems : 0.0;
    int budgeted = row->bits > 0.0 && job->rival == NULL && tensor >= SMALLEST_BUDGETED &&
                   (job->resolved == HLQ_ALG_TWOSHOT || job->resolved == HLQ_ALG_ONESHOT);
    row->over_budget = budgeted && 8.0 * (double)row->wire_bytes > elems * row->bits;
}

static int run_job(perf_job *job, perf_row *row, char *error)
{
    perf_bench *bench = job->bench;
    const perf_entry *entry = job->entry;
    for (int i = -bench->options->warmup; i < bench->options->iterations; i++) {
        if (call_once(job, i, error) != 0) return -1;
    }
    const char *algorithm = hlq_algorithm_name(job->resolved);
    *row = (perf_row){
        .name = entry->name != NULL ? entry->name : algorithm,
        .asked = entry->name != NULL ? entry->name : hlq_algorithm_name(entry->algorithm),
        .redop = perf_redop_name(bench->shape.op),
        .bits = entry->bits,
        .dtype = entry->dtype,
        .count = bench->shape.count,
        .size_bytes = job->size_bytes,
        .comparable = perf_shape_same(&bench->shape),
        .checked = bench->options->check,
    };
    fill_times(job, row);
    fill_costs(job, row);
    fill_rates(job, row);
    if (row->checked)
        perf_check(bench->world, &bench->exact, result_of(job), entry->dtype, &row->errors);
    return 0;
}

int perf_bench_run(perf_bench *bench, const perf_entry *entry, perf_row *row, char *error)
{
    perf_job job = {
        .bench = bench,
        .entry = entry,
        .size_bytes = perf_shape_elems(&bench->shape) * hlq_dtype_bytes(entry->dtype),
        .seconds = calloc((size_t)bench->options->iterations, sizeof *job.seconds),
    };
    if (entry->codec != NULL)
        job.rival = rival_create(entry->codec, &bench->world->wire, &bench->world->exchanges,
                                 &bench->shape);
    if (job.seconds == NULL || (entry->codec != NULL && job.rival == NULL))
        snprintf(error, TOOL_ERROR_BYTES, "no memory to run %zu numbers", bench->shape.count);
    int failed = perf_world_agree(bench->world, error);
    if (!failed) {
        load_tensor(bench, entry->dtype);
        failed = run_job(&job, row, error);
    }
    rival_destroy(job.rival);
    free(job.seconds);
    return failed ? -1 : 0;
}
