/*
 * modq around a ring: in place of the two large exchanges of all-to-all, n - 1 hops each, in which
 * a rank sends to the next one and receives from the one before. Nobody sends to, or takes in from,
 * more than one rank at a time.
 *
 *   codes   hop 0   rank r sends its own codes of part r-1
 *           hop k   it has added its own to what came of part r-1-k, and sends that on
 *           end     what came last is of part r: with its own added, the sum
 *
 *           part 0:   rank 1 ──▶ rank 2 ──▶ … ──▶ rank n-1 ──▶ rank 0, the owner
 *
 *   sums    hop k   rank r sends the sum of part r-k, its own or one that came, on
 *
 * Sums of codes and of checks are integers, so these are the bytes that all-to-all makes, whatever
 * the order. A message is opened before it goes on: who damaged it is the rank before. What no
 * owner sees here are other ranks' codes one by one; where a sum does not fit they are sent to it
 * then (modq_long.h, unseen).
 */
#include "modq.h"

#include <transport/transport_internal.h>

int hlq_modq_is_ring(const hlq_walk *w) { return w->comm->options.topology == HLQ_TOPOLOGY_RING; }

/* The rank so many places behind this one. */
static int behind(const hlq_walk *w, int places) { return (w->rank + w->size - places) % w->size; }

/* Next: a part's message to the rank ahead; of another part, one from the rank behind. */
static void hop(const hlq_walk *w, modq_space *s, uint8_t *message, int part, int coming)
{
    static const hlq_message nothing = {NULL, 0};
    modq_part *to = &s->part[part], *from = &s->part[coming];
    for (int p = 0; p < w->size; p++) w->out[p] = w->in[p] = nothing;
    w->out[behind(w, w->size - 1)] = (hlq_message){message, to->frame.bytes};
    w->in[behind(w, 1)] = (hlq_message){from->in, from->frame.bytes};
    s->hops++;
}

/* What came last, of a part, opened. */
static hlq_status open_part(const hlq_walk *w, modq_space *s, int p, hlq_run *came)
{
    modq_part *part = &s->part[p];
    HLQ_TRY(hlq_modq_from(w, behind(w, 1), &part->frame, part->in, came));
    hlq_modq_complete_run(part, part->in, came);
    return HLQ_OK;
}

/* This rank's codes of a part and what came of it: added up where the former are, for it goes on
   from there; of the own part where the latter is, s->sum. */
static hlq_status add_up(const hlq_walk *w, modq_space *s, int p)
{
    modq_part *part = &s->part[p];
    hlq_run came, own;
    if (!part->frame.bytes) return HLQ_OK;
    double begin = hlq_now();
    HLQ_TRY(open_part(w, s, p, &came));
    own = hlq_segment_view(&part->frame, part->out);
    hlq_modq_complete_run(part, part->out, &own);
    if (p == w->rank) hlq_team_planes_add(&w->comm->team, &came, &own);
    else hlq_team_planes_add(&w->comm->team, &own, &came);
    w->stats->seconds_reduce += hlq_now() - begin;
    return HLQ_OK;
}

void hlq_modq_ring_codes(const hlq_walk *w, modq_space *s)
{
    int first = behind(w, 1);
    s->hops = 0;
    hop(w, s, s->part[first].out, first, behind(w, 2));
}

hlq_status hlq_modq_ring_add(const hlq_walk *w, modq_space *s, int *done)
{
    int came = behind(w, s->hops + 1);
    modq_part *part = &s->part[came];
    *done = came == w->rank;
    HLQ_TRY(add_up(w, s, came));
    if (*done) return HLQ_OK;
    if (part->frame.bytes) hlq_segment_seal(&part->frame, part->out);
    hop(w, s, part->out, came, behind(w, s->hops + 2));
    return HLQ_OK;
}

void hlq_modq_ring_sums(const hlq_walk *w, modq_space *s)
{
    s->hops = 0;
    hop(w, s, s->sum, w->rank, behind(w, 1));
}

hlq_status hlq_modq_ring_pass(const hlq_walk *w, modq_space *s, int *done)
{
    hlq_run ignored;
    int came = behind(w, s->hops);
    *done = s->hops == w->size - 1;
    if (s->part[came].frame.bytes) HLQ_TRY(open_part(w, s, came, &ignored));
    if (!*done) hop(w, s, s->part[came].in, came, behind(w, s->hops + 1));
    return HLQ_OK;
}
