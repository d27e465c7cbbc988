/*
 * What is wrong with a call. Only what this rank can tell by itself: agree.h compares ranks.
 */
#ifndef HLQ_COLLECTIVE_CHECK_H
#define HLQ_COLLECTIVE_CHECK_H

#include "walk.h"

/* Status HLQ_OK if nothing is wrong. */
typedef struct hlq_fault {
    hlq_status status;
    char sentence[96];
} hlq_fault;

/* Arguments that hlq_comm_plan() takes too; then those that only a call has. The walk holds what
   was passed, call and stream are the caller's. Of the latter, without the stream: what memory of
   any kind must be. */
hlq_fault hlq_shape_fault(const hlq_walk *w, const hlq_call *call);
hlq_fault hlq_buffer_fault(const hlq_walk *w, const hlq_call *call);
hlq_fault hlq_pointer_fault(const hlq_walk *w, const hlq_call *call, hlq_stream stream);

#endif
