/*
 * twoshot: quantize, sum at the owner, quantize the sum. Each rank owns every n-th block
 * (partition.h).
 *
 *   rank 0   ┌ part 0 ┐  codes of part 0   owner 0:  own part, exact          codes of the sum
 *   rank 1   │ part 1 │ ─────────────────▶           + decoded from 1, 2, …  ─────────────────▶ all
 *   rank 2   └ part 2 ┘   all-to-all                 in rank order, fp32       all-gather
 *
 * Two quantizations, none of them of the owner's own numbers in the first leg, and no agreement
 * between ranks: each message carries its own exponents, hence its own plan. Everybody, the owner
 * too, decodes the same bytes, so results are equal bit by bit.
 *
 * Bytes per rank: n-1 segments out, then the own segment n-1 times: 2 (n-1)/n × count × bits / 8.
 * Error: about (n-1)/n of the ranks' summed quantization errors, plus that of the sum.
 */
#include "all_reduce.h"

#include <transport/transport_internal.h>

#include <string.h>

/* Blocks the owner sums at a time: their accumulator stays in the cache while ranks take turns. */
enum { SUM_BLOCKS = 64 };

typedef struct {
    uint8_t **out, **in; /* one segment per rank: coded for its owner; received */
    hlq_run *run;        /* one per rank */
    uint8_t **bits;      /* one array per rank, bytes per block of a part */
    int16_t *exponent;   /* of the blocks of a part */
    float *acc;          /* the own part, rotated */
} space;

static hlq_frame frame_of(const hlq_reduction *r, int part)
{
    hlq_place place = hlq_place_part(r->count, r->comm->options.seed, part, r->comm->size);
    size_t bytes =
        hlq_segment_bytes(HLQ_FORM_RAMP, place.blocks, hlq_part_budget(r), hlq_least_bits(r));
    return (hlq_frame){
        .form = HLQ_FORM_RAMP,
        .lattice = r->comm->options.lattice,
        .place = place,
        .call = r->comm->call,
        .bytes = place.blocks ? bytes : 0,
    };
}

static space lay_out(const hlq_reduction *r, hlq_arena *arena)
{
    int n = r->comm->size;
    hlq_frame largest = frame_of(r, 0), own = frame_of(r, r->comm->rank);
    size_t blocks = largest.place.blocks;
    space s = {
        .out = hlq_arena_take(arena, (size_t)n * sizeof *s.out),
        .in = hlq_arena_take(arena, (size_t)n * sizeof *s.in),
        .run = hlq_arena_take(arena, (size_t)n * sizeof *s.run),
        .bits = hlq_arena_take(arena, (size_t)n * sizeof *s.bits),
        .exponent = hlq_arena_take(arena, blocks * sizeof *s.exponent),
        .acc = hlq_arena_take(arena, own.place.blocks * HLQ_BLOCK_ELEMS * sizeof *s.acc),
    };
    for (int p = 0; p < n; p++) {
        uint8_t *out = hlq_arena_take(arena, largest.bytes);
        uint8_t *in = hlq_arena_take(arena, largest.bytes);
        uint8_t *bits = hlq_arena_take(arena, blocks);
        if (!arena->base) continue;
        s.out[p] = out;
        s.in[p] = in;
        s.bits[p] = bits;
    }
    return s;
}

static size_t workspace_bytes(const hlq_reduction *r)
{
    hlq_arena counting = {NULL, 0, 0};
    lay_out(r, &counting);
    return counting.used;
}

static uint64_t wire_bytes(const hlq_reduction *r)
{
    int n = r->comm->size;
    uint64_t bytes = 0;
    for (int p = 0; p < n; p++) {
        if (p != r->comm->rank) bytes += frame_of(r, p).bytes;
    }
    return bytes + (uint64_t)(n - 1) * frame_of(r, r->comm->rank).bytes;
}

/* First leg: every other rank's part, coded for its owner. */
static hlq_status send_parts(const hlq_reduction *r, space *s, hlq_code_stats *stats)
{
    hlq_comm *comm = r->comm;
    hlq_source source = hlq_source_of(r);
    size_t own_bytes = frame_of(r, comm->rank).bytes;
    double begin = hlq_now();
    for (int p = 0; p < comm->size; p++) {
        if (p == comm->rank) continue;
        hlq_frame frame = frame_of(r, p);
        hlq_scratch scratch = {s->exponent, s->bits[p]};
        if (frame.bytes) {
            hlq_segment_encode(comm->kernels, &frame, &source, scratch, s->out[p], stats);
        }
        comm->out[p] = (hlq_message){s->out[p], frame.bytes};
        comm->in[p] = (hlq_message){s->in[p], own_bytes};
    }
    comm->stats.seconds_encode += hlq_now() - begin;
    return hlq_exchange(comm);
}

/* Opens what the others sent for the own part; *unit becomes a power of two near the largest. */
static hlq_status open_parts(const hlq_reduction *r, space *s, const hlq_frame *own, int *unit)
{
    hlq_comm *comm = r->comm;
    hlq_source source = hlq_source_of(r);
    comm->kernels->exponents(&own->place, &source, s->exponent);
    *unit = hlq_base_of_exponents(s->exponent, own->place.blocks);
    for (int p = 0; p < comm->size; p++) {
        if (p == comm->rank) continue;
        char what[HLQ_ERROR_BYTES];
        hlq_status status = hlq_segment_read(own, s->in[p], s->bits[p], &s->run[p], what);
        if (status != HLQ_OK) return hlq_fail(comm, status, "from rank %d: %.200s", p, what);
        if (s->run[p].base > *unit) *unit = s->run[p].base;
    }
    if (*unit > HLQ_UNIT_LIMIT) *unit = HLQ_UNIT_LIMIT;
    if (*unit < -HLQ_UNIT_LIMIT) *unit = -HLQ_UNIT_LIMIT;
    return HLQ_OK;
}

/* The own part summed in rank order, some blocks at a time. */
static void sum_own_part(const hlq_reduction *r, space *s, const hlq_frame *own, int unit)
{
    const hlq_kernels *kernels = r->comm->kernels;
    hlq_source source = hlq_source_of(r);
    hlq_place rest = own->place;
    float *acc = s->acc;
    while (rest.blocks) {
        hlq_place now = hlq_place_take(&rest, SUM_BLOCKS);
        memset(acc, 0, now.blocks * HLQ_BLOCK_ELEMS * sizeof *acc);
        for (int p = 0; p < r->comm->size; p++) {
            if (p == r->comm->rank) {
                kernels->rotate_add(&now, &source, unit, acc);
            } else {
                hlq_run part = hlq_run_take(&s->run[p], SUM_BLOCKS);
                kernels->decode_add(&part, unit, acc);
            }
        }
        acc += now.blocks * HLQ_BLOCK_ELEMS;
    }
}

/* The owner's half: sum, then code the sum. A damaged message poisons the answer, so that all ranks
   learn of it. */
static hlq_status reduce_own_part(const hlq_reduction *r, space *s, hlq_code_stats *stats)
{
    hlq_comm *comm = r->comm;
    hlq_frame own = frame_of(r, comm->rank);
    if (!own.bytes) return HLQ_OK;
    int unit = 0;
    double begin = hlq_now();
    hlq_status status = open_parts(r, s, &own, &unit);
    if (status != HLQ_OK) {
        hlq_segment_poison(s->out[comm->rank]);
        return status;
    }
    sum_own_part(r, s, &own, unit);
    double middle = hlq_now();
    hlq_source sum = {.data = s->acc,
                      .dtype = HLQ_FLOAT32,
                      .elems = r->count,
                      .residual = r->residual,
                      .rotated = 1,
                      .unit = unit};
    hlq_scratch scratch = {s->exponent, s->bits[comm->rank]};
    hlq_segment_encode(comm->kernels, &own, &sum, scratch, s->out[comm->rank], stats);
    comm->stats.seconds_reduce += middle - begin;
    comm->stats.seconds_encode += hlq_now() - middle;
    return HLQ_OK;
}

/* Second leg: the sums of all parts to everybody. */
static hlq_status gather_sums(const hlq_reduction *r, space *s)
{
    hlq_comm *comm = r->comm;
    hlq_send_to_all(comm, s->out[comm->rank], frame_of(r, comm->rank).bytes);
    for (int p = 0; p < comm->size; p++) {
        comm->in[p] = (hlq_message){s->in[p], frame_of(r, p).bytes};
    }
    return hlq_exchange(comm);
}

static hlq_status decode_sums(const hlq_reduction *r, space *s, hlq_code_stats *stats)
{
    hlq_comm *comm = r->comm;
    double begin = hlq_now();
    for (int p = 0; p < comm->size; p++) {
        hlq_frame frame = frame_of(r, p);
        if (!frame.bytes) continue;
        char what[HLQ_ERROR_BYTES];
        hlq_run run;
        uint8_t *segment = p == comm->rank ? s->out[p] : s->in[p];
        hlq_status status = hlq_segment_read(&frame, segment, s->bits[p], &run, what);
        if (status != HLQ_OK) return hlq_fail(comm, status, "from rank %d: %.200s", p, what);
        comm->kernels->decode(&run, hlq_output_factor(r), r->dtype, r->recv, r->count, NULL);
        hlq_code_stats_add(stats, &run);
        comm->stats.nonfinite_blocks += hlq_run_nonfinite(&run);
    }
    comm->stats.seconds_decode += hlq_now() - begin;
    return HLQ_OK;
}

static hlq_status run(const hlq_reduction *r)
{
    hlq_comm *comm = r->comm;
    hlq_arena arena = comm->arena;
    space s = lay_out(r, &arena);
    hlq_code_stats sent = {0}, sum = {0}, result = {0};
    HLQ_TRY(send_parts(r, &s, &sent));
    hlq_status reduced = reduce_own_part(r, &s, &sum);
    HLQ_TRY(gather_sums(r, &s));
    HLQ_TRY(reduced);
    HLQ_TRY(decode_sums(r, &s, &result));

    /* Other ranks' first legs are taken to be like this one's. */
    double first_leg = sent.error * comm->size;
    comm->stats.overloads = sent.overloads + sum.overloads;
    comm->stats.largest_scale =
        sent.largest_scale > sum.largest_scale ? sent.largest_scale : sum.largest_scale;
    if (result.energy > 0) comm->stats.vnmse_estimate = (first_leg + result.error) / result.energy;
    return HLQ_OK;
}

const hlq_algorithm_entry hlq_twoshot = {wire_bytes, workspace_bytes, run};
