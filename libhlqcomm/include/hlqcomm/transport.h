/*
 * A transport moves bytes between ranks and never looks inside them. libhlqcomm brings threads
 * (one process) and MPI; anything that can move bytes between every pair of ranks can be another:
 * fill in this table and call hlq_comm_create_callbacks().
 *
 * Nothing here may wait for other ranks but rest(): start() begins, test() looks and goes on.
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

/*
 * One exchange: send[p] goes to rank p, recv[p] is filled by rank p, for all p but the caller's own
 * rank (those entries are ignored). The structure and all it points to stay where they are until
 * test() says done or fails, or cancel().
 *
 * Exchanges of one channel are started in the same order on all ranks, with matching sizes (unless
 * there is `got`).
 * Exchanges of different channels know nothing of each other: any number may be under way, in any
 * order (unless the transport is in_order).
 */
typedef struct hlq_exchange {
    uint32_t channel, number;       /* number: 0, 1, … within the channel */
    const hlq_message *send, *recv; /* `size` entries each */
    size_t *got; /* NULL, or `size` entries: messages may then be shorter than recv has room for,
                    which is below 48 KiB, and got[p] becomes how long rank p's is */
    float *sum;  /* for start_sum() alone: the numbers, and how many */
    size_t count;
    void *state; /* the transport's own */
} hlq_exchange;

typedef struct hlq_transport {
    uint32_t struct_bytes; /* sizeof(hlq_transport) */
    const char *name;      /* "threads", "mpi"; static storage */
    void *self;            /* passed to every function */
    int rank, size;
    uint64_t node;  /* the same, and not 0, on ranks of one machine; 0 if that is not known */
    int in_order;   /* not 0: at most one exchange may be under way, and all ranks must start theirs
                       in the same order; the library then does one collective after the other */
    int takes_less; /* not 0: exchanges with `got` are understood; short calls are faster then. The
                       same on all ranks */

    /* All functions that return a status write a sentence to error (HLQ_ERROR_BYTES long) when it
       is not HLQ_OK. An exchange that failed is over; only cancel() follows. */

    hlq_status (*start)(void *self, hlq_exchange *exchange, char *error);

    /*
     * *done becomes 1 if everything of this rank was received and its send buffers are free, else
     * 0. Fails with HLQ_E_WIRE for a message of the wrong size, with the status that a needed
     * rank gave up with (below), with HLQ_E_TRANSPORT for anything else.
     */
    hlq_status (*test)(void *self, hlq_exchange *exchange, int *done, char *error);

    /*
     * Gives an exchange up. Writes a sentence to missing (HLQ_ERROR_BYTES long) that names a rank
     * this one was waiting for. Returns 0 if its buffers are free, 1 if the carrier cannot be kept
     * from using some of them later: they must then stay allocated.
     */
    int (*cancel)(void *self, hlq_exchange *exchange, char *missing);

    /* Returns when something may have happened since it last returned, at the latest after that
       many seconds. NULL: the library yields the processor instead. */
    void (*rest)(void *self, double seconds);

    /*
     * Tells the other ranks, as far as that goes without waiting, that this one takes no further
     * part, and why: test() of an exchange that needs it then fails there with this status and a
     * sentence like "rank 2: ...". NULL: they find out when their time is over.
     */
    void (*give_up)(void *self, hlq_status status, const char *sentence);

    /*
     * Like start(), for a sum of exchange->count floats over all ranks, in place in exchange->sum,
     * by the carrier's own means; all ranks end with the same bits. Sums are started in the same
     * order on all ranks, whatever their channels. NULL if the carrier has none: sums are then
     * made of exchanges.
     */
    hlq_status (*start_sum)(void *self, hlq_exchange *exchange, char *error);

    void (*destroy)(void *self); /* may be NULL */
} hlq_transport;

/* A communicator over it. It takes the transport over and calls its destroy(), also when creation
   fails. Collective, as all creation is (hlqcomm/hlqcomm.h). */
HLQ_API HLQ_MUST_USE hlq_status hlq_comm_create_callbacks(const hlq_transport *transport,
                                                          const hlq_options *options,
                                                          hlq_comm **comm);

#ifdef __cplusplus
}
#endif
#endif
