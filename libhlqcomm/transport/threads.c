/*
 * Ranks as threads of one process: the reference transport. One board per group, a slot per rank.
 *
 *   start   post my message lists under my slot, count `posted` up
 *   wait    for each peer: when its slot is posted, copy its message to me; count `taken` up;
 *           then wait until all peers have taken theirs, which frees my send buffers
 *
 * A rank that gives up withdraws its slot first, so that nobody copies from memory it frees.
 */
#include "transport_internal.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    hlq_message *send, *recv; /* group size entries each */
    uint64_t posted, taken;   /* exchanges so far */
    int attached;
    int withdrawn; /* send and recv are no more */
    int readers;   /* peers copying from send right now */
} slot;

struct hlq_thread_group {
    int size;
    pthread_mutex_t lock;
    pthread_cond_t moved; /* some slot changed */
    slot *slots;
    hlq_message *messages;
};

typedef struct {
    hlq_thread_group *group;
    int rank;
} endpoint;

hlq_status hlq_thread_group_create(int size, hlq_thread_group **group)
{
    if (!group) return HLQ_E_INVALID;
    *group = NULL;
    if (size < 1) return HLQ_E_INVALID;
    hlq_thread_group *g = calloc(1, sizeof *g);
    if (!g) return HLQ_E_NOMEM;
    g->size = size;
    g->slots = calloc((size_t)size, sizeof *g->slots);
    g->messages = calloc(2 * (size_t)size * (size_t)size, sizeof *g->messages);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->moved, &attributes);
    pthread_condattr_destroy(&attributes);
    if (!g->slots || !g->messages) {
        hlq_thread_group_destroy(g);
        return HLQ_E_NOMEM;
    }
    for (int r = 0; r < size; r++) {
        g->slots[r].send = g->messages + 2 * (size_t)size * (size_t)r;
        g->slots[r].recv = g->slots[r].send + size;
    }
    *group = g;
    return HLQ_OK;
}

void hlq_thread_group_destroy(hlq_thread_group *group)
{
    if (!group) return;
    pthread_cond_destroy(&group->moved);
    pthread_mutex_destroy(&group->lock);
    free(group->messages);
    free(group->slots);
    free(group);
}

static hlq_status start(void *self, const hlq_message *send, const hlq_message *recv, char *error)
{
    (void)error;
    endpoint *e = self;
    hlq_thread_group *g = e->group;
    slot *mine = &g->slots[e->rank];
    pthread_mutex_lock(&g->lock);
    memcpy(mine->send, send, (size_t)g->size * sizeof *send);
    memcpy(mine->recv, recv, (size_t)g->size * sizeof *recv);
    mine->posted++;
    pthread_cond_broadcast(&g->moved);
    pthread_mutex_unlock(&g->lock);
    return HLQ_OK;
}

/* Called with the lock held. */
static hlq_status withdrawn(int peer, char *error)
{
    snprintf(error, HLQ_ERROR_BYTES, "rank %d gave up", peer);
    return HLQ_E_TRANSPORT;
}

static void withdraw(hlq_thread_group *g, int rank)
{
    slot *mine = &g->slots[rank];
    pthread_mutex_lock(&g->lock);
    mine->withdrawn = 1;
    pthread_cond_broadcast(&g->moved);
    while (mine->readers) pthread_cond_wait(&g->moved, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

/* Called with the lock held: waits until *counter reaches value. */
static hlq_status await(hlq_thread_group *g, const uint64_t *counter, uint64_t value, int peer,
                        const struct timespec *deadline, char *error)
{
    while (*counter < value) {
        if (pthread_cond_timedwait(&g->moved, &g->lock, deadline) == ETIMEDOUT &&
            *counter < value) {
            snprintf(error, HLQ_ERROR_BYTES, "rank %d did not answer within the timeout", peer);
            return HLQ_E_TIMEOUT;
        }
    }
    return HLQ_OK;
}

static struct timespec deadline_after(double seconds)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    seconds = fmin(seconds, 1e9);
    t.tv_sec += (time_t)seconds;
    t.tv_nsec += (long)((seconds - floor(seconds)) * 1e9);
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    return t;
}

static hlq_status take(endpoint *e, int peer, const struct timespec *deadline, char *error)
{
    hlq_thread_group *g = e->group;
    slot *mine = &g->slots[e->rank], *theirs = &g->slots[peer];
    pthread_mutex_lock(&g->lock);
    hlq_status status = await(g, &theirs->posted, mine->posted, peer, deadline, error);
    if (status == HLQ_OK && theirs->withdrawn) status = withdrawn(peer, error);
    theirs->readers += status == HLQ_OK;
    pthread_mutex_unlock(&g->lock);
    if (status != HLQ_OK) return status;

    const hlq_message *from = &theirs->send[e->rank], *to = &mine->recv[peer];
    if (from->bytes != to->bytes) {
        snprintf(error, HLQ_ERROR_BYTES, "rank %d sent %zu bytes where %zu were expected", peer,
                 from->bytes, to->bytes);
        status = HLQ_E_WIRE;
    } else if (to->bytes) {
        memcpy(to->data, from->data, to->bytes);
    }
    pthread_mutex_lock(&g->lock);
    theirs->readers--;
    pthread_cond_broadcast(&g->moved);
    pthread_mutex_unlock(&g->lock);
    return status;
}

static hlq_status wait_all(void *self, double timeout_s, char *error)
{
    endpoint *e = self;
    hlq_thread_group *g = e->group;
    struct timespec deadline = deadline_after(timeout_s);
    hlq_status status = HLQ_OK;
    for (int d = 1; d < g->size && status == HLQ_OK; d++) {
        status = take(e, (e->rank + d) % g->size, &deadline, error);
    }
    pthread_mutex_lock(&g->lock);
    uint64_t round = ++g->slots[e->rank].taken;
    pthread_cond_broadcast(&g->moved);
    for (int p = 0; p < g->size && status == HLQ_OK; p++) {
        status = await(g, &g->slots[p].taken, round, p, &deadline, error);
    }
    pthread_mutex_unlock(&g->lock);
    if (status != HLQ_OK) withdraw(g, e->rank);
    return status;
}

static void destroy(void *self)
{
    endpoint *e = self;
    withdraw(e->group, e->rank);
    pthread_mutex_lock(&e->group->lock);
    e->group->slots[e->rank].attached = 0;
    pthread_mutex_unlock(&e->group->lock);
    free(e);
}

hlq_status hlq_transport_threads(hlq_thread_group *group, int rank, hlq_transport *transport,
                                 char *error)
{
    if (!group || rank < 0 || rank >= group->size) {
        snprintf(error, HLQ_ERROR_BYTES, "rank %d is not in the thread group", rank);
        return HLQ_E_INVALID;
    }
    pthread_mutex_lock(&group->lock);
    int taken = group->slots[rank].attached;
    group->slots[rank].attached = 1;
    if (!taken) group->slots[rank].withdrawn = 0;
    pthread_mutex_unlock(&group->lock);
    if (taken) {
        snprintf(error, HLQ_ERROR_BYTES, "rank %d of the thread group is already in use", rank);
        return HLQ_E_INVALID;
    }
    endpoint *e = malloc(sizeof *e);
    if (!e) return HLQ_E_NOMEM;
    *e = (endpoint){group, rank};
    *transport = (hlq_transport){
        .struct_bytes = sizeof *transport,
        .name = "threads",
        .self = e,
        .rank = rank,
        .size = group->size,
        .start = start,
        .wait = wait_all,
        .destroy = destroy,
    };
    return HLQ_OK;
}
