/*
 * What every carrier needs of CUDA: one device, memory, and the order of calls on streams. A
 * carrier's own structure begins with this one, so that functions below take either.
 */
#ifndef HLQ_TRANSPORT_CUDA_ORDER_H
#define HLQ_TRANSPORT_CUDA_ORDER_H

#include "carrier.h"
#include "cuda_calls.h"

typedef struct hlq_cuda_order {
    const hlq_cuda_calls *cuda;
    int device;
    hlq_stream stream; /* its own, for what must not wait for others' */
    hlq_event last;    /* what the next call has to wait for: the end of the one before */
    int has_last;
} hlq_cuda_order;

/* cuda and device are set. What could not be made is NULL; closing takes it all back. */
hlq_status hlq_order_open(hlq_cuda_order *o, char *error);
void hlq_order_close(hlq_cuda_order *o);

/* Everything runs with that device as the current one, and leaves the caller's. */
int hlq_order_enter(const hlq_cuda_order *o);
void hlq_order_leave(const hlq_cuda_order *o, int device);

/* HLQ_OK, or what went wrong in `what`. */
hlq_status hlq_order_check(const hlq_cuda_order *o, int code, const char *what, char *error);

/* carrier->begin() and look() as far as they are CUDA's. */
hlq_status hlq_order_begin(hlq_cuda_order *o, hlq_stream stream, hlq_marks *marks, char *error);
hlq_status hlq_order_look(const hlq_cuda_order *o, const hlq_marks *marks, int *passed,
                          char *error);

/* owns, allocate, release, is_captured, mark, forget, copy, zero, fetch; with o as self. */
hlq_carrier hlq_order_carrier(hlq_cuda_order *o);

#endif
