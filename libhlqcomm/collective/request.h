/*
 * The life of a collective, from the call to its status:
 *
 *   TERMS ──▶ COUNTS ──▶ PROBE ──▶ TARGET ──▶ STEPS ──▶ VERDICT ──▶ ENDED
 *   do all    do counts  do codes   how many  the walk  did all
 *   want the  of pairs   pay here?  bits does of an     ranks get
 *   same?     match?     (AUTO,     it take?  algorithm through?
 *             (_v only)  once)      (target mode)
 *
 * Each arrow is one exchange or, in STEPS, several; in bound mode each of them after one of SIZES.
 * Of short calls the first of STEPS is made together with TERMS (riders.h).
 * Nothing waits here but hlq_wait(): it moves all collectives of the communicator on, whichever it
 * is called for, so that ranks may wait for theirs in different orders.
 *
 * Two kinds of failure. What ranks find out together before anything is sent, in TERMS and COUNTS,
 * ends the collective and no more. Anything later breaks the communicator: the rank that meets it
 * tells the others (in its verdict, or by giving up), so that all end with an error.
 */
#ifndef HLQ_COLLECTIVE_REQUEST_H
#define HLQ_COLLECTIVE_REQUEST_H

#include "agree.h"
#include "riders.h"
#include "sizes.h"
#include "walk.h"

#include <transport/carrier.h>

typedef enum hlq_stage {
    HLQ_STAGE_TERMS,
    HLQ_STAGE_COUNTS,
    HLQ_STAGE_PROBE,
    HLQ_STAGE_TARGET,
    HLQ_STAGE_STEPS,
    HLQ_STAGE_SIZES, /* between two steps */
    HLQ_STAGE_VERDICT,
    HLQ_STAGE_DEVICE, /* in place of all of them: it is on a stream */
    HLQ_STAGE_ENDED,
} hlq_stage;

/* A call on a device, as far as it is seen from the host: device/device.h. */
typedef struct hlq_device_call {
    struct hlq_device_report *seen; /* the host's copies, written by the device: one as soon as
                                       terms were compared, one at the end */
    hlq_marks marks;
    double begun_at; /* when the host saw that its work had begun; 0 before */
    int is_left;     /* nobody has the request: it is given back when it is over */
} hlq_device_call;

/* What a rank has to say at the end of a stage. */
typedef struct hlq_verdict {
    int32_t status;
    char sentence[116];
    uint64_t checksum; /* of all before it */
} hlq_verdict;

/* Exchanges of one collective under way at a time: enough that the network never waits for what
   is filled next. */
enum { HLQ_SLOTS = 4 };

typedef struct hlq_slot {
    hlq_exchange exchange;
    hlq_message *out, *in; /* size entries each */
    double begin;
} hlq_slot;

struct hlq_request {
    hlq_walk walk; /* with stats and error below */
    const hlq_algorithm_entry *entry;
    hlq_request *next; /* in the communicator's list */
    hlq_stage stage;
    hlq_status status; /* when ended */

    hlq_slot slot[HLQ_SLOTS];
    int exchanges;               /* begun so far */
    int due, made, begun, ended; /* of those up to the next step; number i is in slot i mod SLOTS */
    hlq_status drained;          /* what the first drain failed with */
    int is_blocking;
    double begin, flow_begin, busy; /* busy: seconds of filling and draining since flow_begin */
    int in_use;                     /* the carrier may still use its memory: it is never freed */

    hlq_terms *terms, *told;       /* size entries: of each rank; what each is told of this one's */
    hlq_verdict *verdicts, *given; /* size entries, and one */
    size_t *counts;                /* 2 × size: send_counts, recv_counts */
    hlq_sizes sizes;
    hlq_riders riders;
    hlq_device_call device;
    hlq_stats stats;
    char error[HLQ_ERROR_BYTES];
};

/* Memory for one more collective, in comm->idle: HLQ_E_NOMEM if there is none. */
hlq_status hlq_request_prepare(hlq_comm *comm);

/* A request for what is asked, last in the list of those under way; NULL: no memory. One that has
   ended is given back, after its status was told to the caller, or collected, which tells it. */
hlq_request *hlq_request_take(hlq_comm *comm, const hlq_walk *asked);
void hlq_request_give_back(hlq_request *r);
hlq_status hlq_request_collect(hlq_request *r);

/* Compares terms alone, for creation; all: becomes every rank's, `size` entries. */
hlq_status hlq_request_compare(hlq_comm *comm, const hlq_terms *mine, hlq_terms *all);

/* Starts what a public function was called with; then does all of it. call and stream are the
   caller's. */
hlq_status hlq_request_start(const hlq_walk *asked, const hlq_call *call, hlq_stream stream,
                             hlq_request **request);
hlq_status hlq_request_run(const hlq_walk *asked, const hlq_call *call, hlq_stream stream);

/* Gives up whatever is under way, and frees all requests of a communicator. */
void hlq_requests_free(hlq_comm *comm);

#endif
