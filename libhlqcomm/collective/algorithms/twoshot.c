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
#include "legs.h"

#include <transport/transport_internal.h>

static size_t own_blocks(const hlq_walk *w) { return hlq_part_to(w, w->rank).place.blocks; }

static size_t workspace_bytes(const hlq_walk *w) { return hlq_legs_bytes(w, own_blocks(w)); }

static uint64_t wire_bytes(const hlq_walk *w)
{
    return hlq_bytes_of_parts(w) + hlq_bytes_of_own(w);
}

/* First leg: every other rank's part, coded for its owner. */
static hlq_status send_parts(hlq_walk *w)
{
    hlq_legs legs = hlq_legs_of(w, own_blocks(w));
    hlq_send_parts(w, &legs);
    return HLQ_OK;
}

/* The own part summed in rank order, some blocks at a time. */
static void sum_own_part(hlq_walk *w, hlq_legs *legs, const hlq_part *part, int unit)
{
    hlq_source own = hlq_source_of(w, part);
    hlq_place rest = part->place;
    float *acc = legs->acc;
    while (rest.blocks) {
        hlq_place now = hlq_place_take(&rest, HLQ_SUM_BLOCKS);
        hlq_add_terms(w, legs, &now, &own, unit, acc);
        acc += now.blocks * HLQ_BLOCK_ELEMS;
    }
}

static void encode_sum(hlq_walk *w, hlq_legs *legs, const hlq_part *part, int unit)
{
    hlq_stats *stats = w->stats;
    hlq_code_stats coded = {0};
    hlq_source sum = {.data = legs->acc,
                      .dtype = HLQ_FLOAT32,
                      .elems = w->count,
                      .residual = w->residual,
                      .rotated = 1,
                      .unit = unit};
    hlq_encode_part(w, legs, part, &sum, w->rank, HLQ_LEG_SUMS, &coded);
    stats->overloads = coded.overloads;
    stats->largest_scale = coded.largest_scale;
}

/* The owner's half: sum, then code the sum. */
static hlq_status reduce_own_part(hlq_walk *w)
{
    hlq_legs legs = hlq_legs_of(w, own_blocks(w));
    hlq_part part = hlq_part_to(w, w->rank);
    int unit = 0;
    if (part.place.blocks) {
        hlq_source own = hlq_source_of(w, &part);
        double begin = hlq_now();
        HLQ_TRY(hlq_open_terms(w, &legs, &part, &own, &unit));
        sum_own_part(w, &legs, &part, unit);
        w->stats->seconds_reduce += hlq_now() - begin;
    }
    encode_sum(w, &legs, &part, unit);
    hlq_share_own(w, &legs);
    return HLQ_OK;
}

/* Second leg: the sums of all parts. */
static hlq_status decode_sums(hlq_walk *w)
{
    hlq_stats *stats = w->stats;
    hlq_legs legs = hlq_legs_of(w, own_blocks(w));
    for (int p = 0; p < w->size; p++) HLQ_TRY(hlq_decode_part(w, &legs, p));

    /* Other ranks' first legs are taken to be like this one's. */
    double error = w->sent.error * w->size + w->received.error;
    stats->overloads += w->sent.overloads;
    if (w->sent.largest_scale > stats->largest_scale) {
        stats->largest_scale = w->sent.largest_scale;
    }
    hlq_stats_estimate(w->stats, error, w->received.energy);
    return HLQ_OK;
}

static hlq_step *const steps[] = {send_parts, reduce_own_part, decode_sums, NULL};
const hlq_algorithm_entry hlq_twoshot = {wire_bytes, workspace_bytes, steps};
