/*
 * The thread of a staged carrier (staged.h): exchanges and sums, one after the other, each within
 * the time that calls have.
 */
#include "staged.h"

#include "transport_internal.h"

#include <stdio.h>
#include <string.h>

/* Beyond the channels of the communicator that makes sums. */
enum { FIRST_CHANNEL = 1u << 30 };

/* Seconds between two looks at whether a sum is still wanted. */
static const double look_every = 1e-3;

/* State -------------------------------------------------------------------------------------- */

hlq_status staged_state(staged_endpoint *e, char *error)
{
    pthread_mutex_lock(&e->lock);
    hlq_status status = e->status;
    if (status != HLQ_OK) memcpy(error, e->sentence, sizeof e->sentence);
    pthread_mutex_unlock(&e->lock);
    return status;
}

static hlq_status look(void *self, char *error) { return staged_state(self, error); }

void staged_break(staged_endpoint *e, hlq_status status, const char *sentence)
{
    pthread_mutex_lock(&e->lock);
    if (e->status == HLQ_OK) {
        e->status = status;
        snprintf(e->sentence, sizeof e->sentence, "%s", sentence);
        pthread_cond_broadcast(&e->changed);
    }
    pthread_mutex_unlock(&e->lock);
}

/* Jobs --------------------------------------------------------------------------------------- */

static hlq_status exchange(staged_endpoint *e, const staged_job *job, char *error)
{
    hlq_watch watch = {.look = look, .self = e};
    hlq_exchange x = {
        .channel = FIRST_CHANNEL + e->exchanges++ % FIRST_CHANNEL,
        .send = job->send,
        .recv = job->recv,
    };
    hlq_status status = hlq_transport_run_watched(&e->transport, &x, e->timeout_s, &watch, error);
    e->in_use |= watch.in_use;
    return status;
}

static hlq_status start_sum(const staged_endpoint *e, const staged_job *job, hlq_request **request)
{
    hlq_call call = HLQ_CALL_INIT;
    void *recv = job->recv[e->rank].data;
    int first = 0;
    call.algorithm = HLQ_ALG_NATIVE;
    while (!job->send[first].bytes) first++;
    if (job->operation == HLQ_REDUCE_SCATTER) {
        return hlq_reduce_scatter_start(e->sums, job->send[first].data, recv, job->count,
                                        job->dtype, job->op, &call, NULL, request);
    }
    return hlq_all_reduce_start(e->sums, job->send[first].data, recv, job->count, job->dtype,
                                job->op, &call, NULL, request);
}

/* One that is not wanted any more is left as it is; its memory is not touched until the end. */
static hlq_status add_up(staged_endpoint *e, const staged_job *job, char *error)
{
    hlq_request *request = NULL;
    hlq_status status = start_sum(e, job, &request), broken = HLQ_OK;
    if (status == HLQ_OK) {
        status = HLQ_E_PENDING;
        while (status == HLQ_E_PENDING && broken == HLQ_OK) {
            status = hlq_wait(request, look_every);
            broken = staged_state(e, error);
        }
    }
    if (status == HLQ_E_PENDING) {
        e->in_use = 1;
        return broken;
    }
    if (status != HLQ_OK) snprintf(error, HLQ_ERROR_BYTES, "%s", hlq_comm_last_error(e->sums));
    return status;
}

/* What did not arrive is NaN as a number, and damaged as a message. */
static void spoil(const staged_endpoint *e, const staged_job *job)
{
    enum { SPOILED = 0xff };
    const hlq_cuda_order *o = &e->order;
    if (job->in.data) {
        memset(job->in.data, SPOILED, job->in.bytes);
        return;
    }
    for (int p = 0; p < e->size; p++) {
        const hlq_message *m = &job->recv[p];
        if (p != e->rank && m->bytes) o->cuda->fill(m->data, SPOILED, m->bytes, o->stream);
    }
    o->cuda->stream_synchronize(o->stream);
}

/* Not every transport keeps messages that are too long out of what lies behind their memory (Open
   MPI 5.0 does not within a machine). Whoever looks at the fault has better words for it. */
static void do_job(staged_endpoint *e, const staged_job *job)
{
    char error[HLQ_ERROR_BYTES] = "";
    hlq_status status = staged_state(e, error);
    e->is_stopped |= *job->fault != 0;
    if (status == HLQ_OK && !e->is_stopped) {
        status = job->is_sum ? add_up(e, job, error) : exchange(e, job, error);
    }
    if (status != HLQ_OK) staged_break(e, status, error);
    if (status != HLQ_OK || e->is_stopped) spoil(e, job);
}

/* A transport takes the first time it is told. */
static void tell_others(staged_endpoint *e)
{
    char sentence[HLQ_ERROR_BYTES];
    hlq_status status = staged_state(e, sentence);
    if (e->transport.give_up) e->transport.give_up(e->transport.self, status, sentence);
}

void *staged_work(void *endpoint)
{
    staged_endpoint *e = endpoint;
    e->order.cuda->set_device(e->order.device);
    pthread_mutex_lock(&e->lock);
    for (;;) {
        int must_tell = e->status != HLQ_OK && !e->is_told;
        staged_job *job = e->due;
        if (!job && !must_tell && e->is_over) break;
        if (!job && !must_tell) {
            pthread_cond_wait(&e->changed, &e->lock);
            continue;
        }
        if (must_tell) e->is_told = 1;
        else e->due = job->next;
        pthread_mutex_unlock(&e->lock);
        if (must_tell) tell_others(e);
        else do_job(e, job);
        pthread_mutex_lock(&e->lock);
        if (!must_tell) job->is_done = 1;
        pthread_cond_broadcast(&e->changed);
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

/* Streams come to jobs in the order in which they were put. */
void staged_wait(void *argument)
{
    staged_job *job = argument;
    staged_endpoint *e = job->e;
    pthread_mutex_lock(&e->lock);
    staged_job **end = &e->due;
    while (*end) end = &(*end)->next;
    job->next = NULL;
    job->is_done = 0;
    *end = job;
    pthread_cond_broadcast(&e->changed);
    while (!job->is_done) pthread_cond_wait(&e->changed, &e->lock);
    job->next = e->spare;
    e->spare = job;
    pthread_mutex_unlock(&e->lock);
}
