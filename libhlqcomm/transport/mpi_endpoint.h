/*
 * What the sources of the MPI transport share: what is under way, and what ranks tell each other
 * beside it (mpi_notices.c).
 */
#ifndef HLQ_TRANSPORT_MPI_ENDPOINT_H
#define HLQ_TRANSPORT_MPI_ENDPOINT_H

#include "transport_internal.h"

#include <mpi.h>

/* A channel is a tag; what ranks give up with has one of its own. */
enum { NOTICE_TAG = 0, FIRST_TAG = 1, TAGS = 32000 };

typedef struct {
    int peer, bytes, is_recv;
} mpi_piece;

/* What MPI has under way for one exchange. */
typedef struct flight {
    struct flight *next;
    uint32_t channel;
    int is_sum, is_told; /* is_told: others know that this rank is in the sum */
    double begin;
    size_t *got; /* the exchange's */
    int requests, capacity;
    MPI_Request *request;
    MPI_Status *status;
    mpi_piece *piece;
} mpi_flight;

/* What a rank tells the others about itself. */
enum { CHANNELS_TOLD = 16 };
typedef struct {
    int32_t status; /* what it gave up with; HLQ_OK: not at all, it waits in a sum */
    uint32_t channels, channel[CHANNELS_TOLD]; /* of exchanges that it gave up; of the sum */
    char sentence[HLQ_ERROR_BYTES];
} mpi_notice;

typedef struct mpi_endpoint {
    struct mpi_endpoint *next; /* of those left to MPI */
    MPI_Comm comm;
    int rank, size;
    mpi_flight *spare;
    unsigned rests;
    double looked;                /* for notices */
    mpi_notice farewell, waiting; /* what this rank tells */
    mpi_notice *notices;          /* per rank: what it told last */
    int broken; /* requests may be left over: nothing collective can be done any more */
} mpi_endpoint;

/* Sends a notice to all. It stays where it is: nobody waits until it was read. */
void hlq_mpi_tell(mpi_endpoint *e, const mpi_notice *n);

/* Takes in what other ranks told. */
void hlq_mpi_look(mpi_endpoint *e);

int hlq_mpi_is_complete(MPI_Request request);

/* HLQ_OK, or what a rank gave up with that this flight waits for, or that gave up the very same
   exchange: what it had sent before may have come, but it has not got through. */
hlq_status hlq_mpi_gone(const mpi_endpoint *e, const mpi_flight *f, char *error);

/* Names a rank that has not done its part in a flight that did not complete. */
void hlq_mpi_name_missing(mpi_endpoint *e, const mpi_flight *f, char *missing);

/* Names a rank that is to blame if MPI fails: one whose process ended, where MPI goes on after that
   and tells (ULFM), else one that is missing. */
void hlq_mpi_name_failed(mpi_endpoint *e, const mpi_flight *f, char *who);

#endif
