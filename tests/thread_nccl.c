/*
 * thread_nccl.h.
 */
#include "thread_nccl.h"
#include "pair_cuda.h"

#include <pthread.h>

enum { RANKS = 8, MESSAGES = 2 * RANKS, FAILED = 3 /* ncclInternalError */ };

/* One message on its way. */
enum { EMPTY, SENT, TAKEN };
typedef struct {
    int state;
    const void *data;
    size_t bytes;
    cudaEvent_t ready, taken;
} mail;

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int size, left; /* ranks that have not destroyed theirs */
    mail box[RANKS][RANKS];
    int arrived, splits;
    struct ncclComm *child[RANKS];
} world;

typedef struct event_list {
    struct event_list *next;
    cudaEvent_t event;
} event_list;

struct ncclComm {
    world *world;
    int rank, is_aborted;
    event_list *events; /* others may wait for them until the end */
};

void thread_comms(int size, ncclComm_t *comm)
{
    world *w = calloc(1, sizeof *w);
    MUST(w && size <= RANKS);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    w->size = w->left = size;
    for (int p = 0; p < size; p++) {
        comm[p] = calloc(1, sizeof **comm);
        MUST(comm[p] != NULL);
        comm[p]->world = w;
        comm[p]->rank = p;
    }
}

static cudaEvent_t new_mark(struct ncclComm *c, hlq_stream stream)
{
    event_list *mark = malloc(sizeof *mark);
    MUST(mark != NULL);
    mark->next = c->events;
    c->events = mark;
    CUDA(cudaEventCreateWithFlags(&mark->event, cudaEventDisableTiming));
    CUDA(cudaEventRecord(mark->event, stream));
    return mark->event;
}

/* Messages ----------------------------------------------------------------------------------- */

typedef struct {
    const void *send;
    void *recv;
    size_t bytes;
    int peer;
} message;

/* Waits until a message is at that point, or for an abort. The lock is held. */
static int wait_for(struct ncclComm *c, const mail *box, int state)
{
    while (box->state != state && !c->is_aborted) {
        pthread_cond_wait(&c->world->changed, &c->world->lock);
    }
    return !c->is_aborted;
}

static void set_state(struct ncclComm *c, mail *box, int state)
{
    box->state = state;
    pthread_cond_broadcast(&c->world->changed);
}

static void take(struct ncclComm *c, const message *m, hlq_stream stream)
{
    mail *box = &c->world->box[m->peer][c->rank];
    if (!wait_for(c, box, SENT)) return;
    while (box->bytes != m->bytes && !c->is_aborted) { /* never fits */
        pthread_cond_wait(&c->world->changed, &c->world->lock);
    }
    if (c->is_aborted) return;
    CUDA(cudaStreamWaitEvent(stream, box->ready, 0));
    CUDA(cudaMemcpyAsync(m->recv, box->data, m->bytes, cudaMemcpyDeviceToDevice, stream));
    box->taken = new_mark(c, stream);
    set_state(c, box, TAKEN);
}

static int carry(struct ncclComm *c, const message *m, int count, hlq_stream stream)
{
    world *w = c->world;
    cudaEvent_t ready = new_mark(c, stream);
    pthread_mutex_lock(&w->lock);
    for (int i = 0; i < count; i++) {
        mail *box = &w->box[c->rank][m[i].peer];
        if (!m[i].send || !wait_for(c, box, EMPTY)) continue;
        *box = (mail){EMPTY, m[i].send, m[i].bytes, ready, NULL};
        set_state(c, box, SENT);
    }
    for (int i = 0; i < count; i++) {
        if (m[i].recv) take(c, &m[i], stream);
    }
    for (int i = 0; i < count; i++) {
        mail *box = &w->box[c->rank][m[i].peer];
        if (!m[i].send || !wait_for(c, box, TAKEN)) continue;
        CUDA(cudaStreamWaitEvent(stream, box->taken, 0));
        set_state(c, box, EMPTY);
    }
    int is_aborted = c->is_aborted;
    pthread_mutex_unlock(&w->lock);
    return is_aborted ? FAILED : HLQ_NCCL_SUCCESS;
}

static _Thread_local struct {
    int depth, count;
    message m[MESSAGES];
    struct ncclComm *comm;
    hlq_stream stream;
} group;

static int group_start(void)
{
    if (group.depth++ == 0) group.count = 0;
    return HLQ_NCCL_SUCCESS;
}

static int group_end(void)
{
    if (--group.depth || !group.count) return HLQ_NCCL_SUCCESS;
    return carry(group.comm, group.m, group.count, group.stream);
}

static int add(message m, ncclComm_t comm, hlq_stream stream)
{
    group_start();
    MUST(group.count < MESSAGES);
    group.m[group.count++] = m;
    group.comm = comm;
    group.stream = stream;
    return group_end();
}

static int send(const void *data, size_t count, int type, int peer, ncclComm_t comm,
                hlq_stream stream)
{
    if (type != HLQ_NCCL_UINT8) return FAILED;
    return add((message){data, NULL, count, peer}, comm, stream);
}

static int receive(void *data, size_t count, int type, int peer, ncclComm_t comm, hlq_stream stream)
{
    if (type != HLQ_NCCL_UINT8) return FAILED;
    return add((message){NULL, data, count, peer}, comm, stream);
}

static int all_gather(const void *own, void *all, size_t bytes, int type, ncclComm_t comm,
                      hlq_stream stream)
{
    if (type != HLQ_NCCL_UINT8) return FAILED;
    group_start();
    for (int p = 0; p < comm->world->size; p++) {
        char *place = (char *)all + (size_t)p * bytes;
        if (p == comm->rank) {
            if (place != own) CUDA(cudaMemcpyAsync(place, own, bytes, cudaMemcpyDefault, stream));
            continue;
        }
        send(own, bytes, type, p, comm, stream);
        receive(place, bytes, type, p, comm, stream);
    }
    return group_end();
}

static int no_sum(const void *from, void *to, size_t count, int type, int op, ncclComm_t comm,
                  hlq_stream stream)
{
    (void)from, (void)to, (void)count, (void)type, (void)op, (void)comm, (void)stream;
    return FAILED;
}

/* Communicators ------------------------------------------------------------------------------- */

static int split(ncclComm_t comm, int color, int key, ncclComm_t *result, void *config)
{
    world *w = comm->world;
    (void)color, (void)key, (void)config;
    pthread_mutex_lock(&w->lock);
    int number = w->splits;
    if (w->arrived++ == 0) thread_comms(w->size, w->child);
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

static int destroy(ncclComm_t comm)
{
    world *w = comm->world;
    CUDA(cudaDeviceSynchronize());
    pthread_mutex_lock(&w->lock);
    int is_last = --w->left == 0;
    pthread_mutex_unlock(&w->lock);
    while (comm->events) {
        event_list *mark = comm->events;
        comm->events = mark->next;
        CUDA(cudaEventDestroy(mark->event));
        free(mark);
    }
    if (is_last) {
        pthread_mutex_destroy(&w->lock);
        pthread_cond_destroy(&w->changed);
        free(w);
    }
    free(comm);
    return HLQ_NCCL_SUCCESS;
}

/* Others may still look at it. */
static int abort_comm(ncclComm_t comm)
{
    world *w = comm->world;
    pthread_mutex_lock(&w->lock);
    comm->is_aborted = 1;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    return HLQ_NCCL_SUCCESS;
}

static int get_async_error(ncclComm_t comm, int *result)
{
    *result = comm->is_aborted ? FAILED : HLQ_NCCL_SUCCESS;
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
    *version = HLQ_NCCL_LEAST;
    return HLQ_NCCL_SUCCESS;
}

static const char *get_error_string(int result) { return result ? "internal error" : "no error"; }

const hlq_nccl_calls thread_nccl = {
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
    .AllReduce = no_sum,
    .ReduceScatter = no_sum,
};
