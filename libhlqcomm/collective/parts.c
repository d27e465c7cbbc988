/*
 * Which numbers of a request go where, and how many bytes their code may take (request.h).
 */
#include "request.h"

static hlq_part stretch(const hlq_request *r, size_t start, size_t elems)
{
    return (hlq_part){start, elems, hlq_place_all(elems, r->comm->options.seed)};
}

/* Part p of a buffer whose parts lie one behind the other. */
static hlq_part stretch_of_counts(const hlq_request *r, const size_t *counts, int p)
{
    size_t start = 0;
    if (!counts) return stretch(r, (size_t)p * r->count, r->count);
    for (int q = 0; q < p; q++) start += counts[q];
    return stretch(r, start, counts[p]);
}

/* What rank p owns of an all-reduce; with oneshot everybody works on everything. */
static hlq_part share_of(const hlq_request *r, int p)
{
    if (r->algorithm == HLQ_ALG_ONESHOT) return stretch(r, 0, r->count);
    hlq_place place = hlq_place_part(r->count, r->comm->options.seed, p, r->comm->size);
    return (hlq_part){0, r->count, place};
}

hlq_part hlq_part_to(const hlq_request *r, int p)
{
    switch (r->operation) {
    case HLQ_ALL_REDUCE: return share_of(r, p);
    case HLQ_REDUCE_SCATTER: return stretch_of_counts(r, NULL, p);
    case HLQ_ALL_TO_ALL: return stretch_of_counts(r, r->send_counts, p);
    case HLQ_ALL_GATHER: break;
    }
    return stretch(r, 0, r->count);
}

hlq_part hlq_part_from(const hlq_request *r, int p)
{
    switch (r->operation) {
    case HLQ_ALL_REDUCE: return share_of(r, p);
    case HLQ_ALL_GATHER: return stretch_of_counts(r, NULL, p);
    case HLQ_ALL_TO_ALL: return stretch_of_counts(r, r->recv_counts, p);
    case HLQ_REDUCE_SCATTER: break;
    }
    return stretch(r, 0, r->count);
}

static size_t elems_of(const hlq_request *r, const size_t *counts, int is_wide)
{
    size_t n = (size_t)r->comm->size, sum = 0;
    if (!counts) return is_wide ? n * r->count : r->count;
    for (size_t p = 0; p < n; p++) sum += counts[p];
    return sum;
}

size_t hlq_send_elems(const hlq_request *r)
{
    int is_wide = r->operation == HLQ_REDUCE_SCATTER || r->operation == HLQ_ALL_TO_ALL;
    return elems_of(r, r->send_counts, is_wide);
}

size_t hlq_recv_elems(const hlq_request *r)
{
    int is_wide = r->operation == HLQ_ALL_GATHER || r->operation == HLQ_ALL_TO_ALL;
    return elems_of(r, r->recv_counts, is_wide);
}

double hlq_sent_elems(const hlq_request *r)
{
    int n = r->comm->size;
    if (r->operation == HLQ_ALL_REDUCE) return 2.0 * (n - 1) / n * (double)r->count;
    if (!r->send_counts) return (n - 1) * (double)r->count;
    return (double)(hlq_send_elems(r) - r->send_counts[r->comm->rank]);
}

double hlq_part_budget(const hlq_request *r, const hlq_part *part)
{
    double bytes = r->bits * (double)part->elems / 8;
    if (r->operation != HLQ_ALL_REDUCE) return bytes;
    /* oneshot: n-1 messages instead of 2 (n-1) */
    return bytes / r->comm->size * (r->algorithm == HLQ_ALG_ONESHOT ? 2 : 1);
}

int hlq_least_bits(const hlq_request *r, const hlq_part *part)
{
    int bits = (int)r->bits + (r->bits > (int)r->bits);
    size_t ranks = r->operation == HLQ_ALL_REDUCE ? 1 : (size_t)r->comm->size;
    if (part->elems >= (HLQ_BUDGET_ELEMS + ranks - 1) / ranks) return 0;
    return bits < 2 ? 2 : bits;
}
