/*
 * MPI as a transport: every message is one or more MPI_Isend / MPI_Irecv of bytes, on a duplicate
 * of the caller's communicator. Reductions of bytes are never left to MPI (MPI_SUM saturates on 8-
 * and 16-bit integers in Open MPI); MPI_Allreduce serves native float32 sums alone.
 */
#include "mpi_transport.h"
#include "transport_internal.h"

#include <hlqcomm/mpi.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* MPI counts are ints; longer messages go in pieces of this. */
enum { PIECE_BYTES = 1 << 30, TAG = 1 };

typedef struct {
    int peer, bytes, is_recv;
} piece;

typedef struct {
    MPI_Comm comm;
    int rank, size;
    int requests, capacity; /* of the exchange under way */
    MPI_Request *request;
    MPI_Status *status;
    piece *piece;
    int broken; /* requests may be left over: nothing collective can be done any more */
} endpoint;

static hlq_status mpi_failed(int code, const char *what, char *error)
{
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    MPI_Error_string(code, text, &length);
    snprintf(error, HLQ_ERROR_BYTES, "%s: %.*s", what, length > 160 ? 160 : length, text);
    return HLQ_E_TRANSPORT;
}

static int pieces_of(const hlq_message *m)
{
    return (int)((m->bytes + PIECE_BYTES - 1) / PIECE_BYTES);
}

static hlq_status reserve(endpoint *e, const hlq_message *send, const hlq_message *recv)
{
    int needed = 0;
    for (int p = 0; p < e->size; p++) {
        if (p != e->rank) needed += pieces_of(&send[p]) + pieces_of(&recv[p]);
    }
    if (needed <= e->capacity) return HLQ_OK;
    MPI_Request *request = realloc(e->request, (size_t)needed * sizeof *request);
    if (request) e->request = request;
    MPI_Status *status = realloc(e->status, (size_t)needed * sizeof *status);
    if (status) e->status = status;
    piece *pieces = realloc(e->piece, (size_t)needed * sizeof *pieces);
    if (pieces) e->piece = pieces;
    if (!request || !status || !pieces) return HLQ_E_NOMEM;
    e->capacity = needed;
    return HLQ_OK;
}

static int post(endpoint *e, const hlq_message *m, int peer, int is_recv)
{
    for (size_t at = 0; at < m->bytes; at += PIECE_BYTES) {
        int bytes = m->bytes - at < PIECE_BYTES ? (int)(m->bytes - at) : PIECE_BYTES;
        char *data = (char *)m->data + at;
        MPI_Request *request = &e->request[e->requests];
        int code = is_recv ? MPI_Irecv(data, bytes, MPI_BYTE, peer, TAG, e->comm, request)
                           : MPI_Isend(data, bytes, MPI_BYTE, peer, TAG, e->comm, request);
        if (code != MPI_SUCCESS) return code;
        e->piece[e->requests++] = (piece){peer, bytes, is_recv};
    }
    return MPI_SUCCESS;
}

static hlq_status start(void *self, const hlq_message *send, const hlq_message *recv, char *error)
{
    endpoint *e = self;
    e->requests = 0;
    if (reserve(e, send, recv) != HLQ_OK) {
        snprintf(error, HLQ_ERROR_BYTES, "out of memory for message requests");
        return HLQ_E_NOMEM;
    }
    int code = MPI_SUCCESS;
    for (int d = 1; d < e->size && code == MPI_SUCCESS; d++) {
        int p = (e->rank + d) % e->size;
        code = post(e, &recv[p], p, 1);
    }
    for (int d = 1; d < e->size && code == MPI_SUCCESS; d++) {
        int p = (e->rank + d) % e->size;
        code = post(e, &send[p], p, 0);
    }
    if (code != MPI_SUCCESS) {
        e->broken = 1;
        return mpi_failed(code, "MPI could not start a message", error);
    }
    return HLQ_OK;
}

static hlq_status timed_out(endpoint *e, char *error)
{
    e->broken = 1;
    for (int i = 0; i < e->requests; i++) {
        int done = 0;
        if (e->request[i] != MPI_REQUEST_NULL) {
            MPI_Request_get_status(e->request[i], &done, MPI_STATUS_IGNORE);
            if (!done) {
                snprintf(error, HLQ_ERROR_BYTES, "rank %d did not answer within the timeout",
                         e->piece[i].peer);
                return HLQ_E_TIMEOUT;
            }
        }
    }
    snprintf(error, HLQ_ERROR_BYTES, "messages did not complete within the timeout");
    return HLQ_E_TIMEOUT;
}

/* All requests are complete: did each receive bring what was expected? */
static hlq_status check_sizes(endpoint *e, int code, char *error)
{
    for (int i = 0; i < e->requests; i++) {
        const piece *p = &e->piece[i];
        int class = MPI_SUCCESS, got = p->bytes;
        if (code == MPI_ERR_IN_STATUS) MPI_Error_class(e->status[i].MPI_ERROR, &class);
        if (class == MPI_SUCCESS && p->is_recv) MPI_Get_count(&e->status[i], MPI_BYTE, &got);
        if (class == MPI_ERR_TRUNCATE) {
            snprintf(error, HLQ_ERROR_BYTES, "rank %d sent more than the %d bytes expected",
                     p->peer, p->bytes);
            return HLQ_E_WIRE;
        }
        if (class != MPI_SUCCESS) return mpi_failed(e->status[i].MPI_ERROR, "MPI failed", error);
        if (got != p->bytes) {
            snprintf(error, HLQ_ERROR_BYTES, "rank %d sent %d bytes where %d were expected",
                     p->peer, got, p->bytes);
            return HLQ_E_WIRE;
        }
    }
    return HLQ_OK;
}

/* Polls a group of requests until all are complete or the timeout is over; *done tells which. */
static int poll_all(endpoint *e, int requests, MPI_Request *request, MPI_Status *status,
                    double timeout_s, int *done)
{
    double deadline = hlq_now() + timeout_s;
    for (int tries = 0;; tries++) {
        int code = MPI_Testall(requests, request, done, status);
        if (code == MPI_ERR_IN_STATUS) *done = 1;
        if (code != MPI_SUCCESS && code != MPI_ERR_IN_STATUS) e->broken = 1;
        if (code != MPI_SUCCESS || *done || hlq_now() > deadline) return code;
        if (tries % 16 == 15) sched_yield(); /* there may be more ranks than cores */
    }
}

static hlq_status wait_all(void *self, double timeout_s, char *error)
{
    endpoint *e = self;
    int done = 0;
    int code = poll_all(e, e->requests, e->request, e->status, timeout_s, &done);
    if (done) return check_sizes(e, code, error);
    if (code != MPI_SUCCESS) return mpi_failed(code, "MPI failed", error);
    return timed_out(e, error);
}

/*
 * MPI_Allreduce cannot be left once entered, so a barrier that can makes sure first that all ranks
 * are there.
 */
static hlq_status gather_at_barrier(endpoint *e, double timeout_s, char *error)
{
    MPI_Request barrier;
    int done = 0;
    int code = MPI_Ibarrier(e->comm, &barrier);
    if (code == MPI_SUCCESS) {
        code = poll_all(e, 1, &barrier, MPI_STATUSES_IGNORE, timeout_s, &done);
    }
    if (code != MPI_SUCCESS || !done) e->broken = 1;
    if (code != MPI_SUCCESS) return mpi_failed(code, "MPI_Ibarrier", error);
    if (done) return HLQ_OK;
    snprintf(error, HLQ_ERROR_BYTES, "some rank did not come to the sum within the timeout");
    return HLQ_E_TIMEOUT;
}

static hlq_status sum_float32(void *self, float *data, size_t count, double timeout_s, char *error)
{
    endpoint *e = self;
    const size_t most = PIECE_BYTES / sizeof *data;
    hlq_status status = gather_at_barrier(e, timeout_s, error);
    for (size_t at = 0; at < count && status == HLQ_OK; at += most) {
        int n = count - at < most ? (int)(count - at) : (int)most;
        int code = MPI_Allreduce(MPI_IN_PLACE, data + at, n, MPI_FLOAT, MPI_SUM, e->comm);
        if (code != MPI_SUCCESS) {
            e->broken = 1;
            status = mpi_failed(code, "MPI_Allreduce", error);
        }
    }
    return status;
}

static void destroy(void *self)
{
    endpoint *e = self;
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (!e->broken && !finalized) MPI_Comm_free(&e->comm);
    free(e->request);
    free(e->status);
    free(e->piece);
    free(e);
}

hlq_status hlq_transport_mpi(MPI_Comm mpi_comm, hlq_transport *transport, char *error)
{
    int initialized = 0, finalized = 0;
    MPI_Initialized(&initialized);
    MPI_Finalized(&finalized);
    if (!initialized || finalized || mpi_comm == MPI_COMM_NULL) {
        snprintf(error, HLQ_ERROR_BYTES, "%s",
                 !initialized ? "MPI is not initialized"
                 : finalized  ? "MPI is already finalized"
                              : "the MPI communicator is null");
        return HLQ_E_INVALID;
    }
    endpoint *e = calloc(1, sizeof *e);
    if (!e) return HLQ_E_NOMEM;
    int code = MPI_Comm_dup(mpi_comm, &e->comm);
    if (code != MPI_SUCCESS) {
        free(e);
        return mpi_failed(code, "MPI_Comm_dup", error);
    }
    MPI_Comm_set_errhandler(e->comm, MPI_ERRORS_RETURN);
    MPI_Comm_rank(e->comm, &e->rank);
    MPI_Comm_size(e->comm, &e->size);
    *transport = (hlq_transport){
        .struct_bytes = sizeof *transport,
        .name = "mpi",
        .self = e,
        .rank = e->rank,
        .size = e->size,
        .start = start,
        .wait = wait_all,
        .sum_float32 = sum_float32,
        .destroy = destroy,
    };
    return HLQ_OK;
}

hlq_status hlq_comm_create_mpi(MPI_Comm mpi_comm, const hlq_options *options, hlq_comm **comm)
{
    char error[HLQ_ERROR_BYTES] = "";
    hlq_transport transport;
    if (comm) *comm = NULL;
    hlq_status status = hlq_transport_mpi(mpi_comm, &transport, error);
    if (status != HLQ_OK) return hlq_create_failed(status, error);
    return hlq_comm_create_callbacks(&transport, options, comm);
}

const char *hlq_mpi_library(void)
{
    static char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    if (!*text) {
        MPI_Get_library_version(text, &length);
        text[strcspn(text, ",\n")] = '\0';
    }
    return text;
}
