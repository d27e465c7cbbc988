/*
 * A carrier from device memory to device memory, in the order of streams: what a transport
 * (hlqcomm/transport.h) is for tensors of the host. Collectives on tensors of a device put all
 * their work onto the caller's stream and return; nothing below waits for a stream or for ranks,
 * unless it says so.
 *
 *   caller's stream   ──│ terms │ encode ─▶ exchange ─▶ sum ─▶ exchange ─▶ decode │──▶
 *                     BEGUN  COMPARED                                          ENDED
 *
 * Functions that return a status write a sentence to error (HLQ_ERROR_BYTES) when it is not HLQ_OK.
 */
#ifndef HLQ_TRANSPORT_CARRIER_H
#define HLQ_TRANSPORT_CARRIER_H

#include <hlqcomm/transport.h>

/* Marks that a call's work leaves on its stream, for the host to see how far that has come. */
typedef enum hlq_mark {
    HLQ_MARK_BEGUN,
    HLQ_MARK_COMPARED,
    HLQ_MARK_ENDED,
    HLQ_MARKS,
} hlq_mark;

typedef struct hlq_marks {
    void *event[HLQ_MARKS]; /* the carrier's own */
} hlq_marks;

typedef struct hlq_carrier {
    void *self;
    uint32_t summed; /* 1 << dtype for those that native() can add up */
    int keeps_time;  /* not 0: exchanges end within the time that calls have, if only as failed */

    /* Whether p is memory of the device. */
    int (*owns)(void *self, const void *p);

    /* Memory of the device, or of the host where the device can write; aligned to 256 bytes,
       zeros; NULL if there is none. May wait for the device. */
    void *(*allocate)(void *self, size_t bytes, int is_host);
    void (*release)(void *self, void *memory, int is_host);

    /* Whether a stream is being captured into a graph. Then nothing may be allocated, and no mark
       be set or looked at: the caller keeps launches in order. */
    hlq_status (*is_captured)(void *self, hlq_stream stream, int *captured, char *error);

    /*
     * A call's work goes between begin(), after which the stream waits for the call before, on
     * whatever stream it was, and the mark ENDED. *passed: how many marks the work has passed. They
     * live until forget(). fault: the host's memory, where work of the call writes; if it is not 0
     * when the stream comes to an exchange, lengths may not match. A carrier that can look leaves
     * out that exchange and all after it.
     */
    hlq_status (*begin)(void *self, hlq_stream stream, hlq_marks *marks, const uint32_t *fault,
                        char *error);
    hlq_status (*mark)(void *self, hlq_stream stream, hlq_marks *marks, hlq_mark which,
                       char *error);
    hlq_status (*look)(void *self, const hlq_marks *marks, int *passed, char *error);
    void (*forget)(void *self, hlq_marks *marks);

    /*
     * send[p] goes to rank p, recv[p] comes from there, for all p but the own rank. Lengths match;
     * longest: of any message of any rank. All ranks make the same exchanges, but aside, also those
     * that have no messages in one. Then: `bytes` of every rank, one behind the other in recv,
     * where the own are already. What does not arrive leaves nothing that could be taken for it.
     */
    hlq_status (*exchange)(void *self, const hlq_message *send, const hlq_message *recv,
                           size_t longest, hlq_stream stream, char *error);
    hlq_status (*gather)(void *self, void *recv, size_t bytes, hlq_stream stream, char *error);

    /*
     * Messages may go on a second stream, so that the caller's works meanwhile; NULL: they may not.
     * They wait for each other by notes: note() writes number 0 … size down on a stream, and what
     * comes onto the stream of a heed() waits for what was before the last note of that number. All
     * that goes aside is heeded by the caller's stream at last.
     */
    hlq_stream aside;
    hlq_status (*note)(void *self, int number, hlq_stream stream, char *error);
    hlq_status (*heed)(void *self, int number, hlq_stream stream, char *error);

    /* A whole operation on plain numbers, by the carrier's own means. */
    hlq_status (*native)(void *self, hlq_operation operation, const void *send, void *recv,
                         size_t count, hlq_dtype dtype, hlq_op op, hlq_stream stream, char *error);

    /* Within the device, or from there to the host's memory of allocate(). */
    hlq_status (*copy)(void *self, void *to, const void *from, size_t bytes, hlq_stream stream,
                       char *error);
    hlq_status (*zero)(void *self, void *to, size_t bytes, hlq_stream stream, char *error);

    /* From the device now, whatever its streams are at: waits for the copy alone. */
    hlq_status (*fetch)(void *self, void *to, const void *from, size_t bytes, char *error);

    /* As a transport's; both NULL where that of the same communicator does it. destroy() comes
       last, after all memory was released. */
    void (*give_up)(void *self, hlq_status status, const char *sentence);
    void (*destroy)(void *self);
} hlq_carrier;

/*
 * A communicator over a transport, for messages of the host, and a carrier, which end together;
 * wire is what codes on the device (wire/device.h). Not part of the public interface, but shared by
 * the libraries hlqcomm, hlqcomm_nccl and hlqcomm_mpi_cuda.
 */
struct hlq_device_wire;
HLQ_API hlq_status hlq_comm_create_carried(const hlq_transport *transport,
                                           const hlq_carrier *carrier,
                                           const struct hlq_device_wire *wire,
                                           const hlq_options *options, hlq_comm **comm);

#endif
