/*
 * What ranks of the MPI transport tell each other beside their messages: that they gave up, and
 * why; that they wait in a sum, of which MPI does not say who is missing.
 */
#include "mpi_endpoint.h"

#include <stdio.h>
#if defined(OPEN_MPI)
#include <mpi-ext.h> /* MPIX_Comm_get_failed */
#endif

void hlq_mpi_tell(mpi_endpoint *e, const mpi_notice *n)
{
    for (int d = 1; d < e->size; d++) {
        MPI_Request request;
        int p = (e->rank + d) % e->size;
        int code = MPI_Isend(n, sizeof *n, MPI_BYTE, p, NOTICE_TAG, e->comm, &request);
        if (code == MPI_SUCCESS) MPI_Request_free(&request);
    }
}

void hlq_mpi_look(mpi_endpoint *e)
{
    for (int there = 1; there;) {
        MPI_Status status;
        there = 0;
        MPI_Iprobe(MPI_ANY_SOURCE, NOTICE_TAG, e->comm, &there, &status);
        if (!there) return;
        mpi_notice n, *known = &e->notices[status.MPI_SOURCE];
        int code = MPI_Recv(&n, sizeof n, MPI_BYTE, status.MPI_SOURCE, NOTICE_TAG, e->comm,
                            MPI_STATUS_IGNORE);
        if (code != MPI_SUCCESS || known->status != HLQ_OK) continue;
        n.sentence[sizeof n.sentence - 1] = '\0';
        *known = n;
    }
}

static int has_channel(const mpi_notice *n, uint32_t channel)
{
    for (uint32_t i = 0; i < n->channels && i < CHANNELS_TOLD; i++) {
        if (n->channel[i] == channel) return 1;
    }
    return 0;
}

int hlq_mpi_is_complete(MPI_Request request)
{
    int complete = 1;
    if (request != MPI_REQUEST_NULL) {
        MPI_Request_get_status(request, &complete, MPI_STATUS_IGNORE);
    }
    return complete;
}

/* Whether rank p still has to do something for a flight. */
static int needs(const mpi_flight *f, int p)
{
    for (int i = 0; i < f->requests; i++) {
        if ((f->is_sum || f->piece[i].peer == p) && !hlq_mpi_is_complete(f->request[i])) return 1;
    }
    return 0;
}

hlq_status hlq_mpi_gone(const mpi_endpoint *e, const mpi_flight *f, char *error)
{
    for (int p = 0; p < e->size; p++) {
        const mpi_notice *n = &e->notices[p];
        if (n->status == HLQ_OK || !(has_channel(n, f->channel) || needs(f, p))) continue;
        snprintf(error, HLQ_ERROR_BYTES, "rank %d: %.230s", p, n->sentence);
        return (hlq_status)n->status;
    }
    return HLQ_OK;
}

/* One that sent nothing is named before one that took nothing. */
void hlq_mpi_name_missing(mpi_endpoint *e, const mpi_flight *f, char *missing)
{
    snprintf(missing, HLQ_ERROR_BYTES,
             f && f->is_sum ? "a sum of all ranks did not end" : "messages did not complete");
    if (!f) return;
    hlq_mpi_look(e);
    for (int p = e->size - 1; p >= 0 && f->is_sum; p--) {
        if (p == e->rank || has_channel(&e->notices[p], f->channel)) continue;
        snprintf(missing, HLQ_ERROR_BYTES, "rank %d did not come to the sum", p);
    }
    for (int is_recv = 0; is_recv <= 1 && !f->is_sum; is_recv++) {
        for (int i = f->requests - 1; i >= 0; i--) {
            if (f->piece[i].is_recv != is_recv || hlq_mpi_is_complete(f->request[i])) continue;
            snprintf(missing, HLQ_ERROR_BYTES, "rank %d did not %s", f->piece[i].peer,
                     is_recv ? "answer" : "take what was sent to it");
        }
    }
}

void hlq_mpi_name_failed(mpi_endpoint *e, const mpi_flight *f, char *who)
{
    hlq_mpi_name_missing(e, f, who);
#if defined(OMPI_HAVE_MPIX_COMM_GET_FAILED)
    MPI_Group all, failed;
    int size = 0, rank = MPI_UNDEFINED;
    const int first = 0;
    MPI_Comm_group(e->comm, &all);
    if (MPIX_Comm_get_failed(e->comm, &failed) == MPI_SUCCESS) {
        MPI_Group_size(failed, &size);
        if (size > 0) MPI_Group_translate_ranks(failed, 1, &first, all, &rank);
        if (rank >= 0) snprintf(who, HLQ_ERROR_BYTES, "rank %d", rank);
        MPI_Group_free(&failed);
    }
    MPI_Group_free(&all);
#endif
}
