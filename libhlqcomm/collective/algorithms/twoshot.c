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

#include <math.h>

static uint64_t wire_bytes(const hlq_walk *w)
{
    return hlq_bytes_of_parts(w) + hlq_bytes_of_own(w);
}

/* The own part summed in rank order, as far as all of it is there. */
static hlq_status add_parts(hlq_walk *w, int i)
{
    hlq_legs *legs = hlq_legs_of(w);
    hlq_part part = hlq_part_to(w, w->rank);
    hlq_source own = hlq_source_of(w, &part);
    double begin = hlq_now();
    for (;;) {
        hlq_place piece;
        HLQ_TRY(hlq_next_terms(w, legs, i, &part, &own, &piece));
        if (!piece.blocks) break;
        hlq_keep_sums(w, legs, &piece, &own);
    }
    w->stats->seconds_reduce += hlq_now() - begin;
    return HLQ_OK;
}

/* First leg: every other rank's part, coded for its owner. */
static hlq_status send_parts(hlq_walk *w)
{
    hlq_send_parts(w, hlq_legs_begin(w), add_parts);
    return HLQ_OK;
}

/* Second leg: the sums of all parts. */
static hlq_status share_sum(hlq_walk *w)
{
    hlq_legs *legs = hlq_legs_of(w);
    hlq_source sums = hlq_sums_of(w, legs);
    sums.residual = w->residual;
    hlq_share_own(w, legs, &sums, hlq_drain_parts);
    return HLQ_OK;
}

static hlq_status account(hlq_walk *w)
{
    hlq_stats *stats = w->stats;
    const hlq_code_stats *coded = &hlq_legs_of(w)->coded;
    /* Other ranks' first legs are taken to be like this one's. */
    double error = w->sent.error * w->size + w->received.error;
    stats->overloads = coded->overloads + w->sent.overloads;
    stats->largest_scale = fmax(coded->largest_scale, w->sent.largest_scale);
    hlq_stats_estimate(w->stats, error, w->received.energy);
    return HLQ_OK;
}

static hlq_step *const steps[] = {send_parts, share_sum, account, NULL};
const hlq_algorithm_entry hlq_twoshot = {wire_bytes, hlq_legs_bytes, steps, hlq_legs_first_bytes};
