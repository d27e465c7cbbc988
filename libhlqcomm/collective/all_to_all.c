/*
 * hlq_all_to_all, with equal counts or one for each rank: encode, exchange, decode. What a rank
 * sends to itself is copied.
 *
 *   rank 0   ┌ part 0 ┐  code of part 1 ──▶ rank 1       rank 1: decode 0 │ own part │ decode 2
 *   rank 1   │ part 1 │
 *   rank 2   └ part 2 ┘  code of part 1 ──▶ rank 1
 *
 * One quantization. Bytes per rank: n-1 segments, (n-1) × count × bits / 8.
 */
#include "legs.h"

#include <string.h>

static size_t workspace_bytes(const hlq_request *r) { return hlq_legs_bytes(r, 0); }

static hlq_status send_parts(hlq_request *r)
{
    hlq_legs legs = hlq_legs_of(r, 0);
    hlq_send_parts(r, &legs);
    return HLQ_OK;
}

static hlq_status decode_parts(hlq_request *r)
{
    hlq_stats *stats = &r->comm->stats;
    hlq_legs legs = hlq_legs_of(r, 0);
    hlq_copy_own_part(r);
    for (int p = 0; p < r->comm->size; p++) {
        if (p != r->comm->rank) HLQ_TRY(hlq_decode_part(r, &legs, p));
    }
    stats->overloads = r->sent.overloads;
    stats->largest_scale = r->sent.largest_scale;
    hlq_stats_estimate(r->comm, r->received.error, r->received.energy);
    return HLQ_OK;
}

const hlq_algorithm_entry hlq_coded_all_to_all = {
    hlq_bytes_of_parts, workspace_bytes, {send_parts, decode_parts, NULL}};

hlq_status hlq_all_to_all(hlq_comm *comm, const void *send, void *recv, size_t count,
                          hlq_dtype dtype, const hlq_call *call, hlq_stream stream)
{
    hlq_request request = {
        .comm = comm,
        .operation = HLQ_ALL_TO_ALL,
        .send = send,
        .recv = recv,
        .count = count,
        .dtype = dtype,
        .op = HLQ_SUM,
    };
    return hlq_request_run(&request, call, stream);
}

hlq_status hlq_all_to_all_v(hlq_comm *comm, const void *send, const size_t *send_counts, void *recv,
                            const size_t *recv_counts, hlq_dtype dtype, const hlq_call *call,
                            hlq_stream stream)
{
    hlq_request request = {
        .comm = comm,
        .operation = HLQ_ALL_TO_ALL,
        .send = send,
        .recv = recv,
        .has_counts = 1,
        .send_counts = send_counts,
        .recv_counts = recv_counts,
        .dtype = dtype,
        .op = HLQ_SUM,
    };
    return hlq_request_run(&request, call, stream);
}
