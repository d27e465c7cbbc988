/*
 * CUDA's share of a carrier: cuda_order.h.
 */
#include "cuda_order.h"

#include <stdio.h>
#include <string.h>

enum { ALIGNMENT = 256 };

int hlq_order_enter(const hlq_cuda_order *o)
{
    int device = o->device;
    if (o->cuda->get_device(&device) == 0 && device != o->device) o->cuda->set_device(o->device);
    return device;
}

void hlq_order_leave(const hlq_cuda_order *o, int device)
{
    if (device != o->device) o->cuda->set_device(device);
}

hlq_status hlq_order_check(const hlq_cuda_order *o, int code, const char *what, char *error)
{
    if (code == 0) return HLQ_OK;
    snprintf(error, HLQ_ERROR_BYTES, "CUDA failed to %s: %.120s", what,
             o->cuda->error_string(code));
    return HLQ_E_TRANSPORT;
}

hlq_status hlq_order_open(hlq_cuda_order *o, char *error)
{
    int device = hlq_order_enter(o), code = o->cuda->stream_create(&o->stream);
    if (!code) code = o->cuda->event_create(&o->last);
    hlq_order_leave(o, device);
    return hlq_order_check(o, code, "make a stream", error);
}

void hlq_order_close(hlq_cuda_order *o)
{
    int device = hlq_order_enter(o);
    if (o->stream) o->cuda->stream_synchronize(o->stream);
    if (o->last) o->cuda->event_destroy(o->last);
    if (o->stream) o->cuda->stream_destroy(o->stream);
    hlq_order_leave(o, device);
}

/* Memory ------------------------------------------------------------------------------------- */

static int owns(void *self, const void *p)
{
    const hlq_cuda_order *o = self;
    int device = -1;
    return o->cuda->device_of(p, &device) == 0 && device == o->device;
}

/* NULL, or zeros. */
static void *allocate_device(const hlq_cuda_order *o, size_t bytes)
{
    void *memory = NULL;
    if (o->cuda->allocate(&memory, bytes)) return NULL;
    if (!o->cuda->fill(memory, 0, bytes, o->stream) && !o->cuda->stream_synchronize(o->stream)) {
        return memory;
    }
    o->cuda->release(memory);
    return NULL;
}

static void *allocate_host(const hlq_cuda_order *o, size_t bytes)
{
    void *memory = NULL;
    return o->cuda->allocate_host(&memory, bytes) ? NULL : memset(memory, 0, bytes);
}

static void *allocate(void *self, size_t bytes, int is_host)
{
    const hlq_cuda_order *o = self;
    int device = hlq_order_enter(o);
    size_t whole = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void *memory = is_host ? allocate_host(o, whole) : allocate_device(o, whole);
    hlq_order_leave(o, device);
    return memory;
}

static void release(void *self, void *memory, int is_host)
{
    const hlq_cuda_order *o = self;
    if (!memory) return;
    int device = hlq_order_enter(o);
    if (is_host) o->cuda->release_host(memory);
    else o->cuda->release(memory);
    hlq_order_leave(o, device);
}

static hlq_status copy(void *self, void *to, const void *from, size_t bytes, hlq_stream stream,
                       char *error)
{
    const hlq_cuda_order *o = self;
    int device = hlq_order_enter(o), code = o->cuda->copy(to, from, bytes, stream);
    hlq_order_leave(o, device);
    return hlq_order_check(o, code, "copy", error);
}

static hlq_status zero(void *self, void *to, size_t bytes, hlq_stream stream, char *error)
{
    const hlq_cuda_order *o = self;
    int device = hlq_order_enter(o), code = o->cuda->fill(to, 0, bytes, stream);
    hlq_order_leave(o, device);
    return hlq_order_check(o, code, "zero memory", error);
}

/* On the carrier's own stream, which waits for nobody's. */
static hlq_status fetch(void *self, void *to, const void *from, size_t bytes, char *error)
{
    const hlq_cuda_order *o = self;
    int device = hlq_order_enter(o), code = o->cuda->copy(to, from, bytes, o->stream);
    if (!code) code = o->cuda->stream_synchronize(o->stream);
    hlq_order_leave(o, device);
    return hlq_order_check(o, code, "fetch memory", error);
}

/* Order -------------------------------------------------------------------------------------- */

static void forget(void *self, hlq_marks *marks)
{
    const hlq_cuda_order *o = self;
    for (int i = 0; i < HLQ_MARKS; i++) {
        if (marks->event[i]) o->cuda->event_destroy(marks->event[i]);
        marks->event[i] = NULL;
    }
}

static int make_marks(const hlq_cuda_order *o, hlq_marks *marks)
{
    int code = 0;
    for (int i = 0; i < HLQ_MARKS && !code; i++) {
        hlq_event event = NULL;
        code = o->cuda->event_create(&event);
        marks->event[i] = code ? NULL : event;
    }
    return code;
}

static hlq_status is_captured(void *self, hlq_stream stream, int *captured, char *error)
{
    const hlq_cuda_order *o = self;
    int device = hlq_order_enter(o), code = o->cuda->is_capturing(stream, captured);
    hlq_order_leave(o, device);
    return hlq_order_check(o, code, "ask for the state of the stream", error);
}

hlq_status hlq_order_begin(hlq_cuda_order *o, hlq_stream stream, hlq_marks *marks, char *error)
{
    int device = hlq_order_enter(o), code = make_marks(o, marks);
    if (!code && o->has_last) code = o->cuda->stream_wait(stream, o->last);
    if (!code) code = o->cuda->event_record(marks->event[HLQ_MARK_BEGUN], stream);
    hlq_order_leave(o, device);
    return hlq_order_check(o, code, "begin a call on the stream", error);
}

static hlq_status mark(void *self, hlq_stream stream, hlq_marks *marks, hlq_mark which, char *error)
{
    hlq_cuda_order *o = self;
    int device = hlq_order_enter(o), code = o->cuda->event_record(marks->event[which], stream);
    if (!code && which == HLQ_MARK_ENDED) {
        code = o->cuda->event_record(o->last, stream);
        o->has_last = 1;
    }
    hlq_order_leave(o, device);
    return hlq_order_check(o, code, "mark the stream", error);
}

hlq_status hlq_order_look(const hlq_cuda_order *o, const hlq_marks *marks, int *passed, char *error)
{
    int code = 0;
    *passed = 0;
    for (int i = 0; i < HLQ_MARKS && !code; i++) {
        code = o->cuda->event_query(marks->event[i]);
        *passed += code == 0;
    }
    if (code == HLQ_CUDA_NOT_READY) return HLQ_OK;
    return hlq_order_check(o, code, "work on the stream", error);
}

hlq_carrier hlq_order_carrier(hlq_cuda_order *o)
{
    return (hlq_carrier){
        .self = o,
        .owns = owns,
        .allocate = allocate,
        .release = release,
        .is_captured = is_captured,
        .mark = mark,
        .forget = forget,
        .copy = copy,
        .zero = zero,
        .fetch = fetch,
    };
}
