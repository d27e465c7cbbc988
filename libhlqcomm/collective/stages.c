/*
 * The stages of a collective (request.h): what is done at each, and how it ends.
 */
#include "stages.h"
#include "choose.h"
#include "progress.h"
#include "target.h"

#include <transport/transport_internal.h>
#include <wire/checksum.h>

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* The exchanges that come next are due, none of which is made yet. */
static void expect(hlq_request *r)
{
    const hlq_flow *flow = &r->walk.flow;
    r->due = flow->exchanges ? flow->exchanges : 1;
    r->made = r->begun = r->ended = 0;
    r->drained = HLQ_OK;
    r->busy = 0;
}

/* Terms -------------------------------------------------------------------------------------- */

/* With exempt ranges, the target is for the rest, see exempt.c. */
static int has_target_stage(const hlq_walk *w) { return w->target_nmse > 0 && !w->exempt_ranges; }

hlq_terms hlq_terms_of(const hlq_walk *w, const hlq_fault *f)
{
    hlq_terms terms = {.wire_version = HLQ_TALK_VERSION, .status = (int32_t)f->status};
    terms.value[HLQ_TERM_FUNCTION] = HLQ_FUNCTION_OF(w->operation, w->has_counts);
    snprintf(terms.sentence, sizeof terms.sentence, "%s", f->sentence);
    if (f->status != HLQ_OK) return terms;
    terms.value[HLQ_TERM_COUNT] = w->count;
    terms.value[HLQ_TERM_DTYPE] = (uint64_t)w->dtype;
    terms.value[HLQ_TERM_OP] = (uint64_t)w->op;
    terms.value[HLQ_TERM_ALGORITHM] = (uint64_t)w->algorithm;
    terms.value[HLQ_TERM_BITS] = hlq_term_from_double(w->bits);
    terms.value[HLQ_TERM_TARGET] = hlq_term_from_double(w->target_nmse);
    terms.value[HLQ_TERM_MAX_ERROR] = hlq_term_from_double(w->max_error);
    terms.value[HLQ_TERM_EXEMPT] = hlq_checksum(w->exempt, w->exempt_ranges * sizeof *w->exempt, 0);
    return terms;
}

/* The first messages of a short call are made already. */
static hlq_status board(hlq_request *r)
{
    hlq_walk *w = &r->walk;
    r->entry = hlq_entry_of(w);
    if (has_target_stage(w) || !hlq_riders_fit(&r->riders, w, r->entry)) return HLQ_OK;
    HLQ_TRY(r->entry->steps[w->next++](w));
    if (w->flow.exchanges) HLQ_TRY(w->flow.fill(w, 0));
    hlq_riders_board(&r->riders, w);
    return HLQ_OK;
}

hlq_terms hlq_stages_terms(hlq_request *r, const hlq_fault *f)
{
    hlq_walk *w = &r->walk;
    const hlq_probe *probe = &w->comm->probe;
    hlq_terms terms = hlq_terms_of(w, f);
    if (f->status != HLQ_OK) return terms;
    terms.can_probe = r->is_blocking && w->is_auto && probe->is_wanted && !probe->is_done;
    const hlq_algorithm_entry *first = has_target_stage(w) ? &hlq_target : hlq_entry_of(w);
    size_t bytes = first->workspace_bytes(w);
    if (hlq_arena_reserve(&w->arena, bytes) != HLQ_OK) {
        terms.status = HLQ_E_NOMEM;
        snprintf(terms.sentence, sizeof terms.sentence, "no memory for %zu bytes of workspace",
                 bytes);
    } else if (!terms.can_probe && board(r) != HLQ_OK) {
        terms.status = HLQ_E_INVALID;
        snprintf(terms.sentence, sizeof terms.sentence, "%.100s", r->error);
    }
    return terms;
}

void hlq_stages_begin(hlq_request *r, const hlq_terms *mine)
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
    if (hlq_riders_can_travel(&r->riders, w)) hlq_riders_send(&r->riders, w, r->told);
    r->stage = HLQ_STAGE_TERMS;
    expect(r);
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
    w->flow = (hlq_flow){0}; /* what was left of one that failed */
    expect(r);
}

/* Whether it is a status that a collective can end with. PENDING would say that it has not. */
static int is_final(int32_t status)
{
    switch (status) {
#define HLQ_STATUS_CASE(name, value, sentence) case name:
        HLQ_STATUS_LIST(HLQ_STATUS_CASE)
#undef HLQ_STATUS_CASE
        return status != HLQ_E_PENDING;
    }
    return 0;
}

/* HLQ_OK if that is everybody's verdict. The own one first; its sentence is known. */
static hlq_status judge(hlq_request *r)
{
    hlq_walk *w = &r->walk;
    for (int d = 0; d < w->size; d++) {
        int p = d == 0 ? w->rank : d <= w->rank ? d - 1 : d;
        const hlq_verdict *v = &r->verdicts[p];
        if (v->checksum != verdict_checksum(v) || !is_final(v->status)) {
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

void hlq_stages_end(hlq_request *r, hlq_status status)
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
    hlq_stages_end(r, status);
    if (!w->call) return; /* comm.c tells */
    hlq_log(w->comm, HLQ_LOG_WARN, "%s %u refused: %s", hlq_operation_name(w->operation), w->call,
            r->error);
}

static void after_stage(hlq_request *r);

static void tell_sizes(hlq_request *r)
{
    hlq_sizes_tell(&r->walk, &r->sizes);
    r->stage = HLQ_STAGE_SIZES;
    expect(r);
}

static void hear_sizes(hlq_request *r)
{
    hlq_status status = hlq_sizes_hear(&r->walk, &r->sizes);
    if (status != HLQ_OK) {
        hlq_request_break(r, status);
        return;
    }
    r->stage = HLQ_STAGE_STEPS;
    expect(r);
}

/* The last step of a walk, or what came before it, ended so. */
static void end_walk(hlq_request *r, hlq_status status)
{
    if (r->stage == HLQ_STAGE_STEPS) {
        tell_verdict(r, HLQ_STAGE_VERDICT, status, status == HLQ_OK ? NULL : r->walk.error);
    } else if (status == HLQ_OK) {
        after_stage(r);
    } else {
        hlq_request_break(r, status);
    }
}

/* One step of a walk, up to the next exchange. A flow of one is filled at once: sizes of what it
   sends may have to be told first. */
static void step(hlq_request *r)
{
    hlq_walk *w = &r->walk;
    int at = w->next++;
    w->sum = NULL;
    w->sized = 0;
    w->flow = (hlq_flow){0};
    hlq_status status = r->entry->steps[at](w);
    int ends = !r->entry->steps[w->next];
    if (status == HLQ_OK && !ends && w->flow.exchanges == 1) status = w->flow.fill(w, 0);
    if (ends) {
        end_walk(r, status);
    } else if (status != HLQ_OK) {
        hlq_request_break(r, status);
    } else if (w->sized) {
        tell_sizes(r);
    } else {
        expect(r);
    }
}

/* After all exchanges between two steps. What went wrong in draining them is for all ranks to hear
   of at the end, if this is the end. A child's parent may have more to do, so that others are not
   there yet. */
static void next_step(hlq_request *r)
{
    const hlq_walk *w = &r->walk;
    int is_last = !w->flow.child && !r->entry->steps[w->next + 1];
    if (r->drained == HLQ_OK) step(r);
    else if (is_last) end_walk(r, r->drained);
    else hlq_request_break(r, r->drained);
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

/* The first exchange of the walk was made with the terms, unless some rank's messages did not
   come. */
static void leave_letters(hlq_request *r)
{
    hlq_walk *w = &r->walk;
    hlq_stats *stats = &r->stats;
    int all;
    r->stage = HLQ_STAGE_STEPS;
    hlq_status status = hlq_riders_leave(&r->riders, w, &all);
    if (!all) {
        expect(r);
        return;
    }
    for (int p = 0; p < w->size; p++) {
        if (p == w->rank) continue;
        stats->bytes_sent += w->out[p].bytes;
        stats->control_bytes -= w->out[p].bytes;
        stats->bytes_received += w->in[p].bytes;
    }
    stats->seconds_exchange += hlq_now() - r->flow_begin;
    if (status == HLQ_OK && w->flow.exchanges) status = w->flow.drain(w, 0);
    r->drained = status;
    next_step(r);
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
        hlq_stages_end(r, HLQ_OK);
    } else if (w->size == 1) {
        size_t bytes = hlq_send_elems(w) * hlq_dtype_bytes(w->dtype);
        if (bytes && w->recv != w->send) memcpy(w->recv, w->send, bytes);
        hlq_stages_end(r, HLQ_OK);
    } else if (probes) {
        start_walk(r, HLQ_STAGE_PROBE, &hlq_probe_walk);
    } else if (r->riders.is_aboard) {
        leave_letters(r);
    } else {
        start_asked(r);
    }
}

static void hear_terms(hlq_request *r)
{
    hlq_walk *w = &r->walk;
    if (hlq_riders_can_travel(&r->riders, w)) hlq_riders_read(&r->riders, w, r->terms);
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
        hlq_stages_end(r, status);
    } else if (w->has_counts) {
        check_counts(r);
    } else {
        go_ahead(r);
    }
}

void hlq_stages_advance(hlq_request *r)
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
    case HLQ_STAGE_STEPS: next_step(r); break;
    case HLQ_STAGE_SIZES: hear_sizes(r); break;
    case HLQ_STAGE_VERDICT:
        status = judge(r);
        if (status == HLQ_OK) hlq_stages_end(r, HLQ_OK);
        else hlq_request_break(r, status);
        break;
    case HLQ_STAGE_DEVICE:
    case HLQ_STAGE_ENDED: break;
    }
}
