/*
 * NCCL as a carrier of device memory (carrier.h): everything goes onto the caller's stream.
 */
#include "nccl_endpoint.h"

/* Order -------------------------------------------------------------------------------------- */

static hlq_status begin(void *self, hlq_stream stream, hlq_marks *marks, const uint32_t *fault,
                        char *error)
{
    nccl_endpoint *e = self;
    (void)fault; /* NCCL does not look */
    if (!e->comm) return nccl_look(e, error);
    return hlq_order_begin(&e->order, stream, marks, error);
}

static hlq_status look(void *self, const hlq_marks *marks, int *passed, char *error)
{
    const nccl_endpoint *e = self;
    hlq_status status = hlq_order_look(&e->order, marks, passed, error);
    return status == HLQ_OK ? nccl_look(e, error) : status;
}

static hlq_status note(void *self, int number, hlq_stream stream, char *error)
{
    const nccl_endpoint *e = self;
    const hlq_cuda_order *o = &e->order;
    int device = hlq_order_enter(o), code = o->cuda->event_record(e->notes[number], stream);
    hlq_order_leave(o, device);
    return hlq_order_check(o, code, "make a note on the stream", error);
}

static hlq_status heed(void *self, int number, hlq_stream stream, char *error)
{
    const nccl_endpoint *e = self;
    const hlq_cuda_order *o = &e->order;
    int device = hlq_order_enter(o), code = o->cuda->stream_wait(stream, e->notes[number]);
    hlq_order_leave(o, device);
    return hlq_order_check(o, code, "wait for another stream", error);
}

/* Messages ----------------------------------------------------------------------------------- */

static hlq_status exchange(void *self, const hlq_message *send, const hlq_message *recv,
                           size_t longest, hlq_stream stream, char *error)
{
    const nccl_endpoint *e = self;
    (void)longest;
    int device = hlq_order_enter(&e->order);
    hlq_status status = nccl_exchange(e, send, recv, stream, error);
    hlq_order_leave(&e->order, device);
    return status;
}

static hlq_status gather(void *self, void *recv, size_t bytes, hlq_stream stream, char *error)
{
    const nccl_endpoint *e = self;
    int device = hlq_order_enter(&e->order);
    const char *own = (const char *)recv + (size_t)e->rank * bytes;
    int result = e->nccl->AllGather(own, recv, bytes, HLQ_NCCL_UINT8, e->comm, stream);
    hlq_order_leave(&e->order, device);
    return nccl_check(e, result, "gather", error);
}

/* -1: NCCL has none. */
static int type_of(hlq_dtype dtype)
{
    switch (dtype) {
    case HLQ_FLOAT32: return HLQ_NCCL_FLOAT32;
    case HLQ_BFLOAT16: return HLQ_NCCL_BFLOAT16;
    case HLQ_FLOAT16: return HLQ_NCCL_FLOAT16;
    case HLQ_FLOAT64: return HLQ_NCCL_FLOAT64;
    case HLQ_INT8: return HLQ_NCCL_INT8;
    case HLQ_UINT8: return HLQ_NCCL_UINT8;
    case HLQ_INT32: return HLQ_NCCL_INT32;
    case HLQ_INT64: return HLQ_NCCL_INT64;
    case HLQ_INT16: break;
    }
    return -1;
}

static int op_of(hlq_op op)
{
    switch (op) {
    case HLQ_SUM: return HLQ_NCCL_SUM;
    case HLQ_AVG: return HLQ_NCCL_AVG;
    case HLQ_MIN: return HLQ_NCCL_MIN;
    case HLQ_MAX: return HLQ_NCCL_MAX;
    case HLQ_PRODUCT: break;
    }
    return HLQ_NCCL_PROD;
}

/* As messages, where NCCL has no all-to-all yet. */
static int all_to_all(const nccl_endpoint *e, const char *send, char *recv, size_t bytes,
                      hlq_stream stream)
{
    const hlq_nccl_calls *nccl = e->nccl;
    if (nccl->AlltoAll) return nccl->AlltoAll(send, recv, bytes, HLQ_NCCL_UINT8, e->comm, stream);
    int result = nccl->GroupStart();
    for (int p = 0; p < e->size && result == HLQ_NCCL_SUCCESS; p++) {
        size_t at = (size_t)p * bytes;
        result = nccl->Send(send + at, bytes, HLQ_NCCL_UINT8, p, e->comm, stream);
        if (result != HLQ_NCCL_SUCCESS) break;
        result = nccl->Recv(recv + at, bytes, HLQ_NCCL_UINT8, p, e->comm, stream);
    }
    int ended = nccl->GroupEnd();
    return result == HLQ_NCCL_SUCCESS ? ended : result;
}

static hlq_status native(void *self, hlq_operation operation, const void *send, void *recv,
                         size_t count, hlq_dtype dtype, hlq_op op, hlq_stream stream, char *error)
{
    const nccl_endpoint *e = self;
    const hlq_nccl_calls *nccl = e->nccl;
    int type = type_of(dtype), result = HLQ_NCCL_SUCCESS, device = hlq_order_enter(&e->order);
    size_t bytes = count * hlq_dtype_bytes(dtype);
    switch (operation) {
    case HLQ_ALL_REDUCE:
        result = nccl->AllReduce(send, recv, count, type, op_of(op), e->comm, stream);
        break;
    case HLQ_REDUCE_SCATTER:
        result = nccl->ReduceScatter(send, recv, count, type, op_of(op), e->comm, stream);
        break;
    case HLQ_ALL_GATHER:
        result = nccl->AllGather(send, recv, bytes, HLQ_NCCL_UINT8, e->comm, stream);
        break;
    case HLQ_ALL_TO_ALL: result = all_to_all(e, send, recv, bytes, stream); break;
    }
    hlq_order_leave(&e->order, device);
    return nccl_check(e, result, hlq_operation_name(operation), error);
}

hlq_carrier nccl_carrier_of(nccl_endpoint *e)
{
    hlq_carrier carrier = hlq_order_carrier(&e->order);
    for (int dtype = 0; hlq_dtype_bytes((hlq_dtype)dtype); dtype++) {
        if (type_of((hlq_dtype)dtype) >= 0) carrier.summed |= 1u << dtype;
    }
    carrier.begin = begin;
    carrier.look = look;
    carrier.aside = e->aside;
    carrier.note = note;
    carrier.heed = heed;
    carrier.exchange = exchange;
    carrier.gather = gather;
    carrier.native = native;
    return carrier;
}
