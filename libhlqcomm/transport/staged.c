/*
 * The life of a staged carrier, and its table: staged.h.
 */
#include "staged.h"

#include "transport_internal.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The carrier --------------------------------------------------------------------------------- */

static hlq_status is_captured(void *self, hlq_stream stream, int *captured, char *error)
{
    staged_endpoint *e = self;
    hlq_carrier order = hlq_order_carrier(&e->order);
    hlq_status status = order.is_captured(order.self, stream, captured, error);
    if (status != HLQ_OK || !*captured) return status;
    snprintf(error, HLQ_ERROR_BYTES,
             "a graph cannot wait for other ranks without NCCL: the stream is being captured");
    return HLQ_E_UNSUPPORTED;
}

static hlq_status begin(void *self, hlq_stream stream, hlq_marks *marks, const uint32_t *fault,
                        char *error)
{
    staged_endpoint *e = self;
    hlq_status status = staged_state(e, error);
    e->fault = fault;
    return status == HLQ_OK ? hlq_order_begin(&e->order, stream, marks, error) : status;
}

/* What broke the carrier is asked after the marks: it broke before those that its failure let
   pass. */
static hlq_status look(void *self, const hlq_marks *marks, int *passed, char *error)
{
    staged_endpoint *e = self;
    hlq_status looked = hlq_order_look(&e->order, marks, passed, error);
    hlq_status status = staged_state(e, error);
    return status == HLQ_OK ? looked : status;
}

static void give_up(void *self, hlq_status status, const char *sentence)
{
    staged_break(self, status, sentence);
}

/* Life ---------------------------------------------------------------------------------------- */

/* Whether streams are through with all exchanges, which end by themselves. A device that failed is
   never through: then nothing that it might use is freed. */
static int is_through(staged_endpoint *e)
{
    int code = e->has_moved ? HLQ_CUDA_NOT_READY : 0, device = hlq_order_enter(&e->order);
    while (code == HLQ_CUDA_NOT_READY) {
        code = e->order.cuda->event_query(e->moved);
        if (code == HLQ_CUDA_NOT_READY) sched_yield();
    }
    hlq_order_leave(&e->order, device);
    return code == 0;
}

static void stop_thread(staged_endpoint *e)
{
    pthread_mutex_lock(&e->lock);
    e->is_over = 1;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
    if (e->has_thread) pthread_join(e->thread, NULL);
}

/* Memory that streams may be at work with is waited for; what the transport may go on using is
   never freed. */
static void release(void *self, void *memory, int is_host)
{
    staged_endpoint *e = self;
    hlq_carrier order = hlq_order_carrier(&e->order);
    if (!is_through(e)) return;
    int is_used = e->in_use && e->is_direct && !is_host; /* the host's are reports */
    if (!is_used) order.release(order.self, memory, is_host);
}

/* Where it can be found, so that nobody takes it for lost. */
static void leave(staged_room *room)
{
    static _Atomic(staged_room *) left;
    room->older = atomic_load(&left);
    while (!atomic_compare_exchange_weak(&left, &room->older, room)) continue;
}

static void free_rooms(staged_endpoint *e)
{
    while (e->room) {
        staged_room *room = e->room;
        e->room = room->older;
        if (e->in_use) {
            leave(room);
            continue;
        }
        e->order.cuda->release_host(room->memory);
        free(room);
    }
}

static int make_events(staged_endpoint *e)
{
    const hlq_cuda_calls *cuda = e->order.cuda;
    int code = cuda->stream_create(&e->beside);
    if (!code) code = cuda->event_create(&e->copied);
    if (!code) code = cuda->event_create(&e->moved);
    for (int k = 0; k < SLOTS && !code; k++) code = cuda->event_create(&e->slot[k].exchanged);
    return code;
}

static void free_events(staged_endpoint *e)
{
    const hlq_cuda_calls *cuda = e->order.cuda;
    if (e->copied) cuda->event_destroy(e->copied);
    if (e->moved) cuda->event_destroy(e->moved);
    for (int k = 0; k < SLOTS; k++) {
        if (e->slot[k].exchanged) cuda->event_destroy(e->slot[k].exchanged);
    }
    if (e->beside) cuda->stream_destroy(e->beside);
}

static void destroy(void *self)
{
    staged_endpoint *e = self;
    if (!is_through(e)) return;
    stop_thread(e);
    if (e->sums) hlq_comm_destroy(e->sums);
    else if (e->transport.destroy) e->transport.destroy(e->transport.self);
    int device = hlq_order_enter(&e->order);
    free_rooms(e);
    free_events(e);
    hlq_order_leave(&e->order, device);
    hlq_order_close(&e->order);
    while (e->spare) {
        staged_job *job = e->spare;
        e->spare = job->next;
        free(job);
    }
    pthread_cond_destroy(&e->changed);
    pthread_mutex_destroy(&e->lock);
    free(e->messages);
    free(e);
}

/* NULL if there is no memory. */
static staged_endpoint *new_endpoint(const hlq_staged_parts *parts, const hlq_options *options)
{
    size_t n = (size_t)parts->device.size;
    staged_endpoint *e = calloc(1, sizeof *e);
    hlq_message *messages = calloc((2 + 4 * SLOTS) * n, sizeof *messages);
    if (!e || !messages) {
        free(e);
        free(messages);
        return NULL;
    }
    e->order.cuda = parts->cuda;
    e->transport = parts->device;
    e->rank = e->transport.rank;
    e->size = e->transport.size;
    e->is_direct = parts->is_direct;
    e->piece_bytes = parts->piece_bytes;
    e->timeout_s = hlq_creation_timeout(options);
    e->messages = messages;
    for (size_t k = 0; k < SLOTS; k++) {
        e->slot[k].there = messages + (2 + 4 * k) * n;
        e->slot[k].here = messages + (4 + 4 * k) * n;
    }
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->changed, NULL);
    return e;
}

/* The current device's. */
static hlq_status open_device(staged_endpoint *e, char *error)
{
    int code = e->order.cuda->get_device(&e->order.device);
    hlq_status status = hlq_order_check(&e->order, code, "find the current device", error);
    if (status == HLQ_OK) status = hlq_order_open(&e->order, error);
    if (status != HLQ_OK) return status;
    code = make_events(e);
    return hlq_order_check(&e->order, code, "make an event", error);
}

/* What ranks tell each other before anything else. */
typedef struct greeting {
    int32_t status, is_direct;
    uint64_t piece_bytes;
    char sentence[112];
} greeting;

static hlq_status compare(const staged_endpoint *e, const greeting *all, char *error)
{
    const greeting *mine = &all[e->rank];
    for (int p = 0; p < e->size; p++) {
        if (all[p].status == HLQ_OK) continue;
        snprintf(error, HLQ_ERROR_BYTES, "rank %d: %.112s", p, all[p].sentence);
        return p == e->rank ? (hlq_status)all[p].status : HLQ_E_REMOTE;
    }
    for (int p = 0; p < e->size; p++) {
        if (all[p].is_direct == mine->is_direct && all[p].piece_bytes == mine->piece_bytes)
            continue;
        snprintf(error, HLQ_ERROR_BYTES,
                 "messages of rank %d go %s, in pieces of %llu bytes, of rank %d %s, of %llu",
                 e->rank, mine->is_direct ? "direct" : "staged",
                 (unsigned long long)mine->piece_bytes, p, all[p].is_direct ? "direct" : "staged",
                 (unsigned long long)all[p].piece_bytes);
        return HLQ_E_MISMATCH;
    }
    return HLQ_OK;
}

/* All ranks can, and in the same way; or all hear why not. status, error: what this one met. */
static hlq_status greet(staged_endpoint *e, hlq_status status, char *error)
{
    size_t n = (size_t)e->size;
    greeting *all = calloc(n, sizeof *all), mine = {.status = (int32_t)status};
    if (!all) return HLQ_E_NOMEM;
    mine.is_direct = e->is_direct;
    mine.piece_bytes = e->piece_bytes;
    snprintf(mine.sentence, sizeof mine.sentence, "%.111s", error);
    for (size_t p = 0; p < n; p++) {
        e->messages[p] = (hlq_message){&mine, sizeof mine};
        e->messages[n + p] = (hlq_message){&all[p], sizeof *all};
    }
    hlq_exchange x = {.channel = UINT32_MAX, .send = e->messages, .recv = e->messages + n};
    status = hlq_transport_run(&e->transport, &x, e->timeout_s, error);
    all[e->rank] = mine;
    if (status == HLQ_OK) status = compare(e, all, error);
    free(all);
    return status;
}

/* Sums are in the order of ranks, not in that of a transport's own. */
static hlq_status make_sums(staged_endpoint *e, char *error)
{
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_transport transport = e->transport;
    options.timeout_s = e->timeout_s;
    options.probe = HLQ_PROBE_OFF;
    transport.start_sum = NULL;
    hlq_status status = hlq_comm_create_callbacks(&transport, &options, &e->sums);
    if (status == HLQ_OK) return HLQ_OK;
    e->transport.destroy = NULL; /* that was done */
    snprintf(error, HLQ_ERROR_BYTES, "%s", hlq_create_error());
    return status;
}

static hlq_status start_thread(staged_endpoint *e, char *error)
{
    e->has_thread = pthread_create(&e->thread, NULL, staged_work, e) == 0;
    if (e->has_thread) return HLQ_OK;
    snprintf(error, HLQ_ERROR_BYTES, "no thread for messages of the device");
    return HLQ_E_NOMEM;
}

static hlq_status open_endpoint(staged_endpoint *e, const hlq_staged_fault *fault, char *error)
{
    hlq_status status = fault->status == HLQ_OK ? open_device(e, error) : fault->status;
    if (fault->status != HLQ_OK) snprintf(error, HLQ_ERROR_BYTES, "%s", fault->sentence);
    status = greet(e, status, error);
    if (status == HLQ_OK) status = make_sums(e, error);
    return status == HLQ_OK ? start_thread(e, error) : status;
}

static hlq_carrier carrier_of(staged_endpoint *e)
{
    hlq_carrier carrier = hlq_order_carrier(&e->order);
    for (int dtype = 0; hlq_dtype_bytes((hlq_dtype)dtype); dtype++) carrier.summed |= 1u << dtype;
    carrier.keeps_time = 1;
    carrier.release = release;
    carrier.is_captured = is_captured;
    carrier.begin = begin;
    carrier.look = look;
    carrier.exchange = staged_exchange;
    carrier.gather = staged_gather;
    carrier.native = staged_native;
    carrier.give_up = give_up;
    carrier.destroy = destroy;
    return carrier;
}

static void destroy_transport(const hlq_transport *t)
{
    if (t->destroy) t->destroy(t->self);
}

hlq_status hlq_staged_create(const hlq_staged_parts *parts, const hlq_options *options,
                             hlq_comm **comm)
{
    char error[HLQ_ERROR_BYTES] = "";
    if (comm) *comm = NULL;
    staged_endpoint *e = new_endpoint(parts, options);
    if (!e) {
        destroy_transport(&parts->device);
        destroy_transport(&parts->host);
        return hlq_create_failed(HLQ_E_NOMEM, NULL);
    }
    hlq_status status = open_endpoint(e, &parts->fault, error);
    if (status != HLQ_OK) {
        destroy(e);
        destroy_transport(&parts->host);
        return hlq_create_failed(status, error);
    }
    hlq_carrier carrier = carrier_of(e);
    return hlq_comm_create_carried(&parts->host, &carrier, parts->wire, options, comm);
}
