/*
 * MPI as a transport (part of hlqcomm_mpi). Duplicates mpi_comm: collective over its ranks, who
 * have timeout_s seconds to come. Not part of the public interface, but shared with
 * hlqcomm_mpi_cuda.
 */
#ifndef HLQ_TRANSPORT_MPI_TRANSPORT_H
#define HLQ_TRANSPORT_MPI_TRANSPORT_H

#include <hlqcomm/transport.h>
#include <mpi.h>

HLQ_API hlq_status hlq_transport_mpi(MPI_Comm mpi_comm, double timeout_s, hlq_transport *transport,
                                     char *error);

#endif
