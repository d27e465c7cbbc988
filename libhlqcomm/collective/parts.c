/*
 * Which numbers of a request go where, and how many bytes their code may take (request.h).
 */
#include "walk.h"

#include <wire/plan.h>

static hlq_part stretch(const hlq_walk *w, size_t start, size_t elems)
{
    return (hlq_part){start, elems, hlq_place_all(elems, w->comm->options.seed)};
}

/* Part p of a buffer whose parts lie one behind the other. */
static hlq_part stretch_of_counts(const hlq_walk *w, const size_t *counts, int p)
{
    size_t start = 0;
    if (!counts) return stretch(w, (size_t)p * w->count, w->count);
    for (int q = 0; q < p; q++) start += counts[q];
    return stretch(w, start, counts[p]);
}

/* What rank p owns of an all-reduce; with oneshot everybody works on everything. */
static hlq_part share_of(const hlq_walk *w, int p)
{
    if (w->algorithm == HLQ_ALG_ONESHOT) return stretch(w, 0, w->count);
    hlq_place place = hlq_place_part(w->count, w->comm->options.seed, p, w->size);
    return (hlq_part){0, w->count, place};
}

hlq_part hlq_part_to(const hlq_walk *w, int p)
{
    switch (w->operation) {
    case HLQ_ALL_REDUCE: return share_of(w, p);
    case HLQ_REDUCE_SCATTER: return stretch_of_counts(w, NULL, p);
    case HLQ_ALL_TO_ALL: return stretch_of_counts(w, w->send_counts, p);
    case HLQ_ALL_GATHER: break;
    }
    return stretch(w, 0, w->count);
}

hlq_part hlq_part_from(const hlq_walk *w, int p)
{
    switch (w->operation) {
    case HLQ_ALL_REDUCE: return share_of(w, p);
    case HLQ_ALL_GATHER: return stretch_of_counts(w, NULL, p);
    case HLQ_ALL_TO_ALL: return stretch_of_counts(w, w->recv_counts, p);
    case HLQ_REDUCE_SCATTER: break;
    }
    return stretch(w, 0, w->count);
}

static size_t elems_of(const hlq_walk *w, const size_t *counts, int is_wide)
{
    size_t n = (size_t)w->size, sum = 0;
    if (!counts) return is_wide ? n * w->count : w->count;
    for (size_t p = 0; p < n; p++) sum += counts[p];
    return sum;
}

size_t hlq_send_elems(const hlq_walk *w)
{
    int is_wide = w->operation == HLQ_REDUCE_SCATTER || w->operation == HLQ_ALL_TO_ALL;
    return elems_of(w, w->send_counts, is_wide);
}

size_t hlq_recv_elems(const hlq_walk *w)
{
    int is_wide = w->operation == HLQ_ALL_GATHER || w->operation == HLQ_ALL_TO_ALL;
    return elems_of(w, w->recv_counts, is_wide);
}

double hlq_sent_elems(const hlq_walk *w)
{
    int n = w->size;
    if (w->operation == HLQ_ALL_REDUCE) return 2.0 * (n - 1) / n * (double)w->count;
    if (!w->send_counts) return (n - 1) * (double)w->count;
    return (double)(hlq_send_elems(w) - w->send_counts[w->rank]);
}

double hlq_part_budget(const hlq_walk *w, const hlq_part *part)
{
    double bytes = w->bits * (double)part->elems / 8;
    if (w->operation != HLQ_ALL_REDUCE) return bytes;
    /* oneshot: n-1 messages instead of 2 (n-1) */
    return bytes / w->size * (w->algorithm == HLQ_ALG_ONESHOT ? 2 : 1);
}

int hlq_least_bits(const hlq_walk *w, const hlq_part *part)
{
    int bits = (int)w->bits + (w->bits > (int)w->bits);
    size_t ranks = w->operation == HLQ_ALL_REDUCE ? 1 : (size_t)w->size;
    if (part->elems >= (HLQ_BUDGET_ELEMS + ranks - 1) / ranks) {
        return w->comm->options.dither ? HLQ_DITHER_BITS : 0;
    }
    return bits < 2 ? 2 : bits;
}

double hlq_dither_budget(const hlq_walk *w)
{
    double share =
        w->operation == HLQ_ALL_REDUCE && w->algorithm == HLQ_ALG_ONESHOT ? 2.0 / w->size : 1;
    return w->comm->options.dither && w->size > 1 ? HLQ_DITHER_BUDGET / share : 0;
}
