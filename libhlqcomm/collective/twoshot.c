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

static size_t own_blocks(const hlq_request *r)
{
    return hlq_part_to(r, r->comm->rank).place.blocks;
}

static size_t workspace_bytes(const hlq_request *r) { return hlq_legs_bytes(r, own_blocks(r)); }

static uint64_t wire_bytes(const hlq_request *r)
{
    return hlq_bytes_of_parts(r) + hlq_bytes_of_own(r);
}

/* First leg: every other rank's part, coded for its owner. */
static hlq_status send_parts(hlq_request *r)
{
    hlq_legs legs = hlq_legs_of(r, own_blocks(r));
    hlq_send_parts(r, &legs);
    return HLQ_OK;
}

/* The own part summed in rank order, some blocks at a time. */
static void sum_own_part(hlq_request *r, hlq_legs *legs, const hlq_part *part, int unit)
{
    hlq_source own = hlq_source_of(r, part);
    hlq_place rest = part->place;
    float *acc = legs->acc;
    while (rest.blocks) {
        hlq_place now = hlq_place_take(&rest, HLQ_SUM_BLOCKS);
        hlq_add_terms(r, legs, &now, &own, unit, acc);
        acc += now.blocks * HLQ_BLOCK_ELEMS;
    }
}

static void encode_sum(hlq_request *r, hlq_legs *legs, const hlq_part *part, int unit)
{
    hlq_stats *stats = &r->comm->stats;
    hlq_code_stats coded = {0};
    hlq_frame frame = hlq_part_frame(r, part);
    hlq_source sum = {.data = legs->acc,
                      .dtype = HLQ_FLOAT32,
                      .elems = r->count,
                      .residual = r->residual,
                      .rotated = 1,
                      .unit = unit};
    hlq_scratch scratch = {legs->exponent, legs->bits[r->comm->rank]};
    uint8_t *segment = legs->out[r->comm->rank];
    hlq_segment_encode(r->comm->kernels, &frame, &sum, scratch, segment, &coded);
    stats->overloads = coded.overloads;
    stats->largest_scale = coded.largest_scale;
}

/* The owner's half: sum, then code the sum. A damaged message poisons the answer, so that all ranks
   learn of it. */
static hlq_status reduce_own_part(hlq_request *r)
{
    hlq_legs legs = hlq_legs_of(r, own_blocks(r));
    hlq_part part = hlq_part_to(r, r->comm->rank);
    if (part.place.blocks) {
        int unit = 0;
        hlq_source own = hlq_source_of(r, &part);
        double begin = hlq_now();
        r->late = hlq_open_terms(r, &legs, &part, &own, &unit);
        if (r->late == HLQ_OK) {
            sum_own_part(r, &legs, &part, unit);
            double middle = hlq_now();
            encode_sum(r, &legs, &part, unit);
            r->comm->stats.seconds_reduce += middle - begin;
            r->comm->stats.seconds_encode += hlq_now() - middle;
        } else {
            hlq_segment_poison(legs.out[r->comm->rank]);
        }
    }
    hlq_share_own(r, &legs);
    return HLQ_OK;
}

/* Second leg: the sums of all parts. */
static hlq_status decode_sums(hlq_request *r)
{
    hlq_stats *stats = &r->comm->stats;
    hlq_legs legs = hlq_legs_of(r, own_blocks(r));
    HLQ_TRY(r->late);
    for (int p = 0; p < r->comm->size; p++) HLQ_TRY(hlq_decode_part(r, &legs, p));

    /* Other ranks' first legs are taken to be like this one's. */
    double error = r->sent.error * r->comm->size + r->received.error;
    stats->overloads += r->sent.overloads;
    if (r->sent.largest_scale > stats->largest_scale) {
        stats->largest_scale = r->sent.largest_scale;
    }
    hlq_stats_estimate(r->comm, error, r->received.energy);
    return HLQ_OK;
}

const hlq_algorithm_entry hlq_twoshot = {
    wire_bytes, workspace_bytes, {send_parts, reduce_own_part, decode_sums}};
