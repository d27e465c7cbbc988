/*
 * Walks within walks (child.h).
 */
#include "child.h"

hlq_walk hlq_child_walk(const hlq_walk *parent, int rank, int size)
{
    hlq_walk w = *parent;
    w.rank = rank;
    w.size = size;
    w.next = 0;
    w.exempt_ranges = 0;
    w.sent = w.received = (hlq_code_stats){0};
    return w;
}

/* The child's messages among the parent's ranks; nothing for the others. */
static void spread(hlq_walk *parent, const hlq_child *child)
{
    static const hlq_message nothing = {NULL, 0};
    for (int p = 0; p < parent->size; p++) parent->out[p] = parent->in[p] = nothing;
    for (int i = 0; i < child->walk.size; i++) {
        parent->out[child->walk.member[i]] = child->walk.out[i];
        parent->in[child->walk.member[i]] = child->walk.in[i];
    }
}

/* In bound mode, what arrived is shorter than the room that was there for it. */
static void gather_sizes(const hlq_walk *parent, hlq_child *child)
{
    for (int i = 0; i < child->walk.size; i++) {
        child->walk.in[i].bytes = parent->in[child->walk.member[i]].bytes;
    }
}

/* A child's flow as its parent's. */

static hlq_status fill(hlq_walk *parent, int i)
{
    hlq_child *child = parent->flow.child;
    hlq_status status = child->walk.flow.fill(&child->walk, i);
    parent->sized = child->walk.sized;
    if (child->walk.member) spread(parent, child);
    return status;
}

static hlq_status drain(hlq_walk *parent, int i)
{
    hlq_child *child = parent->flow.child;
    if (child->walk.member) gather_sizes(parent, child);
    return child->walk.flow.drain(&child->walk, i);
}

hlq_status hlq_child_step(hlq_walk *parent, hlq_child *child, int *done)
{
    hlq_walk *w = &child->walk;
    w->sum = NULL;
    w->sized = 0;
    w->flow = (hlq_flow){0};
    w->more = parent->more;
    int at = w->next++;
    hlq_status status = child->entry->steps[at](w);
    parent->more = w->more;
    *done = !child->entry->steps[w->next];
    if (status != HLQ_OK || *done) return status;
    parent->sum = w->sum;
    parent->sum_count = w->sum_count;
    parent->sized = w->sized;
    if (w->flow.exchanges) parent->flow = (hlq_flow){w->flow.exchanges, fill, drain, child};
    if (w->member) spread(parent, child);
    return HLQ_OK;
}

hlq_arena hlq_child_arena(hlq_arena *arena, size_t bytes)
{
    uint8_t *base = hlq_arena_take(arena, bytes);
    return (hlq_arena){.base = base, .used = 0, .capacity = bytes};
}
