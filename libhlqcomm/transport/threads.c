/*
 * Ranks as threads of one process: the reference transport. A board per group, on which every rank
 * pins the exchanges it has under way; receivers copy.
 *
 *   start   pin the exchange, numbered within its channel
 *   test    for each peer whose side of the exchange is pinned: copy its message to me. Done when
 *           I have everybody's and everybody has mine: the pin comes off.
 *
 * A rank that gives up leaves its sentence and takes its pins off, so that nobody copies from
 * memory it frees.
 */
#include "transport_internal.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What has happened between the two sides of an exchange, kept on each. */
enum { HAVE = 1, GIVEN = 2 };

/* One rank's side of an exchange. */
typedef struct pin {
    struct pin *next;
    hlq_exchange *exchange;
    uint64_t generation; /* of the rank's communicator */
    int have;            /* messages copied to this side */
    int given;           /* peers that have copied from it */
    int readers;         /* peers copying right now */
    char *state;         /* per peer: HAVE, GIVEN */
} pin;

typedef struct {
    pin *pins, *spare;
    uint64_t generation; /* communicators so far */
    int attached;
    int withdrawn;
    hlq_status status; /* why */
    char sentence[HLQ_ERROR_BYTES];
} slot;

struct hlq_thread_group {
    int size;
    pthread_mutex_t lock;
    pthread_cond_t moved; /* version has changed */
    uint64_t version;
    slot *slots;
};

typedef struct {
    hlq_thread_group *group;
    int rank;
    uint64_t seen; /* version at the end of the last rest */
} endpoint;

/* Groups ------------------------------------------------------------------------------------- */

hlq_status hlq_thread_group_create(int size, hlq_thread_group **group)
{
    if (!group) return HLQ_E_INVALID;
    *group = NULL;
    if (size < 1) return HLQ_E_INVALID;
    hlq_thread_group *g = calloc(1, sizeof *g);
    if (!g) return HLQ_E_NOMEM;
    g->size = size;
    g->slots = calloc((size_t)size, sizeof *g->slots);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->moved, &attributes);
    pthread_condattr_destroy(&attributes);
    if (!g->slots) {
        hlq_thread_group_destroy(g);
        return HLQ_E_NOMEM;
    }
    *group = g;
    return HLQ_OK;
}

static void free_pins(pin *p)
{
    while (p) {
        pin *next = p->next;
        free(p->state);
        free(p);
        p = next;
    }
}

void hlq_thread_group_destroy(hlq_thread_group *group)
{
    if (!group) return;
    for (int r = 0; r < group->size && group->slots; r++) {
        free_pins(group->slots[r].pins);
        free_pins(group->slots[r].spare);
    }
    pthread_cond_destroy(&group->moved);
    pthread_mutex_destroy(&group->lock);
    free(group->slots);
    free(group);
}

/* The board; called with the lock held ------------------------------------------------------- */

static void changed(hlq_thread_group *g)
{
    g->version++;
    pthread_cond_broadcast(&g->moved);
}

static pin *new_pin(hlq_thread_group *g, slot *mine)
{
    pin *p = mine->spare;
    if (p) {
        mine->spare = p->next;
    } else {
        p = calloc(1, sizeof *p);
        if (p) p->state = calloc((size_t)g->size, 1);
        if (p && !p->state) {
            free(p);
            p = NULL;
        }
    }
    return p;
}

/* A peer's side of the exchange that `mine` is a side of. */
static pin *find(const slot *other, const pin *mine)
{
    for (pin *p = other->pins; p; p = p->next) {
        if (p->generation == mine->generation && p->exchange->channel == mine->exchange->channel &&
            p->exchange->number == mine->exchange->number) {
            return p;
        }
    }
    return NULL;
}

static void take_off(slot *mine, pin *p)
{
    pin **at = &mine->pins;
    while (*at != p) at = &(*at)->next;
    *at = p->next;
    p->next = mine->spare;
    mine->spare = p;
}

/* Whether a peer that is needed will never come. One that has left an earlier communicator may yet
   come to this. */
static hlq_status gone(const slot *other, const pin *mine, int peer, char *error)
{
    if (!other->withdrawn || other->generation < mine->generation) return HLQ_OK;
    snprintf(error, HLQ_ERROR_BYTES, "rank %d: %.230s", peer, other->sentence);
    return other->status;
}

/* Exchanges ---------------------------------------------------------------------------------- */

static hlq_status start(void *self, hlq_exchange *exchange, char *error)
{
    endpoint *e = self;
    hlq_thread_group *g = e->group;
    slot *mine = &g->slots[e->rank];
    pthread_mutex_lock(&g->lock);
    pin *p = new_pin(g, mine);
    if (p) {
        memset(p->state, 0, (size_t)g->size);
        *p = (pin){mine->pins, exchange, mine->generation, 0, 0, 0, p->state};
        mine->pins = p;
        exchange->state = p;
        changed(g);
    }
    pthread_mutex_unlock(&g->lock);
    if (p) return HLQ_OK;
    snprintf(error, HLQ_ERROR_BYTES, "out of memory for an exchange");
    return HLQ_E_NOMEM;
}

/* Copies a peer's message if it is there; lets the lock go meanwhile. */
static hlq_status take(endpoint *e, pin *mine, int peer, char *error)
{
    hlq_thread_group *g = e->group;
    slot *other = &g->slots[peer];
    pin *theirs = find(other, mine);
    if (!theirs) return gone(other, mine, peer, error);
    const hlq_message *from = &theirs->exchange->send[e->rank];
    const hlq_message *to = &mine->exchange->recv[peer];
    size_t *got = mine->exchange->got;
    if (got ? from->bytes > to->bytes : from->bytes != to->bytes) {
        snprintf(error, HLQ_ERROR_BYTES, "rank %d sent %zu bytes where %zu were expected", peer,
                 from->bytes, to->bytes);
        return HLQ_E_WIRE;
    }
    if (got) got[peer] = from->bytes;
    if (from->bytes) {
        theirs->readers++;
        pthread_mutex_unlock(&g->lock);
        memcpy(to->data, from->data, from->bytes);
        pthread_mutex_lock(&g->lock);
        theirs->readers--;
    }
    theirs->state[e->rank] |= GIVEN;
    theirs->given++;
    mine->state[peer] |= HAVE;
    mine->have++;
    changed(g);
    return HLQ_OK;
}

static hlq_status test(void *self, hlq_exchange *exchange, int *done, char *error)
{
    endpoint *e = self;
    hlq_thread_group *g = e->group;
    pin *mine = exchange->state;
    hlq_status status = HLQ_OK;
    *done = 0;
    pthread_mutex_lock(&g->lock);
    for (int d = 1; d < g->size && status == HLQ_OK; d++) {
        int peer = (e->rank + d) % g->size;
        if (!(mine->state[peer] & HAVE)) status = take(e, mine, peer, error);
        else if (!(mine->state[peer] & GIVEN)) status = gone(&g->slots[peer], mine, peer, error);
    }
    if (status == HLQ_OK && mine->have == g->size - 1 && mine->given == g->size - 1) {
        take_off(&g->slots[e->rank], mine);
        *done = 1;
    }
    pthread_mutex_unlock(&g->lock);
    return status;
}

static int cancel(void *self, hlq_exchange *exchange, char *missing)
{
    endpoint *e = self;
    hlq_thread_group *g = e->group;
    pin *mine = exchange->state;
    if (!mine) return 0;
    pthread_mutex_lock(&g->lock);
    snprintf(missing, HLQ_ERROR_BYTES, "an exchange did not end");
    for (int wanted = GIVEN; wanted >= HAVE; wanted--) { /* who sent nothing is named first */
        for (int d = g->size - 1; d > 0; d--) {
            int peer = (e->rank + d) % g->size;
            if (mine->state[peer] & wanted) continue;
            snprintf(missing, HLQ_ERROR_BYTES, "rank %d did not %s", peer,
                     wanted == HAVE ? "answer" : "take what was sent to it");
        }
    }
    while (mine->readers) pthread_cond_wait(&g->moved, &g->lock);
    take_off(&g->slots[e->rank], mine);
    changed(g);
    pthread_mutex_unlock(&g->lock);
    return 0;
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

static void rest(void *self, double seconds)
{
    endpoint *e = self;
    hlq_thread_group *g = e->group;
    struct timespec deadline = deadline_after(seconds);
    pthread_mutex_lock(&g->lock);
    while (g->version == e->seen) {
        if (pthread_cond_timedwait(&g->moved, &g->lock, &deadline) == ETIMEDOUT) break;
    }
    e->seen = g->version;
    pthread_mutex_unlock(&g->lock);
}

static void withdraw(hlq_thread_group *g, slot *mine, hlq_status status, const char *sentence)
{
    if (mine->withdrawn) return;
    mine->withdrawn = 1;
    mine->status = status;
    snprintf(mine->sentence, sizeof mine->sentence, "%s", sentence);
    changed(g);
}

static void give_up(void *self, hlq_status status, const char *sentence)
{
    endpoint *e = self;
    pthread_mutex_lock(&e->group->lock);
    withdraw(e->group, &e->group->slots[e->rank], status, sentence);
    pthread_mutex_unlock(&e->group->lock);
}

static void destroy(void *self)
{
    endpoint *e = self;
    slot *mine = &e->group->slots[e->rank];
    pthread_mutex_lock(&e->group->lock);
    withdraw(e->group, mine, HLQ_E_TRANSPORT, "the rank has left");
    mine->attached = 0;
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
    slot *mine = &group->slots[rank];
    int taken = mine->attached;
    mine->attached = 1;
    if (!taken) mine->withdrawn = 0, mine->generation++;
    pthread_mutex_unlock(&group->lock);
    if (taken) {
        snprintf(error, HLQ_ERROR_BYTES, "rank %d of the thread group is already in use", rank);
        return HLQ_E_INVALID;
    }
    endpoint *e = malloc(sizeof *e);
    if (!e) return HLQ_E_NOMEM;
    *e = (endpoint){group, rank, 0};
    *transport = (hlq_transport){
        .struct_bytes = sizeof *transport,
        .name = "threads",
        .self = e,
        .rank = rank,
        .size = group->size,
        .takes_less = 1,
        .start = start,
        .test = test,
        .cancel = cancel,
        .rest = rest,
        .give_up = give_up,
        .destroy = destroy,
    };
    return HLQ_OK;
}
