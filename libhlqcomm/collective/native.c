/*
 * native: no compression. Messages are stretches of the tensors themselves. A sum of float32 over
 * all ranks goes to the carrier's own where it has one; every other reduction is made here: each
 * rank owns a stretch, receives it from all, combines in rank order, rounds once, and in an
 * all-reduce sends the result to all. Equal bits on all ranks by construction.
 */
#include "elements.h"
#include "request.h"

#include <transport/transport_internal.h>

#include <stdlib.h>
#include <string.h>

/* Reductions ---------------------------------------------------------------------------------- */

typedef struct {
    char *in;  /* the own stretch from every rank, one after the other */
    void *acc; /* of the own stretch */
} space;

/* Rank p's stretch, in elements: of recv in an all-reduce, of send in a reduce-scatter. */
static size_t stretch_start(const hlq_request *r, int p)
{
    if (r->operation == HLQ_REDUCE_SCATTER) return (size_t)p * r->count;
    return hlq_split_start(r->count, p, r->comm->size);
}

static size_t stretch_elems(const hlq_request *r, int p)
{
    return stretch_start(r, p + 1) - stretch_start(r, p);
}

static hlq_message stretch(const hlq_request *r, const void *base, int p)
{
    size_t width = hlq_dtype_bytes(r->dtype);
    return (hlq_message){(char *)base + stretch_start(r, p) * width, stretch_elems(r, p) * width};
}

static space lay_out(const hlq_request *r, hlq_arena *arena)
{
    size_t n = (size_t)r->comm->size, elems = stretch_elems(r, r->comm->rank);
    return (space){
        .in = hlq_arena_take(arena, n * elems * hlq_dtype_bytes(r->dtype)),
        .acc = hlq_arena_take(arena, elems * hlq_elements_wide_bytes(r->dtype)),
    };
}

static size_t workspace_bytes(const hlq_request *r)
{
    hlq_arena counting = {NULL, 0, 0};
    lay_out(r, &counting);
    return counting.used;
}

static space space_of(const hlq_request *r)
{
    hlq_arena arena = r->comm->arena;
    return lay_out(r, &arena);
}

/* To every rank its stretch of what lies at base. */
static void send_stretches(const hlq_request *r, const void *base)
{
    hlq_comm *comm = r->comm;
    space s = space_of(r);
    size_t own = stretch(r, base, comm->rank).bytes;
    for (int p = 0; p < comm->size; p++) {
        comm->out[p] = stretch(r, base, p);
        comm->in[p] = (hlq_message){s.in + (size_t)p * own, own};
    }
}

/* The own stretch of all ranks, in rank order, to result; base: as it was sent. */
static void combine_own(const hlq_request *r, const void *base, void *result)
{
    hlq_comm *comm = r->comm;
    space s = space_of(r);
    size_t elems = stretch_elems(r, comm->rank);
    double begin = hlq_now(), factor = r->op == HLQ_AVG ? 1.0 / comm->size : 1.0;
    if (!elems) return;
    for (int p = 0; p < comm->size; p++) {
        const void *data = p == comm->rank ? stretch(r, base, p).data : comm->in[p].data;
        if (p == 0) hlq_elements_load(s.acc, data, r->dtype, elems);
        else hlq_elements_combine(r->op, s.acc, data, r->dtype, elems);
    }
    hlq_elements_store(result, s.acc, r->dtype, elems, factor);
    comm->stats.seconds_reduce += hlq_now() - begin;
}

static hlq_status scatter_send(hlq_request *r)
{
    send_stretches(r, r->send);
    return HLQ_OK;
}

static hlq_status combine_to_recv(hlq_request *r)
{
    combine_own(r, r->send, r->recv);
    return HLQ_OK;
}

static uint64_t reduce_scatter_bytes(const hlq_request *r)
{
    return (uint64_t)(r->comm->size - 1) * r->count * hlq_dtype_bytes(r->dtype);
}

const hlq_algorithm_entry hlq_native_reduce_scatter = {
    reduce_scatter_bytes, workspace_bytes, {scatter_send, combine_to_recv, NULL}};

/* All-reduce, worked on in recv. */

static void copy_to_recv(const hlq_request *r)
{
    if (r->recv != r->send) memcpy(r->recv, r->send, r->count * hlq_dtype_bytes(r->dtype));
}

static hlq_status scatter_recv(hlq_request *r)
{
    copy_to_recv(r);
    send_stretches(r, r->recv);
    return HLQ_OK;
}

static hlq_status combine_and_share(hlq_request *r)
{
    hlq_comm *comm = r->comm;
    hlq_message own = stretch(r, r->recv, comm->rank);
    combine_own(r, r->recv, own.data);
    hlq_send_to_all(comm, own.data, own.bytes);
    for (int p = 0; p < comm->size; p++) comm->in[p] = stretch(r, r->recv, p);
    return HLQ_OK;
}

/* What the last exchange brought is where it belongs. */
static hlq_status all_is_there(hlq_request *r)
{
    (void)r;
    return HLQ_OK;
}

static uint64_t all_reduce_bytes(const hlq_request *r)
{
    size_t n = (size_t)r->comm->size, own = stretch_elems(r, r->comm->rank);
    return (r->count - own + (n - 1) * own) * hlq_dtype_bytes(r->dtype);
}

const hlq_algorithm_entry hlq_native = {
    all_reduce_bytes, workspace_bytes, {scatter_recv, combine_and_share, all_is_there}};

/* The carrier's own sum ----------------------------------------------------------------------- */

/* Counted as the usual ring. */
static uint64_t ring_bytes(const hlq_request *r)
{
    size_t n = (size_t)r->comm->size;
    return 2 * (n - 1) * r->count * sizeof(float) / n;
}

static size_t no_bytes(const hlq_request *r)
{
    (void)r;
    return 0;
}

static hlq_status sum_by_carrier(const hlq_request *r, float *data)
{
    hlq_comm *comm = r->comm;
    const hlq_transport *t = &comm->transport;
    float factor = hlq_output_factor(r);
    double begin = hlq_now();
    HLQ_TRY(t->sum_float32(t->self, data, r->count, comm->options.timeout_s, comm->error));
    comm->stats.seconds_exchange += hlq_now() - begin;
    comm->stats.bytes_sent += ring_bytes(r);
    comm->stats.bytes_received += ring_bytes(r);
    for (size_t i = 0; i < r->count && factor != 1.0f; i++) data[i] *= factor;
    return HLQ_OK;
}

/* Carriers want aligned numbers; callers may have others. */
static hlq_status sum_by_carrier_aligned(hlq_request *r)
{
    copy_to_recv(r);
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

const hlq_algorithm_entry hlq_native_carrier = {
    ring_bytes, no_bytes, {sum_by_carrier_aligned, NULL, NULL}};

/* All-gather and all-to-all ------------------------------------------------------------------- */

static hlq_message message_of(const hlq_request *r, const void *base, hlq_part part)
{
    size_t width = hlq_dtype_bytes(r->dtype);
    return (hlq_message){(char *)base + part.start * width, part.elems * width};
}

/* Parts of what lies at base straight to their places in recv. */
static void send_directly(const hlq_request *r, const void *base)
{
    hlq_comm *comm = r->comm;
    for (int p = 0; p < comm->size; p++) {
        comm->out[p] = message_of(r, base, hlq_part_to(r, p));
        comm->in[p] = message_of(r, r->recv, hlq_part_from(r, p));
    }
    hlq_message to = comm->out[comm->rank], from = comm->in[comm->rank];
    if (to.bytes && to.data != from.data) memcpy(from.data, to.data, to.bytes);
}

static hlq_status send_from_send(hlq_request *r)
{
    send_directly(r, r->send);
    return HLQ_OK;
}

static uint64_t plain_bytes(const hlq_request *r)
{
    uint64_t elems = 0;
    for (int p = 0; p < r->comm->size; p++) {
        if (p != r->comm->rank) elems += hlq_part_to(r, p).elems;
    }
    return elems * hlq_dtype_bytes(r->dtype);
}

const hlq_algorithm_entry hlq_native_all_gather = {
    plain_bytes, no_bytes, {send_from_send, all_is_there, NULL}};

/* In place, what is sent must not be overwritten by what arrives. */
static size_t copy_bytes(const hlq_request *r)
{
    return hlq_send_elems(r) * hlq_dtype_bytes(r->dtype);
}

static hlq_status send_from_copy(hlq_request *r)
{
    size_t bytes = copy_bytes(r);
    if (r->send != r->recv || !bytes) return send_from_send(r);
    hlq_arena arena = r->comm->arena;
    void *copy = hlq_arena_take(&arena, bytes);
    memcpy(copy, r->send, bytes);
    send_directly(r, copy);
    return HLQ_OK;
}

const hlq_algorithm_entry hlq_native_all_to_all = {
    plain_bytes, copy_bytes, {send_from_copy, all_is_there, NULL}};
