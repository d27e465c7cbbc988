/*
 * NCCL as stand_in.h has it. Everything is made of messages: what a rank sends to another lies in a
 * mailbox until that has taken it.
 *
 *   stream of rank 0   ── group: put for 1, take from 1 ──▶      mail[0][1] ──▶ rank 1
 *   stream of rank 1   ── group: put for 0, take from 0 ──▶      mail[1][0] ──▶ rank 0
 */
#include "stand_in.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANKS = 16, CALLS = 4 * RANKS, FAILED = 3 /* ncclInternalError */ };

typedef struct {
    const void *data; /* NULL: empty */
    size_t bytes;
} mail;

/* What the ranks of a communicator share. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int size, left; /* ranks that have not destroyed theirs */
    mail box[RANKS][RANKS];
    int arrived, splits;           /* ranks that wait for one; how many there were */
    struct ncclComm *child[RANKS]; /* what they get */
} world;

struct ncclComm {
    world *world;
    int rank, is_aborted;
    struct ncclComm *next; /* of those that were aborted */
};

static stand_in_tamper *tamper;
void stand_in_set_tamper(stand_in_tamper *by) { tamper = by; }

void stand_in_comms(int size, ncclComm_t *comm)
{
    world *w = calloc(1, sizeof *w);
    if (!w || size > RANKS) exit(2);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    w->size = w->left = size;
    for (int p = 0; p < size; p++) {
        comm[p] = calloc(1, sizeof **comm);
        if (!comm[p]) exit(2);
        comm[p]->world = w;
        comm[p]->rank = p;
    }
}

/* Messages ----------------------------------------------------------------------------------- */

typedef struct {
    struct ncclComm *comm;
    const void *send;
    void *recv;
    size_t bytes;
    int peer;
} message;

/* Both wait until the other side has come, or for an abort; return whether they got through. */
static int put_mail(struct ncclComm *c, int to, const void *data, size_t bytes)
{
    world *w = c->world;
    mail *box = &w->box[c->rank][to];
    pthread_mutex_lock(&w->lock);
    while (box->data && !c->is_aborted) pthread_cond_wait(&w->changed, &w->lock);
    if (!c->is_aborted) *box = (mail){data, bytes};
    pthread_cond_broadcast(&w->changed);
    int is_through = !c->is_aborted;
    pthread_mutex_unlock(&w->lock);
    return is_through;
}

static int wait_taken(struct ncclComm *c, int to)
{
    world *w = c->world;
    pthread_mutex_lock(&w->lock);
    while (w->box[c->rank][to].data && !c->is_aborted) pthread_cond_wait(&w->changed, &w->lock);
    if (c->is_aborted) w->box[c->rank][to].data = NULL;
    int is_through = !c->is_aborted;
    pthread_mutex_unlock(&w->lock);
    return is_through;
}

/* One of another length never fits, as in NCCL. */
static int take_mail(struct ncclComm *c, int from, void *data, size_t bytes)
{
    world *w = c->world;
    mail *box = &w->box[from][c->rank];
    pthread_mutex_lock(&w->lock);
    while (!(box->data && box->bytes == bytes) && !c->is_aborted) {
        pthread_cond_wait(&w->changed, &w->lock);
    }
    int is_through = !c->is_aborted;
    if (is_through) {
        memcpy(data, box->data, bytes);
        if (tamper) tamper(from, c->rank, data, bytes);
        box->data = NULL;
    }
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    return is_through;
}

/* A group of messages, which go at the same time. */
static void carry(const message *m, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (m[i].send && !put_mail(m[i].comm, m[i].peer, m[i].send, m[i].bytes)) return;
    }
    for (size_t i = 0; i < count; i++) {
        if (m[i].recv && !take_mail(m[i].comm, m[i].peer, m[i].recv, m[i].bytes)) return;
    }
    for (size_t i = 0; i < count; i++) {
        if (m[i].send && !wait_taken(m[i].comm, m[i].peer)) return;
    }
}

typedef struct {
    size_t count;
    message m[CALLS];
} group;

static void run_group(void *argument)
{
    group *g = argument;
    carry(g->m, g->count);
}

static _Thread_local struct {
    int depth;
    group calls;
    hlq_stream stream;
} open_group;

static int group_start(void)
{
    if (open_group.depth++ == 0) open_group.calls.count = 0;
    return HLQ_NCCL_SUCCESS;
}

static int group_end(void)
{
    if (open_group.depth == 0) return FAILED;
    if (--open_group.depth || !open_group.calls.count) return HLQ_NCCL_SUCCESS;
    return stand_in_put(open_group.stream, run_group, &open_group.calls, sizeof open_group.calls)
               ? FAILED
               : HLQ_NCCL_SUCCESS;
}

static int add(const message *m, hlq_stream stream)
{
    group_start();
    open_group.calls.m[open_group.calls.count++] = *m;
    open_group.stream = stream;
    return group_end();
}

static int send(const void *data, size_t count, int type, int peer, ncclComm_t comm,
                hlq_stream stream)
{
    if (type != HLQ_NCCL_UINT8 || comm->is_aborted) return FAILED;
    return add(&(message){comm, data, NULL, count, peer}, stream);
}

static int receive(void *data, size_t count, int type, int peer, ncclComm_t comm, hlq_stream stream)
{
    if (type != HLQ_NCCL_UINT8 || comm->is_aborted) return FAILED;
    return add(&(message){comm, NULL, data, count, peer}, stream);
}

/* Collectives --------------------------------------------------------------------------------- */

typedef struct {
    struct ncclComm *comm;
    const char *send;
    char *recv;
    size_t bytes, count;
    int type, op, first; /* first: of the numbers, in parts of count, that this rank gets */
} collective;

static int all_to_all_run(const collective *c)
{
    int rank = c->comm->rank;
    group g = {0};
    for (int p = 0; p < c->comm->world->size; p++) {
        const char *out = c->send + (size_t)p * c->bytes;
        char *in = c->recv + (size_t)p * c->bytes;
        if (p == rank) {
            if (in != out) memcpy(in, out, c->bytes);
            continue;
        }
        g.m[g.count++] = (message){c->comm, out, NULL, c->bytes, p};
        g.m[g.count++] = (message){c->comm, NULL, in, c->bytes, p};
    }
    carry(g.m, g.count);
    return !c->comm->is_aborted;
}

static void run_all_to_all(void *argument) { all_to_all_run(argument); }

static int gather_run(const collective *c)
{
    int rank = c->comm->rank;
    group g = {0};
    for (int p = 0; p < c->comm->world->size; p++) {
        char *in = c->recv + (size_t)p * c->bytes;
        if (p == rank) {
            if (in != c->send) memcpy(in, c->send, c->bytes);
            continue;
        }
        g.m[g.count++] = (message){c->comm, c->send, NULL, c->bytes, p};
        g.m[g.count++] = (message){c->comm, NULL, in, c->bytes, p};
    }
    carry(g.m, g.count);
    return !c->comm->is_aborted;
}

static void run_gather(void *argument) { gather_run(argument); }

static double combine(int op, double a, double b)
{
    switch (op) {
    case HLQ_NCCL_PROD: return a * b;
    case HLQ_NCCL_MAX: return a > b ? a : b;
    case HLQ_NCCL_MIN: return a < b ? a : b;
    default: return a + b;
    }
}

/* Tests sum floats and int32 with it. */
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

static void run_reduce(void *argument)
{
    collective c;
    memcpy(&c, argument, sizeof c);
    int size = c.comm->world->size;
    char *all = malloc((size_t)size * c.bytes + 1);
    if (!all) exit(2);
    collective gather = c;
    gather.recv = all;
    int is_through = gather_run(&gather);
    for (size_t i = 0; i < c.count && is_through; i++) {
        size_t at = (size_t)c.first * c.count + i;
        double sum = load(c.type, all, at);
        for (int p = 1; p < size; p++) {
            sum = combine(c.op, sum, load(c.type, all + (size_t)p * c.bytes, at));
        }
        store(c.type, c.recv, i, c.op == HLQ_NCCL_AVG ? sum / size : sum);
    }
    free(all);
}

static int put(hlq_stream stream, void (*run)(void *), const collective *c)
{
    if (c->comm->is_aborted) return FAILED;
    return stand_in_put(stream, run, c, sizeof *c) ? FAILED : HLQ_NCCL_SUCCESS;
}

static int all_to_all(const void *send, void *recv, size_t count, int type, ncclComm_t comm,
                      hlq_stream stream)
{
    if (type != HLQ_NCCL_UINT8) return FAILED;
    collective c = {.comm = comm, .send = send, .recv = recv, .bytes = count};
    return put(stream, run_all_to_all, &c);
}

static int all_gather(const void *send, void *recv, size_t count, int type, ncclComm_t comm,
                      hlq_stream stream)
{
    if (type != HLQ_NCCL_UINT8) return FAILED;
    collective c = {.comm = comm, .send = send, .recv = recv, .bytes = count};
    return put(stream, run_gather, &c);
}

static int reduce(const void *send, void *recv, size_t count, int type, int op, ncclComm_t comm,
                  int first, hlq_stream stream)
{
    size_t parts = first < 0 ? 1 : (size_t)comm->world->size;
    if (type != HLQ_NCCL_FLOAT32 && type != HLQ_NCCL_INT32) return FAILED;
    collective c = {comm, send, recv, 4 * count * parts, count, type, op, first < 0 ? 0 : first};
    return put(stream, run_reduce, &c);
}

static int all_reduce(const void *send, void *recv, size_t count, int type, int op, ncclComm_t comm,
                      hlq_stream stream)
{
    return reduce(send, recv, count, type, op, comm, -1, stream);
}

static int reduce_scatter(const void *send, void *recv, size_t count, int type, int op,
                          ncclComm_t comm, hlq_stream stream)
{
    return reduce(send, recv, count, type, op, comm, comm->rank, stream);
}

/* Communicators ------------------------------------------------------------------------------- */

/* All ranks come to the end of one, by terms that they exchange, before any comes to the next. */
static int split(ncclComm_t comm, int color, int key, ncclComm_t *result, void *config)
{
    world *w = comm->world;
    (void)color, (void)config;
    if (key != comm->rank) return FAILED; /* ranks stay what they are */
    pthread_mutex_lock(&w->lock);
    int number = w->splits;
    if (w->arrived++ == 0) stand_in_comms(w->size, w->child);
    if (w->arrived == w->size) {
        w->arrived = 0;
        w->splits++;
        pthread_cond_broadcast(&w->changed);
    }
    while (w->splits == number) pthread_cond_wait(&w->changed, &w->lock);
    *result = w->child[comm->rank];
    pthread_mutex_unlock(&w->lock);
    return HLQ_NCCL_SUCCESS;
}

static int leave(ncclComm_t comm)
{
    world *w = comm->world;
    pthread_mutex_lock(&w->lock);
    int is_last = --w->left == 0;
    pthread_mutex_unlock(&w->lock);
    if (is_last) {
        pthread_mutex_destroy(&w->lock);
        pthread_cond_destroy(&w->changed);
        free(w);
    }
    return HLQ_NCCL_SUCCESS;
}

static int destroy(ncclComm_t comm)
{
    leave(comm);
    free(comm);
    return HLQ_NCCL_SUCCESS;
}

/* Work that waits on this rank's streams comes to an end; others wait on. It may still look at the
   communicator, so that stays. */
static int abort_comm(ncclComm_t comm)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct ncclComm *aborted;
    world *w = comm->world;
    pthread_mutex_lock(&w->lock);
    comm->is_aborted = 1;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_mutex_lock(&lock);
    comm->next = aborted;
    aborted = comm;
    pthread_mutex_unlock(&lock);
    return HLQ_NCCL_SUCCESS;
}

static int get_async_error(ncclComm_t comm, int *result)
{
    (void)comm;
    *result = HLQ_NCCL_SUCCESS;
    return HLQ_NCCL_SUCCESS;
}

static int get_count(ncclComm_t comm, int *count)
{
    *count = comm->world->size;
    return HLQ_NCCL_SUCCESS;
}

static int get_rank(ncclComm_t comm, int *rank)
{
    *rank = comm->rank;
    return HLQ_NCCL_SUCCESS;
}

static int get_device(ncclComm_t comm, int *device)
{
    (void)comm;
    *device = 0;
    return HLQ_NCCL_SUCCESS;
}

static int get_version(int *version)
{
    *version = 22803;
    return HLQ_NCCL_SUCCESS;
}

static const char *get_error_string(int result)
{
    return result == HLQ_NCCL_SUCCESS ? "no error" : "internal error";
}

const hlq_nccl_calls stand_in_nccl = {
    .GetErrorString = get_error_string,
    .GetVersion = get_version,
    .CommSplit = split,
    .CommDestroy = destroy,
    .CommAbort = abort_comm,
    .CommGetAsyncError = get_async_error,
    .CommCount = get_count,
    .CommCuDevice = get_device,
    .CommUserRank = get_rank,
    .GroupStart = group_start,
    .GroupEnd = group_end,
    .Send = send,
    .Recv = receive,
    .AllGather = all_gather,
    .AllReduce = all_reduce,
    .ReduceScatter = reduce_scatter,
    .AlltoAll = all_to_all,
};
