/*
 * modq: sums are made on the codes, modulo 2^bits per number, without decoding. Integer addition is
 * exact and associative, so the result has the same bits for any order of ranks and hops.
 *
 *   agree    on one exponent per block (modq_agree.c); the plan follows from it and does not travel
 *   code     every part; all-to-all to the owners, who add planes
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

/* One block in this many is expected to need a further plane. */
enum { FAILING_ONE_IN = 8 };

/*
 * Planes beyond the first that let any sum fit. A sum's norm is at most 33 Σ rms (32 for a vector
 * with all energy of its block, and some for the exponent's rounding), plus 1 per contribution for
 * rounding to the lattice, in units of the scale; it must stay below 2^bits, for bits ≥ 2.
 */
static int most_extra(int n)
{
    double beyond_agreed = fmax(1, sqrt(n) / 2);
    for (int extra = 1; extra <= HLQ_BITS_MAX - 2; extra++) {
        double width = 3.6 * exp2(HLQ_MODQ_SPREAD / 8.0 + extra);
        double left = (1 - 33 * beyond_agreed / width) * exp2(2 + extra);
        if (left > n) return extra;
    }
    return -1;
}

/* Bytes for check words and first planes of a part. */
static size_t part_budget(const hlq_request *r, const hlq_part *part)
{
    size_t blocks = part->place.blocks;
    double spent = (double)hlq_segment_overhead(HLQ_FORM_EXPONENTS, blocks) +
                   (double)hlq_segment_overhead(HLQ_FORM_MODULAR, blocks) +
                   (double)hlq_segment_overhead(HLQ_FORM_FAILED, blocks) +
                   (double)(blocks * HLQ_PLANE_BYTES / FAILING_ONE_IN);
    double left = hlq_part_budget(r, part) - spent;
    size_t least_bits = (size_t)hlq_least_bits(r, part);
    size_t least = least_bits ? blocks * (4 + least_bits * HLQ_PLANE_BYTES) : 0;
    return left > (double)least ? (size_t)left : least;
}

/* Longest message of a part: exponents, or as many planes as the budget or 12 bits allow. */
static size_t longest_message_of(const hlq_request *r, int p)
{
    hlq_part part = hlq_part_to(r, p);
    size_t blocks = part.place.blocks;
    size_t most = blocks * (4 + HLQ_BITS_MAX * HLQ_PLANE_BYTES);
    size_t budget = part_budget(r, &part);
    size_t planes =
        hlq_segment_overhead(HLQ_FORM_MODULAR, blocks) + (budget < most ? budget : most);
    size_t exponents = hlq_segment_overhead(HLQ_FORM_EXPONENTS, blocks);
    return planes > exponents ? planes : exponents;
}

/* Of any part. They differ by a block at most, and one less leaves more for planes. */
static size_t longest_message(const hlq_request *r)
{
    size_t a = longest_message_of(r, 0), b = longest_message_of(r, r->comm->size - 1);
    return a > b ? a : b;
}

static modq_space lay_out(const hlq_request *r, hlq_arena *arena)
{
    int n = r->comm->size;
    hlq_place largest = hlq_part_to(r, 0).place;
    size_t message = longest_message(r);
    modq_space s = {
        .work = r->residual ? hlq_arena_take(arena, hlq_send_elems(r) * sizeof *s.work) : NULL,
        .exponent = hlq_arena_take(arena, largest.blocks * sizeof *s.exponent),
        .sum = hlq_arena_take(arena, message),
        .part = hlq_arena_take(arena, (size_t)n * sizeof *s.part),
        .most_extra = most_extra(n),
    };
    for (int p = 0; p < n; p++) {
        hlq_part to = hlq_part_to(r, p);
        modq_part part = {
            .source = hlq_source_of(r, &to),
            .residual = r->residual ? r->residual + to.start : NULL,
            .out = hlq_arena_take(arena, message),
            .in = hlq_arena_take(arena, message),
            .code = hlq_arena_take(arena, largest.blocks),
            .bits = hlq_arena_take(arena, largest.blocks),
            .failed = hlq_arena_take(arena, hlq_segment_overhead(HLQ_FORM_FAILED, largest.blocks)),
            .frame = {.lattice = r->comm->options.lattice,
                      .dtype = r->dtype,
                      .place = to.place,
                      .call = r->comm->call},
        };
        if (arena->base) s.part[p] = part;
    }
    return s;
}

static size_t workspace_bytes(const hlq_request *r)
{
    hlq_arena counting = {NULL, 0, 0};
    lay_out(r, &counting);
    return counting.used;
}

static uint64_t wire_bytes(const hlq_request *r)
{
    int n = r->comm->size;
    uint64_t bytes = 0;
    for (int p = 0; p < n; p++) {
        hlq_part part = hlq_part_to(r, p);
        size_t blocks = part.place.blocks;
        if (!blocks) continue;
        uint64_t exponents = hlq_segment_overhead(HLQ_FORM_EXPONENTS, blocks);
        uint64_t codes = hlq_segment_overhead(HLQ_FORM_MODULAR, blocks) + part_budget(r, &part);
        uint64_t answer = exponents + hlq_segment_overhead(HLQ_FORM_FAILED, blocks);
        if (r->operation == HLQ_ALL_REDUCE) answer += codes;
        bytes += p == r->comm->rank ? (uint64_t)(n - 1) * answer : exponents + codes;
    }
    return bytes;
}

/*
 * The tensors as they are coded. A residual is added once, into a copy, since blocks may be coded
 * again; it is emptied and will take up what encoding leaves over.
 */
static void prepare_sources(const hlq_request *r, modq_space *s)
{
    size_t elems = hlq_send_elems(r);
    if (!r->residual) return;
    memcpy(s->work, r->residual, elems * sizeof *s->work);
    memset(r->residual, 0, elems * sizeof *r->residual);
    hlq_elements_combine(HLQ_SUM, s->work, r->send, r->dtype, elems);
    for (int p = 0; p < r->comm->size; p++) {
        hlq_source *source = &s->part[p].source;
        const float *data = s->work + hlq_part_to(r, p).start;
        *source = (hlq_source){.data = data, .dtype = HLQ_FLOAT32, .elems = source->elems};
    }
}

static void plan_parts(const hlq_request *r, modq_space *s)
{
    for (int p = 0; p < r->comm->size; p++) {
        modq_part *part = &s->part[p];
        hlq_place *place = &part->frame.place;
        hlq_part to = hlq_part_to(r, p);
        part->plan = hlq_plan_bits(part->code, place->blocks, HLQ_BITS_MAX, 4, part_budget(r, &to),
                                   part->bits);
        part->frame.form = HLQ_FORM_MODULAR;
        part->frame.spread = HLQ_MODQ_SPREAD;
        part->frame.bytes = place->blocks
                                ? hlq_segment_overhead(HLQ_FORM_MODULAR, place->blocks) +
                                      4 * part->plan.coded + part->plan.planes * HLQ_PLANE_BYTES
                                : 0;
    }
}

static void encode_parts(const hlq_request *r, modq_space *s)
{
    hlq_comm *comm = r->comm;
    double begin = hlq_now();
    for (int p = 0; p < comm->size; p++) {
        modq_part *part = &s->part[p];
        if (!part->frame.bytes) continue;
        hlq_run run = hlq_segment_begin(&part->frame, part->base, part->out);
        hlq_modq_complete_run(part, part->out, &run);
        hlq_source source = part->source;
        source.residual = part->residual;
        comm->kernels->encode(&run, &source);
    }
    comm->stats.seconds_encode += hlq_now() - begin;
}

/* The owner adds everybody's codes of its part, and decodes the sums that pass the check. */
static hlq_status add_own_part(const hlq_request *r, modq_space *s)
{
    hlq_comm *comm = r->comm;
    modq_part *own = &s->part[comm->rank];
    size_t blocks = own->frame.place.blocks;
    if (!blocks) return HLQ_OK;
    double begin = hlq_now();
    hlq_run sum, more;
    memcpy(s->sum, own->out, own->frame.bytes);
    HLQ_TRY(hlq_modq_from(comm, comm->rank, &own->frame, s->sum, &sum));
    hlq_modq_complete_run(own, s->sum, &sum);
    for (int p = 0; p < comm->size; p++) {
        if (p == comm->rank) continue;
        HLQ_TRY(hlq_modq_from(comm, p, &own->frame, s->part[p].in, &more));
        hlq_modq_complete_run(own, s->part[p].in, &more);
        comm->kernels->planes_add(&sum, &more);
    }
    uint8_t *failed = own->failed + HLQ_HEADER_BYTES;
    memset(failed, 0, (blocks + 7) / 8);
    comm->kernels->decode(&sum, hlq_output_factor(r), r->dtype, r->recv, r->count, failed);
    comm->stats.seconds_reduce += hlq_now() - begin;
    return HLQ_OK;
}

/* Checks have done their work and stay behind: planes move up in their place. */
static void drop_checks(const hlq_request *r, modq_space *s)
{
    for (int p = 0; p < r->comm->size; p++) {
        modq_part *part = &s->part[p];
        if (!part->frame.bytes) continue;
        size_t planes = part->plan.planes * HLQ_PLANE_BYTES;
        part->frame.form = HLQ_FORM_SUMS;
        part->frame.bytes = HLQ_HEADER_BYTES + planes;
        if (p != r->comm->rank) continue;
        hlq_segment_begin(&part->frame, part->base, s->sum);
        memmove(s->sum + HLQ_HEADER_BYTES, s->sum + HLQ_HEADER_BYTES + 4 * part->plan.coded,
                planes);
    }
}

/* Energy of the sum, from the own part: a fair sample. */
static double result_energy(const hlq_request *r, modq_space *s)
{
    hlq_source result = {.data = r->recv, .dtype = r->dtype, .elems = r->count};
    const hlq_place *own = &s->part[r->comm->rank].frame.place;
    double factor = hlq_output_factor(r);
    r->comm->kernels->exponents(own, &result, s->exponent);
    double energy = hlq_energy_of_exponents(s->exponent, own->blocks) / (factor * factor);
    return own->blocks ? energy * (double)hlq_block_count(r->count) / (double)own->blocks : 0;
}

static hlq_status decode_others(const hlq_request *r, modq_space *s, hlq_code_stats *stats)
{
    hlq_comm *comm = r->comm;
    double begin = hlq_now();
    for (int p = 0; p < comm->size; p++) {
        modq_part *part = &s->part[p];
        if (!part->frame.bytes) continue;
        uint8_t *segment = hlq_modq_gathered(r, s, p);
        hlq_run run;
        HLQ_TRY(hlq_modq_from(comm, p, &part->frame, segment, &run));
        hlq_modq_complete_run(part, segment, &run);
        hlq_code_stats_add(stats, &run);
        comm->stats.nonfinite_blocks += hlq_run_nonfinite(&run);
        if (p != comm->rank) { /* the own part's are decoded since they were checked */
            comm->kernels->decode(&run, hlq_output_factor(r), r->dtype, r->recv, r->count, NULL);
        }
        hlq_modq_decode_extended(r, s, p, &run, stats);
    }
    comm->stats.seconds_decode += hlq_now() - begin;
    return HLQ_OK;
}

/* All sums to everybody. */
static hlq_status gather_sums(const hlq_request *r, modq_space *s, hlq_code_stats *stats)
{
    drop_checks(r, s);
    HLQ_TRY(hlq_modq_gather_parts(r, s));
    HLQ_TRY(hlq_modq_gather_extended(r, s));
    return decode_others(r, s, stats);
}

/* A reduce-scatter ends where the own part's sums are in recv. */
static hlq_status count_own_sums(const hlq_request *r, modq_space *s, hlq_code_stats *stats)
{
    hlq_comm *comm = r->comm;
    modq_part *own = &s->part[comm->rank];
    hlq_run run;
    HLQ_TRY(hlq_modq_from(comm, comm->rank, &own->frame, s->sum, &run));
    hlq_modq_complete_run(own, s->sum, &run);
    hlq_code_stats_add(stats, &run);
    comm->stats.nonfinite_blocks = hlq_run_nonfinite(&run);
    hlq_modq_decode_extended(r, s, comm->rank, &run, stats);
    return HLQ_OK;
}

static hlq_status run_rounds(const hlq_request *r, modq_space *s)
{
    hlq_comm *comm = r->comm;
    hlq_code_stats result = {0};
    prepare_sources(r, s);
    HLQ_TRY(hlq_modq_agree(r, s));
    plan_parts(r, s);
    encode_parts(r, s);
    HLQ_TRY(hlq_modq_exchange_parts(r, s));
    HLQ_TRY(hlq_modq_extend(r, s, add_own_part(r, s)));
    if (r->operation == HLQ_ALL_REDUCE) HLQ_TRY(gather_sums(r, s, &result));
    else HLQ_TRY(count_own_sums(r, s, &result));
    comm->stats.largest_scale = result.largest_scale;
    hlq_stats_estimate(comm, comm->size * result.error, result_energy(r, s));
    return HLQ_OK;
}

/* One step: how many exchanges there are is known on the way. */
static hlq_status run(hlq_request *r)
{
    hlq_comm *comm = r->comm;
    hlq_arena arena = comm->arena;
    modq_space s = lay_out(r, &arena);
    if (s.most_extra < 0 || comm->size > HLQ_MODQ_RANKS_MAX) {
        return hlq_fail(comm, HLQ_E_UNSUPPORTED, "modq works for at most %d ranks, not %d",
                        HLQ_MODQ_RANKS_MAX, comm->size);
    }
    hlq_status status = run_rounds(r, &s);
    hlq_arena_free(&s.longs);
    return status;
}

const hlq_algorithm_entry hlq_modq = {wire_bytes, workspace_bytes, {run, NULL, NULL}};
