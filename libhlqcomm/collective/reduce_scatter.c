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
#include "algorithms/legs.h"
#include "request.h"

#include <transport/transport_internal.h>

#include <string.h>

static hlq_status add_parts(hlq_walk *w, int i)
{
    hlq_part part = hlq_part_to(w, w->rank);
    hlq_source own = hlq_source_of(w, &part);
    double begin = hlq_now();
    HLQ_TRY(hlq_drain_sums(w, i, &part, &own));
    w->stats->seconds_reduce += hlq_now() - begin;
    return HLQ_OK;
}

static hlq_status send_parts(hlq_walk *w)
{
    hlq_send_parts(w, hlq_legs_begin(w), add_parts);
    return HLQ_OK;
}

static hlq_status account(hlq_walk *w)
{
    hlq_part part = hlq_part_to(w, w->rank);
    hlq_source own = hlq_source_of(w, &part);
    if (own.residual) memset(own.residual, 0, part.elems * sizeof *own.residual); /* all is told */
    /* The own part is added as it is: it has energy, but no error. */
    w->received.energy += hlq_energy_of_exponents(hlq_legs_of(w)->exponent, part.place.blocks);
    return hlq_account_coded_once(w);
}

static hlq_step *const steps[] = {send_parts, account, NULL};
const hlq_algorithm_entry hlq_coded_reduce_scatter = {hlq_bytes_of_parts, hlq_legs_bytes, steps,
                                                      hlq_legs_first_bytes};

static hlq_walk reduce_scatter(hlq_comm *comm, const void *send, void *recv, size_t count,
                               hlq_dtype dtype, hlq_op op)
{
    return (hlq_walk){
        .comm = comm,
        .operation = HLQ_REDUCE_SCATTER,
        .send = send,
        .recv = recv,
        .count = count,
        .dtype = dtype,
        .op = op,
    };
}

hlq_status hlq_reduce_scatter(hlq_comm *comm, const void *send, void *recv, size_t count,
                              hlq_dtype dtype, hlq_op op, const hlq_call *call, hlq_stream stream)
{
    hlq_walk asked = reduce_scatter(comm, send, recv, count, dtype, op);
    return hlq_request_run(&asked, call, stream);
}

hlq_status hlq_reduce_scatter_start(hlq_comm *comm, const void *send, void *recv, size_t count,
                                    hlq_dtype dtype, hlq_op op, const hlq_call *call,
                                    hlq_stream stream, hlq_request **request)
{
    hlq_walk asked = reduce_scatter(comm, send, recv, count, dtype, op);
    return hlq_request_start(&asked, call, stream, request);
}
