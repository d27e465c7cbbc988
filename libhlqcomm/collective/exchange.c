/*
 * Exchanges of a communicator over its transport, counted and timed, and its one way to fail.
 */
#include "comm.h"

#include <transport/transport_internal.h>

#include <stdarg.h>
#include <stdio.h>

hlq_status hlq_fail(hlq_comm *comm, hlq_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(comm->error, sizeof comm->error, format, arguments);
    va_end(arguments);
    return status;
}

void hlq_send_to_all(hlq_comm *comm, void *data, size_t bytes)
{
    for (int p = 0; p < comm->size; p++) comm->out[p] = (hlq_message){data, bytes};
}

hlq_status hlq_exchange_start(hlq_comm *comm)
{
    hlq_status status =
        comm->transport.start(comm->transport.self, comm->out, comm->in, comm->error);
    if (status != HLQ_OK) comm->broken = 1;
    return status;
}

hlq_status hlq_exchange_wait(hlq_comm *comm)
{
    double begin = hlq_now();
    hlq_status status =
        comm->transport.wait(comm->transport.self, comm->options.timeout_s, comm->error);
    if (status != HLQ_OK) comm->broken = 1;
    for (int p = 0; p < comm->size; p++) {
        if (p == comm->rank) continue;
        comm->stats.bytes_sent += comm->out[p].bytes;
        comm->stats.bytes_received += comm->in[p].bytes;
    }
    comm->stats.seconds_exchange += hlq_now() - begin;
    return status;
}

hlq_status hlq_exchange(hlq_comm *comm)
{
    HLQ_TRY(hlq_exchange_start(comm));
    return hlq_exchange_wait(comm);
}
