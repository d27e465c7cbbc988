/*
 * Collectives on tensors of a device: what a communicator over a carrier has besides.
 *
 *   caller's stream   terms, compared ─▶ walk ─▶ NaN if there was a fault ─▶ report to the host
 *
 * A report is one call's; its first fault stays, and breaks the communicator when the host sees it.
 */
#ifndef HLQ_COLLECTIVE_DEVICE_H
#define HLQ_COLLECTIVE_DEVICE_H

#include <collective/request.h>

#include <transport/carrier.h>
#include <wire/device.h>

/* Memory of the device for calls, one after the other. Graphs go on using what they were captured
   with, so that none is freed before the communicator is; each is twice as large as the last. */
typedef struct hlq_device_room {
    struct hlq_device_room *older;
    uint8_t *memory;
    size_t bytes;
} hlq_device_room;

/* What starting an exchange costs is little beside such a message. */
enum { HLQ_DEVICE_ROUND_BYTES = 1 << 20 };

/* A report's copies for the host. */
enum { HLQ_SEEN_TERMS, HLQ_SEEN_END, HLQ_SEEN };

typedef struct hlq_device {
    hlq_carrier carrier;
    const hlq_device_wire *wire;
    size_t round_bytes;        /* messages of so many travel in rounds (walk.c) */
    hlq_device_room *room;     /* newest first */
    hlq_device_report *report; /* on the device: of the call under way */
    hlq_terms *terms;          /* on the device: of all ranks, of the call under way */
} hlq_device;

void hlq_device_free(hlq_device *device); /* NULL is fine */

/* The carrier's share of a communicator that breaks. */
void hlq_device_give_up(hlq_device *device, hlq_status status, const char *sentence);

/* Whether a call's tensors are the device's. */
int hlq_device_has(const hlq_walk *asked);

/* Puts a call onto the stream. request: NULL if nobody will wait for it. */
hlq_status hlq_device_start(const hlq_walk *asked, const hlq_call *call, hlq_stream stream,
                            hlq_request **request);

/* HLQ_OK, or what the device's runtime refused with a code. */
hlq_status hlq_device_check(const hlq_walk *w, int code, const char *what);

/* Bytes of device memory that the walk takes. */
size_t hlq_device_walk_bytes(const hlq_walk *w);

/* Puts a walk onto the stream. memory: hlq_device_walk_bytes() of them. */
hlq_status hlq_device_walk(hlq_walk *w, uint8_t *memory, hlq_stream stream);

/* The same for hierarchical, which is put together from such a walk. */
size_t hlq_device_levels_bytes(const hlq_walk *w);
hlq_status hlq_device_levels(hlq_walk *w, uint8_t *memory, hlq_stream stream);

/* No message to or from any rank of the communicator. */
void hlq_device_clear_messages(const hlq_walk *w);

/* One look at a call under way; ends its request when it is over. What that had of the carrier's
   goes when it is given back; its report, when it is freed. */
void hlq_device_poll(hlq_request *r);
void hlq_device_forget(hlq_request *r);
void hlq_device_release(hlq_request *r);

/* Gives back what calls that nobody waits for had, if they are over. */
void hlq_device_reap(hlq_comm *comm);

/* Waits for all calls under way, as long as they may take. */
void hlq_device_finish(hlq_comm *comm);

#endif
