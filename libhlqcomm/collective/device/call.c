/*
 * A call's way onto the stream (device.h).
 */
#include "device.h"

#include <collective/check.h>
#include <collective/choose.h>
#include <collective/progress.h>
#include <collective/stages.h>

#include <transport/transport_internal.h>

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(hlq_terms) <= HLQ_DEVICE_TOLD_BYTES && sizeof(hlq_terms) % 8 == 0,
               "terms are told to the device in one piece");

/* Life --------------------------------------------------------------------------------------- */

static hlq_device *new_device(const hlq_carrier *carrier, const hlq_device_wire *wire, int size)
{
    hlq_device *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->carrier = *carrier;
    d->wire = wire;
    d->round_bytes = HLQ_DEVICE_ROUND_BYTES;
    d->report = carrier->allocate(carrier->self, sizeof *d->report, 0);
    d->terms = carrier->allocate(carrier->self, (size_t)size * sizeof *d->terms, 0);
    return d;
}

static int is_complete(const hlq_device *d) { return d && d->report && d->terms; }

void hlq_device_free(hlq_device *d)
{
    if (!d) return;
    const hlq_carrier *c = &d->carrier;
    while (d->room) {
        hlq_device_room *room = d->room;
        d->room = room->older;
        c->release(c->self, room->memory, 0);
        free(room);
    }
    c->release(c->self, d->terms, 0);
    c->release(c->self, d->report, 0);
    if (c->destroy) c->destroy(c->self);
    free(d);
}

hlq_status hlq_comm_create_carried(const hlq_transport *transport, const hlq_carrier *carrier,
                                   const hlq_device_wire *wire, const hlq_options *options,
                                   hlq_comm **comm)
{
    hlq_device *device = new_device(carrier, wire, transport->size);
    if (!is_complete(device)) {
        if (device) hlq_device_free(device);
        else if (carrier->destroy) carrier->destroy(carrier->self);
        transport->destroy(transport->self);
        return hlq_create_failed(HLQ_E_NOMEM, "no memory on the device for a communicator");
    }
    return hlq_comm_create_on(transport, device, options, comm);
}

/* Checks ------------------------------------------------------------------------------------- */

int hlq_device_has(const hlq_walk *asked)
{
    const hlq_device *d = asked->comm->device;
    if (!d) return 0;
    int sends_host = asked->send && !d->carrier.owns(d->carrier.self, asked->send);
    int receives_host = asked->recv && !d->carrier.owns(d->carrier.self, asked->recv);
    return !(sends_host && receives_host);
}

static hlq_fault fault(hlq_status status, const char *sentence)
{
    hlq_fault f = {.status = status};
    snprintf(f.sentence, sizeof f.sentence, "%s", sentence);
    return f;
}

static hlq_fault memory_fault(const hlq_walk *w, const hlq_call *call)
{
    const hlq_carrier *c = &w->comm->device->carrier;
    const void *residual = call ? call->residual : NULL;
    uintptr_t width = hlq_dtype_bytes(w->dtype);
    if (w->send && !c->owns(c->self, w->send)) {
        return fault(HLQ_E_INVALID, "send is not memory of the communicator's device");
    }
    if (w->recv && !c->owns(c->self, w->recv)) {
        return fault(HLQ_E_INVALID, "recv is not memory of the communicator's device");
    }
    if (residual && !c->owns(c->self, residual)) {
        return fault(HLQ_E_INVALID, "call.residual is not memory of the communicator's device");
    }
    if ((uintptr_t)w->send % width || (uintptr_t)w->recv % width ||
        (uintptr_t)residual % sizeof(float)) {
        return fault(HLQ_E_INVALID, "a tensor of the device is not aligned to its elements");
    }
    return fault(HLQ_OK, "");
}

/* What walks on a device do not have; w is complete. */
static hlq_fault support_fault(const hlq_walk *w)
{
    const hlq_carrier *c = &w->comm->device->carrier;
    int is_native = w->algorithm == HLQ_ALG_NATIVE;
    if (w->target_nmse > 0) return fault(HLQ_E_UNSUPPORTED, "target mode is for host tensors");
    if (w->max_error > 0) return fault(HLQ_E_UNSUPPORTED, "bound mode is for host tensors");
    if (w->exempt_ranges) return fault(HLQ_E_UNSUPPORTED, "exempt ranges are for host tensors");
    if (w->has_counts) return fault(HLQ_E_UNSUPPORTED, "counts per rank are for host tensors");
    if (w->algorithm == HLQ_ALG_MODQ) return fault(HLQ_E_UNSUPPORTED, "modq is for host tensors");
    if (is_native && hlq_is_sum(w->operation) && !(c->summed >> w->dtype & 1)) {
        return fault(HLQ_E_UNSUPPORTED, "the carrier has no sums of this type");
    }
    return fault(HLQ_OK, "");
}

static hlq_fault complete(hlq_walk *w, const hlq_call *call)
{
    hlq_fault f = hlq_shape_fault(w, call);
    if (f.status == HLQ_OK) f = memory_fault(w, call);
    if (f.status == HLQ_OK) f = hlq_buffer_fault(w, call);
    if (f.status != HLQ_OK) return f;
    hlq_complete(w, call);
    return support_fault(w);
}

/* Onto the stream ----------------------------------------------------------------------------- */

static size_t room_of(const hlq_walk *w)
{
    if (w->algorithm == HLQ_ALG_HIERARCHICAL) return hlq_device_levels_bytes(w);
    return hlq_device_walk_bytes(w);
}

static hlq_status reserve(hlq_walk *w, int captured, uint8_t **memory)
{
    hlq_device *d = w->comm->device;
    size_t had = d->room ? d->room->bytes : 0;
    size_t bytes = w->count && w->size > 1 ? room_of(w) : 0;
    if (bytes > had) {
        if (captured) {
            return hlq_fail(w, HLQ_E_INVALID,
                            "a capture has no workspace of %zu bytes: make the call once before",
                            bytes);
        }
        hlq_device_room *room = calloc(1, sizeof *room);
        size_t wanted = bytes > 2 * had ? bytes : 2 * had;
        uint8_t *got = room ? d->carrier.allocate(d->carrier.self, wanted, 0) : NULL;
        if (!got) {
            free(room);
            return hlq_fail(w, HLQ_E_NOMEM, "no memory on the device for %zu bytes of workspace",
                            wanted);
        }
        *room = (hlq_device_room){d->room, got, wanted};
        d->room = room;
    }
    *memory = d->room ? d->room->memory : NULL;
    return HLQ_OK;
}

hlq_status hlq_device_check(const hlq_walk *w, int code, const char *what)
{
    if (code == 0) return HLQ_OK;
    return hlq_fail(w, HLQ_E_TRANSPORT, "the device refused to %s: error %d", what, code);
}

/* This rank's terms to all; the device compares. */
static hlq_status put_terms(hlq_walk *w, const hlq_terms *mine, hlq_stream stream)
{
    const hlq_device *d = w->comm->device;
    const hlq_carrier *c = &d->carrier;
    hlq_terms sealed = *mine;
    hlq_terms_seal(&sealed);
    HLQ_TRY(c->zero(c->self, d->report, sizeof *d->report, stream, w->error));
    int code = d->wire->tell(&sealed, sizeof sealed, d->terms + w->rank, stream);
    HLQ_TRY(hlq_device_check(w, code, "tell terms"));
    HLQ_TRY(c->gather(c->self, d->terms, sizeof sealed, stream, w->error));
    code = d->wire->compare(d->terms, sizeof sealed, w->size, w->rank, d->report, stream);
    return hlq_device_check(w, code, "compare terms");
}

static hlq_status put_walk(hlq_walk *w, uint8_t *memory, hlq_stream stream)
{
    const hlq_device *d = w->comm->device;
    const hlq_carrier *c = &d->carrier;
    size_t elems = hlq_recv_elems(w);
    if (!w->count) return HLQ_OK;
    if (w->size == 1) {
        if (w->send == w->recv) return HLQ_OK;
        size_t bytes = elems * hlq_dtype_bytes(w->dtype);
        return c->copy(c->self, w->recv, w->send, bytes, stream, w->error);
    }
    if (w->algorithm == HLQ_ALG_HIERARCHICAL) HLQ_TRY(hlq_device_levels(w, memory, stream));
    else HLQ_TRY(hlq_device_walk(w, memory, stream));
    if (!hlq_dtype_is_float(w->dtype)) return HLQ_OK;
    int code = d->wire->poison(d->report, w->dtype, w->recv, elems, stream);
    return hlq_device_check(w, code, "check results");
}

/* NCCL's own sum is counted as the usual ring. */
static uint64_t bytes_sent(const hlq_walk *w)
{
    size_t n = (size_t)w->size;
    if (n == 1 || !w->count) return 0;
    if (w->algorithm != HLQ_ALG_NATIVE || w->operation != HLQ_ALL_REDUCE) {
        return hlq_entry_of(w)->wire_bytes(w);
    }
    return 2 * (n - 1) * w->count * hlq_dtype_bytes(w->dtype) / n;
}

static void account(hlq_request *r)
{
    const hlq_walk *w = &r->walk;
    hlq_stats *s = &r->stats;
    s->algorithm = w->algorithm;
    s->count = w->count;
    s->bytes_sent = bytes_sent(w);
    s->bytes_received = s->bytes_sent; /* all ranks have equal parts, but for a block */
    s->control_bytes = (uint64_t)(w->size - 1) * sizeof(hlq_terms);
    s->bits = w->algorithm == HLQ_ALG_NATIVE ? 0 : w->bits;
    s->bits_per_elem = hlq_bits_per_elem(s->bytes_sent, hlq_sent_elems(w));
    w->comm->stats = *s;
}

/* Room for the report's copies. */
static hlq_status prepare_seen(hlq_request *r)
{
    const hlq_carrier *c = &r->walk.comm->device->carrier;
    size_t bytes = HLQ_SEEN * sizeof *r->device.seen;
    if (!r->device.seen) r->device.seen = c->allocate(c->self, bytes, 1);
    if (!r->device.seen) return hlq_fail(&r->walk, HLQ_E_NOMEM, "no pinned memory for a report");
    memset(r->device.seen, 0, bytes);
    return HLQ_OK;
}

/* A copy of the report for the host, and the mark behind which that can be read. */
static hlq_status put_report(hlq_request *r, int copy, hlq_mark mark, hlq_stream stream)
{
    const hlq_device *d = r->walk.comm->device;
    const hlq_carrier *c = &d->carrier;
    hlq_device_report *seen = &r->device.seen[copy];
    HLQ_TRY(c->copy(c->self, seen, d->report, sizeof *seen, stream, r->error));
    return c->mark(c->self, stream, &r->device.marks, mark, r->error);
}

/* All of a call. The host can hear of terms at once: what follows may hang. f: what is wrong with
   it, which the others hear before this rank leaves. */
static hlq_status put(hlq_request *r, const hlq_fault *f, uint8_t *memory, hlq_stream stream)
{
    hlq_walk *w = &r->walk;
    const hlq_carrier *c = &w->comm->device->carrier;
    hlq_terms mine = hlq_terms_of(w, f);
    HLQ_TRY(prepare_seen(r));
    const uint32_t *fault = &r->device.seen[HLQ_SEEN_TERMS].fault;
    HLQ_TRY(c->begin(c->self, stream, &r->device.marks, fault, w->error));
    HLQ_TRY(put_terms(w, &mine, stream));
    HLQ_TRY(put_report(r, HLQ_SEEN_TERMS, HLQ_MARK_COMPARED, stream));
    if (f->status == HLQ_OK) HLQ_TRY(put_walk(w, memory, stream));
    return put_report(r, HLQ_SEEN_END, HLQ_MARK_ENDED, stream);
}

/* The same into a graph, whose launches nobody follows. */
static hlq_status put_captured(hlq_walk *w, uint8_t *memory, hlq_stream stream)
{
    const hlq_fault none = {.status = HLQ_OK};
    hlq_terms mine = hlq_terms_of(w, &none);
    HLQ_TRY(put_terms(w, &mine, stream));
    return put_walk(w, memory, stream);
}

/* Collectives on host tensors are over first: a carrier may have one order for all. */
static void finish_others(hlq_comm *comm)
{
    hlq_progress(comm);
    for (hlq_request *r = comm->active; r; r = r->next) {
        while (r->stage != HLQ_STAGE_DEVICE && r->stage != HLQ_STAGE_ENDED) {
            hlq_progress_rest(comm, HLQ_FOREVER);
            hlq_progress(comm);
        }
    }
}

static hlq_status refuse(const hlq_walk *w, const hlq_fault *f)
{
    return hlq_fail(w, f->status, "rank %d: %s", w->rank, f->sentence);
}

/* The others hear from the terms what is wrong. An abort would keep those from them. */
static void leave(hlq_request *r, const hlq_fault *f, hlq_stream stream)
{
    hlq_status status = put(r, f, NULL, stream);
    if (status != HLQ_OK) {
        hlq_request_break(r, status);
        return;
    }
    r->walk.comm->broken = 1;
    hlq_stages_end(r, refuse(&r->walk, f));
}

hlq_status hlq_device_start(const hlq_walk *asked, const hlq_call *call, hlq_stream stream,
                            hlq_request **request)
{
    hlq_comm *comm = asked->comm;
    const hlq_carrier *c = &comm->device->carrier;
    int captured = 0;
    HLQ_TRY(c->is_captured(c->self, stream, &captured, comm->error));
    if (!captured) {
        finish_others(comm);
        hlq_device_reap(comm);
    }
    if (comm->broken) return HLQ_E_BROKEN;
    hlq_request *r = hlq_request_take(comm, asked);
    if (!r) {
        hlq_comm_break(comm, HLQ_E_NOMEM, "no memory for another collective at a time");
        return HLQ_E_NOMEM;
    }
    hlq_walk *w = &r->walk;
    uint8_t *memory = NULL;
    r->stage = HLQ_STAGE_DEVICE;
    r->device.is_left = !request;
    hlq_fault f = complete(w, call);
    hlq_status status = f.status == HLQ_OK ? reserve(w, captured, &memory) : refuse(w, &f);
    if (captured && status != HLQ_OK) {
        hlq_stages_end(r, status); /* nothing was put */
    } else if (f.status != HLQ_OK) {
        leave(r, &f, stream);
    } else {
        if (status == HLQ_OK && captured) status = put_captured(w, memory, stream);
        else if (status == HLQ_OK) status = put(r, &f, memory, stream);
        if (status == HLQ_OK) account(r);
        if (status != HLQ_OK) hlq_request_break(r, status);
        else if (captured) hlq_stages_end(r, HLQ_OK);
    }
    if (request) *request = r;
    return request || r->stage != HLQ_STAGE_ENDED ? HLQ_OK : hlq_request_collect(r);
}
