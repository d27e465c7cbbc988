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
#include "algorithms/legs.h"
#include "request.h"

#include <string.h>

static hlq_status send_parts(hlq_walk *w)
{
    hlq_send_parts(w, hlq_legs_begin(w), hlq_drain_parts);
    return HLQ_OK;
}

static hlq_status keep_own_part(hlq_walk *w)
{
    hlq_copy_own_part(w);
    return hlq_account_coded_once(w);
}

static hlq_step *const steps[] = {send_parts, keep_own_part, NULL};
const hlq_algorithm_entry hlq_coded_all_to_all = {hlq_bytes_of_parts, hlq_legs_bytes, steps,
                                                  hlq_legs_first_bytes};

static hlq_walk all_to_all(hlq_comm *comm, const void *send, void *recv, size_t count,
                           hlq_dtype dtype)
{
    return (hlq_walk){
        .comm = comm,
        .operation = HLQ_ALL_TO_ALL,
        .send = send,
        .recv = recv,
        .count = count,
        .dtype = dtype,
        .op = HLQ_SUM,
    };
}

hlq_status hlq_all_to_all(hlq_comm *comm, const void *send, void *recv, size_t count,
                          hlq_dtype dtype, const hlq_call *call, hlq_stream stream)
{
    hlq_walk asked = all_to_all(comm, send, recv, count, dtype);
    return hlq_request_run(&asked, call, stream);
}

hlq_status hlq_all_to_all_start(hlq_comm *comm, const void *send, void *recv, size_t count,
                                hlq_dtype dtype, const hlq_call *call, hlq_stream stream,
                                hlq_request **request)
{
    hlq_walk asked = all_to_all(comm, send, recv, count, dtype);
    return hlq_request_start(&asked, call, stream, request);
}

static hlq_walk all_to_all_v(hlq_comm *comm, const void *send, const size_t *send_counts,
                             void *recv, const size_t *recv_counts, hlq_dtype dtype)
{
    return (hlq_walk){
        .comm = comm,
        .operation = HLQ_ALL_TO_ALL,
        .send = send,
        .has_counts = 1,
        .send_counts = send_counts,
        .recv = recv,
        .recv_counts = recv_counts,
        .dtype = dtype,
        .op = HLQ_SUM,
    };
}

hlq_status hlq_all_to_all_v(hlq_comm *comm, const void *send, const size_t *send_counts, void *recv,
                            const size_t *recv_counts, hlq_dtype dtype, const hlq_call *call,
                            hlq_stream stream)
{
    hlq_walk asked = all_to_all_v(comm, send, send_counts, recv, recv_counts, dtype);
    return hlq_request_run(&asked, call, stream);
}

hlq_status hlq_all_to_all_v_start(hlq_comm *comm, const void *send, const size_t *send_counts,
                                  void *recv, const size_t *recv_counts, hlq_dtype dtype,
                                  const hlq_call *call, hlq_stream stream, hlq_request **request)
{
    hlq_walk asked = all_to_all_v(comm, send, send_counts, recv, recv_counts, dtype);
    return hlq_request_start(&asked, call, stream, request);
}
