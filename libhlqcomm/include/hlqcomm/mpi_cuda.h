/*
 * libhlqcomm over MPI, for tensors in GPU memory, where there is no NCCL. Link hlqcomm_mpi_cuda
 * beside hlqcomm. Needs mpi.h, and of CUDA the driver.
 */
#ifndef HLQCOMM_MPI_CUDA_H
#define HLQCOMM_MPI_CUDA_H

#include <hlqcomm/mpi.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Makes a communicator over the ranks of mpi_comm, for tensors of the calling thread's current CUDA
 * device; collective over it. What hlq_comm_create_mpi() says holds, but that mpi_comm is
 * duplicated twice, and that MPI must have been initialized with MPI_THREAD_MULTIPLE, for a thread
 * of the communicator's makes the device's exchanges: else HLQ_E_UNSUPPORTED. options: NULL for the
 * defaults. On failure *comm is NULL; see hlq_create_error().
 *
 * Tensors are all in memory of that device, aligned to their elements, or all in the host's. Those
 * of the host are as over hlq_comm_create_mpi().
 *
 * Of the device: calls only add their work to the stream and return; HLQ_OK says that this was
 * possible. Messages go through pinned memory of the host, long ones in pieces, so that copies and
 * exchanges overlap; or straight from device memory, if MPI says that it can
 * (MPIX_Query_cuda_support() of mpi-ext.h). HLQ_MPI_CUDA=staged or =direct in the environment
 * decides instead, the same on all ranks; any other word is HLQ_E_INVALID.
 *  - What hlqcomm/nccl.h says of tensors, requests, errors, algorithms and statistics holds here,
 *    but for what follows.
 *  - A stream waits for other ranks in a host function (cudaLaunchHostFunc). CUDA may run these one
 *    at a time: ranks with several such communicators use them in the same order.
 *  - Streams cannot be captured: HLQ_E_UNSUPPORTED, and nothing was.
 *  - Exchanges end within options.timeout_s, if only as failed: stream and program go on, status
 *    and sentence are those of MPI's transport, on every rank, and what did not arrive is NaN; of
 *    integers, the status alone tells.
 *  - NATIVE has all types, and sums in the order of ranks, made by the host's processor.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_comm_create_mpi_cuda(MPI_Comm mpi_comm,
                                                         const hlq_options *options,
                                                         hlq_comm **comm);

#ifdef __cplusplus
}
#endif
#endif
