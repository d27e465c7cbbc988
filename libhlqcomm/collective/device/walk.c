/*
 * The walks on a device. Segments and their lengths are those of the host's walks (legs.h), so are
 * the bytes; only the order differs in which they are written, which nothing depends on.
 *
 * Long messages go in rounds on a second stream, round d to the rank d places on: while they travel
 * the next is coded, and what has come is opened and decoded.
 *
 *   caller's stream   code 1 │ code 2 │ code 3 │ open 1 │ open 2 │ open 3 │ …
 *   aside                    └▶ round 1 ─▶ round 2 ─▶ round 3 ─▶
 */
#include "device.h"

#include <collective/algorithms/legs.h>
#include <collective/choose.h>

#include <string.h>

/* One walk's memory: segments, and what they become. */
typedef struct space {
    hlq_device_segment *out, *in; /* one per rank, the host's */
    hlq_device_segment *term;     /* the same, those of a sum */
    hlq_device_sums sums;
    void *copy; /* of send, where NCCL cannot work in place */
} space;

typedef struct job {
    hlq_walk *w;
    const hlq_carrier *carrier;
    const hlq_device_wire *wire;
    hlq_device_report *report;
    hlq_stream stream;
    int in_rounds;
    space s;
} job;

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static hlq_device_segment take_segment(hlq_arena *device, size_t bytes, size_t blocks)
{
    return (hlq_device_segment){
        .segment = hlq_arena_take(device, bytes),
        .scratch = hlq_arena_take(device, bytes ? hlq_device_scratch_bytes(blocks) : 0),
    };
}

/* Both arenas may be without memory, and then only count. */
static space lay_out(const hlq_walk *w, hlq_arena *host, hlq_arena *device)
{
    size_t n = (size_t)w->size;
    space s = {.out = NULL};
    if (w->algorithm == HLQ_ALG_NATIVE) {
        int in_place = w->operation == HLQ_ALL_TO_ALL && w->send == w->recv;
        s.copy =
            hlq_arena_take(device, in_place ? hlq_send_elems(w) * hlq_dtype_bytes(w->dtype) : 0);
        return s;
    }
    s.out = hlq_arena_take(host, n * sizeof *s.out);
    s.in = hlq_arena_take(host, n * sizeof *s.in);
    s.term = hlq_arena_take(host, n * sizeof *s.term);
    for (int p = 0; p < w->size; p++) {
        hlq_part to = hlq_part_to(w, p), from = hlq_part_from(w, p);
        hlq_part arriving = hlq_part_arriving(w, p);
        size_t coming = larger(hlq_part_bytes(w, arriving), hlq_part_bytes(w, from));
        size_t blocks = larger(arriving.place.blocks, from.place.blocks);
        size_t written = hlq_is_coded(w, p) ? hlq_part_bytes(w, to) : 0;
        hlq_device_segment out = take_segment(device, written, to.place.blocks);
        hlq_device_segment in = take_segment(device, p == w->rank ? 0 : coming, blocks);
        if (!host->base) continue;
        s.out[p] = out;
        s.in[p] = p == w->rank ? out : in;
    }
    size_t blocks = hlq_is_sum(w->operation) ? hlq_part_to(w, w->rank).place.blocks : 0;
    s.sums.acc = hlq_arena_take(device, blocks * HLQ_BLOCK_ELEMS * sizeof(float));
    s.sums.exponent = hlq_arena_take(device, blocks * sizeof(int16_t));
    s.sums.unit = hlq_arena_take(device, sizeof(int32_t));
    return s;
}

size_t hlq_device_walk_bytes(const hlq_walk *w)
{
    hlq_arena host = {NULL, 0, 0}, device = {NULL, 0, 0};
    lay_out(w, &host, &device);
    return device.used;
}

/* Segments ------------------------------------------------------------------------------------ */

/* What leg it is in, and whose, decides how it is read. */
static void set_frame(const job *j, hlq_device_segment *s, const hlq_part *part, int p, int leg)
{
    s->frame = hlq_part_frame(j->w, part, p, leg);
}

static hlq_status write_part(const job *j, int p, int leg, const hlq_device_sums *sums)
{
    const hlq_walk *w = j->w;
    hlq_device_segment *s = &j->s.out[p];
    hlq_part to = hlq_part_to(w, p);
    hlq_source source = hlq_source_of(w, &to);
    set_frame(j, s, &to, w->rank, leg);
    if (!s->frame.bytes) return HLQ_OK;
    return hlq_device_check(w, j->wire->write(s, &source, sums, j->report, j->stream), "encode");
}

static hlq_status open_segment(const job *j, const hlq_device_segment *s)
{
    if (!s->frame.bytes) return HLQ_OK;
    return hlq_device_check(j->w, j->wire->open(s, j->report, j->stream), "open a message");
}

void hlq_device_clear_messages(const hlq_walk *w)
{
    static const hlq_message nothing = {NULL, 0};
    for (int p = 0; p < w->comm->size; p++) w->out[p] = w->in[p] = nothing;
}

/* Rounds -------------------------------------------------------------------------------------- */

enum { NOTE_CODED = 0 }; /* and the number of a round, when that is over */

/* All ranks decide alike. */
static int goes_in_rounds(const hlq_walk *w)
{
    const hlq_device *d = w->comm->device;
    if (!d->carrier.aside || w->algorithm == HLQ_ALG_NATIVE) return 0;
    return w->size > 2 && hlq_longest_bytes(w) >= d->round_bytes;
}

/* Who a rank sends to in round d, and whom it hears from. */
static int receiver(const hlq_walk *w, int d) { return (w->rank + d) % w->size; }
static int sender(const hlq_walk *w, int d) { return (w->rank - d + w->size) % w->size; }

static void put_messages(const job *j, int d, int is_to_all)
{
    const hlq_walk *w = j->w;
    int to = receiver(w, d), from = sender(w, d);
    const hlq_device_segment *out = &j->s.out[is_to_all ? w->rank : to], *in = &j->s.in[from];
    w->out[hlq_rank_of(w, to)] = (hlq_message){out->segment, out->frame.bytes};
    w->in[hlq_rank_of(w, from)] = (hlq_message){in->segment, in->frame.bytes};
}

/* Every rank's message to its owner; or the own one to all. */
static hlq_status exchange(const job *j, int is_to_all)
{
    hlq_walk *w = j->w;
    const hlq_carrier *c = j->carrier;
    hlq_device_clear_messages(w);
    for (int d = 1; d < w->size; d++) put_messages(j, d, is_to_all);
    return c->exchange(c->self, w->out, w->in, hlq_longest_bytes(w), j->stream, w->error);
}

/* The same of round d alone, aside. */
static hlq_status exchange_round(const job *j, int d, int is_to_all)
{
    hlq_walk *w = j->w;
    const hlq_carrier *c = j->carrier;
    hlq_device_clear_messages(w);
    put_messages(j, d, is_to_all);
    HLQ_TRY(c->note(c->self, NOTE_CODED, j->stream, w->error));
    HLQ_TRY(c->heed(c->self, NOTE_CODED, c->aside, w->error));
    HLQ_TRY(c->exchange(c->self, w->out, w->in, hlq_longest_bytes(w), c->aside, w->error));
    return c->note(c->self, d, c->aside, w->error);
}

/* What came in round d is opened; in round 0, that is this rank's own. */
static hlq_status receive(const job *j, int d)
{
    const hlq_carrier *c = j->carrier;
    if (d && j->in_rounds) HLQ_TRY(c->heed(c->self, d, j->stream, j->w->error));
    return open_segment(j, &j->s.in[sender(j->w, d)]);
}

static hlq_status send_parts(const job *j)
{
    const hlq_walk *w = j->w;
    for (int d = 1; d < w->size; d++) {
        int from = sender(w, d);
        hlq_part arriving = hlq_part_arriving(w, from);
        set_frame(j, &j->s.in[from], &arriving, from, HLQ_LEG_PARTS);
        HLQ_TRY(write_part(j, receiver(w, d), HLQ_LEG_PARTS, NULL));
        if (j->in_rounds) HLQ_TRY(exchange_round(j, d, 0));
    }
    return j->in_rounds ? HLQ_OK : exchange(j, 0);
}

/* The own part, or its sum, to all. */
static hlq_status send_own(const job *j, int leg, const hlq_device_sums *sums)
{
    const hlq_walk *w = j->w;
    HLQ_TRY(write_part(j, w->rank, leg, sums));
    j->s.in[w->rank] = j->s.out[w->rank];
    for (int d = 1; d < w->size; d++) {
        int from = sender(w, d);
        hlq_part part = hlq_part_from(w, from);
        set_frame(j, &j->s.in[from], &part, from, leg);
        if (j->in_rounds) HLQ_TRY(exchange_round(j, d, 1));
    }
    return j->in_rounds ? HLQ_OK : exchange(j, 1);
}

/* What came ----------------------------------------------------------------------------------- */

/* Every rank's code of the own part; this rank's own numbers as they are, if they are not coded. */
static hlq_status add_up(const job *j, int own_is_coded)
{
    const hlq_walk *w = j->w;
    hlq_part part = hlq_part_to(w, w->rank);
    hlq_source own = hlq_source_of(w, &part);
    int terms = 0;
    for (int d = !own_is_coded; d < w->size; d++) HLQ_TRY(receive(j, d));
    if (!part.place.blocks) return HLQ_OK;
    for (int p = 0; p < w->size; p++) {
        if (p != w->rank || own_is_coded) j->s.term[terms++] = j->s.in[p];
    }
    int code =
        j->wire->sum(j->s.term, terms, own_is_coded ? NULL : &own, w->rank, &j->s.sums, j->stream);
    return hlq_device_check(w, code, "add up");
}

static hlq_status finish_sums(const job *j)
{
    const hlq_walk *w = j->w;
    hlq_part part = hlq_part_to(w, w->rank);
    if (!part.place.blocks) return HLQ_OK;
    int code = j->wire->unrotate(&part.place, &j->s.sums, hlq_output_factor(w), w->dtype, w->recv,
                                 part.elems, j->report, j->stream);
    return hlq_device_check(w, code, "decode sums");
}

static hlq_status decode_parts(const job *j, int own_is_coded)
{
    const hlq_walk *w = j->w;
    for (int d = !own_is_coded; d < w->size; d++) {
        const hlq_device_segment *s = &j->s.in[sender(w, d)];
        hlq_part from = hlq_part_from(w, sender(w, d));
        HLQ_TRY(receive(j, d));
        if (!s->frame.bytes) continue;
        int code = j->wire->decode(s, hlq_output_factor(w), w->dtype, hlq_output_of(w, &from),
                                   from.elems, j->report, j->stream);
        HLQ_TRY(hlq_device_check(w, code, "decode"));
    }
    return HLQ_OK;
}

/* The walks ----------------------------------------------------------------------------------- */

static hlq_status all_reduce(const job *j)
{
    int is_twoshot = hlq_is_coded_twice(j->w);
    if (is_twoshot) {
        HLQ_TRY(send_parts(j));
        HLQ_TRY(add_up(j, 0));
        HLQ_TRY(send_own(j, HLQ_LEG_SUMS, &j->s.sums));
        return decode_parts(j, 1);
    }
    HLQ_TRY(send_own(j, HLQ_LEG_PARTS, NULL));
    HLQ_TRY(add_up(j, 1));
    return finish_sums(j);
}

static hlq_status reduce_scatter(const job *j)
{
    const hlq_walk *w = j->w;
    hlq_part part = hlq_part_to(w, w->rank);
    HLQ_TRY(send_parts(j));
    HLQ_TRY(add_up(j, 0));
    HLQ_TRY(finish_sums(j));
    if (!w->residual) return HLQ_OK; /* all of the own part is told */
    return j->carrier->zero(j->carrier->self, w->residual + part.start,
                            part.elems * sizeof *w->residual, j->stream, w->error);
}

static hlq_status copy_own_part(const job *j)
{
    const hlq_walk *w = j->w;
    hlq_part to = hlq_part_to(w, w->rank), from = hlq_part_from(w, w->rank);
    const void *own = hlq_source_of(w, &to).data;
    void *place = hlq_output_of(w, &from);
    size_t bytes = to.elems * hlq_dtype_bytes(w->dtype);
    if (own == place || !bytes) return HLQ_OK;
    return j->carrier->copy(j->carrier->self, place, own, bytes, j->stream, w->error);
}

static hlq_status native(const job *j)
{
    const hlq_walk *w = j->w;
    const hlq_carrier *c = j->carrier;
    const void *send = w->send;
    if (w->operation == HLQ_ALL_TO_ALL && w->send == w->recv) {
        size_t bytes = hlq_send_elems(w) * hlq_dtype_bytes(w->dtype);
        HLQ_TRY(c->copy(c->self, j->s.copy, send, bytes, j->stream, w->error));
        send = j->s.copy;
    }
    return c->native(c->self, w->operation, send, w->recv, w->count, w->dtype, w->op, j->stream,
                     w->error);
}

static hlq_status walk(const job *j)
{
    const hlq_walk *w = j->w;
    if (w->algorithm == HLQ_ALG_NATIVE) return native(j);
    switch (w->operation) {
    case HLQ_ALL_REDUCE: return all_reduce(j);
    case HLQ_REDUCE_SCATTER: return reduce_scatter(j);
    case HLQ_ALL_GATHER: HLQ_TRY(send_own(j, HLQ_LEG_PARTS, NULL)); return decode_parts(j, 1);
    case HLQ_ALL_TO_ALL: break;
    }
    HLQ_TRY(copy_own_part(j));
    HLQ_TRY(send_parts(j));
    return decode_parts(j, 0);
}

hlq_status hlq_device_walk(hlq_walk *w, uint8_t *memory, hlq_stream stream)
{
    const hlq_device *device = w->comm->device;
    hlq_arena counting = {NULL, 0, 0}, none = {NULL, 0, 0};
    lay_out(w, &counting, &none);
    if (hlq_arena_reserve(&w->arena, counting.used) != HLQ_OK) {
        return hlq_fail(w, HLQ_E_NOMEM, "no memory for %zu bytes of workspace", counting.used);
    }
    if (counting.used) memset(w->arena.base, 0, counting.used);
    hlq_arena host = w->arena, on_device = {memory, 0, 0};
    job j = {
        .w = w,
        .carrier = &device->carrier,
        .wire = device->wire,
        .report = device->report,
        .stream = stream,
        .in_rounds = goes_in_rounds(w),
        .s = lay_out(w, &host, &on_device),
    };
    return walk(&j);
}
