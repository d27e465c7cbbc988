/*
 * Exchanges of the collectives under way: started when due and in their turn, polled, timed.
 */
#include "progress.h"
#include "stages.h"
#include "device/device.h"

#include <transport/transport_internal.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Breaking ----------------------------------------------------------------------------------- */

static hlq_slot *slot_of(hlq_request *r, int i) { return &r->slot[i % HLQ_SLOTS]; }

void hlq_exchanges_cancel(hlq_request *r, char *missing)
{
    char ignored[HLQ_ERROR_BYTES];
    const hlq_transport *t = &r->walk.comm->transport;
    for (int i = r->ended; i < r->begun; i++) {
        int is_oldest = i == r->ended;
        char *sentence = is_oldest && missing ? missing : ignored;
        r->in_use |= t->cancel(t->self, &slot_of(r, i)->exchange, sentence);
    }
    r->ended = r->made = r->begun = r->due;
}

void hlq_comm_break(hlq_comm *comm, hlq_status status, const char *sentence)
{
    const hlq_transport *t = &comm->transport;
    if (comm->broken) return;
    comm->broken = 1;
    for (hlq_request *r = comm->active; r; r = r->next) {
        if (r->stage == HLQ_STAGE_ENDED) continue;
        hlq_exchanges_cancel(r, NULL);
        hlq_fail(&r->walk, HLQ_E_BROKEN, "another collective failed: %.200s", sentence);
        hlq_stages_end(r, HLQ_E_BROKEN);
    }
    if (t->give_up) t->give_up(t->self, status, sentence);
    if (comm->device) hlq_device_give_up(comm->device, status, sentence);
    snprintf(comm->error, sizeof comm->error, "%s", sentence);
    hlq_log(comm, HLQ_LOG_ERROR, "broken: %s", sentence);
}

/* "exchange 2 of hlq_all_reduce, twoshot" */
static void describe_step(const hlq_request *r, char *text, size_t bytes)
{
    const hlq_walk *w = &r->walk;
    const char *operation = hlq_operation_name(w->operation);
    const char *algorithm = hlq_algorithm_name(w->algorithm);
    if (w->call == 0) {
        snprintf(text, bytes, "creating a communicator");
    } else if (r->stage == HLQ_STAGE_PROBE) {
        snprintf(text, bytes, "the probe before hlq_%s", operation);
    } else if (r->stage == HLQ_STAGE_TARGET) {
        snprintf(text, bytes, "target mode of hlq_%s", operation);
    } else if (r->stage == HLQ_STAGE_DEVICE) {
        snprintf(text, bytes, "hlq_%s on a device, %s", operation, algorithm);
    } else if (r->stage == HLQ_STAGE_STEPS || r->stage == HLQ_STAGE_SIZES) {
        const char *what = r->stage == HLQ_STAGE_SIZES ? "sizes in " : "";
        int at = w->next + (r->drained != HLQ_OK); /* what drains read is for the step after them */
        snprintf(text, bytes, "%sstep %d of hlq_%s, %s", what, at, operation, algorithm);
    } else {
        snprintf(text, bytes, "%s hlq_%s",
                 r->stage == HLQ_STAGE_VERDICT ? "at the end of" : "at the start of", operation);
    }
}

void hlq_request_break(hlq_request *r, hlq_status status)
{
    char step[80], sentence[HLQ_ERROR_BYTES];
    describe_step(r, step, sizeof step);
    hlq_exchanges_cancel(r, NULL);
    /* What another rank gave up with says already where it was. */
    int is_told = strstr(r->error, " (") != NULL;
    snprintf(sentence, sizeof sentence, "%.150s (%s)", r->error, step);
    if (!is_told) memcpy(r->error, sentence, sizeof r->error);
    hlq_stages_end(r, status);
    hlq_comm_break(r->walk.comm, status, r->error);
}

/* Exchanges ---------------------------------------------------------------------------------- */

/* Sums of the carrier, and everything on a carrier without channels, go one after the other. */
static int must_wait(const hlq_request *r)
{
    const hlq_comm *comm = r->walk.comm;
    if (!r->walk.sum && !comm->transport.in_order) return 0;
    const hlq_request *oldest = comm->active;
    while (oldest->stage == HLQ_STAGE_ENDED || oldest->stage == HLQ_STAGE_DEVICE) {
        oldest = oldest->next;
    }
    return oldest != r || r->begun > r->ended;
}

/*
 * Where the time is up for several ranks, those that got less far know better who is missing: a
 * rank that goes ahead waits for all of them. So it waits a little longer, and hears from them.
 */
static double deadline_of(const hlq_request *r)
{
    const double per_exchange = 0.1, most = 0.6;
    const hlq_slot *oldest = &r->slot[r->ended % HLQ_SLOTS];
    return oldest->begin + r->walk.comm->options.timeout_s +
           fmin(per_exchange * oldest->exchange.number, most);
}

/* The next exchange, ready to be started. Of a flow, one more is filled. */
static hlq_status make(hlq_request *r)
{
    hlq_walk *w = &r->walk;
    hlq_slot *slot = slot_of(r, r->made);
    size_t n = (size_t)w->size;
    double begin = hlq_now();
    if (w->flow.exchanges > 1) HLQ_TRY(w->flow.fill(w, r->made));
    if (r->begun) r->busy += hlq_now() - begin;
    memcpy(slot->out, w->out, n * sizeof *slot->out);
    memcpy(slot->in, w->in, n * sizeof *slot->in);
    r->made++;
    return HLQ_OK;
}

static hlq_status start(hlq_request *r)
{
    hlq_walk *w = &r->walk;
    const hlq_transport *t = &w->comm->transport;
    hlq_slot *slot = slot_of(r, r->begun);
    int is_letter = r->stage == HLQ_STAGE_TERMS && hlq_riders_can_travel(&r->riders, w);
    slot->begin = hlq_now();
    if (r->begun == 0) r->flow_begin = slot->begin;
    slot->exchange = (hlq_exchange){
        .channel = w->call,
        .number = (uint32_t)r->exchanges++,
        .send = slot->out,
        .recv = slot->in,
        .got = is_letter ? r->riders.got : NULL,
        .sum = w->sum,
        .count = w->sum_count,
    };
    r->begun++;
    return w->sum ? t->start_sum(t->self, &slot->exchange, w->error)
                  : t->start(t->self, &slot->exchange, w->error);
}

/* Arguments, sizes and verdicts are control, the rest is payload. */
static void account(hlq_request *r, const hlq_slot *slot)
{
    const hlq_walk *w = &r->walk;
    int is_payload = r->stage == HLQ_STAGE_STEPS;
    for (int p = 0; p < w->size && !w->sum; p++) {
        if (p == w->rank) continue;
        if (is_payload) {
            r->stats.bytes_sent += slot->out[p].bytes;
            r->stats.bytes_received += slot->in[p].bytes;
        } else {
            r->stats.control_bytes += slot->out[p].bytes;
        }
    }
}

/* The oldest exchange is over. Time that was not spent on coding was spent on waiting. */
static void over(hlq_request *r)
{
    hlq_walk *w = &r->walk;
    int i = r->ended++;
    int is_flow = w->flow.exchanges && r->stage != HLQ_STAGE_SIZES;
    double begin = hlq_now();
    account(r, slot_of(r, i));
    if (i + 1 == r->due && r->stage == HLQ_STAGE_STEPS) {
        r->stats.seconds_exchange += begin - r->flow_begin - r->busy;
    }
    if (is_flow && r->drained == HLQ_OK) r->drained = w->flow.drain(w, i);
    r->busy += hlq_now() - begin;
    if (r->ended == r->due) hlq_stages_advance(r);
}

static void time_out(hlq_request *r)
{
    char missing[HLQ_ERROR_BYTES];
    hlq_exchanges_cancel(r, missing);
    hlq_fail(&r->walk, HLQ_E_TIMEOUT, "%.150s within %g s", missing,
             r->walk.comm->options.timeout_s);
    hlq_request_break(r, HLQ_E_TIMEOUT);
}

/* Whether the request moved on. The oldest exchange is looked at between any two fills, for many
   carriers move only while they are looked at. */
static int poll(hlq_request *r)
{
    const hlq_transport *t = &r->walk.comm->transport;
    hlq_status status = HLQ_OK;
    int done = 0, moves = 1;
    if (r->stage == HLQ_STAGE_ENDED) return 0;
    if (r->stage == HLQ_STAGE_DEVICE) {
        hlq_device_poll(r);
        return 0;
    }
    if (r->begun > r->ended) {
        status = t->test(t->self, &slot_of(r, r->ended)->exchange, &done, r->error);
        if (status == HLQ_OK && !done && hlq_now() > deadline_of(r)) {
            time_out(r);
            return 0;
        }
    }
    if (status == HLQ_OK && !done) {
        if (r->begun < r->made && !must_wait(r)) status = start(r);
        else if (r->made < r->due && r->made - r->ended < HLQ_SLOTS) status = make(r);
        else moves = 0;
    }
    if (status != HLQ_OK) {
        hlq_request_break(r, status);
        return 0;
    }
    if (done) over(r);
    return moves;
}

void hlq_progress(hlq_comm *comm)
{
    for (hlq_request *r = comm->active; r; r = r->next) {
        while (poll(r)) continue;
    }
}

void hlq_progress_rest(hlq_comm *comm, double seconds)
{
    double now = hlq_now();
    for (const hlq_request *r = comm->active; r; r = r->next) {
        if (r->stage == HLQ_STAGE_DEVICE) { /* of streams no transport tells */
            sched_yield();
            return;
        }
        if (r->begun > r->ended) seconds = fmin(seconds, deadline_of(r) - now);
    }
    if (seconds > 0) hlq_transport_rest(&comm->transport, seconds);
}
