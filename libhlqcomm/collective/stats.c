/*
 * What the last collective did, and the one way bits per element are counted.
 */
#include "comm.h"

double hlq_bits_per_elem(uint64_t bytes_sent, int size, size_t count)
{
    if (size < 2 || !count) return 0;
    return 8 * (double)bytes_sent / (2.0 * (size - 1) / size * (double)count);
}

hlq_status hlq_comm_stats(const hlq_comm *comm, hlq_stats *stats)
{
    if (!comm || !stats || stats->struct_bytes != sizeof *stats) return HLQ_E_INVALID;
    *stats = comm->stats;
    stats->struct_bytes = sizeof *stats;
    return HLQ_OK;
}
