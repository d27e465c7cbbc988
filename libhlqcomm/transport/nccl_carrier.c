/*
 * NCCL as a carrier of device memory (carrier.h): everything goes onto the caller's stream.
 */
#include "nccl_endpoint.h"

#include <stdio.h>
#include <string.h>

enum { ALIGNMENT = 256 };

static int owns(void *self, const void *p)
{
    const nccl_endpoint *e = self;
    int device = -1;
    return e->cuda->device_of(p, &device) == 0 && device == e->device;
}

/* NULL, or zeros. */
static void *allocate_device(const nccl_endpoint *e, size_t bytes)
{
    void *memory = NULL;
    if (e->cuda->allocate(&memory, bytes)) return NULL;
    if (!e->cuda->zero(memory, bytes, e->stream) && !e->cuda->stream_synchronize(e->stream)) {
        return memory;
    }
    e->cuda->release(memory);
    return NULL;
}

static void *allocate_host(const nccl_endpoint *e, size_t bytes)
{
    void *memory = NULL;
    return e->cuda->allocate_host(&memory, bytes) ? NULL : memset(memory, 0, bytes);
}

static void *allocate(void *self, size_t bytes, int is_host)
{
    const nccl_endpoint *e = self;
    int device = nccl_enter(e);
    size_t whole = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void *memory = is_host ? allocate_host(e, whole) : allocate_device(e, whole);
    nccl_leave(e, device);
    return memory;
}

static void release(void *self, void *memory, int is_host)
{
    const nccl_endpoint *e = self;
    if (!memory) return;
    int device = nccl_enter(e);
    if (is_host) e->cuda->release_host(memory);
    else e->cuda->release(memory);
    nccl_leave(e, device);
}

/* Order -------------------------------------------------------------------------------------- */

static void forget(void *self, hlq_marks *marks)
{
    const nccl_endpoint *e = self;
    for (int i = 0; i < HLQ_MARKS; i++) {
        if (marks->event[i]) e->cuda->event_destroy(marks->event[i]);
        marks->event[i] = NULL;
    }
}

static int make_marks(const nccl_endpoint *e, hlq_marks *marks)
{
    int code = 0;
    for (int i = 0; i < HLQ_MARKS && !code; i++) {
        hlq_event event = NULL;
        code = e->cuda->event_create(&event);
        marks->event[i] = code ? NULL : event;
    }
    return code;
}

static hlq_status is_captured(void *self, hlq_stream stream, int *captured, char *error)
{
    const nccl_endpoint *e = self;
    int device = nccl_enter(e), code = e->cuda->is_capturing(stream, captured);
    nccl_leave(e, device);
    return nccl_check_cuda(e, code, "ask for the state of the stream", error);
}

static hlq_status begin(void *self, hlq_stream stream, hlq_marks *marks, char *error)
{
    const nccl_endpoint *e = self;
    const hlq_cuda_calls *cuda = e->cuda;
    if (!e->comm) return nccl_look(e, error);
    int device = nccl_enter(e), code = make_marks(e, marks);
    if (!code && e->has_last) code = cuda->stream_wait(stream, e->last);
    if (!code) code = cuda->event_record(marks->event[HLQ_MARK_BEGUN], stream);
    nccl_leave(e, device);
    return nccl_check_cuda(e, code, "begin a call on the stream", error);
}

static hlq_status mark(void *self, hlq_stream stream, hlq_marks *marks, hlq_mark which, char *error)
{
    nccl_endpoint *e = self;
    const hlq_cuda_calls *cuda = e->cuda;
    int device = nccl_enter(e), code = cuda->event_record(marks->event[which], stream);
    if (!code && which == HLQ_MARK_ENDED) {
        code = cuda->event_record(e->last, stream);
        e->has_last = 1;
    }
    nccl_leave(e, device);
    return nccl_check_cuda(e, code, "mark the stream", error);
}

static hlq_status look(void *self, const hlq_marks *marks, int *passed, char *error)
{
    const nccl_endpoint *e = self;
    int code = 0;
    *passed = 0;
    for (int i = 0; i < HLQ_MARKS && !code; i++) {
        code = e->cuda->event_query(marks->event[i]);
        *passed += code == 0;
    }
    if (code && code != HLQ_CUDA_NOT_READY) {
        return nccl_check_cuda(e, code, "work on the stream", error);
    }
    return nccl_look(e, error);
}

/* Messages ----------------------------------------------------------------------------------- */

static hlq_status exchange(void *self, const hlq_message *send, const hlq_message *recv,
                           hlq_stream stream, char *error)
{
    const nccl_endpoint *e = self;
    int device = nccl_enter(e);
    hlq_status status = nccl_exchange(e, send, recv, stream, error);
    nccl_leave(e, device);
    return status;
}

static hlq_status gather(void *self, void *recv, size_t bytes, hlq_stream stream, char *error)
{
    const nccl_endpoint *e = self;
    int device = nccl_enter(e);
    const char *own = (const char *)recv + (size_t)e->rank * bytes;
    int result = e->nccl->AllGather(own, recv, bytes, HLQ_NCCL_UINT8, e->comm, stream);
    nccl_leave(e, device);
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
    int type = type_of(dtype), result = HLQ_NCCL_SUCCESS, device = nccl_enter(e);
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
    nccl_leave(e, device);
    return nccl_check(e, result, hlq_operation_name(operation), error);
}

/* Memory ------------------------------------------------------------------------------------- */

static hlq_status copy(void *self, void *to, const void *from, size_t bytes, hlq_stream stream,
                       char *error)
{
    const nccl_endpoint *e = self;
    int device = nccl_enter(e), code = e->cuda->copy(to, from, bytes, stream);
    nccl_leave(e, device);
    return nccl_check_cuda(e, code, "copy", error);
}

static hlq_status zero(void *self, void *to, size_t bytes, hlq_stream stream, char *error)
{
    const nccl_endpoint *e = self;
    int device = nccl_enter(e), code = e->cuda->zero(to, bytes, stream);
    nccl_leave(e, device);
    return nccl_check_cuda(e, code, "zero memory", error);
}

/* On the endpoint's own stream, which waits for nobody's. */
static hlq_status fetch(void *self, void *to, const void *from, size_t bytes, char *error)
{
    const nccl_endpoint *e = self;
    int device = nccl_enter(e), code = e->cuda->copy(to, from, bytes, e->stream);
    if (!code) code = e->cuda->stream_synchronize(e->stream);
    nccl_leave(e, device);
    return nccl_check_cuda(e, code, "fetch memory", error);
}

hlq_carrier nccl_carrier_of(nccl_endpoint *e)
{
    uint32_t summed = 0;
    for (int dtype = 0; hlq_dtype_bytes((hlq_dtype)dtype); dtype++) {
        if (type_of((hlq_dtype)dtype) >= 0) summed |= 1u << dtype;
    }
    return (hlq_carrier){
        .self = e,
        .summed = summed,
        .owns = owns,
        .allocate = allocate,
        .release = release,
        .is_captured = is_captured,
        .begin = begin,
        .mark = mark,
        .look = look,
        .forget = forget,
        .exchange = exchange,
        .gather = gather,
        .native = native,
        .copy = copy,
        .zero = zero,
        .fetch = fetch,
    };
}
