/*
 * nccl_ranks.h.
 */
#include "nccl_ranks.h"

#include <stdio.h>
#include <stdlib.h>

static void must(int holds, const char *what)
{
    if (holds) return;
    fprintf(stderr, "nccl_ranks: %s\n", what);
    exit(2);
}

void nccl_ranks_make(int size, ncclComm_t *comm)
{
    nccl_world *w = calloc(1, sizeof *w);
    must(w && size <= NCCL_RANKS, "no memory, or too many ranks");
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    w->size = w->left = size;
    for (int p = 0; p < size; p++) {
        comm[p] = calloc(1, sizeof **comm);
        must(comm[p] != NULL, "no memory");
        comm[p]->world = w;
        comm[p]->rank = p;
    }
}

/* Mail --------------------------------------------------------------------------------------- */

int nccl_wait(ncclComm_t comm, const nccl_mail *box, int state)
{
    while (box->state != state && !comm->is_aborted) {
        pthread_cond_wait(&comm->world->changed, &comm->world->lock);
    }
    return !comm->is_aborted;
}

int nccl_wait_fitting(ncclComm_t comm, const nccl_mail *box, size_t bytes)
{
    while (!(box->state == NCCL_SENT && box->bytes == bytes) && !comm->is_aborted) {
        pthread_cond_wait(&comm->world->changed, &comm->world->lock);
    }
    return !comm->is_aborted;
}

void nccl_set(ncclComm_t comm, nccl_mail *box, int state)
{
    box->state = state;
    pthread_cond_broadcast(&comm->world->changed);
}

/* Groups ------------------------------------------------------------------------------------- */

static _Thread_local struct {
    int depth, count;
    nccl_message m[NCCL_MESSAGES];
    ncclComm_t comm;
    hlq_stream stream;
} group;

int nccl_group_start(void)
{
    if (group.depth++ == 0) group.count = 0;
    return HLQ_NCCL_SUCCESS;
}

int nccl_group_end(void)
{
    must(group.depth > 0, "a group ends that nobody began");
    if (--group.depth || !group.count) return HLQ_NCCL_SUCCESS;
    return nccl_ranks_carry(group.comm, group.m, group.count, group.stream);
}

static int add(nccl_message m, int type, ncclComm_t comm, hlq_stream stream)
{
    if (type != HLQ_NCCL_UINT8 || comm->is_aborted) return NCCL_FAILED;
    nccl_group_start();
    must(group.count < NCCL_MESSAGES, "too many messages in a group");
    group.m[group.count++] = m;
    group.comm = comm;
    group.stream = stream;
    return nccl_group_end();
}

int nccl_send(const void *data, size_t count, int type, int peer, ncclComm_t comm,
              hlq_stream stream)
{
    return add((nccl_message){data, NULL, count, peer}, type, comm, stream);
}

int nccl_recv(void *data, size_t count, int type, int peer, ncclComm_t comm, hlq_stream stream)
{
    return add((nccl_message){NULL, data, count, peer}, type, comm, stream);
}

/* To every rank what lies `stride` apart, from every rank one behind the other. */
static int exchange_all(const char *from, size_t stride, char *to, size_t bytes, int type,
                        ncclComm_t comm, hlq_stream stream)
{
    int me = comm->rank, result = HLQ_NCCL_SUCCESS;
    char *own = to + (size_t)me * bytes;
    const char *mine = from + (size_t)me * stride;
    if (own != mine) result = nccl_ranks_copy(own, mine, bytes, stream);
    nccl_group_start();
    for (int p = 0; p < comm->world->size && result == HLQ_NCCL_SUCCESS; p++) {
        if (p == me) continue;
        result = nccl_send(from + (size_t)p * stride, bytes, type, p, comm, stream);
        if (result != HLQ_NCCL_SUCCESS) break;
        result = nccl_recv(to + (size_t)p * bytes, bytes, type, p, comm, stream);
    }
    int ended = nccl_group_end();
    return result == HLQ_NCCL_SUCCESS ? ended : result;
}

int nccl_all_gather(const void *own, void *all, size_t bytes, int type, ncclComm_t comm,
                    hlq_stream stream)
{
    return exchange_all(own, 0, all, bytes, type, comm, stream);
}

int nccl_all_to_all(const void *from, void *to, size_t bytes, int type, ncclComm_t comm,
                    hlq_stream stream)
{
    return exchange_all(from, bytes, to, bytes, type, comm, stream);
}

/* Communicators ------------------------------------------------------------------------------- */

/* All ranks come to the end of one, by terms that they exchange, before any comes to the next. */
int nccl_split(ncclComm_t comm, int color, int key, ncclComm_t *result, void *config)
{
    nccl_world *w = comm->world;
    (void)color, (void)config;
    if (key != comm->rank) return NCCL_FAILED; /* ranks stay what they are */
    pthread_mutex_lock(&w->lock);
    int number = w->splits;
    if (w->arrived++ == 0) nccl_ranks_make(w->size, w->child);
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

int nccl_destroy(ncclComm_t comm)
{
    nccl_world *w = comm->world;
    nccl_ranks_end(comm);
    pthread_mutex_lock(&w->lock);
    int is_last = --w->left == 0;
    pthread_mutex_unlock(&w->lock);
    if (is_last) {
        pthread_mutex_destroy(&w->lock);
        pthread_cond_destroy(&w->changed);
        free(w);
    }
    free(comm);
    return HLQ_NCCL_SUCCESS;
}

/* What waits on this rank's side comes to an end; others wait on. They, and its own streams, may
   still look at it, so that it stays, where it can be found. */
int nccl_abort(ncclComm_t comm)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static ncclComm_t aborted;
    pthread_mutex_lock(&comm->world->lock);
    comm->is_aborted = 1;
    pthread_cond_broadcast(&comm->world->changed);
    pthread_mutex_unlock(&comm->world->lock);
    pthread_mutex_lock(&lock);
    comm->next = aborted;
    aborted = comm;
    pthread_mutex_unlock(&lock);
    return HLQ_NCCL_SUCCESS;
}

int nccl_async_error(ncclComm_t comm, int *result)
{
    (void)comm;
    *result = HLQ_NCCL_SUCCESS;
    return HLQ_NCCL_SUCCESS;
}

int nccl_count(ncclComm_t comm, int *count)
{
    *count = comm->world->size;
    return HLQ_NCCL_SUCCESS;
}

int nccl_device(ncclComm_t comm, int *device)
{
    (void)comm;
    *device = 0;
    return HLQ_NCCL_SUCCESS;
}

int nccl_rank(ncclComm_t comm, int *rank)
{
    *rank = comm->rank;
    return HLQ_NCCL_SUCCESS;
}

int nccl_version(int *version)
{
    *version = HLQ_NCCL_LEAST;
    return HLQ_NCCL_SUCCESS;
}

const char *nccl_error_string(int result)
{
    return result == HLQ_NCCL_SUCCESS ? "no error" : "internal error";
}
