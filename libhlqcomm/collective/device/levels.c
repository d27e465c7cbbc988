/*
 * hierarchical (algorithms/hierarchical.c) on a device, with its stretches and its rails:
 *
 *   in the node      stretch l of all peers to the rank at place l ─▶ added up, in their order
 *   along the rail   a walk of its own, on that sum
 *   in the node      stretch l from there to all peers
 *
 * Within a node messages have no checksums, as NCCL's own have none; what a rank makes of damaged
 * codes reaches its peers as NaN.
 */
#include "device.h"

#include <collective/algorithms/elements.h>
#include <collective/algorithms/hierarchical.h>
#include <collective/algorithms/legs.h>

typedef struct space {
    char *in;  /* the own stretch from every peer, one after the other */
    void *sum; /* of these; then, of all ranks */
    uint8_t *rail;
} space;

static space lay_out(const hlq_walk *w, hlq_arena *device)
{
    const hlq_nodes *n = &w->comm->nodes;
    hlq_walk rail = hlq_rail_walk(w, NULL);
    size_t bytes = rail.count * hlq_dtype_bytes(w->dtype);
    return (space){
        .in = hlq_arena_take(device, (size_t)n->node_size * bytes),
        .sum = hlq_arena_take(device, rail.count * hlq_elements_wide_bytes(w->dtype)),
        .rail = hlq_arena_take(device, rail.count ? hlq_device_walk_bytes(&rail) : 0),
    };
}

size_t hlq_device_levels_bytes(const hlq_walk *w)
{
    hlq_arena counting = {NULL, 0, 0};
    lay_out(w, &counting);
    return counting.used;
}

static hlq_status exchange(hlq_walk *w, size_t longest, hlq_stream stream)
{
    const hlq_carrier *c = &w->comm->device->carrier;
    return c->exchange(c->self, w->out, w->in, longest, stream, w->error);
}

/* The first stretch is the longest. */
static hlq_status exchange_in_node(hlq_walk *w, hlq_stream stream)
{
    return exchange(w, hlq_stretch(w, w->send, 0).bytes, stream);
}

/* Every peer's stretch of this rank's place, added up. */
static hlq_status add_in_node(hlq_walk *w, const space *s, hlq_stream stream)
{
    const hlq_nodes *n = &w->comm->nodes;
    hlq_message own = hlq_stretch(w, w->send, n->place);
    hlq_device_plain stretches = {
        .all = s->in,
        .own = own.data,
        .count = n->node_size,
        .own_at = n->place,
        .dtype = w->dtype,
        .elems = hlq_stretch_elems(w, n->place),
    };
    hlq_device_clear_messages(w);
    for (int l = 0; l < n->node_size; l++) {
        w->out[n->peers[l]] = hlq_stretch(w, w->send, l);
        w->in[n->peers[l]] = (hlq_message){s->in + (size_t)l * own.bytes, own.bytes};
    }
    HLQ_TRY(exchange_in_node(w, stream));
    if (!stretches.elems) return HLQ_OK;
    int code = w->comm->device->wire->add_plain(&stretches, s->sum, stream);
    return hlq_device_check(w, code, "add up within a node");
}

/* A rail without elements sends nothing, in as many exchanges as the others. */
static hlq_status keep_step(hlq_walk *w, const hlq_walk *rail, hlq_stream stream)
{
    hlq_device_clear_messages(w);
    for (int i = 0; i < (hlq_is_coded_twice(rail) ? 2 : 1); i++) {
        HLQ_TRY(exchange(w, hlq_longest_bytes(rail), stream));
    }
    return HLQ_OK;
}

static hlq_status walk_rail(hlq_walk *w, const space *s, hlq_stream stream)
{
    const hlq_device *d = w->comm->device;
    hlq_walk rail = hlq_rail_walk(w, s->sum);
    if (!rail.count) return keep_step(w, &rail, stream);
    hlq_status status = hlq_device_walk(&rail, s->rail, stream);
    w->arena = rail.arena; /* which may have grown */
    HLQ_TRY(status);
    int code = d->wire->poison(d->report, rail.dtype, s->sum, rail.count, stream);
    return hlq_device_check(w, code, "check sums");
}

/* The sum, as numbers of the tensor's type, to its place in recv. */
static hlq_status store_sum(hlq_walk *w, const space *s, hlq_message to, hlq_stream stream)
{
    const hlq_device *d = w->comm->device;
    const hlq_carrier *c = &d->carrier;
    size_t elems = hlq_stretch_elems(w, w->comm->nodes.place);
    if (!elems) return HLQ_OK;
    if (elems * hlq_elements_wide_bytes(w->dtype) == to.bytes) {
        return c->copy(c->self, to.data, s->sum, to.bytes, stream, w->error);
    }
    int code = d->wire->round_plain(s->sum, w->dtype, elems, to.data, stream);
    return hlq_device_check(w, code, "round sums");
}

static hlq_status gather_in_node(hlq_walk *w, const space *s, hlq_stream stream)
{
    const hlq_nodes *n = &w->comm->nodes;
    hlq_message own = hlq_stretch(w, w->recv, n->place);
    HLQ_TRY(store_sum(w, s, own, stream));
    hlq_device_clear_messages(w);
    for (int l = 0; l < n->node_size; l++) {
        w->out[n->peers[l]] = own;
        w->in[n->peers[l]] = hlq_stretch(w, w->recv, l);
    }
    return exchange_in_node(w, stream);
}

hlq_status hlq_device_levels(hlq_walk *w, uint8_t *memory, hlq_stream stream)
{
    hlq_arena device = {memory, 0, 0};
    space s = lay_out(w, &device);
    HLQ_TRY(add_in_node(w, &s, stream));
    HLQ_TRY(walk_rail(w, &s, stream));
    return gather_in_node(w, &s, stream);
}
