/*
 * hlq_reduce_scatter: the first half of an all-reduce.
 *
 *   rank 0   ┌ part 0 ┐  codes of part 0   rank 0:  own part, exact
 *   rank 1   │ part 1 │ ─────────────────▶          + decoded from 1, 2, …  ──▶ recv
 *   rank 2   └ part 2 ┘   all-to-all                in rank order, fp32
 *
 * One quantization, none of them of a rank's own numbers. Bytes per rank: n-1 segments,
 * (n-1) × count × bits / 8.
 */
#include "legs.h"

#include <transport/transport_internal.h>

#include <string.h>

static size_t workspace_bytes(const hlq_request *r) { return hlq_legs_bytes(r, HLQ_SUM_BLOCKS); }

static hlq_status send_parts(hlq_request *r)
{
    hlq_legs legs = hlq_legs_of(r, HLQ_SUM_BLOCKS);
    hlq_send_parts(r, &legs);
    return HLQ_OK;
}

static hlq_status sum_own_part(hlq_request *r)
{
    hlq_stats *stats = &r->comm->stats;
    hlq_legs legs = hlq_legs_of(r, HLQ_SUM_BLOCKS);
    hlq_part part = hlq_part_to(r, r->comm->rank);
    hlq_source own = hlq_source_of(r, &part);
    int unit;
    double begin = hlq_now();
    HLQ_TRY(hlq_open_terms(r, &legs, &part, &own, &unit));
    hlq_count_terms(r, &legs, &part);
    hlq_sum_to_recv(r, &legs, &part, &own, unit);
    if (own.residual) memset(own.residual, 0, part.elems * sizeof *own.residual); /* all is told */
    stats->seconds_reduce += hlq_now() - begin;
    stats->overloads = r->sent.overloads;
    stats->largest_scale = r->sent.largest_scale;
    hlq_stats_estimate(r->comm, r->received.error, r->received.energy);
    return HLQ_OK;
}

const hlq_algorithm_entry hlq_coded_reduce_scatter = {
    hlq_bytes_of_parts, workspace_bytes, {send_parts, sum_own_part, NULL}};

hlq_status hlq_reduce_scatter(hlq_comm *comm, const void *send, void *recv, size_t count,
                              hlq_dtype dtype, hlq_op op, const hlq_call *call, hlq_stream stream)
{
    hlq_request request = {
        .comm = comm,
        .operation = HLQ_REDUCE_SCATTER,
        .send = send,
        .recv = recv,
        .count = count,
        .dtype = dtype,
        .op = op,
    };
    return hlq_request_run(&request, call, stream);
}
