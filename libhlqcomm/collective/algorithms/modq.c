/*
 * modq: sums are made on the codes, modulo 2^bits per number, without decoding. Integer addition is
 * exact and associative, so the result has the same bits for any order of ranks and hops.
 *
 *   agree    on one exponent per block (modq_agree.c); the plan follows from it and does not travel
 *   code     every part; all-to-all to the owners, who add planes; or around a ring (modq_ring.c),
 *            where every rank adds its own on the way to the owner
 *   check    A sum must lie inside 2^bits times the Voronoi cell, or it wraps. With every block
 *            goes Σ weight × coordinate of its unreduced point modulo 2^32, which adds up like the
 *            points; the decoded sum must have the same. A wrap changes coordinates by multiples of
 *            2^bits, so 32 - bits bits of the check speak.
 *   extend   Blocks that fail get more planes of the same codes, until the sum fits
 *            (modq_extend.c).
 *            A first width that most sums fit is enough, then; precision is not paid for outliers.
 *   gather   the sums, to everybody.
 *
 *     rank 0 ─┐ planes            owner: add, check ──▶ failed? ──▶ more planes of those ─┐
 *     rank 1 ─┼─────────────▶              ▲                                              │
 *     rank 2 ─┘                            └──────────────────────────────────────────────┘
 *                                  all fit: sums to everybody
 *
 * A reduce-scatter is the same up to where the owner has its sums.
 *
 * Bytes per rank: as twoshot, plus 32 bytes per further plane of a failed block; a share of the
 * budget is kept back for these.
 */
#include "modq.h"
#include "elements.h"

#include <transport/transport_internal.h>

#include <math.h>
#include <string.h>

static modq_space lay_out(const hlq_walk *w, hlq_arena *arena)
{
    int n = w->size;
    hlq_arena_take(arena, sizeof(modq_space)); /* itself, see space_of() */
    hlq_place largest = hlq_part_to(w, 0).place;
    size_t message = hlq_modq_longest_message(w);
    modq_space s = {
        .work = w->residual ? hlq_arena_take(arena, hlq_send_elems(w) * sizeof *s.work) : NULL,
        .exponent = hlq_arena_take(arena, largest.blocks * sizeof *s.exponent),
        .sum = hlq_arena_take(arena, message),
        .part = hlq_arena_take(arena, (size_t)n * sizeof *s.part),
        .most_extra = hlq_modq_most_extra(n),
    };
    for (int p = 0; p < n; p++) {
        hlq_part to = hlq_part_to(w, p);
        modq_part part = {
            .residual = w->residual ? w->residual + to.start : NULL,
            .out = hlq_arena_take(arena, message),
            .in = p == w->rank ? s.sum : hlq_arena_take(arena, message),
            .code = hlq_arena_take(arena, largest.blocks),
            .bits = hlq_arena_take(arena, largest.blocks),
            .failed = hlq_arena_take(arena, hlq_segment_overhead(HLQ_FORM_FAILED, largest.blocks)),
            .frame = {.lattice = w->comm->options.lattice,
                      .dtype = w->dtype,
                      .place = to.place,
                      .call = w->call},
        };
        if (!arena->base) continue; /* only counting: there may be no tensors */
        part.source = hlq_source_of(w, &to);
        s.part[p] = part;
    }
    return s;
}

static size_t workspace_bytes(const hlq_walk *w)
{
    hlq_arena counting = {NULL, 0, 0};
    lay_out(w, &counting);
    return counting.used;
}

/* The walk's own; the first step fills it in. */
static modq_space *space_of(const hlq_walk *w) { return (modq_space *)(void *)w->arena.base; }

/*
 * The tensors as they are coded. A residual is added once, into a copy, since blocks may be coded
 * again; it is emptied and will take up what encoding leaves over.
 */
static void prepare_sources(const hlq_walk *w, modq_space *s)
{
    size_t elems = hlq_send_elems(w);
    if (!w->residual) return;
    memcpy(s->work, w->residual, elems * sizeof *s->work);
    memset(w->residual, 0, elems * sizeof *w->residual);
    hlq_elements_combine(HLQ_SUM, s->work, w->send, w->dtype, elems);
    for (int p = 0; p < w->size; p++) {
        hlq_source *source = &s->part[p].source;
        const float *data = s->work + hlq_part_to(w, p).start;
        *source = (hlq_source){.data = data, .dtype = HLQ_FLOAT32, .elems = source->elems};
    }
}

static void plan_parts(const hlq_walk *w, modq_space *s)
{
    for (int p = 0; p < w->size; p++) {
        modq_part *part = &s->part[p];
        hlq_place *place = &part->frame.place;
        hlq_part to = hlq_part_to(w, p);
        part->plan = hlq_plan_bits(part->code, place->blocks, 0, HLQ_BITS_MAX, 4,
                                   hlq_modq_part_budget(w, &to), part->bits);
        part->frame.form = HLQ_FORM_MODULAR;
        part->frame.spread = HLQ_MODQ_SPREAD;
        part->frame.bytes = place->blocks
                                ? hlq_segment_overhead(HLQ_FORM_MODULAR, place->blocks) +
                                      4 * part->plan.coded + part->plan.planes * HLQ_PLANE_BYTES
                                : 0;
    }
}

/* A reduce-scatter never decodes other ranks' parts: their scales are noted as they are coded. */
static void encode_parts(const hlq_walk *w, modq_space *s)
{
    double begin = hlq_now();
    hlq_code_stats coded = {0};
    for (int p = 0; p < w->size; p++) {
        modq_part *part = &s->part[p];
        if (!part->frame.bytes) continue;
        hlq_run run = hlq_segment_begin(&part->frame, part->base, part->out);
        hlq_modq_complete_run(part, part->out, &run);
        hlq_source source = part->source;
        source.residual = part->residual;
        hlq_team_encode(&w->comm->team, &run, &source);
        hlq_segment_seal(&part->frame, part->out);
        if (w->operation == HLQ_REDUCE_SCATTER) hlq_code_stats_add(&coded, &run);
    }
    w->stats->largest_scale = coded.largest_scale;
    w->stats->seconds_encode += hlq_now() - begin;
}

/* The owner adds everybody's codes of its part. */
static hlq_status add_own_part(const hlq_walk *w, modq_space *s)
{
    modq_part *own = &s->part[w->rank];
    if (!own->frame.place.blocks) return HLQ_OK;
    double begin = hlq_now();
    hlq_run sum, more;
    memcpy(s->sum, own->out, own->frame.bytes);
    HLQ_TRY(hlq_modq_from(w, w->rank, &own->frame, s->sum, &sum));
    hlq_modq_complete_run(own, s->sum, &sum);
    for (int p = 0; p < w->size; p++) {
        if (p == w->rank) continue;
        HLQ_TRY(hlq_modq_from(w, p, &own->frame, s->part[p].in, &more));
        hlq_modq_complete_run(own, s->part[p].in, &more);
        hlq_team_planes_add(&w->comm->team, &sum, &more);
    }
    w->stats->seconds_reduce += hlq_now() - begin;
    return HLQ_OK;
}

/* The owner decodes the sums that pass the check. */
static void check_own_part(const hlq_walk *w, modq_space *s)
{
    modq_part *own = &s->part[w->rank];
    size_t blocks = own->frame.place.blocks;
    if (!blocks) return;
    double begin = hlq_now();
    hlq_run sum = hlq_segment_view(&own->frame, s->sum);
    hlq_modq_complete_run(own, s->sum, &sum);
    uint8_t *failed = own->failed + HLQ_HEADER_BYTES;
    memset(failed, 0, (blocks + 7) / 8);
    hlq_team_decode(&w->comm->team, &sum, hlq_output_factor(w), w->dtype, w->recv, w->count,
                    failed);
    w->stats->seconds_reduce += hlq_now() - begin;
}

/* Checks have done their work and stay behind: planes move up in their place. */
static void drop_checks(const hlq_walk *w, modq_space *s)
{
    for (int p = 0; p < w->size; p++) {
        modq_part *part = &s->part[p];
        if (!part->frame.bytes) continue;
        size_t planes = part->plan.planes * HLQ_PLANE_BYTES;
        part->frame.form = HLQ_FORM_SUMS;
        part->frame.bytes = HLQ_HEADER_BYTES + planes;
        if (p != w->rank) continue;
        hlq_segment_begin(&part->frame, part->base, s->sum);
        memmove(s->sum + HLQ_HEADER_BYTES, s->sum + HLQ_HEADER_BYTES + 4 * part->plan.coded,
                planes);
        hlq_segment_seal(&part->frame, s->sum);
    }
}

/* Energy of the sum, from the own part: a fair sample. */
static double result_energy(const hlq_walk *w, modq_space *s)
{
    hlq_source result = {.data = w->recv, .dtype = w->dtype, .elems = w->count};
    const hlq_place *own = &s->part[w->rank].frame.place;
    double factor = hlq_output_factor(w);
    hlq_team_exponents(&w->comm->team, own, &result, s->exponent);
    double energy = hlq_energy_of_exponents(s->exponent, own->blocks) / (factor * factor);
    return own->blocks ? energy * (double)hlq_block_count(w->count) / (double)own->blocks : 0;
}

static hlq_status decode_others(const hlq_walk *w, modq_space *s, hlq_code_stats *stats)
{
    double begin = hlq_now();
    for (int p = 0; p < w->size; p++) {
        modq_part *part = &s->part[p];
        if (!part->frame.bytes) continue;
        uint8_t *segment = part->in;
        hlq_run run;
        HLQ_TRY(hlq_modq_from(w, p, &part->frame, segment, &run));
        hlq_modq_complete_run(part, segment, &run);
        hlq_code_stats_add(stats, &run);
        w->stats->nonfinite_blocks += hlq_run_nonfinite(&run);
        if (p != w->rank) { /* the own part's are decoded since they were checked */
            hlq_team_decode(&w->comm->team, &run, hlq_output_factor(w), w->dtype, w->recv, w->count,
                            NULL);
        }
        HLQ_TRY(hlq_modq_decode_extended(w, s, p, &run, stats));
    }
    w->stats->seconds_decode += hlq_now() - begin;
    return HLQ_OK;
}

/* A reduce-scatter ends where the own part's sums are in recv. */
static hlq_status count_own_sums(const hlq_walk *w, modq_space *s, hlq_code_stats *stats)
{
    modq_part *own = &s->part[w->rank];
    hlq_run run;
    HLQ_TRY(hlq_modq_from(w, w->rank, &own->frame, s->sum, &run));
    hlq_modq_complete_run(own, s->sum, &run);
    hlq_code_stats_add(stats, &run);
    w->stats->nonfinite_blocks = hlq_run_nonfinite(&run);
    return hlq_modq_decode_extended(w, s, w->rank, &run, stats);
}

static void finish(const hlq_walk *w, modq_space *s, const hlq_code_stats *result)
{
    w->stats->largest_scale = fmax(w->stats->largest_scale, result->largest_scale);
    hlq_stats_estimate(w->stats, w->size * result->error, result_energy(w, s));
}

/* Steps -------------------------------------------------------------------------------------- */

enum {
    EXPONENTS,
    MERGE,
    CODE,
    ADD,
    FAILURES,
    TRY_ROUND,
    HEAR_ROUND,
    GATHERED,
    DECODE,
    HOP_OF_CODES, /* around a ring, in place of ADD */
    HOP_OF_SUMS,  /* in place of GATHERED */
    END
};

static hlq_status exponents_step(hlq_walk *w)
{
    hlq_arena arena = w->arena;
    modq_space s = lay_out(w, &arena), *kept = space_of(w);
    *kept = s;
    prepare_sources(w, kept);
    return hlq_modq_send_exponents(w, kept);
}

static hlq_status merge_step(hlq_walk *w) { return hlq_modq_merge_exponents(w, space_of(w)); }

static hlq_status code_step(hlq_walk *w)
{
    modq_space *s = space_of(w);
    HLQ_TRY(hlq_modq_read_exponents(w, s));
    plan_parts(w, s);
    encode_parts(w, s);
    if (hlq_modq_is_ring(w)) {
        hlq_modq_ring_codes(w, s);
        w->next = HOP_OF_CODES;
    } else {
        hlq_modq_send_parts(w, s);
    }
    return HLQ_OK;
}

static void check_sums(hlq_walk *w, modq_space *s)
{
    check_own_part(w, s);
    hlq_modq_share_failures(w, s);
    w->next = FAILURES;
}

static hlq_status add_step(hlq_walk *w)
{
    HLQ_TRY(add_own_part(w, space_of(w)));
    check_sums(w, space_of(w));
    return HLQ_OK;
}

static hlq_status codes_hop_step(hlq_walk *w)
{
    int done;
    w->next = HOP_OF_CODES;
    HLQ_TRY(hlq_modq_ring_add(w, space_of(w), &done));
    if (done) check_sums(w, space_of(w));
    return HLQ_OK;
}

/* All sums of the own part are in recv. */
static hlq_status sums_are_there(hlq_walk *w, modq_space *s)
{
    hlq_code_stats result = {0};
    if (w->operation == HLQ_ALL_REDUCE) {
        drop_checks(w, s);
        if (hlq_modq_is_ring(w)) hlq_modq_ring_sums(w, s);
        else hlq_modq_gather_parts(w, s);
        w->next = hlq_modq_is_ring(w) ? HOP_OF_SUMS : GATHERED;
        return HLQ_OK;
    }
    HLQ_TRY(count_own_sums(w, s, &result));
    finish(w, s, &result);
    w->next = END;
    return HLQ_OK;
}

static hlq_status go_on(hlq_walk *w, modq_space *s, size_t left)
{
    if (!left) return sums_are_there(w, s);
    w->next = TRY_ROUND;
    return hlq_modq_send_round(w, s);
}

static hlq_status failures_step(hlq_walk *w)
{
    size_t left;
    HLQ_TRY(hlq_modq_hear_failures(w, space_of(w), &left));
    w->stats->overloads = left;
    return go_on(w, space_of(w), left);
}

static hlq_status try_step(hlq_walk *w) { return hlq_modq_try_round(w, space_of(w)); }

static hlq_status hear_step(hlq_walk *w)
{
    size_t left;
    HLQ_TRY(hlq_modq_hear_round(w, space_of(w), &left));
    return go_on(w, space_of(w), left);
}

static hlq_status decode_step(hlq_walk *w)
{
    hlq_code_stats result = {0};
    HLQ_TRY(decode_others(w, space_of(w), &result));
    finish(w, space_of(w), &result);
    w->next = END;
    return HLQ_OK;
}

static hlq_status gathered_step(hlq_walk *w)
{
    if (!w->stats->overloads) return decode_step(w);
    hlq_modq_gather_extended(w, space_of(w));
    w->next = DECODE;
    return HLQ_OK;
}

static hlq_status sums_hop_step(hlq_walk *w)
{
    int done;
    w->next = HOP_OF_SUMS;
    HLQ_TRY(hlq_modq_ring_pass(w, space_of(w), &done));
    return done ? gathered_step(w) : HLQ_OK;
}

static hlq_step *const steps[] = {
    [EXPONENTS] = exponents_step,
    [MERGE] = merge_step,
    [CODE] = code_step,
    [ADD] = add_step,
    [FAILURES] = failures_step,
    [TRY_ROUND] = try_step,
    [HEAR_ROUND] = hear_step,
    [GATHERED] = gathered_step,
    [DECODE] = decode_step,
    [HOP_OF_CODES] = codes_hop_step,
    [HOP_OF_SUMS] = sums_hop_step,
    [END] = NULL,
};

const hlq_algorithm_entry hlq_modq = {hlq_modq_wire_bytes, workspace_bytes, steps, NULL};
