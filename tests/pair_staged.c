/*
 * nccl_pair.h over threads by way of the host: pair_staged.h.
 */
#include "pair_staged.h"
#include "stand_in.h"

#include <transport/staged.h>
#include <transport/transport_internal.h>

#include <stdatomic.h>

static staged_kind kind = {.piece_bytes = 1 << 20, .failing = -1};
static atomic_int exchanges;

void pair_staged_as(const staged_kind *as)
{
    kind = *as;
    exchanges = 0;
}

int pair_staged_exchanges(void) { return exchanges; }

static _Atomic(stand_in_tamper *) tamper;
void stand_in_set_tamper(stand_in_tamper *by) { tamper = by; }

/* A transport that damages or fails ----------------------------------------------------------- */

/* Exchanges of creation are on low channels, but for the first. */
enum { FIRST_OF_CALLS = 1u << 30 };

typedef struct {
    hlq_transport inner;
    int exchanges; /* of calls, so far */
} troubled;

static int is_due(const troubled *t)
{
    return t->inner.rank == kind.failing && t->exchanges == kind.exchange + 1;
}

static hlq_status cut_cable(char *error)
{
    snprintf(error, HLQ_ERROR_BYTES, "the cable was cut");
    return HLQ_E_TRANSPORT;
}

static hlq_status start(void *self, hlq_exchange *x, char *error)
{
    troubled *t = self;
    int is_of_call = x->channel >= FIRST_OF_CALLS && x->channel != UINT32_MAX;
    t->exchanges += is_of_call;
    exchanges += is_of_call;
    if (is_due(t) && kind.failure == FAILS_IN_START) return cut_cable(error);
    if (is_due(t) && kind.failure == IS_SILENT) return HLQ_OK;
    return t->inner.start(t->inner.self, x, error);
}

static hlq_status test(void *self, hlq_exchange *x, int *done, char *error)
{
    troubled *t = self;
    *done = 0;
    if (is_due(t) && kind.failure == FAILS_IN_TEST) return cut_cable(error);
    if (is_due(t) && kind.failure == IS_SILENT) return HLQ_OK;
    hlq_status status = t->inner.test(t->inner.self, x, done, error);
    stand_in_tamper *damage = tamper;
    for (int p = 0; p < t->inner.size && *done && damage; p++) {
        const hlq_message *m = &x->recv[p];
        if (p != t->inner.rank && m->bytes) damage(p, t->inner.rank, m->data, m->bytes);
    }
    return status;
}

static int cancel(void *self, hlq_exchange *x, char *missing)
{
    troubled *t = self;
    return t->inner.cancel(t->inner.self, x, missing) | kind.keeps;
}

static void rest(void *self, double seconds)
{
    troubled *t = self;
    t->inner.rest(t->inner.self, seconds);
}

/* Who is silent is so to the end. */
static void give_up(void *self, hlq_status status, const char *sentence)
{
    troubled *t = self;
    if (is_due(t) && kind.failure == IS_SILENT) return;
    t->inner.give_up(t->inner.self, status, sentence);
}

static void destroy(void *self)
{
    troubled *t = self;
    t->inner.destroy(t->inner.self);
    free(t);
}

static hlq_transport troubled_transport(hlq_thread_group *group, int rank)
{
    char error[HLQ_ERROR_BYTES];
    troubled *t = calloc(1, sizeof *t);
    MUST(t && hlq_transport_threads(group, rank, &t->inner, error) == HLQ_OK);
    hlq_transport outer = t->inner;
    outer.self = t;
    outer.start = start;
    outer.test = test;
    outer.cancel = cancel;
    outer.rest = rest;
    outer.give_up = give_up;
    outer.destroy = destroy;
    return outer;
}

/* Pairs --------------------------------------------------------------------------------------- */

typedef struct {
    hlq_thread_group *host, *device;
} groups;

static groups groups_of(test_rank *me)
{
    groups mine = {NULL, NULL}, all[RANKS_MAX];
    if (me->rank == 0) {
        MUST(hlq_thread_group_create(me->size, &mine.host) == HLQ_OK);
        MUST(hlq_thread_group_create(me->size, &mine.device) == HLQ_OK);
    }
    rank_gather(me, &mine, sizeof mine, all);
    return all[0];
}

void pair_open(test_rank *me, const hlq_options *options, int is_old, pair *p)
{
    groups *g = malloc(sizeof *g);
    char error[HLQ_ERROR_BYTES];
    (void)is_old;
    MUST(g != NULL);
    *g = groups_of(me);
    *p = (pair){.me = me, .parent = g};
    MUST(stand_in_cuda.stream_create(&p->stream) == 0);
    MUST(stand_in_cuda.stream_create(&p->other) == 0);
    MUST(rank_create(me, options, &p->host) == HLQ_OK);
    hlq_staged_parts parts = {
        .device = troubled_transport(g->device, me->rank),
        .cuda = &stand_in_cuda,
        .wire = &stand_in_wire,
        .is_direct = kind.is_direct,
        .piece_bytes = kind.piece_bytes,
    };
    MUST(hlq_transport_threads(g->host, me->rank, &parts.host, error) == HLQ_OK);
    MUST(hlq_staged_create(&parts, options, &p->nccl) == HLQ_OK);
}

void pair_close(pair *p)
{
    groups *g = p->parent;
    hlq_comm_destroy(p->nccl);
    rank_destroy(p->me, p->host);
    rank_barrier(p->me);
    if (p->me->rank == 0) {
        hlq_thread_group_destroy(g->host);
        hlq_thread_group_destroy(g->device);
    }
    free(g);
    stand_in_cuda.stream_destroy(p->stream);
    stand_in_cuda.stream_destroy(p->other);
}
