/*
 * NCCL as a transport: messages of the host are staged in pinned memory, copied to the device, sent
 * from there, and back the same way. So all that works over MPI works over NCCL, too; tensors of
 * the device do not come this way (nccl_carrier.c).
 *
 *   send[p] ─▶ staged ─▶ device ══ NCCL ══▶ device ─▶ staged ─▶ recv[p]       one stream
 */
#include "nccl_endpoint.h"

#include "transport_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Messages of the host ----------------------------------------------------------------------- */

static size_t all_bytes(const nccl_endpoint *e, const hlq_message *m)
{
    size_t bytes = 0;
    for (int p = 0; p < e->size; p++) bytes += p == e->rank ? 0 : m[p].bytes;
    return bytes;
}

static void free_staged(nccl_endpoint *e)
{
    if (e->staged) e->order.cuda->release_host(e->staged);
    if (e->on_device) e->order.cuda->release(e->on_device);
    e->staged = e->on_device = NULL;
    e->room = 0;
}

static hlq_status reserve(nccl_endpoint *e, size_t bytes, char *error)
{
    void *staged = NULL, *on_device = NULL;
    if (bytes <= e->room) return HLQ_OK;
    free_staged(e);
    int failed =
        e->order.cuda->allocate_host(&staged, bytes) || e->order.cuda->allocate(&on_device, bytes);
    e->staged = staged;
    e->on_device = on_device;
    if (!failed) e->room = bytes;
    else snprintf(error, HLQ_ERROR_BYTES, "no memory for %zu bytes of messages", bytes);
    return failed ? HLQ_E_NOMEM : HLQ_OK;
}

/* The messages of one direction, from `base` on, one behind the other. */
static void place_messages(const nccl_endpoint *e, const hlq_message *m, char *base,
                           hlq_message *placed)
{
    for (int p = 0; p < e->size; p++) {
        size_t bytes = p == e->rank ? 0 : m[p].bytes;
        placed[p] = (hlq_message){base, bytes};
        base += bytes;
    }
}

static hlq_status carry(nccl_endpoint *e, const hlq_exchange *exchange, char *error)
{
    const hlq_cuda_calls *cuda = e->order.cuda;
    size_t n = (size_t)e->size, out = all_bytes(e, exchange->send);
    size_t in = all_bytes(e, exchange->recv);
    hlq_message *send = malloc(2 * n * sizeof *send), *recv = send + n;
    if (!send) {
        snprintf(error, HLQ_ERROR_BYTES, "out of memory for messages");
        return HLQ_E_NOMEM;
    }
    place_messages(e, exchange->send, e->staged, send);
    for (size_t p = 0; p < n; p++) {
        if (send[p].bytes) memcpy(send[p].data, exchange->send[p].data, send[p].bytes);
    }
    place_messages(e, exchange->send, e->on_device, send);
    place_messages(e, exchange->recv, e->on_device + out, recv);
    hlq_status status = HLQ_OK;
    if (out) {
        int code = cuda->copy(e->on_device, e->staged, out, e->order.stream);
        status = hlq_order_check(&e->order, code, "copy messages", error);
    }
    if (status == HLQ_OK) status = nccl_exchange(e, send, recv, e->order.stream, error);
    if (status == HLQ_OK && in) {
        int code = cuda->copy(e->staged + out, e->on_device + out, in, e->order.stream);
        status = hlq_order_check(&e->order, code, "copy messages", error);
    }
    if (status == HLQ_OK) {
        status = hlq_order_check(&e->order, cuda->event_record(e->arrived, e->order.stream), "mark",
                                 error);
    }
    free(send);
    return status;
}

static hlq_status start(void *self, hlq_exchange *exchange, char *error)
{
    nccl_endpoint *e = self;
    if (!e->comm) return nccl_look(e, error);
    int device = hlq_order_enter(&e->order);
    size_t bytes = all_bytes(e, exchange->send) + all_bytes(e, exchange->recv);
    hlq_status status = reserve(e, bytes, error);
    if (status == HLQ_OK) status = carry(e, exchange, error);
    hlq_order_leave(&e->order, device);
    return status;
}

static hlq_status test(void *self, hlq_exchange *exchange, int *done, char *error)
{
    nccl_endpoint *e = self;
    *done = 0;
    int code = e->order.cuda->event_query(e->arrived);
    if (code == HLQ_CUDA_NOT_READY) return nccl_look(e, error);
    hlq_status status = hlq_order_check(&e->order, code, "carry a message", error);
    if (status == HLQ_OK) status = nccl_look(e, error); /* an abort ends its work, too */
    if (status != HLQ_OK) return status;
    const char *at = e->staged + all_bytes(e, exchange->send);
    for (int p = 0; p < e->size; p++) {
        const hlq_message *m = &exchange->recv[p];
        if (p == e->rank || !m->bytes) continue;
        memcpy(m->data, at, m->bytes);
        at += m->bytes;
    }
    *done = 1;
    return HLQ_OK;
}

static void abort_comm(nccl_endpoint *e)
{
    if (!e->comm) return;
    int device = hlq_order_enter(&e->order);
    e->nccl->CommAbort(e->comm);
    e->comm = NULL;
    hlq_order_leave(&e->order, device);
}

/* Only an abort takes work back that waits for others. Buffers are the endpoint's own. */
static int cancel(void *self, hlq_exchange *exchange, char *missing)
{
    (void)exchange;
    abort_comm(self);
    snprintf(missing, HLQ_ERROR_BYTES, "some rank did not answer (NCCL does not tell which)");
    return 0;
}

static void give_up(void *self, hlq_status status, const char *sentence)
{
    (void)status, (void)sentence; /* NCCL has no way to tell */
    abort_comm(self);
}

static void destroy(void *self)
{
    nccl_endpoint *e = self;
    int device = hlq_order_enter(&e->order);
    if (e->comm) e->nccl->CommDestroy(e->comm);
    hlq_order_close(&e->order);
    free_staged(e);
    if (e->arrived) e->order.cuda->event_destroy(e->arrived);
    for (int i = 0; e->notes && i <= e->size; i++) {
        if (e->notes[i]) e->order.cuda->event_destroy(e->notes[i]);
    }
    free(e->notes);
    if (e->aside) e->order.cuda->stream_destroy(e->aside);
    hlq_order_leave(&e->order, device);
    free(e);
}

/* Life --------------------------------------------------------------------------------------- */

static int make_streams(nccl_endpoint *e)
{
    const hlq_cuda_calls *cuda = e->order.cuda;
    e->notes = calloc((size_t)e->size + 1, sizeof *e->notes);
    if (!e->notes) return HLQ_CUDA_NO_MEMORY;
    int code = cuda->event_create(&e->arrived);
    if (!code) code = cuda->stream_create(&e->aside);
    for (int i = 0; !code && i <= e->size; i++) code = cuda->event_create(&e->notes[i]);
    return code;
}

static hlq_status open_endpoint(nccl_endpoint *e, ncclComm_t original, char *error)
{
    const hlq_nccl_calls *nccl = e->nccl;
    e->comm = original; /* to ask, until there is one of its own */
    int result = nccl->CommUserRank(original, &e->rank);
    if (result == HLQ_NCCL_SUCCESS) result = nccl->CommCount(original, &e->size);
    if (result == HLQ_NCCL_SUCCESS) result = nccl->CommCuDevice(original, &e->order.device);
    hlq_status status = nccl_check(e, result, "look at the communicator", error);
    if (status != HLQ_OK) {
        e->comm = NULL;
        return status;
    }
    status = hlq_order_open(&e->order, error);
    int device = hlq_order_enter(&e->order);
    if (status == HLQ_OK) {
        status = hlq_order_check(&e->order, make_streams(e), "make a stream", error);
    }
    ncclComm_t own = NULL;
    if (status == HLQ_OK) { /* the original says when it is there */
        result = nccl->CommSplit(original, 0, e->rank, &own, NULL);
        status = nccl_check(e, result, "split the communicator", error);
    }
    hlq_order_leave(&e->order, device);
    e->comm = status == HLQ_OK ? own : NULL;
    return status;
}

static uint64_t find_node(void)
{
    char name[256] = "";
    return gethostname(name, sizeof name - 1) ? 0 : hlq_node_of_name(name);
}

hlq_status hlq_nccl_create(const hlq_nccl_calls *nccl, const hlq_cuda_calls *cuda,
                           const struct hlq_device_wire *wire, ncclComm_t nccl_comm,
                           const hlq_options *options, hlq_comm **comm)
{
    char error[HLQ_ERROR_BYTES] = "";
    if (comm) *comm = NULL;
    if (!nccl_comm) return hlq_create_failed(HLQ_E_INVALID, "the NCCL communicator is NULL");
    nccl_endpoint *e = calloc(1, sizeof *e);
    if (!e) return hlq_create_failed(HLQ_E_NOMEM, NULL);
    e->nccl = nccl;
    e->order.cuda = cuda;
    e->timeout_s = hlq_creation_timeout(options);
    hlq_status status = open_endpoint(e, nccl_comm, error);
    if (status != HLQ_OK) {
        destroy(e);
        return hlq_create_failed(status, error);
    }
    hlq_transport transport = {
        .struct_bytes = sizeof transport,
        .name = "nccl",
        .self = e,
        .rank = e->rank,
        .size = e->size,
        .node = find_node(),
        .in_order = 1,
        .start = start,
        .test = test,
        .cancel = cancel,
        .give_up = give_up,
        .destroy = destroy,
    };
    hlq_carrier carrier = nccl_carrier_of(e);
    return hlq_comm_create_carried(&transport, &carrier, wire, options, comm);
}
