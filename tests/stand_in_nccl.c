/*
 * NCCL as stand_in.h has it: messages are copies that the host makes, when streams come to them.
 *
 *   stream of rank 0   ── group: put for 1, take from 1 ──▶      mail[0][1] ──▶ rank 1
 *   stream of rank 1   ── group: put for 0, take from 0 ──▶      mail[1][0] ──▶ rank 0
 */
#include "nccl_ranks.h"
#include "stand_in.h"

#include <stdlib.h>

static stand_in_tamper *tamper;
void stand_in_set_tamper(stand_in_tamper *by) { tamper = by; }

void stand_in_comms(int size, ncclComm_t *comm) { nccl_ranks_make(size, comm); }

/* Messages ----------------------------------------------------------------------------------- */

typedef struct {
    ncclComm_t comm;
    int count;
    nccl_message m[NCCL_MESSAGES];
} group;

static int put_one(ncclComm_t c, const nccl_message *m)
{
    nccl_mail *box = &c->world->box[c->rank][m->peer];
    if (!nccl_wait(c, box, NCCL_EMPTY)) return 0;
    box->data = m->send;
    box->bytes = m->bytes;
    nccl_set(c, box, NCCL_SENT);
    return 1;
}

static int take_one(ncclComm_t c, const nccl_message *m)
{
    nccl_mail *box = &c->world->box[m->peer][c->rank];
    if (!nccl_wait_fitting(c, box, m->bytes)) return 0;
    memcpy(m->recv, box->data, m->bytes);
    if (tamper) tamper(m->peer, c->rank, m->recv, m->bytes);
    nccl_set(c, box, NCCL_EMPTY);
    return 1;
}

/* Until all of it went through, or an abort. */
static int carry_now(const group *g)
{
    ncclComm_t c = g->comm;
    int is_through = 1;
    pthread_mutex_lock(&c->world->lock);
    for (int i = 0; i < g->count && is_through; i++) {
        if (g->m[i].send) is_through = put_one(c, &g->m[i]);
    }
    for (int i = 0; i < g->count && is_through; i++) {
        if (g->m[i].recv) is_through = take_one(c, &g->m[i]);
    }
    for (int i = 0; i < g->count; i++) {
        nccl_mail *box = &c->world->box[c->rank][g->m[i].peer];
        if (!g->m[i].send) continue;
        if (!nccl_wait(c, box, NCCL_EMPTY)) box->state = NCCL_EMPTY; /* taken back */
    }
    pthread_mutex_unlock(&c->world->lock);
    return is_through;
}

static void run_group(void *argument) { carry_now(argument); }

static int carry(ncclComm_t comm, const nccl_message *m, int count, hlq_stream stream)
{
    group g = {.comm = comm, .count = count};
    memcpy(g.m, m, (size_t)count * sizeof *m);
    return stand_in_put(stream, run_group, &g, sizeof g) ? NCCL_FAILED : HLQ_NCCL_SUCCESS;
}

nccl_carry *const nccl_ranks_carry = carry;

int nccl_ranks_copy(void *to, const void *from, size_t bytes, hlq_stream stream)
{
    return stand_in_cuda.copy(to, from, bytes, stream) ? NCCL_FAILED : HLQ_NCCL_SUCCESS;
}

void nccl_ranks_end(ncclComm_t comm) { (void)comm; }

/* Sums --------------------------------------------------------------------------------------- */

typedef struct {
    ncclComm_t comm;
    const char *send;
    char *recv;
    size_t bytes, count;
    int type, op, first; /* first: of the numbers, in parts of count, that this rank gets */
} reduction;

static double combine(int op, double a, double b)
{
    switch (op) {
    case HLQ_NCCL_PROD: return a * b;
    case HLQ_NCCL_MAX: return a > b ? a : b;
    case HLQ_NCCL_MIN: return a < b ? a : b;
    default: return a + b;
    }
}

/* Tests sum float32 and int32 with it. */
static double load(int type, const char *data, size_t i)
{
    float f;
    int32_t n;
    if (type == HLQ_NCCL_FLOAT32) {
        memcpy(&f, data + 4 * i, sizeof f);
        return (double)f;
    }
    memcpy(&n, data + 4 * i, sizeof n);
    return n;
}

static void store(int type, char *data, size_t i, double x)
{
    float f = (float)x;
    int32_t n = (int32_t)x;
    if (type == HLQ_NCCL_FLOAT32) memcpy(data + 4 * i, &f, sizeof f);
    else memcpy(data + 4 * i, &n, sizeof n);
}

/* All ranks' numbers, one behind the other. */
static int gather_now(const reduction *r, char *all)
{
    group g = {.comm = r->comm};
    for (int p = 0; p < r->comm->world->size; p++) {
        char *place = all + (size_t)p * r->bytes;
        if (p == r->comm->rank) {
            memcpy(place, r->send, r->bytes);
            continue;
        }
        g.m[g.count++] = (nccl_message){r->send, NULL, r->bytes, p};
        g.m[g.count++] = (nccl_message){NULL, place, r->bytes, p};
    }
    return carry_now(&g);
}

static void run_reduction(void *argument)
{
    reduction r;
    memcpy(&r, argument, sizeof r);
    int size = r.comm->world->size;
    char *all = malloc((size_t)size * r.bytes + 1);
    if (!all) exit(2);
    int is_through = gather_now(&r, all);
    for (size_t i = 0; i < r.count && is_through; i++) {
        size_t at = (size_t)r.first * r.count + i;
        double sum = load(r.type, all, at);
        for (int p = 1; p < size; p++) {
            sum = combine(r.op, sum, load(r.type, all + (size_t)p * r.bytes, at));
        }
        store(r.type, r.recv, i, r.op == HLQ_NCCL_AVG ? sum / size : sum);
    }
    free(all);
}

static int reduce(const reduction *r, hlq_stream stream)
{
    int is_known = r->type == HLQ_NCCL_FLOAT32 || r->type == HLQ_NCCL_INT32;
    if (!is_known || r->comm->is_aborted) return NCCL_FAILED;
    return stand_in_put(stream, run_reduction, r, sizeof *r) ? NCCL_FAILED : HLQ_NCCL_SUCCESS;
}

static int all_reduce(const void *send, void *recv, size_t count, int type, int op, ncclComm_t comm,
                      hlq_stream stream)
{
    return reduce(&(reduction){comm, send, recv, 4 * count, count, type, op, 0}, stream);
}

static int reduce_scatter(const void *send, void *recv, size_t count, int type, int op,
                          ncclComm_t comm, hlq_stream stream)
{
    size_t bytes = 4 * count * (size_t)comm->world->size;
    return reduce(&(reduction){comm, send, recv, bytes, count, type, op, comm->rank}, stream);
}

const hlq_nccl_calls stand_in_nccl = {
    NCCL_RANKS_CALLS,
    .AllReduce = all_reduce,
    .ReduceScatter = reduce_scatter,
    .AlltoAll = nccl_all_to_all,
};

const hlq_nccl_calls stand_in_old_nccl = {
    NCCL_RANKS_CALLS,
    .AllReduce = all_reduce,
    .ReduceScatter = reduce_scatter,
};
