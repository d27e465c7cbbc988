/*
 * hierarchical: two levels, for ranks of which several share a node (nodes.h). Within a node, where
 * bytes are cheap, numbers travel as they are; between nodes as codes.
 *
 *   send │ stretch 0 │ stretch 1 │   one stretch for each place in a node
 *
 *   in the node      everybody's stretch l to the rank at place l, who adds them up    exact
 *   along the rail   all-reduce of these sums among the ranks at place l, coded        twoshot
 *   in the node      stretch l from there to everybody                                 exact
 *
 * Bytes between nodes per rank: 2 (nodes-1)/nodes × count / node_size × bits / 8. All ranks end
 * with the same bits: a stretch is decoded from the same codes on every node.
 *
 * Error feedback: what a rail fails to send is kept by the rank that sent it, in the residual of
 * its stretch.
 */
#include "hierarchical.h"
#include "elements.h"
#include <collective/child.h>
#include <collective/choose.h>

#include <transport/transport_internal.h>

#include <string.h>

typedef struct space {
    hlq_child rail;
    char *in; /* the own stretch from every peer, one after the other */
    char *sum;
    int steps; /* along the rail, so far */
} space;

static const hlq_nodes *nodes_of(const hlq_walk *w) { return &w->comm->nodes; }

/* Where stretch l begins: whole blocks but for the last. */
static size_t stretch_start(const hlq_walk *w, int l)
{
    size_t blocks = hlq_block_count(w->count);
    size_t start = hlq_split_start(blocks, l, nodes_of(w)->node_size) * HLQ_BLOCK_ELEMS;
    return start < w->count ? start : w->count;
}

size_t hlq_stretch_elems(const hlq_walk *w, int l)
{
    return stretch_start(w, l + 1) - stretch_start(w, l);
}

static size_t stretch_bytes(const hlq_walk *w, int l)
{
    return hlq_stretch_elems(w, l) * hlq_dtype_bytes(w->dtype);
}

hlq_message hlq_stretch(const hlq_walk *w, const void *base, int l)
{
    size_t before = stretch_start(w, l) * hlq_dtype_bytes(w->dtype);
    return (hlq_message){(char *)(uintptr_t)base + before, stretch_bytes(w, l)};
}

hlq_walk hlq_rail_walk(const hlq_walk *w, void *sum)
{
    const hlq_nodes *n = nodes_of(w);
    hlq_walk rail = hlq_child_walk(w, n->node, n->nodes);
    rail.member = n->rail;
    rail.send = rail.recv = sum;
    rail.count = hlq_stretch_elems(w, n->place);
    rail.span = hlq_stretch_elems(w, 0); /* the largest: all rails make as many exchanges */
    rail.dtype = w->dtype == HLQ_FLOAT64 ? HLQ_FLOAT64 : HLQ_FLOAT32;
    rail.algorithm = n->nodes == 2 ? HLQ_ALG_ONESHOT : HLQ_ALG_TWOSHOT;
    rail.residual = w->residual ? w->residual + stretch_start(w, n->place) : NULL;
    return rail;
}

static space lay_out(const hlq_walk *w, hlq_arena *arena)
{
    const hlq_nodes *n = nodes_of(w);
    size_t elems = hlq_stretch_elems(w, n->place);
    hlq_arena_take(arena, sizeof(space)); /* itself */
    space s = {
        .in = hlq_arena_take(arena, (size_t)n->node_size * stretch_bytes(w, n->place)),
        .sum = hlq_arena_take(arena, elems * hlq_elements_wide_bytes(w->dtype)),
    };
    hlq_walk rail = hlq_rail_walk(w, s.sum);
    rail.out = hlq_arena_take(arena, (size_t)n->nodes * sizeof *rail.out);
    rail.in = hlq_arena_take(arena, (size_t)n->nodes * sizeof *rail.in);
    rail.arena = hlq_child_arena(arena, hlq_entry_of(&rail)->workspace_bytes(&rail));
    s.rail = (hlq_child){.walk = rail, .entry = hlq_entry_of(&rail)};
    return s;
}

static size_t workspace_bytes(const hlq_walk *w)
{
    hlq_arena counting = {NULL, 0, 0};
    lay_out(w, &counting);
    return counting.used;
}

static uint64_t wire_bytes(const hlq_walk *w)
{
    const hlq_nodes *n = nodes_of(w);
    hlq_walk rail = hlq_rail_walk(w, NULL);
    uint64_t own = stretch_bytes(w, n->place);
    uint64_t in_node = w->count * hlq_dtype_bytes(w->dtype) - own;
    in_node += (uint64_t)(n->node_size - 1) * own;
    return in_node + (rail.count ? hlq_entry_of(&rail)->wire_bytes(&rail) : 0);
}

static space *space_of(const hlq_walk *w) { return (space *)(void *)w->arena.base; }

/* Messages to peers of the node, none to others. */
static void clear_messages(const hlq_walk *w)
{
    static const hlq_message nothing = {NULL, 0};
    for (int p = 0; p < w->size; p++) w->out[p] = w->in[p] = nothing;
}

enum { SCATTER, ADD, RAIL, GATHERED };

static hlq_status scatter(hlq_walk *w)
{
    const hlq_nodes *n = nodes_of(w);
    hlq_arena arena = w->arena;
    space s = lay_out(w, &arena);
    *space_of(w) = s;
    size_t own = stretch_bytes(w, n->place);
    clear_messages(w);
    for (int l = 0; l < n->node_size; l++) {
        w->out[n->peers[l]] = hlq_stretch(w, w->send, l);
        w->in[n->peers[l]] = (hlq_message){own ? s.in + (size_t)l * own : NULL, own};
    }
    return HLQ_OK;
}

/* The own stretch, whole, to the peers. */
static void gather(hlq_walk *w)
{
    const hlq_nodes *n = nodes_of(w);
    space *s = space_of(w);
    hlq_message own = hlq_stretch(w, w->recv, n->place);
    if (own.bytes) {
        hlq_elements_store(own.data, s->sum, w->dtype, hlq_stretch_elems(w, n->place), 1.0);
    }
    clear_messages(w);
    for (int l = 0; l < n->node_size; l++) {
        w->out[n->peers[l]] = own;
        w->in[n->peers[l]] = hlq_stretch(w, w->recv, l);
    }
    w->sized = 0;
    w->next = GATHERED;
}

/* A rail without elements sends nothing, in as many exchanges as the others. */
static hlq_status along_rail(hlq_walk *w)
{
    space *s = space_of(w);
    hlq_child *rail = &s->rail;
    int done = !rail->entry->steps[++s->steps];
    w->sum = NULL;
    w->sized = w->max_error > 0;
    if (rail->walk.count) HLQ_TRY(hlq_child_step(w, rail, &done));
    else clear_messages(w);
    if (done) gather(w);
    else w->next = RAIL;
    return HLQ_OK;
}

static hlq_status add(hlq_walk *w)
{
    const hlq_nodes *n = nodes_of(w);
    space *s = space_of(w);
    size_t elems = hlq_stretch_elems(w, n->place);
    double begin = hlq_now();
    for (int l = 0; l < n->node_size && elems; l++) {
        const void *data = hlq_stretch(w, w->send, n->place).data;
        if (l != n->place) data = w->in[n->peers[l]].data;
        if (l == 0) hlq_elements_load(s->sum, data, w->dtype, elems);
        else hlq_elements_combine(HLQ_SUM, s->sum, data, w->dtype, elems);
    }
    w->stats->seconds_reduce += hlq_now() - begin;
    return along_rail(w);
}

static hlq_status gathered(hlq_walk *w)
{
    (void)w;
    return HLQ_OK;
}

static hlq_step *const steps[] = {
    [SCATTER] = scatter, [ADD] = add, [RAIL] = along_rail, [GATHERED] = gathered, NULL};
const hlq_algorithm_entry hlq_hierarchical = {wire_bytes, workspace_bytes, steps, NULL};
