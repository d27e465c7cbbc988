/*
 * native: no compression. Float32 goes to the carrier's own sum where it has one; everything else
 * is summed here: each rank owns a run of elements, receives it from all, adds in fp32 in rank
 * order, rounds once, and sends the result to all. Equal bits on all ranks by construction.
 */
#include "all_reduce.h"
#include "elements.h"

#include <transport/transport_internal.h>

#include <stdlib.h>
#include <string.h>

typedef struct {
    char *in;   /* the own run from every rank, one after the other */
    float *sum; /* of the own run */
} space;

static size_t run_elems(const hlq_reduction *r, int p)
{
    int n = r->comm->size;
    return hlq_split_start(r->count, p + 1, n) - hlq_split_start(r->count, p, n);
}

static int carrier_sums(const hlq_reduction *r)
{
    return r->dtype == HLQ_FLOAT32 && r->comm->transport.sum_float32;
}

static space lay_out(const hlq_reduction *r, hlq_arena *arena)
{
    size_t elems = carrier_sums(r) ? 0 : run_elems(r, r->comm->rank);
    return (space){
        .in = hlq_arena_take(arena, (size_t)r->comm->size * elems * hlq_dtype_bytes(r->dtype)),
        .sum = hlq_arena_take(arena, elems * sizeof(float)),
    };
}

static size_t workspace_bytes(const hlq_reduction *r)
{
    hlq_arena counting = {NULL, 0, 0};
    lay_out(r, &counting);
    return counting.used;
}

/* The carrier's own sum is counted as the usual ring. */
static uint64_t wire_bytes(const hlq_reduction *r)
{
    size_t width = hlq_dtype_bytes(r->dtype), n = (size_t)r->comm->size;
    if (carrier_sums(r)) return 2 * (n - 1) * r->count * width / n;
    size_t own = run_elems(r, r->comm->rank);
    return (r->count - own) * width + (n - 1) * own * width;
}

static hlq_status sum_by_exchange(const hlq_reduction *r, const space *s)
{
    hlq_comm *comm = r->comm;
    int n = comm->size;
    size_t width = hlq_dtype_bytes(r->dtype), own = run_elems(r, comm->rank);
    size_t own_start = hlq_split_start(r->count, comm->rank, n);
    for (int p = 0; p < n; p++) {
        char *part = (char *)r->recv + hlq_split_start(r->count, p, n) * width;
        comm->out[p] = (hlq_message){part, run_elems(r, p) * width};
        comm->in[p] = (hlq_message){s->in + (size_t)p * own * width, own * width};
    }
    HLQ_TRY(hlq_exchange(comm));

    double begin = hlq_now();
    char *result = (char *)r->recv + own_start * width;
    for (size_t i = 0; i < own; i++) s->sum[i] = 0;
    for (int p = 0; p < n; p++) {
        const void *part = p == comm->rank ? result : comm->in[p].data;
        hlq_elements_add(s->sum, part, r->dtype, own);
    }
    hlq_elements_store(result, s->sum, r->dtype, own, hlq_output_factor(r));
    comm->stats.seconds_reduce += hlq_now() - begin;

    hlq_send_to_all(comm, result, own * width);
    for (int p = 0; p < n; p++) {
        char *part = (char *)r->recv + hlq_split_start(r->count, p, n) * width;
        comm->in[p] = (hlq_message){part, run_elems(r, p) * width};
    }
    return hlq_exchange(comm);
}

static hlq_status sum_by_carrier(const hlq_reduction *r, float *data)
{
    hlq_comm *comm = r->comm;
    const hlq_transport *t = &comm->transport;
    float factor = hlq_output_factor(r);
    double begin = hlq_now();
    HLQ_TRY(t->sum_float32(t->self, data, r->count, comm->options.timeout_s, comm->error));
    comm->stats.seconds_exchange += hlq_now() - begin;
    comm->stats.bytes_sent += wire_bytes(r);
    comm->stats.bytes_received += wire_bytes(r);
    for (size_t i = 0; i < r->count && factor != 1.0f; i++) data[i] *= factor;
    return HLQ_OK;
}

/* Carriers want aligned numbers; callers may have others. */
static hlq_status sum_by_carrier_aligned(const hlq_reduction *r)
{
    if ((uintptr_t)r->recv % sizeof(float) == 0) return sum_by_carrier(r, r->recv);
    size_t bytes = r->count * sizeof(float);
    float *copy = malloc(bytes);
    if (!copy) return hlq_fail(r->comm, HLQ_E_NOMEM, "no memory for an aligned copy");
    memcpy(copy, r->recv, bytes);
    hlq_status status = sum_by_carrier(r, copy);
    memcpy(r->recv, copy, bytes);
    free(copy);
    return status;
}

static hlq_status run(const hlq_reduction *r)
{
    hlq_arena arena = r->comm->arena;
    space s = lay_out(r, &arena);
    if (r->recv != r->send) memcpy(r->recv, r->send, r->count * hlq_dtype_bytes(r->dtype));
    return carrier_sums(r) ? sum_by_carrier_aligned(r) : sum_by_exchange(r, &s);
}

const hlq_algorithm_entry hlq_native = {wire_bytes, workspace_bytes, run};
