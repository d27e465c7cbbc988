/*
 * Exchanges of the collectives under way: started when due and in their turn, polled, timed.
 */
#include "progress.h"
#include "stages.h"

#include <transport/transport_internal.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Breaking ----------------------------------------------------------------------------------- */

void hlq_exchange_cancel(hlq_request *r, char *missing)
{
    char ignored[HLQ_ERROR_BYTES];
    const hlq_transport *t = &r->walk.comm->transport;
    if (!r->under_way) return;
    r->under_way = 0;
    r->in_use |= t->cancel(t->self, &r->exchange, missing ? missing : ignored);
}

void hlq_comm_break(hlq_comm *comm, hlq_status status, const char *sentence)
{
    const hlq_transport *t = &comm->transport;
    if (comm->broken) return;
    comm->broken = 1;
    for (hlq_request *r = comm->active; r; r = r->next) {
        if (r->stage == HLQ_STAGE_ENDED) continue;
        hlq_exchange_cancel(r, NULL);
        hlq_fail(&r->walk, HLQ_E_BROKEN, "another collective failed: %.200s", sentence);
        hlq_stages_end(r, HLQ_E_BROKEN);
    }
    if (t->give_up) t->give_up(t->self, status, sentence);
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
    } else if (r->stage == HLQ_STAGE_STEPS || r->stage == HLQ_STAGE_SIZES) {
        const char *what = r->stage == HLQ_STAGE_SIZES ? "sizes in " : "";
        snprintf(text, bytes, "%sstep %d of hlq_%s, %s", what, w->next, operation, algorithm);
    } else {
        snprintf(text, bytes, "%s hlq_%s",
                 r->stage == HLQ_STAGE_VERDICT ? "at the end of" : "at the start of", operation);
    }
}

void hlq_request_break(hlq_request *r, hlq_status status)
{
    char step[80], sentence[HLQ_ERROR_BYTES];
    describe_step(r, step, sizeof step);
    hlq_exchange_cancel(r, NULL);
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
    while (oldest->stage == HLQ_STAGE_ENDED) oldest = oldest->next;
    return oldest != r;
}

/*
 * Where the time is up for several ranks, those that got less far know better who is missing: a
 * rank that goes ahead waits for all of them. So it waits a little longer, and hears from them.
 */
static double patience(const hlq_request *r)
{
    const double per_exchange = 0.1, most = 0.6;
    return r->walk.comm->options.timeout_s + fmin(per_exchange * r->exchange.number, most);
}

static hlq_status start(hlq_request *r)
{
    hlq_walk *w = &r->walk;
    const hlq_transport *t = &w->comm->transport;
    r->exchange = (hlq_exchange){
        .channel = w->call,
        .number = (uint32_t)r->exchanges++,
        .send = w->out,
        .recv = w->in,
        .sum = w->sum,
        .count = w->sum_count,
    };
    r->is_due = 0;
    r->under_way = 1;
    r->exchange_begin = hlq_now();
    r->deadline = r->exchange_begin + patience(r);
    return w->sum ? t->start_sum(t->self, &r->exchange, w->error)
                  : t->start(t->self, &r->exchange, w->error);
}

/* Arguments, sizes and verdicts are control, the rest is payload. */
static void account(hlq_request *r)
{
    const hlq_walk *w = &r->walk;
    int is_payload = r->stage == HLQ_STAGE_STEPS;
    if (is_payload) r->stats.seconds_exchange += hlq_now() - r->exchange_begin;
    for (int p = 0; p < w->size && !w->sum; p++) {
        if (p == w->rank) continue;
        if (is_payload) {
            r->stats.bytes_sent += w->out[p].bytes;
            r->stats.bytes_received += w->in[p].bytes;
        } else {
            r->stats.control_bytes += w->out[p].bytes;
        }
    }
}

static void time_out(hlq_request *r)
{
    char missing[HLQ_ERROR_BYTES];
    hlq_exchange_cancel(r, missing);
    hlq_fail(&r->walk, HLQ_E_TIMEOUT, "%.150s within %g s", missing,
             r->walk.comm->options.timeout_s);
    hlq_request_break(r, HLQ_E_TIMEOUT);
}

/* Whether the request moved on. */
static int poll(hlq_request *r)
{
    const hlq_transport *t = &r->walk.comm->transport;
    hlq_status status = HLQ_OK;
    int done = 0;
    if (r->stage == HLQ_STAGE_ENDED || (r->is_due && must_wait(r))) return 0;
    if (r->is_due) status = start(r);
    if (status == HLQ_OK) status = t->test(t->self, &r->exchange, &done, r->error);
    if (status != HLQ_OK) {
        hlq_request_break(r, status);
    } else if (done) {
        r->under_way = 0;
        account(r);
        hlq_stages_advance(r);
    } else if (hlq_now() > r->deadline) {
        time_out(r);
    }
    return done;
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
        if (r->under_way) seconds = fmin(seconds, r->deadline - now);
    }
    if (seconds > 0) hlq_transport_rest(&comm->transport, seconds);
}
