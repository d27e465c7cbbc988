/*
 * What hlq_comm_create_mpi_cuda() does, with CUDA and kernels to choose.
 */
#ifndef HLQ_TRANSPORT_MPI_CUDA_H
#define HLQ_TRANSPORT_MPI_CUDA_H

#include "cuda_calls.h"

#include <mpi.h>

struct hlq_device_wire;
hlq_status hlq_mpi_cuda_create(const hlq_cuda_calls *cuda, const struct hlq_device_wire *wire,
                               MPI_Comm mpi_comm, const hlq_options *options, hlq_comm **comm);

#endif
