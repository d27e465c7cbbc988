/*
 * A carrier of device memory over any transport: messages go by way of the host, in pinned memory,
 * or straight from the device, where the transport can read that.
 *
 *   caller's stream   … copy out ─▶ pinned │ host function │ pinned ─▶ copy in …
 *                                               │     ▲
 *                                            job due  done
 *                                               ▼     │
 *   the carrier's thread                    exchange by the transport
 *
 * A host function must not call CUDA, which a transport may do; so it only waits for a thread that
 * makes the exchange. Native sums are the host's, made by that thread on a communicator of its own,
 * so that they have the host's bits.
 *
 * An exchange that fails leaves bytes of 0xff for all that was to come: as numbers NaN, as a
 * message damaged. All that follow fail at once, with the first one's status and sentence.
 */
#ifndef HLQ_TRANSPORT_STAGED_H
#define HLQ_TRANSPORT_STAGED_H

#include "cuda_order.h"

#include <pthread.h>

struct staged_endpoint;

/* What the thread has to do while a stream waits: an exchange, or a native sum. */
typedef struct staged_job {
    struct staged_job *next; /* of those that are due, or spare */
    struct staged_endpoint *e;
    hlq_message *send, *recv; /* size entries each: where the transport finds them */
    hlq_message in;           /* all of recv, in pinned memory; NULL: recv is the device's */
    int is_sum;               /* of `count` numbers of every rank, which begin where the first
                                 message of send does */
    hlq_operation operation;
    hlq_op op;
    hlq_dtype dtype;
    size_t count;
    const uint32_t *fault; /* not 0: lengths may not match, and nothing is done */
    int is_done;
} staged_job;

/* Pinned memory for one exchange at a time. Work on streams may use older ones until the end; each
   is twice as large as the last. */
typedef struct staged_room {
    struct staged_room *older;
    char *memory;
    size_t bytes;
} staged_room;

/* One piece of an exchange: 2 × size messages each, first those that go out. */
typedef struct staged_slot {
    hlq_message *there, *here; /* on the device; in pinned memory */
    hlq_message in;            /* all that comes, of here */
    char *memory;
    hlq_event exchanged;
} staged_slot;

enum { SLOTS = 2 };

typedef struct staged_endpoint {
    hlq_cuda_order order; /* first: cuda_order.h */
    hlq_transport transport;
    hlq_comm *sums; /* over the same transport, which it owns */
    int rank, size, is_direct;
    double timeout_s;
    size_t piece_bytes;    /* of a message in one exchange */
    hlq_message *messages; /* 2 × size entries: of what is being put onto a stream */
    const uint32_t *fault; /* of the call that is being put */
    staged_slot slot[SLOTS];
    staged_room *room; /* newest first */
    hlq_stream beside; /* for exchanges of pieces, while the caller's stream copies others */
    hlq_event copied;  /* on the caller's, what the next exchange sends */
    hlq_event moved;   /* on the stream, behind the last exchange */
    int has_moved;

    pthread_t thread;
    int has_thread;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    staged_job *due, *spare;
    int is_over;
    hlq_status status; /* what broke the carrier */
    char sentence[HLQ_ERROR_BYTES];
    int is_told; /* others know */

    uint32_t exchanges; /* so far; the thread's */
    int is_stopped;     /* by a fault: nothing is done any more; the thread's */
    int in_use;         /* the transport may go on using memory of an exchange; the thread's */
} staged_endpoint;

/* The thread: all that is due, until it is over. */
void *staged_work(void *endpoint);

/* On a stream, as a host function: waits until the thread has done a job. */
void staged_wait(void *job);

/* What broke the carrier, if anything did; and breaks it, unless something did before. */
hlq_status staged_state(staged_endpoint *e, char *error);
void staged_break(staged_endpoint *e, hlq_status status, const char *sentence);

/* carrier.h. */
hlq_status staged_exchange(void *self, const hlq_message *send, const hlq_message *recv,
                           size_t longest, hlq_stream stream, char *error);
hlq_status staged_gather(void *self, void *recv, size_t bytes, hlq_stream stream, char *error);
hlq_status staged_native(void *self, hlq_operation operation, const void *send, void *recv,
                         size_t count, hlq_dtype dtype, hlq_op op, hlq_stream stream, char *error);

/* Why a rank cannot: all hear. */
typedef struct hlq_staged_fault {
    hlq_status status;
    char sentence[112];
} hlq_staged_fault;

/* What a communicator over this carrier is made of. */
typedef struct hlq_staged_parts {
    hlq_transport host, device; /* of one and the same ranks, for tensors of the host and those of
                                   the device; both are taken over, also when creation fails */
    const hlq_cuda_calls *cuda; /* the current device is the communicator's */
    const struct hlq_device_wire *wire;
    int is_direct;      /* the transport reads and writes memory of the device; like piece_bytes the
                           same on all ranks, or all are refused */
    size_t piece_bytes; /* a power of two, at least 64 */
    hlq_staged_fault fault;
} hlq_staged_parts;

/* Collective over its ranks. */
hlq_status hlq_staged_create(const hlq_staged_parts *parts, const hlq_options *options,
                             hlq_comm **comm);

#endif
