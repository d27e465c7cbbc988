/*
 * thread_nccl.h.
 */
#include "thread_nccl.h"
#include "nccl_ranks.h"
#include "pair_cuda.h"

void thread_comms(int size, ncclComm_t *comm) { nccl_ranks_make(size, comm); }

/* A communicator's events: others may wait for them until its end. */
typedef struct event_list {
    struct event_list *next;
    cudaEvent_t event;
} event_list;

/* What a stream has come to when its work so far is done. */
static cudaEvent_t mark(ncclComm_t c, hlq_stream stream)
{
    event_list *made = malloc(sizeof *made);
    MUST(made != NULL);
    made->next = c->own;
    c->own = made;
    CUDA(cudaEventCreateWithFlags(&made->event, cudaEventDisableTiming));
    CUDA(cudaEventRecord(made->event, stream));
    return made->event;
}

static void put_one(ncclComm_t c, const nccl_message *m, cudaEvent_t ready)
{
    nccl_mail *box = &c->world->box[c->rank][m->peer];
    if (!nccl_wait(c, box, NCCL_EMPTY)) return;
    box->data = m->send;
    box->bytes = m->bytes;
    box->ready = ready;
    nccl_set(c, box, NCCL_SENT);
}

static void take_one(ncclComm_t c, const nccl_message *m, hlq_stream stream)
{
    nccl_mail *box = &c->world->box[m->peer][c->rank];
    if (!nccl_wait_fitting(c, box, m->bytes)) return;
    CUDA(cudaStreamWaitEvent(stream, box->ready, 0));
    CUDA(cudaMemcpyAsync(m->recv, box->data, m->bytes, cudaMemcpyDeviceToDevice, stream));
    box->taken = mark(c, stream);
    nccl_set(c, box, NCCL_TAKEN);
}

static int carry(ncclComm_t c, const nccl_message *m, int count, hlq_stream stream)
{
    cudaEvent_t ready = mark(c, stream);
    pthread_mutex_lock(&c->world->lock);
    for (int i = 0; i < count; i++) {
        if (m[i].send) put_one(c, &m[i], ready);
    }
    for (int i = 0; i < count; i++) {
        if (m[i].recv) take_one(c, &m[i], stream);
    }
    for (int i = 0; i < count; i++) {
        nccl_mail *box = &c->world->box[c->rank][m[i].peer];
        if (!m[i].send || !nccl_wait(c, box, NCCL_TAKEN)) continue;
        CUDA(cudaStreamWaitEvent(stream, box->taken, 0));
        nccl_set(c, box, NCCL_EMPTY);
    }
    int is_aborted = c->is_aborted;
    pthread_mutex_unlock(&c->world->lock);
    return is_aborted ? NCCL_FAILED : HLQ_NCCL_SUCCESS;
}

nccl_carry *const nccl_ranks_carry = carry;

int nccl_ranks_copy(void *to, const void *from, size_t bytes, hlq_stream stream)
{
    CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream));
    return HLQ_NCCL_SUCCESS;
}

void nccl_ranks_end(ncclComm_t comm)
{
    CUDA(cudaDeviceSynchronize());
    while (comm->own) {
        event_list *made = comm->own;
        comm->own = made->next;
        CUDA(cudaEventDestroy(made->event));
        free(made);
    }
}

static int no_sum(const void *from, void *to, size_t count, int type, int op, ncclComm_t comm,
                  hlq_stream stream)
{
    (void)from, (void)to, (void)count, (void)type, (void)op, (void)comm, (void)stream;
    return NCCL_FAILED;
}

const hlq_nccl_calls thread_nccl = {
    NCCL_RANKS_CALLS,
    .AllReduce = no_sum,
    .ReduceScatter = no_sum,
    .AlltoAll = nccl_all_to_all,
};
