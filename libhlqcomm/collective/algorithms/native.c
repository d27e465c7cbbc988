/*
 * native: no compression. Messages are stretches of the tensors themselves. A sum of float32 over
 * all ranks goes to the carrier's own where it has one; every other reduction is made here: each
 * rank owns a stretch, receives it from all, combines in rank order, rounds once, and in an
 * all-reduce sends the result to all. Equal bits on all ranks by construction.
 */
#include "elements.h"
#include <collective/walk.h>

#include <transport/transport_internal.h>

#include <string.h>

/* Reductions ---------------------------------------------------------------------------------- */

typedef struct {
    char *in;  /* the own stretch from every rank, one after the other */
    void *acc; /* of the own stretch */
} space;

/* Rank p's stretch, in elements: of recv in an all-reduce, of send in a reduce-scatter. */
static size_t stretch_start(const hlq_walk *w, int p)
{
    if (w->operation == HLQ_REDUCE_SCATTER) return (size_t)p * w->count;
    return hlq_split_start(w->count, p, w->size);
}

static size_t stretch_elems(const hlq_walk *w, int p)
{
    return stretch_start(w, p + 1) - stretch_start(w, p);
}

static hlq_message stretch(const hlq_walk *w, const void *base, int p)
{
    size_t width = hlq_dtype_bytes(w->dtype);
    return (hlq_message){(char *)base + stretch_start(w, p) * width, stretch_elems(w, p) * width};
}

static space lay_out(const hlq_walk *w, hlq_arena *arena)
{
    size_t n = (size_t)w->size, elems = stretch_elems(w, w->rank);
    return (space){
        .in = hlq_arena_take(arena, n * elems * hlq_dtype_bytes(w->dtype)),
        .acc = hlq_arena_take(arena, elems * hlq_elements_wide_bytes(w->dtype)),
    };
}

static size_t workspace_bytes(const hlq_walk *w)
{
    hlq_arena counting = {NULL, 0, 0};
    lay_out(w, &counting);
    return counting.used;
}

static space space_of(const hlq_walk *w)
{
    hlq_arena arena = w->arena;
    return lay_out(w, &arena);
}

/* To every rank its stretch of what lies at base. */
static void send_stretches(const hlq_walk *w, const void *base)
{
    space s = space_of(w);
    size_t own = stretch(w, base, w->rank).bytes;
    for (int p = 0; p < w->size; p++) {
        w->out[p] = stretch(w, base, p);
        w->in[p] = (hlq_message){own ? s.in + (size_t)p * own : NULL, own};
    }
}

/* The own stretch of all ranks, in rank order, to result; base: as it was sent. */
static void combine_own(const hlq_walk *w, const void *base, void *result)
{
    space s = space_of(w);
    size_t elems = stretch_elems(w, w->rank);
    double begin = hlq_now(), factor = w->op == HLQ_AVG ? 1.0 / w->comm->size : 1.0;
    if (!elems) return;
    for (int p = 0; p < w->size; p++) {
        const void *data = p == w->rank ? stretch(w, base, p).data : w->in[p].data;
        if (p == 0) hlq_elements_load(s.acc, data, w->dtype, elems);
        else hlq_elements_combine(w->op, s.acc, data, w->dtype, elems);
    }
    hlq_elements_store(result, s.acc, w->dtype, elems, factor);
    w->stats->seconds_reduce += hlq_now() - begin;
}

static hlq_status scatter_send(hlq_walk *w)
{
    send_stretches(w, w->send);
    return HLQ_OK;
}

static hlq_status combine_to_recv(hlq_walk *w)
{
    combine_own(w, w->send, w->recv);
    return HLQ_OK;
}

static uint64_t reduce_scatter_bytes(const hlq_walk *w)
{
    return (uint64_t)(w->size - 1) * w->count * hlq_dtype_bytes(w->dtype);
}

static hlq_step *const reduce_scatter_steps[] = {scatter_send, combine_to_recv, NULL};
const hlq_algorithm_entry hlq_native_reduce_scatter = {reduce_scatter_bytes, workspace_bytes,
                                                       reduce_scatter_steps};

/* All-reduce, worked on in recv. */

static void copy_to_recv(const hlq_walk *w)
{
    if (w->recv != w->send) memcpy(w->recv, w->send, w->count * hlq_dtype_bytes(w->dtype));
}

static hlq_status scatter_recv(hlq_walk *w)
{
    copy_to_recv(w);
    send_stretches(w, w->recv);
    return HLQ_OK;
}

static hlq_status combine_and_share(hlq_walk *w)
{
    hlq_message own = stretch(w, w->recv, w->rank);
    combine_own(w, w->recv, own.data);
    hlq_send_to_all(w, own.data, own.bytes);
    for (int p = 0; p < w->size; p++) w->in[p] = stretch(w, w->recv, p);
    return HLQ_OK;
}

/* What the last exchange brought is where it belongs. */
static hlq_status all_is_there(hlq_walk *w)
{
    (void)w;
    return HLQ_OK;
}

static uint64_t all_reduce_bytes(const hlq_walk *w)
{
    size_t n = (size_t)w->size, own = stretch_elems(w, w->rank);
    return (w->count - own + (n - 1) * own) * hlq_dtype_bytes(w->dtype);
}

static hlq_step *const all_reduce_steps[] = {scatter_recv, combine_and_share, all_is_there, NULL};
const hlq_algorithm_entry hlq_native = {all_reduce_bytes, workspace_bytes, all_reduce_steps};

/* The carrier's own sum ----------------------------------------------------------------------- */

/* Counted as the usual ring. */
static uint64_t ring_bytes(const hlq_walk *w)
{
    size_t n = (size_t)w->size;
    return 2 * (n - 1) * w->count * sizeof(float) / n;
}

static size_t no_bytes(const hlq_walk *w)
{
    (void)w;
    return 0;
}

/* Carriers want aligned numbers; callers may have others, which are summed in the arena. */
static size_t aligned_copy_bytes(const hlq_walk *w)
{
    return (uintptr_t)w->recv % sizeof(float) ? w->count * sizeof(float) : 0;
}

static float *summed(const hlq_walk *w)
{
    hlq_arena arena = w->arena;
    return aligned_copy_bytes(w) ? hlq_arena_take(&arena, aligned_copy_bytes(w)) : w->recv;
}

static hlq_status start_carrier(hlq_walk *w)
{
    float *data = summed(w);
    if (data != w->send) memcpy(data, w->send, w->count * sizeof *data);
    w->sum = data;
    w->sum_count = w->count;
    w->stats->bytes_sent += ring_bytes(w);
    w->stats->bytes_received += ring_bytes(w);
    return HLQ_OK;
}

static hlq_status scale_sum(hlq_walk *w)
{
    float *data = summed(w), factor = hlq_output_factor(w);
    for (size_t i = 0; i < w->count && factor != 1.0f; i++) data[i] *= factor;
    if (data != w->recv) memcpy(w->recv, data, w->count * sizeof *data);
    return HLQ_OK;
}

static hlq_step *const carrier_steps[] = {start_carrier, scale_sum, NULL};
const hlq_algorithm_entry hlq_native_carrier = {ring_bytes, aligned_copy_bytes, carrier_steps};

/* All-gather and all-to-all ------------------------------------------------------------------- */

static hlq_message message_of(const hlq_walk *w, const void *base, hlq_part part)
{
    size_t width = hlq_dtype_bytes(w->dtype);
    return (hlq_message){(char *)base + part.start * width, part.elems * width};
}

/* Parts of what lies at base straight to their places in recv. */
static void send_directly(const hlq_walk *w, const void *base)
{
    for (int p = 0; p < w->size; p++) {
        w->out[p] = message_of(w, base, hlq_part_to(w, p));
        w->in[p] = message_of(w, w->recv, hlq_part_from(w, p));
    }
    hlq_message to = w->out[w->rank], from = w->in[w->rank];
    if (to.bytes && to.data != from.data) memcpy(from.data, to.data, to.bytes);
}

static hlq_status send_from_send(hlq_walk *w)
{
    send_directly(w, w->send);
    return HLQ_OK;
}

static uint64_t plain_bytes(const hlq_walk *w)
{
    uint64_t elems = 0;
    for (int p = 0; p < w->size; p++) {
        if (p != w->rank) elems += hlq_part_to(w, p).elems;
    }
    return elems * hlq_dtype_bytes(w->dtype);
}

static hlq_step *const all_gather_steps[] = {send_from_send, all_is_there, NULL};
const hlq_algorithm_entry hlq_native_all_gather = {plain_bytes, no_bytes, all_gather_steps};

/* In place, what is sent must not be overwritten by what arrives. */
static size_t copy_bytes(const hlq_walk *w)
{
    return hlq_send_elems(w) * hlq_dtype_bytes(w->dtype);
}

static hlq_status send_from_copy(hlq_walk *w)
{
    size_t bytes = copy_bytes(w);
    if (w->send != w->recv || !bytes) return send_from_send(w);
    hlq_arena arena = w->arena;
    void *copy = hlq_arena_take(&arena, bytes);
    memcpy(copy, w->send, bytes);
    send_directly(w, copy);
    return HLQ_OK;
}

static hlq_step *const all_to_all_steps[] = {send_from_copy, all_is_there, NULL};
const hlq_algorithm_entry hlq_native_all_to_all = {plain_bytes, copy_bytes, all_to_all_steps};
