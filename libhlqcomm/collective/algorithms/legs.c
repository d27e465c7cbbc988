/*
 * The pieces of legs.h: how parts travel, where they lie, and how they are sent.
 */
#include "legs.h"
#include <collective/choose.h>

#include <transport/transport_internal.h>

#include <string.h>

hlq_frame hlq_part_frame(const hlq_walk *w, const hlq_part *part, int p, int leg)
{
    size_t blocks = part->place.blocks;
    hlq_form form = w->max_error > 0 ? HLQ_FORM_BOUND : HLQ_FORM_RAMP;
    size_t bytes =
        hlq_segment_bytes(form, blocks, hlq_part_budget(w, part), hlq_least_bits(w, part));
    return (hlq_frame){
        .dithered = w->comm->options.dither,
        .sender = hlq_rank_of(w, p),
        .leg = leg,
        .form = form,
        .lattice = w->comm->options.lattice,
        .dtype = w->dtype,
        .place = part->place,
        .call = w->call,
        .bytes = blocks ? bytes : 0,
    };
}

/*
 * Bound mode: errors add up, so each code of a result gets a share of what is allowed. A sum that
 * is coded again has half of it, and its terms the other half: then both legs are equally long.
 * What float32's rounding adds is less than is held back here.
 */
static double share_of_error(const hlq_walk *w, int leg)
{
    const double held_back = 1.0 / 64;
    double allowed = w->max_error * (1 - held_back);
    if (!hlq_is_sum(w->operation)) return allowed;
    int own_is_coded = w->operation == HLQ_ALL_REDUCE && !hlq_is_coded_twice(w);
    allowed /= (double)hlq_output_factor(w);
    if (hlq_is_coded_twice(w)) allowed /= 2;
    return leg == HLQ_LEG_SUMS ? allowed : allowed / (w->size - !own_is_coded);
}

hlq_part hlq_part_arriving(const hlq_walk *w, int p)
{
    return hlq_is_sum(w->operation) ? hlq_part_to(w, w->rank) : hlq_part_from(w, p);
}

size_t hlq_part_bytes(const hlq_walk *w, hlq_part part)
{
    return hlq_part_frame(w, &part, w->rank, HLQ_LEG_PARTS).bytes;
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }
static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

int hlq_is_coded(const hlq_walk *w, int p)
{
    int is_sum = w->operation == HLQ_ALL_REDUCE;
    int goes_to_all = w->operation == HLQ_ALL_GATHER || (is_sum && w->algorithm == HLQ_ALG_ONESHOT);
    if (p == w->rank) return goes_to_all || is_sum;
    return !goes_to_all;
}

/* Space for what is sent to and comes from rank p, in any exchange. */
static void lay_out_rank(const hlq_walk *w, hlq_arena *arena, hlq_legs *legs, int p)
{
    hlq_part to = hlq_part_to(w, p), arriving = hlq_part_arriving(w, p);
    hlq_part from = hlq_part_from(w, p);
    int is_own = p == w->rank, codes = hlq_is_coded(w, p);
    size_t coming = is_own ? 0 : larger(hlq_part_bytes(w, arriving), hlq_part_bytes(w, from));
    uint8_t *out = hlq_arena_take(arena, codes ? hlq_part_bytes(w, to) : 0);
    uint8_t *in = hlq_arena_take(arena, coming);
    uint8_t *bits_out = hlq_arena_take(arena, codes ? to.place.blocks : 0);
    uint8_t *bits_in = hlq_arena_take(arena, larger(arriving.place.blocks, from.place.blocks));
    if (!arena->base) return;
    legs->out[p] = out;
    legs->in[p] = is_own ? out : in;
    legs->bits_out[p] = bits_out;
    legs->bits_in[p] = bits_in;
    legs->writer[p] = (hlq_writer){.segment = out};
}

static int has_room_in_recv(const hlq_walk *w)
{
    return hlq_dtype_bytes(w->dtype) >= sizeof(float);
}

static hlq_legs lay_out(const hlq_walk *w, hlq_arena *arena)
{
    const size_t acc_bytes = HLQ_BLOCK_ELEMS * sizeof(float);
    size_t n = (size_t)w->size, threads = (size_t)w->comm->team.threads, blocks = 0;
    size_t sums = hlq_is_coded_twice(w) ? hlq_part_to(w, w->rank).place.blocks : 0;
    int in_recv = has_room_in_recv(w);
    for (int p = 0; p < w->size; p++) {
        blocks = larger(blocks,
                        larger(hlq_part_to(w, p).place.blocks, hlq_part_from(w, p).place.blocks));
    }
    hlq_arena_take(arena, sizeof(hlq_legs)); /* itself */
    hlq_legs legs = {
        .out = hlq_arena_take(arena, n * sizeof *legs.out),
        .in = hlq_arena_take(arena, n * sizeof *legs.in),
        .bits_out = hlq_arena_take(arena, n * sizeof *legs.bits_out),
        .bits_in = hlq_arena_take(arena, n * sizeof *legs.bits_in),
        .writer = hlq_arena_take(arena, n * sizeof *legs.writer),
        .reader = hlq_arena_take(arena, n * sizeof *legs.reader),
        .piece = hlq_arena_take(arena, n * sizeof *legs.piece),
        .run = hlq_arena_take(arena, threads * n * sizeof *legs.run),
        .exponent = hlq_arena_take(arena, blocks * sizeof *legs.exponent),
        .acc = hlq_arena_take(arena, threads * HLQ_SUM_BLOCKS * acc_bytes),
        .sums = in_recv ? NULL : hlq_arena_take(arena, sums * acc_bytes),
        .last = in_recv && sums ? hlq_arena_take(arena, acc_bytes) : NULL,
    };
    for (int p = 0; p < w->size; p++) lay_out_rank(w, arena, &legs, p);
    return legs;
}

hlq_legs *hlq_legs_of(const hlq_walk *w) { return (hlq_legs *)(void *)w->arena.base; }

hlq_legs *hlq_legs_begin(const hlq_walk *w)
{
    hlq_arena arena = w->arena;
    hlq_legs legs = lay_out(w, &arena);
    *hlq_legs_of(w) = legs;
    return hlq_legs_of(w);
}

size_t hlq_legs_bytes(const hlq_walk *w)
{
    hlq_arena counting = {NULL, 0, 0};
    lay_out(w, &counting);
    return counting.used;
}

hlq_source hlq_sums_of(const hlq_walk *w, const hlq_legs *legs)
{
    hlq_source sums = {
        .data = legs->sums,
        .dtype = HLQ_FLOAT32,
        .elems = w->count,
        .rotated = 1,
        .unit = legs->unit,
    };
    if (has_room_in_recv(w)) {
        sums.data = w->recv;
        sums.room = HLQ_BLOCK_ELEMS * hlq_dtype_bytes(w->dtype);
        sums.last = legs->last;
    }
    return sums;
}

/* Of an all-reduce the first part is the longest. */
size_t hlq_legs_first_bytes(const hlq_walk *w) { return hlq_part_bytes(w, hlq_part_to(w, 0)); }

uint64_t hlq_bytes_of_parts(const hlq_walk *w)
{
    uint64_t bytes = 0;
    for (int p = 0; p < w->size; p++) {
        if (p != w->rank) bytes += hlq_part_bytes(w, hlq_part_to(w, p));
    }
    return bytes;
}

uint64_t hlq_bytes_of_own(const hlq_walk *w)
{
    return (uint64_t)(w->size - 1) * hlq_part_bytes(w, hlq_part_to(w, w->rank));
}

/* Flows -------------------------------------------------------------------------------------- */

size_t hlq_longest_bytes(const hlq_walk *w)
{
    hlq_walk widest = *w;
    if (w->span) widest.count = w->span;
    return hlq_part_bytes(&widest, hlq_part_to(&widest, 0));
}

/* Where messages are cut, and into how many chunks: the same on all ranks, whatever they hold.
   Where all pairs have counts of their own, nobody knows the longest. */
static int cut(const hlq_walk *w, hlq_legs *legs)
{
    if (w->has_counts || w->max_error > 0) {
        legs->chunk = SIZE_MAX;
        return 1;
    }
    size_t bytes = hlq_longest_bytes(w);
    legs->chunk = w->chunk;
    return bytes ? (int)((bytes + legs->chunk - 1) / legs->chunk) : 1;
}

size_t hlq_chunk_start(const hlq_legs *legs, int i, size_t bytes)
{
    if (i && legs->chunk > bytes / (size_t)i) return bytes;
    return smaller((size_t)i * legs->chunk, bytes);
}

/* Codes a message up to there at least. */
static void write_to(const hlq_walk *w, hlq_writer *writer, size_t bytes)
{
    double begin = hlq_now();
    while (writer->bytes < bytes && !hlq_writer_is_done(writer)) hlq_writer_next(writer);
    w->stats->seconds_encode += hlq_now() - begin;
}

static hlq_message chunk_of(const hlq_legs *legs, uint8_t *segment, size_t bytes, int i)
{
    size_t start = hlq_chunk_start(legs, i, bytes), end = hlq_chunk_start(legs, i + 1, bytes);
    return (hlq_message){end > start ? segment + start : NULL, end - start};
}

static hlq_status fill(hlq_walk *w, int i)
{
    hlq_legs *legs = hlq_legs_of(w);
    for (int p = 0; p < w->size; p++) {
        hlq_writer *writer = &legs->writer[legs->is_to_all ? w->rank : p];
        const hlq_reader *reader = &legs->reader[p];
        write_to(w, writer, hlq_chunk_start(legs, i + 1, writer->frame.bytes));
        w->out[p] = chunk_of(legs, writer->segment, writer->frame.bytes, i);
        w->in[p] = chunk_of(legs, reader->segment, reader->frame.bytes, i);
    }
    return HLQ_OK;
}

static void start_flow(hlq_walk *w, hlq_legs *legs, hlq_drain *drain)
{
    w->sized = w->max_error > 0;
    w->flow = (hlq_flow){.exchanges = cut(w, legs), .fill = fill, .drain = drain};
}

static void begin_writer(const hlq_walk *w, hlq_legs *legs, const hlq_part *part,
                         const hlq_source *source, int p, int leg, hlq_code_stats *stats)
{
    hlq_frame frame = hlq_part_frame(w, part, w->rank, leg);
    hlq_scratch scratch = {legs->exponent, legs->bits_out[p]};
    frame.allowed = share_of_error(w, leg);
    double begin = hlq_now();
    hlq_writer_begin(&legs->writer[p], &w->comm->team, &frame, source, scratch, legs->out[p],
                     stats);
    w->stats->seconds_encode += hlq_now() - begin;
}

static void begin_reader(const hlq_walk *w, hlq_legs *legs, const hlq_part *part, int p, int leg)
{
    hlq_frame frame = hlq_part_frame(w, part, p, leg);
    hlq_reader_begin(&legs->reader[p], &frame, legs->in[p], legs->bits_in[p]);
}

void hlq_send_parts(hlq_walk *w, hlq_legs *legs, hlq_drain *drain)
{
    static const hlq_part none = {0};
    for (int p = 0; p < w->size; p++) {
        hlq_part to = hlq_part_to(w, p), arriving = hlq_part_arriving(w, p);
        hlq_source source = hlq_source_of(w, &to);
        int is_own = p == w->rank;
        begin_reader(w, legs, is_own ? &none : &arriving, p, HLQ_LEG_PARTS);
        if (!is_own) begin_writer(w, legs, &to, &source, p, HLQ_LEG_PARTS, &w->sent);
    }
    legs->is_to_all = 0;
    start_flow(w, legs, drain);
}

static void send_to_all(hlq_walk *w, hlq_legs *legs, const hlq_source *source, int leg,
                        hlq_code_stats *stats, hlq_drain *drain)
{
    hlq_part own = hlq_part_to(w, w->rank);
    for (int p = 0; p < w->size; p++) {
        hlq_part from = hlq_part_from(w, p);
        begin_reader(w, legs, &from, p, leg);
    }
    begin_writer(w, legs, &own, source, w->rank, leg, stats);
    legs->is_to_all = 1;
    start_flow(w, legs, drain);
}

void hlq_send_own(hlq_walk *w, hlq_legs *legs, hlq_drain *drain)
{
    hlq_part own = hlq_part_to(w, w->rank);
    hlq_source source = hlq_source_of(w, &own);
    send_to_all(w, legs, &source, HLQ_LEG_PARTS, &w->sent, drain);
}

void hlq_share_own(hlq_walk *w, hlq_legs *legs, const hlq_source *source, hlq_drain *drain)
{
    send_to_all(w, legs, source, HLQ_LEG_SUMS, &legs->coded, drain);
}

void hlq_copy_own_part(const hlq_walk *w)
{
    hlq_part to = hlq_part_to(w, w->rank), from = hlq_part_from(w, w->rank);
    const void *source = hlq_source_of(w, &to).data;
    void *output = hlq_output_of(w, &from);
    if (output != source) memcpy(output, source, to.elems * hlq_dtype_bytes(w->dtype));
}
