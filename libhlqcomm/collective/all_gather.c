/*
 * hlq_all_gather: the second half of an all-reduce. Every rank codes its numbers once, sends the
 * code to all, and decodes everybody's, its own too: all ranks end with the same bits.
 *
 *   rank 0   code of its numbers ──▶ all        every rank: decode 0 │ decode 1 │ …
 *   rank 1   code of its numbers ──▶ all
 *
 * One quantization. Bytes per rank: one segment n-1 times, (n-1) × count × bits / 8.
 */
#include "legs.h"

static size_t workspace_bytes(const hlq_request *r) { return hlq_legs_bytes(r, 0); }

static hlq_status send_own(hlq_request *r)
{
    hlq_legs legs = hlq_legs_of(r, 0);
    hlq_send_own(r, &legs);
    return HLQ_OK;
}

static hlq_status decode_all(hlq_request *r)
{
    hlq_stats *stats = &r->comm->stats;
    hlq_legs legs = hlq_legs_of(r, 0);
    for (int p = 0; p < r->comm->size; p++) HLQ_TRY(hlq_decode_part(r, &legs, p));
    stats->overloads = r->sent.overloads;
    stats->largest_scale = r->sent.largest_scale;
    hlq_stats_estimate(r->comm, r->received.error, r->received.energy);
    return HLQ_OK;
}

const hlq_algorithm_entry hlq_coded_all_gather = {
    hlq_bytes_of_own, workspace_bytes, {send_own, decode_all, NULL}};

hlq_status hlq_all_gather(hlq_comm *comm, const void *send, void *recv, size_t count,
                          hlq_dtype dtype, const hlq_call *call, hlq_stream stream)
{
    hlq_request request = {
        .comm = comm,
        .operation = HLQ_ALL_GATHER,
        .send = send,
        .recv = recv,
        .count = count,
        .dtype = dtype,
        .op = HLQ_SUM,
    };
    return hlq_request_run(&request, call, stream);
}
