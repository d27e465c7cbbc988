/*
 * MPI for a Python process: started when first needed, ended at exit if it was started here. Built
 * without MPI (no HLQTORCH_WITH_MPI), the same functions exist and comm_over_mpi() says so.
 */
#pragma once

#include <hlqcomm/hlqcomm.h>

#include <string>
#include <vector>

namespace hlqtorch {

class Comm;

/*
 * Makes a communicator over the given ranks of MPI_COMM_WORLD, all of them if the list is empty.
 * Collective over those ranks. Calls MPI_Init_thread if nobody has. Threads that make communicators
 * of some ranks at the same time give them different tags, 0 … 32767. of_cuda: for tensors of the
 * current CUDA device, too, which needs mpi_has_cuda() of all ranks.
 */
hlq_comm *comm_over_mpi(const std::vector<int> &ranks, int tag, bool of_cuda,
                        const hlq_options &options);

/* Whether libhlqcomm was built with both MPI and CUDA. */
bool mpi_has_cuda();

/* Communicators that must be closed before MPI_Finalize. */
void mpi_remember(Comm *comm);
void mpi_forget(Comm *comm);

/*
 * Starts MPI if nobody has, which is collective over all ranks of the job. Whether MPI then lets
 * threads call it at the same time; process groups, which have a thread each, need that.
 */
bool mpi_start();

/* Between MPI_Init and MPI_Finalize. */
bool mpi_is_running();

/*
 * For the end of the process: closes what mpi_remember() was given, in the order of creation, which
 * is the same on all ranks; then MPI_Finalize, if MPI was started here.
 */
void mpi_finish();

/* "Open MPI 5.0.8", or empty when built without MPI. */
std::string mpi_library();

} // namespace hlqtorch
