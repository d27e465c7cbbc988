/*
 * hlq_all_reduce. The way of a number from here: request.c and stages.c (compare arguments with the
 * other ranks, choose an algorithm), twoshot.c (who sends what to whom) → legs.c → wire/writer.c
 * (tensor to message) → kernels/body/run.h and block.h (rotate, quantize, planes) → progress.c →
 * transport/ → back up the same way.
 */
#include "request.h"

static hlq_walk all_reduce(hlq_comm *comm, const void *send, void *recv, size_t count,
                           hlq_dtype dtype, hlq_op op)
{
    return (hlq_walk){
        .comm = comm,
        .operation = HLQ_ALL_REDUCE,
        .send = send,
        .recv = recv,
        .count = count,
        .dtype = dtype,
        .op = op,
    };
}

hlq_status hlq_all_reduce(hlq_comm *comm, const void *send, void *recv, size_t count,
                          hlq_dtype dtype, hlq_op op, const hlq_call *call, hlq_stream stream)
{
    hlq_walk asked = all_reduce(comm, send, recv, count, dtype, op);
    return hlq_request_run(&asked, call, stream);
}

hlq_status hlq_all_reduce_start(hlq_comm *comm, const void *send, void *recv, size_t count,
                                hlq_dtype dtype, hlq_op op, const hlq_call *call, hlq_stream stream,
                                hlq_request **request)
{
    hlq_walk asked = all_reduce(comm, send, recv, count, dtype, op);
    return hlq_request_start(&asked, call, stream, request);
}
