/*
 * Tensors of a device over MPI: two transports, one for the host's, one for the device's, which the
 * staged carrier's thread uses while the caller's may use the other.
 */
#include "mpi_cuda.h"
#include "mpi_transport.h"
#include "staged.h"

#include "transport_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if __has_include(<mpi-ext.h>)
#include <mpi-ext.h>
#endif

/* Bytes of one exchange of a long message, over all messages; at least that much of each. */
enum { PIECES_BYTES = 4 << 20, PIECE_LEAST = 256 << 10 };

static size_t piece_bytes(int size)
{
    size_t bytes = PIECES_BYTES;
    for (int others = size - 1; others > 1 && bytes > PIECE_LEAST; others /= 2) bytes /= 2;
    return bytes;
}

static int reads_devices(void)
{
#if defined(MPIX_CUDA_AWARE_SUPPORT)
    return MPIX_Query_cuda_support() == 1;
#else
    return 0;
#endif
}

/* How messages go, by the environment, else as MPI can. */
static void choose(hlq_staged_parts *parts)
{
    const char *word = getenv("HLQ_MPI_CUDA");
    int is_staged = word && strcmp(word, "staged") == 0;
    int is_direct = word && strcmp(word, "direct") == 0;
    parts->is_direct = is_direct || (!word && reads_devices());
    if (!word || is_staged || is_direct) return;
    parts->fault.status = HLQ_E_INVALID;
    snprintf(parts->fault.sentence, sizeof parts->fault.sentence,
             "HLQ_MPI_CUDA=%.40s is neither staged nor direct", word);
}

static void check_threads(hlq_staged_parts *parts)
{
    int provided = MPI_THREAD_SINGLE;
    MPI_Query_thread(&provided);
    if (provided == MPI_THREAD_MULTIPLE) return;
    parts->fault.status = HLQ_E_UNSUPPORTED;
    snprintf(parts->fault.sentence, sizeof parts->fault.sentence,
             "tensors of a device need MPI_Init_thread() with MPI_THREAD_MULTIPLE");
}

hlq_status hlq_mpi_cuda_create(const hlq_cuda_calls *cuda, const struct hlq_device_wire *wire,
                               MPI_Comm mpi_comm, const hlq_options *options, hlq_comm **comm)
{
    char error[HLQ_ERROR_BYTES] = "";
    double timeout_s = hlq_creation_timeout(options);
    hlq_staged_parts parts = {.cuda = cuda, .wire = wire};
    if (comm) *comm = NULL;
    hlq_status status = hlq_transport_mpi(mpi_comm, timeout_s, &parts.host, error);
    if (status != HLQ_OK) return hlq_create_failed(status, error);
    status = hlq_transport_mpi(mpi_comm, timeout_s, &parts.device, error);
    if (status != HLQ_OK) {
        parts.host.destroy(parts.host.self);
        return hlq_create_failed(status, error);
    }
    parts.piece_bytes = piece_bytes(parts.device.size);
    choose(&parts);
    check_threads(&parts);
    return hlq_staged_create(&parts, options, comm);
}
