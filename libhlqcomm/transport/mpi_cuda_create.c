/*
 * The communicator of hlqcomm/mpi_cuda.h, by CUDA's runtime and the kernels of GPUs.
 */
#include "mpi_cuda.h"

#include <hlqcomm/mpi_cuda.h>

#include <wire/device.h>

hlq_status hlq_comm_create_mpi_cuda(MPI_Comm mpi_comm, const hlq_options *options, hlq_comm **comm)
{
    return hlq_mpi_cuda_create(&hlq_cuda_runtime, &hlq_wire_cuda, mpi_comm, options, comm);
}
