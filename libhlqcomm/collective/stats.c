/*
 * What the last collective did, and the one way bits per element are counted.
 */
#include "comm.h"

#include <math.h>

double hlq_bits_per_elem(uint64_t bytes_sent, double sent_elems)
{
    return sent_elems > 0 ? 8 * (double)bytes_sent / sent_elems : 0;
}

void hlq_stats_estimate(hlq_stats *stats, double error, double energy)
{
    double estimate = error / energy;
    stats->vnmse_estimate = energy > 0 && isfinite(estimate) ? estimate : 0;
}

hlq_status hlq_comm_stats(const hlq_comm *comm, hlq_stats *stats)
{
    if (!comm || !stats || stats->struct_bytes != sizeof *stats) return HLQ_E_INVALID;
    *stats = comm->stats;
    stats->struct_bytes = sizeof *stats;
    return HLQ_OK;
}
