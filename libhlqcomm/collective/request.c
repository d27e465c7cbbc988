/*
 * Requests: their memory, how they are started and waited for. What happens in between is in
 * stages.c and progress.c.
 */
#include "request.h"
#include "choose.h"
#include "device/device.h"
#include "progress.h"
#include "stages.h"

#include <transport/transport_internal.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Memory ------------------------------------------------------------------------------------- */

/* What a carrier may still use is kept, where it can be found. */
static void keep_for_carrier(hlq_request *r)
{
    static _Atomic(hlq_request *) kept;
    r->next = atomic_load(&kept);
    while (!atomic_compare_exchange_weak(&kept, &r->next, r)) continue;
}

static void free_request(hlq_request *r)
{
    hlq_device_release(r);
    if (r->in_use) {
        keep_for_carrier(r);
        return;
    }
    hlq_arena_free(&r->walk.arena);
    hlq_arena_free(&r->walk.more);
    free(r->walk.out);
    free(r->walk.in);
    for (int i = 0; i < HLQ_SLOTS; i++) {
        free(r->slot[i].out);
        free(r->slot[i].in);
    }
    free(r->terms);
    free(r->told);
    free(r->verdicts);
    free(r->given);
    free(r->counts);
    hlq_sizes_free(&r->sizes);
    hlq_riders_free(&r->riders);
    free(r);
}

hlq_status hlq_request_prepare(hlq_comm *comm)
{
    size_t n = (size_t)comm->size;
    hlq_request *r = calloc(1, sizeof *r);
    if (!r) return HLQ_E_NOMEM;
    r->walk.out = calloc(n, sizeof *r->walk.out);
    r->walk.in = calloc(n, sizeof *r->walk.in);
    r->terms = calloc(n, sizeof *r->terms);
    r->told = calloc(n, sizeof *r->told);
    r->verdicts = calloc(n, sizeof *r->verdicts);
    r->given = calloc(1, sizeof *r->given);
    r->counts = calloc(2 * n, sizeof *r->counts);
    int has_slots = 1;
    for (int i = 0; i < HLQ_SLOTS; i++) {
        r->slot[i].out = calloc(n, sizeof *r->slot[i].out);
        r->slot[i].in = calloc(n, sizeof *r->slot[i].in);
        has_slots &= r->slot[i].out && r->slot[i].in;
    }
    if (!has_slots || !r->walk.out || !r->walk.in || !r->terms || !r->told || !r->verdicts ||
        !r->given || !r->counts || hlq_sizes_allocate(&r->sizes, n) != HLQ_OK ||
        hlq_riders_allocate(&r->riders, &comm->transport) != HLQ_OK) {
        free_request(r);
        return HLQ_E_NOMEM;
    }
    r->next = comm->idle;
    comm->idle = r;
    return HLQ_OK;
}

hlq_request *hlq_request_take(hlq_comm *comm, const hlq_walk *asked)
{
    if (!comm->idle && hlq_request_prepare(comm) != HLQ_OK) return NULL;
    hlq_request *r = comm->idle, **end = &comm->active;
    comm->idle = r->next;
    while (*end) end = &(*end)->next;
    *end = r;
    const hlq_request before = *r;
    hlq_walk *w = &r->walk;
    *r = (hlq_request){
        .walk = *asked,
        .begin = hlq_now(),
        .terms = before.terms,
        .told = before.told,
        .verdicts = before.verdicts,
        .given = before.given,
        .counts = before.counts,
        .sizes = before.sizes,
        .riders = before.riders,
        .device.seen = before.device.seen,
        .stats = {.struct_bytes = sizeof r->stats, .operation = asked->operation},
    };
    memcpy(r->slot, before.slot, sizeof r->slot);
    r->riders.is_aboard = 0;
    w->arena = before.walk.arena;
    w->more = before.walk.more;
    w->out = before.walk.out;
    w->in = before.walk.in;
    w->comm = comm;
    w->rank = comm->rank;
    w->size = comm->size;
    w->call = comm->call++;
    w->stats = &r->stats;
    w->error = r->error;
    r->stats.calls = w->call;
    return r;
}

void hlq_request_give_back(hlq_request *r)
{
    hlq_comm *comm = r->walk.comm;
    hlq_device_forget(r);
    hlq_request **at = &comm->active;
    while (*at != r) at = &(*at)->next;
    *at = r->next;
    r->next = comm->idle;
    comm->idle = r;
}

void hlq_requests_free(hlq_comm *comm)
{
    hlq_device_finish(comm);
    for (hlq_request *r = comm->active; r && !comm->broken; r = r->next) {
        if (r->stage == HLQ_STAGE_ENDED) continue;
        hlq_comm_break(comm, HLQ_E_TRANSPORT, "the rank has left"); /* others wait for it */
    }
    while (comm->active) {
        hlq_request *r = comm->active;
        hlq_exchanges_cancel(r, NULL);
        hlq_request_give_back(r);
    }
    while (comm->idle) {
        hlq_request *r = comm->idle;
        comm->idle = r->next;
        free_request(r);
    }
}

/* Starting ----------------------------------------------------------------------------------- */

static hlq_status start_on_host(const hlq_walk *asked, const hlq_call *call, hlq_stream stream,
                                int is_blocking, hlq_request **request)
{
    hlq_comm *comm = asked->comm;
    hlq_request *r = hlq_request_take(comm, asked);
    if (!r) {
        hlq_comm_break(comm, HLQ_E_NOMEM, "no memory for another collective at a time");
        return HLQ_E_NOMEM;
    }
    hlq_walk *w = &r->walk;
    hlq_fault f = hlq_shape_fault(w, call);
    if (f.status == HLQ_OK) f = hlq_pointer_fault(w, call, stream);
    if (f.status == HLQ_OK && w->has_counts) {
        size_t bytes = (size_t)w->size * sizeof *r->counts;
        memcpy(r->counts, w->send_counts, bytes);
        memcpy(r->counts + w->size, w->recv_counts, bytes);
        w->send_counts = r->counts;
        w->recv_counts = r->counts + w->size;
    }
    if (f.status == HLQ_OK) hlq_complete(w, call);
    r->is_blocking = is_blocking;
    hlq_terms mine = hlq_stages_terms(r, &f);
    hlq_stages_begin(r, &mine);
    *request = r;
    hlq_progress(comm);
    return HLQ_OK;
}

/* Whether a call can be made at all. */
static hlq_status admit(const hlq_walk *asked)
{
    if (!asked->comm) return HLQ_E_INVALID;
    if (!asked->comm->broken) return HLQ_OK;
    hlq_log(asked->comm, HLQ_LOG_WARN, "%s refused: the communicator failed earlier",
            hlq_operation_name(asked->operation));
    return HLQ_E_BROKEN;
}

hlq_status hlq_request_start(const hlq_walk *asked, const hlq_call *call, hlq_stream stream,
                             hlq_request **request)
{
    *request = NULL;
    HLQ_TRY(admit(asked));
    if (hlq_device_has(asked)) return hlq_device_start(asked, call, stream, request);
    return start_on_host(asked, call, stream, 0, request);
}

/* Waiting ------------------------------------------------------------------------------------ */

hlq_status hlq_request_collect(hlq_request *r)
{
    hlq_status status = r->status;
    hlq_comm *comm = r->walk.comm;
    /* What broke the communicator is not forgotten for one that ended well before. */
    if (status != HLQ_OK || !comm->broken) memcpy(comm->error, r->error, sizeof comm->error);
    comm->stats = r->stats;
    hlq_request_give_back(r);
    return status;
}

hlq_status hlq_wait(hlq_request *request, double timeout_s)
{
    if (!request) return HLQ_E_INVALID;
    hlq_comm *comm = request->walk.comm;
    double deadline = hlq_now() + timeout_s;
    for (;;) {
        hlq_progress(comm);
        if (request->stage == HLQ_STAGE_ENDED) return hlq_request_collect(request);
        double left = deadline - hlq_now();
        if (!(left > 0)) return HLQ_E_PENDING;
        hlq_progress_rest(comm, left);
    }
}

hlq_status hlq_test(hlq_request *request, int *done)
{
    if (!request || !done) return HLQ_E_INVALID;
    hlq_progress(request->walk.comm);
    *done = request->stage == HLQ_STAGE_ENDED;
    return *done ? hlq_request_collect(request) : HLQ_OK;
}

hlq_status hlq_request_run(const hlq_walk *asked, const hlq_call *call, hlq_stream stream)
{
    hlq_request *r;
    HLQ_TRY(admit(asked));
    if (hlq_device_has(asked)) return hlq_device_start(asked, call, stream, NULL);
    HLQ_TRY(start_on_host(asked, call, stream, 1, &r));
    return hlq_wait(r, HLQ_FOREVER);
}

hlq_status hlq_request_compare(hlq_comm *comm, const hlq_terms *mine, hlq_terms *all)
{
    hlq_walk nothing = {.comm = comm};
    hlq_request *r = hlq_request_take(comm, &nothing);
    if (!r) return HLQ_E_NOMEM;
    hlq_stages_begin(r, mine);
    hlq_status status = hlq_wait(r, HLQ_FOREVER); /* r is idle then, and still whole */
    memcpy(all, r->terms, (size_t)comm->size * sizeof *all);
    return status;
}
