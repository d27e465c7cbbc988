/*
 * What became of calls on a device (device.h): nothing here waits.
 */
#include "device.h"

#include <collective/progress.h>
#include <collective/stages.h>

#include <transport/transport_internal.h>

#include <stdio.h>
#include <stdlib.h>

static hlq_status damaged(const hlq_walk *w, const hlq_device_report *report)
{
    const char *name = hlq_segment_field((int)report->fault - HLQ_DEVICE_MAGIC);
    if (name) {
        return hlq_fail(w, HLQ_E_WIRE,
                        "from rank %d: a message has %s %lld where %lld was expected",
                        report->sender, name, (long long)report->got, (long long)report->expected);
    }
    return hlq_fail(w, HLQ_E_WIRE, "from rank %d: a message is damaged: its checksum differs",
                    report->sender);
}

/* Asks the device for the terms of all ranks, whatever its streams are waiting for. HLQ_OK: there
   is nothing wrong with them. */
static hlq_status compare_terms(const hlq_walk *w)
{
    const hlq_device *d = w->comm->device;
    size_t bytes = (size_t)w->size * sizeof(hlq_terms);
    hlq_terms *terms = malloc(bytes);
    if (!terms) return hlq_fail(w, HLQ_E_NOMEM, "no memory for %zu bytes of terms", bytes);
    hlq_status status = d->carrier.fetch(d->carrier.self, terms, d->terms, bytes, w->error);
    for (int p = 0; p < w->size && status == HLQ_OK; p++) {
        if (hlq_terms_check(&terms[p]) == HLQ_OK) continue;
        status = hlq_fail(w, HLQ_E_WIRE, "from rank %d: what it called with is damaged", p);
    }
    if (status == HLQ_OK) status = hlq_terms_compare(terms, w->rank, w->size, w->error);
    free(terms);
    return status;
}

static hlq_status fault_of(const hlq_walk *w, const hlq_device_report *report)
{
    if (report->fault == HLQ_DEVICE_FINE) return HLQ_OK;
    if (report->fault != HLQ_DEVICE_TERMS) return damaged(w, report);
    hlq_status status = compare_terms(w);
    if (status != HLQ_OK) return status;
    return hlq_fail(w, HLQ_E_MISMATCH, "rank %d called with something else", report->sender);
}

/* Which is no fault of others while the stream has not come to it. */
static hlq_status time_of(hlq_request *r, int passed)
{
    const hlq_walk *w = &r->walk;
    double now = hlq_now(), most = w->comm->options.timeout_s;
    if (passed <= HLQ_MARK_BEGUN || w->comm->device->carrier.keeps_time) return HLQ_OK;
    if (r->device.begun_at == 0) r->device.begun_at = now;
    if (now < r->device.begun_at + most) return HLQ_OK;
    return hlq_fail(w, HLQ_E_TIMEOUT,
                    "some rank did not answer within %g s (the carrier does not tell which)", most);
}

void hlq_device_give_up(hlq_device *device, hlq_status status, const char *sentence)
{
    const hlq_carrier *c = &device->carrier;
    if (c->give_up) c->give_up(c->self, status, sentence);
}

void hlq_device_forget(hlq_request *r)
{
    const hlq_device *d = r->walk.comm->device;
    if (d) d->carrier.forget(d->carrier.self, &r->device.marks);
}

void hlq_device_release(hlq_request *r)
{
    if (!r->device.seen) return;
    const hlq_carrier *c = &r->walk.comm->device->carrier;
    c->release(c->self, r->device.seen, 1);
}

void hlq_device_poll(hlq_request *r)
{
    const hlq_walk *w = &r->walk;
    const hlq_carrier *c = &w->comm->device->carrier;
    const hlq_device_report *seen = r->device.seen;
    int passed = 0;
    hlq_status status = c->look(c->self, &r->device.marks, &passed, w->error);
    if (status == HLQ_OK && passed > HLQ_MARK_COMPARED) {
        status = fault_of(w, &seen[passed > HLQ_MARK_ENDED ? HLQ_SEEN_END : HLQ_SEEN_TERMS]);
    }
    if (status == HLQ_OK && passed < HLQ_MARKS) status = time_of(r, passed);
    if (status != HLQ_OK) {
        hlq_request_break(r, status);
    } else if (passed == HLQ_MARKS) {
        r->stats.overloads = seen[HLQ_SEEN_END].overloads;
        r->stats.nonfinite_blocks = seen[HLQ_SEEN_END].nonfinite;
        hlq_stages_end(r, HLQ_OK);
    }
}

void hlq_device_finish(hlq_comm *comm)
{
    hlq_progress(comm);
    for (hlq_request *r = comm->active; r; r = r->next) {
        while (r->stage == HLQ_STAGE_DEVICE) {
            hlq_progress_rest(comm, HLQ_FOREVER);
            hlq_progress(comm);
        }
    }
}

void hlq_device_reap(hlq_comm *comm)
{
    hlq_progress(comm);
    for (hlq_request *r = comm->active, *next; r; r = next) {
        next = r->next;
        if (r->stage == HLQ_STAGE_ENDED && r->device.is_left) hlq_request_give_back(r);
    }
}

hlq_status hlq_comm_async_error(hlq_comm *comm)
{
    if (!comm) return HLQ_E_INVALID;
    hlq_device_reap(comm);
    return comm->broken ? HLQ_E_BROKEN : HLQ_OK;
}
