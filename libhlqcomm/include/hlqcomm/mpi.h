/*
 * libhlqcomm over MPI. Link hlqcomm_mpi beside hlqcomm. The only public header that needs mpi.h.
 */
#ifndef HLQCOMM_MPI_H
#define HLQCOMM_MPI_H

#include <hlqcomm/hlqcomm.h>
#include <mpi.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Makes a communicator over the ranks of mpi_comm (an intracommunicator); collective over it. It
 * is duplicated: messages of libhlqcomm never meet the program's own, and mpi_comm may be freed
 * afterwards. MPI must be initialized, with MPI_THREAD_SERIALIZED or more if calls come from
 * several threads. Destroy the hlq_comm before MPI_Finalize (destroying frees the duplicate, which
 * MPI makes collective: all ranks destroy in the same order).
 * After HLQ_E_TIMEOUT or HLQ_E_TRANSPORT of a native collective, send and recv must stay allocated
 * and out of use: MPI cannot always be kept from them. docs/faults.md says what it takes for ranks
 * to outlive a process that died.
 * options: NULL for the defaults. On failure *comm is NULL; see hlq_create_error().
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_comm_create_mpi(MPI_Comm mpi_comm, const hlq_options *options,
                                                    hlq_comm **comm);

/* Version of the MPI library this was built with, e.g. "Open MPI 5.0.8". Static storage. */
HLQ_API const char *hlq_mpi_library(void);

#ifdef __cplusplus
}
#endif
#endif
