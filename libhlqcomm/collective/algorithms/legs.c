/*
 * The pieces of legs.h.
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

static size_t part_bytes(const hlq_walk *w, hlq_part part)
{
    return hlq_part_frame(w, &part, w->rank, HLQ_LEG_PARTS).bytes;
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* Whether a message for rank p is coded: its part, or the own part for all. */
static int is_coded(const hlq_walk *w, int p)
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
    int is_own = p == w->rank;
    size_t blocks = larger(to.place.blocks, larger(arriving.place.blocks, from.place.blocks));
    uint8_t *out = hlq_arena_take(arena, is_coded(w, p) ? part_bytes(w, to) : 0);
    uint8_t *in =
        hlq_arena_take(arena, is_own ? 0 : larger(part_bytes(w, arriving), part_bytes(w, from)));
    uint8_t *bits = hlq_arena_take(arena, blocks);
    if (!arena->base) return;
    legs->out[p] = out;
    legs->in[p] = in;
    legs->bits[p] = bits;
}

static hlq_legs lay_out(const hlq_walk *w, hlq_arena *arena, size_t acc_blocks)
{
    int n = w->size;
    size_t blocks = 0;
    for (int p = 0; p < n; p++) {
        blocks = larger(blocks,
                        larger(hlq_part_to(w, p).place.blocks, hlq_part_from(w, p).place.blocks));
    }
    hlq_legs legs = {
        .out = hlq_arena_take(arena, (size_t)n * sizeof *legs.out),
        .in = hlq_arena_take(arena, (size_t)n * sizeof *legs.in),
        .bytes = hlq_arena_take(arena, (size_t)n * sizeof *legs.bytes),
        .run = hlq_arena_take(arena, (size_t)n * sizeof *legs.run),
        .bits = hlq_arena_take(arena, (size_t)n * sizeof *legs.bits),
        .exponent = hlq_arena_take(arena, blocks * sizeof *legs.exponent),
        .acc = hlq_arena_take(arena, acc_blocks * HLQ_BLOCK_ELEMS * sizeof *legs.acc),
    };
    for (int p = 0; p < n; p++) lay_out_rank(w, arena, &legs, p);
    return legs;
}

hlq_legs hlq_legs_of(const hlq_walk *w, size_t acc_blocks)
{
    hlq_arena arena = w->arena;
    return lay_out(w, &arena, acc_blocks);
}

size_t hlq_legs_bytes(const hlq_walk *w, size_t acc_blocks)
{
    hlq_arena counting = {NULL, 0, 0};
    lay_out(w, &counting, acc_blocks);
    return counting.used;
}

uint64_t hlq_bytes_of_parts(const hlq_walk *w)
{
    uint64_t bytes = 0;
    for (int p = 0; p < w->size; p++) {
        if (p != w->rank) bytes += part_bytes(w, hlq_part_to(w, p));
    }
    return bytes;
}

uint64_t hlq_bytes_of_own(const hlq_walk *w)
{
    return (uint64_t)(w->size - 1) * part_bytes(w, hlq_part_to(w, w->rank));
}

void hlq_encode_part(const hlq_walk *w, hlq_legs *legs, const hlq_part *part,
                     const hlq_source *source, int p, int leg, hlq_code_stats *stats)
{
    hlq_frame frame = hlq_part_frame(w, part, w->rank, leg);
    hlq_scratch scratch = {legs->exponent, legs->bits[p]};
    legs->bytes[p] = 0;
    if (!frame.bytes) return;
    frame.allowed = share_of_error(w, leg);
    double begin = hlq_now();
    legs->bytes[p] =
        hlq_segment_encode(w->comm->kernels, &frame, source, scratch, legs->out[p], stats);
    w->stats->seconds_encode += hlq_now() - begin;
}

void hlq_send_parts(hlq_walk *w, hlq_legs *legs)
{
    w->sized = w->max_error > 0;
    for (int p = 0; p < w->size; p++) {
        if (p == w->rank) continue;
        hlq_part to = hlq_part_to(w, p);
        hlq_source source = hlq_source_of(w, &to);
        hlq_encode_part(w, legs, &to, &source, p, HLQ_LEG_PARTS, &w->sent);
        w->out[p] = (hlq_message){legs->out[p], legs->bytes[p]};
        w->in[p] = (hlq_message){legs->in[p], part_bytes(w, hlq_part_arriving(w, p))};
    }
}

void hlq_send_own(hlq_walk *w, hlq_legs *legs)
{
    hlq_part own = hlq_part_to(w, w->rank);
    hlq_source source = hlq_source_of(w, &own);
    hlq_encode_part(w, legs, &own, &source, w->rank, HLQ_LEG_PARTS, &w->sent);
    hlq_share_own(w, legs);
}

void hlq_share_own(hlq_walk *w, hlq_legs *legs)
{
    w->sized = w->max_error > 0;
    hlq_send_to_all(w, legs->out[w->rank], legs->bytes[w->rank]);
    for (int p = 0; p < w->size; p++) {
        w->in[p] = (hlq_message){legs->in[p], part_bytes(w, hlq_part_from(w, p))};
    }
}

/* Opens rank p's code of a part, in the communicator's words if that fails. */
static hlq_status open_part(const hlq_walk *w, hlq_legs *legs, const hlq_part *part, int p, int leg)
{
    char what[HLQ_ERROR_BYTES];
    hlq_frame frame = hlq_part_frame(w, part, p, leg);
    int is_own = p == w->rank;
    uint8_t *segment = is_own ? legs->out[p] : legs->in[p];
    frame.bytes = is_own ? legs->bytes[p] : w->in[p].bytes;
    hlq_status status = hlq_segment_read(&frame, segment, legs->bits[p], &legs->run[p], what);
    if (status == HLQ_OK) return HLQ_OK;
    return hlq_fail(w, status, "from rank %d: %.200s", hlq_rank_of(w, p), what);
}

hlq_status hlq_open_terms(hlq_walk *w, hlq_legs *legs, const hlq_part *part, const hlq_source *own,
                          int *unit)
{
    int limit = w->dtype == HLQ_FLOAT64 ? HLQ_UNIT_LIMIT_FLOAT64 : HLQ_UNIT_LIMIT;
    *unit = -limit;
    for (int p = 0; p < w->size; p++) {
        int base;
        if (own && p == w->rank) {
            w->comm->kernels->exponents(&part->place, own, legs->exponent);
            base = hlq_base_of_exponents(w->dtype, legs->exponent, part->place.blocks);
        } else {
            HLQ_TRY(open_part(w, legs, part, p, HLQ_LEG_PARTS));
            base = legs->run[p].base;
        }
        if (base > *unit) *unit = base;
    }
    if (*unit > limit) *unit = limit;
    return HLQ_OK;
}

void hlq_count_terms(hlq_walk *w, const hlq_legs *legs, const hlq_part *exact)
{
    if (exact) w->received.energy += hlq_energy_of_exponents(legs->exponent, exact->place.blocks);
    for (int p = 0; p < w->size; p++) {
        if (!exact || p != w->rank) hlq_code_stats_add(&w->received, &legs->run[p]);
    }
}

void hlq_add_terms(const hlq_walk *w, hlq_legs *legs, const hlq_place *now, const hlq_source *own,
                   int unit, float *acc)
{
    const hlq_kernels *kernels = w->comm->kernels;
    memset(acc, 0, now->blocks * HLQ_BLOCK_ELEMS * sizeof *acc);
    for (int p = 0; p < w->size; p++) {
        if (own && p == w->rank) {
            kernels->rotate_add(now, own, unit, acc);
        } else {
            hlq_run term = hlq_run_take(&legs->run[p], now->blocks);
            kernels->decode_add(&term, unit, acc);
        }
    }
}

void hlq_sum_to_recv(const hlq_walk *w, hlq_legs *legs, const hlq_part *part, const hlq_source *own,
                     int unit)
{
    hlq_place rest = part->place;
    while (rest.blocks) {
        hlq_place now = hlq_place_take(&rest, HLQ_SUM_BLOCKS);
        hlq_add_terms(w, legs, &now, own, unit, legs->acc);
        w->stats->nonfinite_blocks += w->comm->kernels->unrotate(
            &now, legs->acc, unit, hlq_output_factor(w), w->dtype, w->recv, part->elems);
    }
}

void hlq_copy_own_part(const hlq_walk *w)
{
    hlq_part to = hlq_part_to(w, w->rank), from = hlq_part_from(w, w->rank);
    const void *source = hlq_source_of(w, &to).data;
    void *output = hlq_output_of(w, &from);
    if (output != source) memcpy(output, source, to.elems * hlq_dtype_bytes(w->dtype));
}

hlq_status hlq_decode_part(hlq_walk *w, hlq_legs *legs, int p)
{
    hlq_part from = hlq_part_from(w, p);
    int leg = w->operation == HLQ_ALL_REDUCE ? HLQ_LEG_SUMS : HLQ_LEG_PARTS;
    if (!from.place.blocks) return HLQ_OK;
    double begin = hlq_now();
    HLQ_TRY(open_part(w, legs, &from, p, leg));
    const hlq_run *run = &legs->run[p];
    w->comm->kernels->decode(run, hlq_output_factor(w), w->dtype, hlq_output_of(w, &from),
                             from.elems, NULL);
    hlq_code_stats_add(&w->received, run);
    w->stats->nonfinite_blocks += hlq_run_nonfinite(run);
    w->stats->seconds_decode += hlq_now() - begin;
    return HLQ_OK;
}
