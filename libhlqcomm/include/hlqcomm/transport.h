/*
 * A transport moves bytes between ranks and never looks inside them. libhlqcomm brings threads
 * (one process) and MPI; anything that can move bytes between every pair of ranks can be another:
 * fill in this table and call hlq_comm_create_callbacks().
 */
#ifndef HLQCOMM_TRANSPORT_H
#define HLQCOMM_TRANSPORT_H

#include <hlqcomm/hlqcomm.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One message; bytes may be 0 (then nothing is sent) and may exceed 2^31. */
typedef struct hlq_message {
    void *data;
    size_t bytes;
} hlq_message;

/* Room for one sentence on what went wrong. */
#define HLQ_ERROR_BYTES 256

typedef struct hlq_transport {
    uint32_t struct_bytes; /* sizeof(hlq_transport) */
    const char *name;      /* "threads", "mpi"; static storage */
    void *self;            /* passed to every function */
    int rank, size;

    /*
     * Starts an exchange: send[p] goes to rank p, recv[p] is filled by rank p, for all p but the
     * caller's own rank (those entries are ignored). Both arrays have `size` entries and are read
     * during the call only; the memory they point to stays the caller's and must stay in place
     * until wait(). Every rank calls it in the same order, with matching sizes. At most one
     * exchange is under way at a time. Must not block on other ranks.
     * On failure returns a status and writes a sentence to error (HLQ_ERROR_BYTES long).
     */
    hlq_status (*start)(void *self, const hlq_message *send, const hlq_message *recv, char *error);

    /*
     * Ends the exchange: returns when everything of this rank was received and its send buffers are
     * free, or with HLQ_E_TIMEOUT after timeout_s seconds without (the sentence names a missing
     * rank), HLQ_E_WIRE for a message of the wrong size, HLQ_E_TRANSPORT for anything else.
     */
    hlq_status (*wait)(void *self, double timeout_s, char *error);

    /*
     * Sum of count floats over all ranks, in place, by the carrier's own means; all ranks must end
     * with the same bits. NULL if it has none: the sum is then made from start() and wait().
     */
    hlq_status (*sum_float32)(void *self, float *data, size_t count, double timeout_s, char *error);

    void (*destroy)(void *self); /* may be NULL */
} hlq_transport;

#ifdef __cplusplus
}
#endif
#endif
