/*
 * The life of a collective: what is done at each stage, and how it ends. Its exchanges are made in
 * progress.c.
 */
#include "request.h"
#include "check.h"
#include "choose.h"
#include "progress.h"
#include "target.h"

#include <transport/transport_internal.h>
#include <wire/checksum.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

hlq_status hlq_fail(const hlq_walk *w, hlq_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(w->error, HLQ_ERROR_BYTES, format, arguments);
    va_end(arguments);
    return status;
}

/* Memory ------------------------------------------------------------------------------------- */

static void free_request(hlq_request *r)
{
    if (r->in_use) return;
    hlq_arena_free(&r->walk.arena);
    hlq_arena_free(&r->walk.more);
    free(r->walk.out);
    free(r->walk.in);
    free(r->terms);
    free(r->told);
    free(r->verdicts);
    free(r->given);
    free(r->counts);
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
    if (!r->walk.out || !r->walk.in || !r->terms || !r->told || !r->verdicts || !r->given ||
        !r->counts) {
        free_request(r);
        return HLQ_E_NOMEM;
    }
    r->next = comm->idle;
    comm->idle = r;
    return HLQ_OK;
}

/* A request for what is asked, last in the list of those under way. */
static hlq_request *take(hlq_comm *comm, const hlq_walk *asked)
{
    if (!comm->idle && hlq_request_prepare(comm) != HLQ_OK) return NULL;
    hlq_request *r = comm->idle, **end = &comm->active;
    comm->idle = r->next;
    while (*end) end = &(*end)->next;
    *end = r;
    hlq_walk old = r->walk, *w = &r->walk;
    *r = (hlq_request){
        .walk = *asked,
        .begin = hlq_now(),
        .terms = r->terms,
        .told = r->told,
        .verdicts = r->verdicts,
        .given = r->given,
        .counts = r->counts,
        .stats = {.struct_bytes = sizeof r->stats, .operation = asked->operation},
    };
    w->arena = old.arena;
    w->more = old.more;
    w->out = old.out;
    w->in = old.in;
    w->comm = comm;
    w->rank = comm->rank;
    w->size = comm->size;
    w->call = comm->call++;
    w->stats = &r->stats;
    w->error = r->error;
    r->stats.calls = w->call;
    return r;
}

/* A request that has ended and whose status was told. */
static void give_back(hlq_request *r)
{
    hlq_comm *comm = r->walk.comm;
    hlq_request **at = &comm->active;
    while (*at != r) at = &(*at)->next;
    *at = r->next;
    r->next = comm->idle;
    comm->idle = r;
}

void hlq_requests_free(hlq_comm *comm)
{
    while (comm->active) {
        hlq_request *r = comm->active;
        hlq_exchange_cancel(r, NULL);
        give_back(r);
    }
    while (comm->idle) {
        hlq_request *r = comm->idle;
        comm->idle = r->next;
        free_request(r);
    }
}

/* Terms -------------------------------------------------------------------------------------- */

/* With exempt ranges, the target is for the rest, see exempt.c. */
static int has_target_stage(const hlq_walk *w) { return w->target_nmse > 0 && !w->exempt_ranges; }

static hlq_terms terms_of(hlq_request *r, const hlq_fault *f)
{
    hlq_walk *w = &r->walk;
    const hlq_probe *probe = &w->comm->probe;
    hlq_terms terms = {.wire_version = HLQ_WIRE_VERSION, .status = (int32_t)f->status};
    terms.value[HLQ_TERM_FUNCTION] = HLQ_FUNCTION_OF(w->operation, w->has_counts);
    snprintf(terms.sentence, sizeof terms.sentence, "%s", f->sentence);
    if (f->status != HLQ_OK) return terms;
    terms.value[HLQ_TERM_COUNT] = w->count;
    terms.value[HLQ_TERM_DTYPE] = (uint64_t)w->dtype;
    terms.value[HLQ_TERM_OP] = (uint64_t)w->op;
    terms.value[HLQ_TERM_ALGORITHM] = (uint64_t)w->algorithm;
    terms.value[HLQ_TERM_BITS] = hlq_term_from_double(w->bits);
    terms.value[HLQ_TERM_TARGET] = hlq_term_from_double(w->target_nmse);
    terms.value[HLQ_TERM_EXEMPT] = hlq_checksum(w->exempt, w->exempt_ranges * sizeof *w->exempt, 0);
    terms.can_probe = r->is_blocking && w->is_auto && probe->is_wanted && !probe->is_done;
    const hlq_algorithm_entry *first = has_target_stage(w) ? &hlq_target : hlq_entry_of(w);
    size_t bytes = first->workspace_bytes(w);
    if (hlq_arena_reserve(&w->arena, bytes) != HLQ_OK) {
        terms.status = HLQ_E_NOMEM;
        snprintf(terms.sentence, sizeof terms.sentence, "no memory for %zu bytes of workspace",
                 bytes);
    }
    return terms;
}

static void tell_terms(hlq_request *r, const hlq_terms *mine)
{
    hlq_walk *w = &r->walk;
    for (int p = 0; p < w->size; p++) {
        r->told[p] = *mine;
        if (mine->status == HLQ_OK && w->has_counts) r->told[p].sent_to_you = w->send_counts[p];
        hlq_terms_seal(&r->told[p]);
        w->out[p] = (hlq_message){&r->told[p], sizeof *r->told};
        w->in[p] = (hlq_message){&r->terms[p], sizeof *r->terms};
    }
    r->terms[w->rank] = r->told[w->rank];
    r->stage = HLQ_STAGE_TERMS;
    r->is_due = 1;
}

static hlq_status start(const hlq_walk *asked, const hlq_call *call, hlq_stream stream,
                        int is_blocking, hlq_request **request)
{
    hlq_comm *comm = asked->comm;
    *request = NULL;
    if (!comm) return HLQ_E_INVALID;
    if (comm->broken) {
        hlq_log(comm, HLQ_LOG_WARN, "%s refused: the communicator failed earlier",
                hlq_operation_name(asked->operation));
        return HLQ_E_BROKEN;
    }
    hlq_request *r = take(comm, asked);
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
    hlq_terms mine = terms_of(r, &f);
    tell_terms(r, &mine);
    *request = r;
    hlq_progress(comm);
    return HLQ_OK;
}

hlq_status hlq_request_start(const hlq_walk *asked, const hlq_call *call, hlq_stream stream,
                             hlq_request **request)
{
    return start(asked, call, stream, 0, request);
}

/* Verdicts ----------------------------------------------------------------------------------- */

static uint64_t verdict_checksum(const hlq_verdict *v)
{
    return hlq_checksum(v, offsetof(hlq_verdict, checksum), 0);
}

/* This rank's to all, and theirs. sentence: NULL if status is HLQ_OK. */
static void tell_verdict(hlq_request *r, hlq_stage stage, hlq_status status, const char *sentence)
{
    hlq_walk *w = &r->walk;
    memset(r->given, 0, sizeof *r->given);
    r->given->status = (int32_t)status;
    if (sentence) {
        snprintf(r->given->sentence, sizeof r->given->sentence, "%.*s",
                 (int)sizeof r->given->sentence - 1, sentence);
    }
    r->given->checksum = verdict_checksum(r->given);
    hlq_send_to_all(w, r->given, sizeof *r->given);
    for (int p = 0; p < w->size; p++) {
        w->in[p] = (hlq_message){&r->verdicts[p], sizeof *r->verdicts};
    }
    memcpy(&r->verdicts[w->rank], r->given, sizeof *r->given);
    r->stage = stage;
    r->is_due = 1;
}

/* HLQ_OK if that is everybody's verdict. The own one first; its sentence is known. */
static hlq_status judge(hlq_request *r)
{
    hlq_walk *w = &r->walk;
    for (int d = 0; d < w->size; d++) {
        int p = d == 0 ? w->rank : d <= w->rank ? d - 1 : d;
        const hlq_verdict *v = &r->verdicts[p];
        if (v->checksum != verdict_checksum(v)) {
            return hlq_fail(w, HLQ_E_WIRE, "from rank %d: its verdict is damaged", p);
        }
        if (v->status == HLQ_OK) continue;
        if (p == w->rank && r->stage == HLQ_STAGE_VERDICT) return (hlq_status)v->status;
        return hlq_fail(w, (hlq_status)v->status, "rank %d: %.*s", p, (int)sizeof v->sentence,
                        v->sentence);
    }
    return HLQ_OK;
}

/* What every rank means to send must be what the receiver expects; the receiver says so to all. */
static void check_counts(hlq_request *r)
{
    hlq_walk *w = &r->walk;
    char sentence[HLQ_ERROR_BYTES];
    for (int p = 0; p < w->size; p++) {
        size_t sent = (size_t)r->terms[p].sent_to_you;
        if (sent == w->recv_counts[p]) continue;
        snprintf(sentence, sizeof sentence, "recv_counts[%d] is %zu, but rank %d sends %zu", p,
                 w->recv_counts[p], p, sent);
        tell_verdict(r, HLQ_STAGE_COUNTS, HLQ_E_MISMATCH, sentence);
        return;
    }
    tell_verdict(r, HLQ_STAGE_COUNTS, HLQ_OK, NULL);
}

/* The stages --------------------------------------------------------------------------------- */

static void end(hlq_request *r, hlq_status status)
{
    hlq_comm *comm = r->walk.comm;
    r->stage = HLQ_STAGE_ENDED;
    r->status = status;
    r->stats.seconds = hlq_now() - r->begin;
    r->stats.bits = r->walk.algorithm == HLQ_ALG_NATIVE ? 0 : r->walk.bits;
    r->stats.bits_per_elem = hlq_bits_per_elem(r->stats.bytes_sent, hlq_sent_elems(&r->walk));
    comm->stats = r->stats;
    if (status == HLQ_OK) r->error[0] = '\0';
    memcpy(comm->error, r->error, sizeof comm->error);
    if (r->walk.call) hlq_log_ended(comm, status, r->error);
}

/* What ends no more than the collective itself. */
static void refuse(hlq_request *r, hlq_status status)
{
    const hlq_walk *w = &r->walk;
    end(r, status);
    if (!w->call) return; /* comm.c tells */
    hlq_log(w->comm, HLQ_LOG_WARN, "%s %u refused: %s", hlq_operation_name(w->operation), w->call,
            r->error);
}

void hlq_request_broke(hlq_request *r, hlq_status status) { end(r, status); }

static void after_stage(hlq_request *r);

/* One step of a walk, up to the next exchange. */
static void step(hlq_request *r)
{
    hlq_walk *w = &r->walk;
    hlq_step *const *steps = r->entry->steps;
    w->sum = NULL;
    int at = w->next++;
    hlq_status status = steps[at](w);
    int is_last = !steps[w->next];
    if (status == HLQ_OK && !is_last) {
        r->is_due = 1;
    } else if (is_last && r->stage == HLQ_STAGE_STEPS) {
        tell_verdict(r, HLQ_STAGE_VERDICT, status, status == HLQ_OK ? NULL : w->error);
    } else if (status == HLQ_OK) {
        after_stage(r);
    } else {
        hlq_request_break(r, status);
    }
}

/* The walk of a stage. Its arena is there, unless stages before it had others. */
static void start_walk(hlq_request *r, hlq_stage stage, const hlq_algorithm_entry *entry)
{
    hlq_walk *w = &r->walk;
    r->entry = entry;
    r->stage = stage;
    w->next = 0;
    size_t bytes = r->entry->workspace_bytes(w);
    if (hlq_arena_reserve(&w->arena, bytes) == HLQ_OK) {
        step(r);
    } else {
        hlq_fail(w, HLQ_E_NOMEM, "no memory for %zu bytes of workspace", bytes);
        hlq_request_break(r, HLQ_E_NOMEM);
    }
}

/* What is known is enough for the walk that was asked for; or for target mode first. */
static void start_asked(hlq_request *r)
{
    hlq_walk *w = &r->walk;
    int is_target = r->stage != HLQ_STAGE_TARGET && has_target_stage(w);
    r->stats.algorithm = w->algorithm;
    if (is_target) start_walk(r, HLQ_STAGE_TARGET, &hlq_target);
    else start_walk(r, HLQ_STAGE_STEPS, hlq_entry_of(w));
}

static void after_stage(hlq_request *r)
{
    if (r->stage == HLQ_STAGE_PROBE) hlq_reconsider(&r->walk);
    start_asked(r);
}

/* All want the same. */
static void go_ahead(hlq_request *r)
{
    hlq_walk *w = &r->walk;
    int probes = 1;
    for (int p = 0; p < w->size; p++) probes &= (int)r->terms[p].can_probe;
    r->stats.algorithm = w->algorithm;
    r->stats.count = w->has_counts ? hlq_send_elems(w) : w->count;
    if (!w->has_counts && !w->count) {
        end(r, HLQ_OK);
    } else if (w->size == 1) {
        size_t bytes = hlq_send_elems(w) * hlq_dtype_bytes(w->dtype);
        if (bytes && w->recv != w->send) memcpy(w->recv, w->send, bytes);
        end(r, HLQ_OK);
    } else if (probes) {
        start_walk(r, HLQ_STAGE_PROBE, &hlq_probe_walk);
    } else {
        start_asked(r);
    }
}

static void hear_terms(hlq_request *r)
{
    hlq_walk *w = &r->walk;
    for (int p = 0; p < w->size; p++) {
        if (hlq_terms_check(&r->terms[p]) == HLQ_OK) continue;
        hlq_fail(w, HLQ_E_WIRE, "from rank %d: what it called with is damaged", p);
        hlq_request_break(r, HLQ_E_WIRE);
        return;
    }
    hlq_status status = hlq_terms_compare(r->terms, w->rank, w->size, w->error);
    if (status != HLQ_OK) {
        refuse(r, status);
    } else if (r->terms->value[HLQ_TERM_FUNCTION] == HLQ_FUNCTION_CREATE) {
        end(r, status);
    } else if (w->has_counts) {
        check_counts(r);
    } else {
        go_ahead(r);
    }
}

void hlq_request_advance(hlq_request *r)
{
    hlq_status status;
    switch (r->stage) {
    case HLQ_STAGE_TERMS: hear_terms(r); break;
    case HLQ_STAGE_COUNTS:
        status = judge(r);
        if (status == HLQ_OK) go_ahead(r);
        else if (status == HLQ_E_MISMATCH) refuse(r, status);
        else hlq_request_break(r, status);
        break;
    case HLQ_STAGE_PROBE:
    case HLQ_STAGE_TARGET:
    case HLQ_STAGE_STEPS: step(r); break;
    case HLQ_STAGE_VERDICT:
        status = judge(r);
        if (status == HLQ_OK) end(r, HLQ_OK);
        else hlq_request_break(r, status);
        break;
    case HLQ_STAGE_ENDED: break;
    }
}

/* Waiting ------------------------------------------------------------------------------------ */

static hlq_status collect(hlq_request *r)
{
    hlq_status status = r->status;
    hlq_comm *comm = r->walk.comm;
    memcpy(comm->error, r->error, sizeof comm->error);
    comm->stats = r->stats;
    give_back(r);
    return status;
}

hlq_status hlq_wait(hlq_request *request, double timeout_s)
{
    if (!request) return HLQ_E_INVALID;
    hlq_comm *comm = request->walk.comm;
    double deadline = hlq_now() + timeout_s;
    for (;;) {
        hlq_progress(comm);
        if (request->stage == HLQ_STAGE_ENDED) return collect(request);
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
    return *done ? collect(request) : HLQ_OK;
}

hlq_status hlq_request_run(const hlq_walk *asked, const hlq_call *call, hlq_stream stream)
{
    hlq_request *r;
    hlq_status status = start(asked, call, stream, 1, &r);
    return status == HLQ_OK ? hlq_wait(r, HLQ_FOREVER) : status;
}

hlq_status hlq_request_compare(hlq_comm *comm, const hlq_terms *mine, hlq_terms *all)
{
    hlq_walk nothing = {.comm = comm};
    hlq_request *r = take(comm, &nothing);
    if (!r) return HLQ_E_NOMEM;
    tell_terms(r, mine);
    hlq_status status = hlq_wait(r, HLQ_FOREVER); /* r is idle then, and still whole */
    memcpy(all, r->terms, (size_t)comm->size * sizeof *all);
    return status;
}
