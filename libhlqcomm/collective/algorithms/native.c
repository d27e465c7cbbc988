/*
 * native: no compression. Messages are stretches of the tensors themselves. A sum of float32 over
 * all ranks goes to the carrier's own where it has one, from 64 KiB on; every other reduction is
 * made here: each rank owns a stretch, receives it from all, combines in rank order, rounds once,
 * and in an all-reduce sends the result to all; of short tensors all is everybody's stretch. Equal
 * bits on all ranks by construction.
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

static size_t bytes_of(const hlq_walk *w) { return w->count * hlq_dtype_bytes(w->dtype); }

/* Whether a tensor is short enough to go to all as it is, in one hop; to 2 ranks that costs no
   bytes. */
enum { ONE_HOP_PAIR = 1 << 15, ONE_HOP_ALL = 1 << 13 };
static int is_one_hop(const hlq_walk *w)
{
    size_t others = (size_t)w->size - 1, most = others == 1 ? ONE_HOP_PAIR : ONE_HOP_ALL;
    return w->operation == HLQ_ALL_REDUCE && others && bytes_of(w) <= most / others;
}

/* Rank p's stretch, in elements: what it adds up. */
static size_t stretch_start(const hlq_walk *w, int p)
{
    if (is_one_hop(w)) return 0;
    if (w->operation == HLQ_REDUCE_SCATTER) return (size_t)p * w->count;
    return hlq_split_start(w->count, p, w->size);
}

static size_t stretch_elems(const hlq_walk *w, int p)
{
    if (w->operation == HLQ_REDUCE_SCATTER || is_one_hop(w)) return w->count;
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

/* To every rank its stretch. */
static hlq_status send_stretches(hlq_walk *w)
{
    space s = space_of(w);
    size_t own = stretch(w, w->send, w->rank).bytes;
    for (int p = 0; p < w->size; p++) {
        w->out[p] = stretch(w, w->send, p);
        w->in[p] = (hlq_message){own ? s.in + (size_t)p * own : NULL, own};
    }
    return HLQ_OK;
}

/* The own stretch of all ranks, in rank order, to result. */
static void combine_own(const hlq_walk *w, void *result)
{
    space s = space_of(w);
    size_t elems = stretch_elems(w, w->rank);
    double begin = hlq_now(), factor = w->op == HLQ_AVG ? 1.0 / w->comm->size : 1.0;
    if (!elems) return;
    for (int p = 0; p < w->size; p++) {
        const void *data = p == w->rank ? stretch(w, w->send, p).data : w->in[p].data;
        if (p == 0) hlq_elements_load(s.acc, data, w->dtype, elems);
        else hlq_elements_combine(w->op, s.acc, data, w->dtype, elems);
    }
    hlq_elements_store(result, s.acc, w->dtype, elems, factor);
    w->stats->seconds_reduce += hlq_now() - begin;
}

static hlq_status combine_to_recv(hlq_walk *w)
{
    combine_own(w, w->recv);
    return HLQ_OK;
}

static uint64_t one_hop_bytes(const hlq_walk *w) { return (uint64_t)(w->size - 1) * bytes_of(w); }

static size_t longest_stretch(const hlq_walk *w) { return stretch(w, w->send, 0).bytes; }

static hlq_step *const one_hop_steps[] = {send_stretches, combine_to_recv, NULL};
const hlq_algorithm_entry hlq_native_reduce_scatter = {one_hop_bytes, workspace_bytes,
                                                       one_hop_steps, longest_stretch};
static const hlq_algorithm_entry all_reduce_in_one_hop = {one_hop_bytes, workspace_bytes,
                                                          one_hop_steps, longest_stretch};

/* All-reduce in two: stretches to their owners, the sums of them to all. */

static hlq_status combine_and_share(hlq_walk *w)
{
    hlq_message own = stretch(w, w->recv, w->rank);
    combine_own(w, own.data);
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

static hlq_step *const all_reduce_steps[] = {send_stretches, combine_and_share, all_is_there, NULL};
static const hlq_algorithm_entry all_reduce = {all_reduce_bytes, workspace_bytes, all_reduce_steps,
                                               longest_stretch};

/* The carrier's own sum ----------------------------------------------------------------------- */

/* Counted as the usual ring. */
static uint64_t ring_bytes(const hlq_walk *w)
{
    size_t n = (size_t)w->size;
    return 2 * (n - 1) * bytes_of(w) / n;
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
static const hlq_algorithm_entry all_reduce_by_carrier = {ring_bytes, aligned_copy_bytes,
                                                          carrier_steps, NULL};

/* Shorter sums take the carrier longer than exchanges, of which the first comes with the terms. */
enum { CARRIER_BYTES = 1 << 16 };

const hlq_algorithm_entry *hlq_native_all_reduce(const hlq_walk *w)
{
    int is_sum = w->op == HLQ_SUM || w->op == HLQ_AVG;
    int has_sum = w->dtype == HLQ_FLOAT32 && is_sum && w->comm->transport.start_sum;
    if (has_sum && bytes_of(w) >= CARRIER_BYTES) return &all_reduce_by_carrier;
    return is_one_hop(w) ? &all_reduce_in_one_hop : &all_reduce;
}

/* All-gather and all-to-all ------------------------------------------------------------------- */

static hlq_message message_of(const hlq_walk *w, const void *base, hlq_part part)
{
    size_t width = hlq_dtype_bytes(w->dtype);
    return (hlq_message){(char *)base + part.start * width, part.elems * width};
}

/* In place, what is sent by an all-to-all must not be overwritten by what arrives. */
static size_t copy_bytes(const hlq_walk *w)
{
    return hlq_send_elems(w) * hlq_dtype_bytes(w->dtype);
}

static void *copied(const hlq_walk *w)
{
    hlq_arena arena = w->arena;
    return hlq_arena_take(&arena, copy_bytes(w));
}

static const void *base_of(const hlq_walk *w)
{
    int is_copied = w->operation == HLQ_ALL_TO_ALL && w->send == w->recv && copy_bytes(w);
    return is_copied ? copied(w) : w->send;
}

/* Parts straight to their places in recv. */
static hlq_status send_parts(hlq_walk *w)
{
    const void *base = base_of(w);
    if (base != w->send) memcpy(copied(w), w->send, copy_bytes(w));
    for (int p = 0; p < w->size; p++) {
        w->out[p] = message_of(w, base, hlq_part_to(w, p));
        w->in[p] = message_of(w, w->recv, hlq_part_from(w, p));
    }
    return HLQ_OK;
}

static hlq_status keep_own_part(hlq_walk *w)
{
    hlq_message from = message_of(w, base_of(w), hlq_part_to(w, w->rank));
    hlq_message to = message_of(w, w->recv, hlq_part_from(w, w->rank));
    if (to.bytes && to.data != from.data) memcpy(to.data, from.data, to.bytes);
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

static hlq_step *const steps[] = {send_parts, keep_own_part, NULL};
const hlq_algorithm_entry hlq_native_all_gather = {plain_bytes, no_bytes, steps, bytes_of};
const hlq_algorithm_entry hlq_native_all_to_all = {plain_bytes, copy_bytes, steps, bytes_of};
