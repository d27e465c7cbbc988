/*
 * hlq_all_gather: the second half of an all-reduce. Every rank codes its numbers once, sends the
 * code to all, and decodes everybody's, its own too: all ranks end with the same bits.
 *
 *   rank 0   code of its numbers ──▶ all        every rank: decode 0 │ decode 1 │ …
 *   rank 1   code of its numbers ──▶ all
 *
 * One quantization. Bytes per rank: one segment n-1 times, (n-1) × count × bits / 8.
 */
#include "algorithms/legs.h"
#include "request.h"

static hlq_status send_own(hlq_walk *w)
{
    hlq_send_own(w, hlq_legs_begin(w), hlq_drain_parts);
    return HLQ_OK;
}

static hlq_step *const steps[] = {send_own, hlq_account_coded_once, NULL};
const hlq_algorithm_entry hlq_coded_all_gather = {hlq_bytes_of_own, hlq_legs_bytes, steps,
                                                  hlq_legs_first_bytes};

static hlq_walk all_gather(hlq_comm *comm, const void *send, void *recv, size_t count,
                           hlq_dtype dtype)
{
    return (hlq_walk){
        .comm = comm,
        .operation = HLQ_ALL_GATHER,
        .send = send,
        .recv = recv,
        .count = count,
        .dtype = dtype,
        .op = HLQ_SUM,
    };
}

hlq_status hlq_all_gather(hlq_comm *comm, const void *send, void *recv, size_t count,
                          hlq_dtype dtype, const hlq_call *call, hlq_stream stream)
{
    hlq_walk asked = all_gather(comm, send, recv, count, dtype);
    return hlq_request_run(&asked, call, stream);
}

hlq_status hlq_all_gather_start(hlq_comm *comm, const void *send, void *recv, size_t count,
                                hlq_dtype dtype, const hlq_call *call, hlq_stream stream,
                                hlq_request **request)
{
    hlq_walk asked = all_gather(comm, send, recv, count, dtype);
    return hlq_request_start(&asked, call, stream, request);
}
