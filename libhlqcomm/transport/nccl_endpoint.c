/*
 * What messages of the host and tensors of the device have in common: nccl_endpoint.h.
 */
#include "nccl_endpoint.h"

#include "transport_internal.h"

#include <stdio.h>

static hlq_status nccl_failed(const nccl_endpoint *e, int result, const char *what, char *error)
{
    snprintf(error, HLQ_ERROR_BYTES, "NCCL failed to %s: %.120s", what,
             e->nccl->GetErrorString(result));
    return HLQ_E_TRANSPORT;
}

hlq_status nccl_check(const nccl_endpoint *e, int result, const char *what, char *error)
{
    double deadline = hlq_now() + e->timeout_s;
    while (result == HLQ_NCCL_IN_PROGRESS && e->comm && hlq_now() < deadline) {
        int state = HLQ_NCCL_SUCCESS;
        result = e->nccl->CommGetAsyncError(e->comm, &state);
        if (result == HLQ_NCCL_SUCCESS) result = state;
        if (result == HLQ_NCCL_IN_PROGRESS) sched_yield();
    }
    if (result == HLQ_NCCL_SUCCESS) return HLQ_OK;
    return nccl_failed(e, result, what, error);
}

hlq_status nccl_look(const nccl_endpoint *e, char *error)
{
    int state = HLQ_NCCL_SUCCESS;
    if (!e->comm) {
        snprintf(error, HLQ_ERROR_BYTES, "the NCCL communicator was aborted");
        return HLQ_E_TRANSPORT;
    }
    int result = e->nccl->CommGetAsyncError(e->comm, &state);
    if (result == HLQ_NCCL_SUCCESS) result = state;
    if (result == HLQ_NCCL_SUCCESS || result == HLQ_NCCL_IN_PROGRESS) return HLQ_OK;
    return nccl_failed(e, result, "carry a message", error);
}

hlq_status nccl_exchange(const nccl_endpoint *e, const hlq_message *send, const hlq_message *recv,
                         hlq_stream stream, char *error)
{
    const hlq_nccl_calls *nccl = e->nccl;
    int result = nccl->GroupStart();
    for (int d = 1; d < e->size && result == HLQ_NCCL_SUCCESS; d++) {
        int to = (e->rank + d) % e->size, from = (e->rank - d + e->size) % e->size;
        if (send[to].bytes) {
            result = nccl->Send(send[to].data, send[to].bytes, HLQ_NCCL_UINT8, to, e->comm, stream);
        }
        if (recv[from].bytes && result == HLQ_NCCL_SUCCESS) {
            result = nccl->Recv(recv[from].data, recv[from].bytes, HLQ_NCCL_UINT8, from, e->comm,
                                stream);
        }
    }
    int ended = nccl->GroupEnd();
    return nccl_check(e, result == HLQ_NCCL_SUCCESS ? ended : result, "send messages", error);
}
