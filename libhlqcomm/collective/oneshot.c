/*
 * oneshot: everybody sends the code of its whole tensor to everybody, and all add what they decode.
 *
 *   rank 0   codes of all blocks ──▶ all        every rank: decode 0 + decode 1 + … in rank order
 *   rank 1   codes of all blocks ──▶ all
 *
 * One quantization and one hop: the choice for 2 ranks. The own contribution is decoded from its
 * codes too, so all ranks add the same numbers. With n ranks every code goes out n-1 times, so for
 * the wire budget to hold the code itself has 2/n of the bits: beyond 2 ranks twoshot is better.
 */
#include "all_reduce.h"

#include <transport/transport_internal.h>

#include <string.h>

/* Blocks added at a time, see twoshot.c. */
enum { SUM_BLOCKS = 64 };

typedef struct {
    uint8_t **segment; /* one per rank */
    hlq_run *run;
    uint8_t **bits;
    int16_t *exponent;
    float *acc; /* SUM_BLOCKS blocks */
} space;

static hlq_frame frame_of(const hlq_reduction *r)
{
    hlq_place place = hlq_place_all(r->count, r->comm->options.seed);
    double budget = 2 * hlq_part_budget(r); /* n-1 messages instead of 2 (n-1) */
    return (hlq_frame){
        .form = HLQ_FORM_RAMP,
        .lattice = r->comm->options.lattice,
        .place = place,
        .call = r->comm->call,
        .bytes = hlq_segment_bytes(HLQ_FORM_RAMP, place.blocks, budget, hlq_least_bits(r)),
    };
}

static space lay_out(const hlq_reduction *r, hlq_arena *arena)
{
    int n = r->comm->size;
    hlq_frame frame = frame_of(r);
    size_t blocks = frame.place.blocks;
    space s = {
        .segment = hlq_arena_take(arena, (size_t)n * sizeof *s.segment),
        .run = hlq_arena_take(arena, (size_t)n * sizeof *s.run),
        .bits = hlq_arena_take(arena, (size_t)n * sizeof *s.bits),
        .exponent = hlq_arena_take(arena, blocks * sizeof *s.exponent),
        .acc = hlq_arena_take(arena, SUM_BLOCKS * HLQ_BLOCK_ELEMS * sizeof *s.acc),
    };
    for (int p = 0; p < n; p++) {
        uint8_t *segment = hlq_arena_take(arena, frame.bytes);
        uint8_t *bits = hlq_arena_take(arena, blocks);
        if (!arena->base) continue;
        s.segment[p] = segment;
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
    return (uint64_t)(r->comm->size - 1) * frame_of(r).bytes;
}

static hlq_status send_code(const hlq_reduction *r, space *s, hlq_code_stats *stats)
{
    hlq_comm *comm = r->comm;
    hlq_frame frame = frame_of(r);
    hlq_source source = hlq_source_of(r);
    hlq_scratch scratch = {s->exponent, s->bits[comm->rank]};
    uint8_t *own = s->segment[comm->rank];
    double begin = hlq_now();
    hlq_segment_encode(comm->kernels, &frame, &source, scratch, own, stats);
    comm->stats.seconds_encode += hlq_now() - begin;
    hlq_send_to_all(comm, own, frame.bytes);
    for (int p = 0; p < comm->size; p++) comm->in[p] = (hlq_message){s->segment[p], frame.bytes};
    return hlq_exchange(comm);
}

static hlq_status open_codes(const hlq_reduction *r, space *s, int *unit, hlq_code_stats *stats)
{
    hlq_comm *comm = r->comm;
    hlq_frame frame = frame_of(r);
    *unit = -HLQ_UNIT_LIMIT;
    for (int p = 0; p < comm->size; p++) {
        char what[HLQ_ERROR_BYTES];
        hlq_run *run = &s->run[p];
        hlq_status status = hlq_segment_read(&frame, s->segment[p], s->bits[p], run, what);
        if (status != HLQ_OK) return hlq_fail(comm, status, "from rank %d: %.200s", p, what);
        hlq_code_stats_add(stats, run);
        if (run->base > *unit) *unit = run->base;
    }
    if (*unit > HLQ_UNIT_LIMIT) *unit = HLQ_UNIT_LIMIT;
    return HLQ_OK;
}

static void add_codes(const hlq_reduction *r, space *s, int unit)
{
    const hlq_kernels *kernels = r->comm->kernels;
    hlq_place rest = frame_of(r).place;
    while (rest.blocks) {
        hlq_place now = hlq_place_take(&rest, SUM_BLOCKS);
        memset(s->acc, 0, now.blocks * HLQ_BLOCK_ELEMS * sizeof *s->acc);
        for (int p = 0; p < r->comm->size; p++) {
            hlq_run part = hlq_run_take(&s->run[p], SUM_BLOCKS);
            kernels->decode_add(&part, unit, s->acc);
        }
        r->comm->stats.nonfinite_blocks += kernels->unrotate(
            &now, s->acc, unit, hlq_output_factor(r), r->dtype, r->recv, r->count);
    }
}

static hlq_status run(const hlq_reduction *r)
{
    hlq_comm *comm = r->comm;
    hlq_arena arena = comm->arena;
    space s = lay_out(r, &arena);
    hlq_code_stats sent = {0}, received = {0};
    int unit;
    HLQ_TRY(send_code(r, &s, &sent));
    double begin = hlq_now();
    HLQ_TRY(open_codes(r, &s, &unit, &received));
    add_codes(r, &s, unit);
    comm->stats.seconds_decode += hlq_now() - begin;
    comm->stats.overloads = sent.overloads;
    comm->stats.largest_scale = sent.largest_scale;
    /* The energy of the sum is not known here; independent contributions are assumed. */
    if (received.energy > 0) comm->stats.vnmse_estimate = received.error / received.energy;
    return HLQ_OK;
}

const hlq_algorithm_entry hlq_oneshot = {wire_bytes, workspace_bytes, run};
