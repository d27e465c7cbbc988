/*
 * What the library needs of CUDA's runtime, as a table: the one of cuda_runtime.c, or that of a
 * test without a GPU. Functions return 0 or a cudaError_t; streams and events are CUDA's.
 */
#ifndef HLQ_TRANSPORT_CUDA_CALLS_H
#define HLQ_TRANSPORT_CUDA_CALLS_H

#include <hlqcomm/hlqcomm.h>

typedef struct CUevent_st *hlq_event;

enum {
    HLQ_CUDA_NO_MEMORY = 2,   /* cudaErrorMemoryAllocation */
    HLQ_CUDA_NOT_READY = 600, /* cudaErrorNotReady */
};

typedef struct hlq_cuda_calls {
    const char *(*error_string)(int error);
    int (*get_device)(int *device);
    int (*set_device)(int device);

    /* Of memory, which device has it; -1: the host's. */
    int (*device_of)(const void *p, int *device);
    int (*allocate)(void **p, size_t bytes);
    int (*release)(void *p);
    int (*allocate_host)(void **p, size_t bytes); /* pinned */
    int (*release_host)(void *p);

    int (*copy)(void *to, const void *from, size_t bytes, hlq_stream stream);
    int (*fill)(void *to, int byte, size_t bytes, hlq_stream stream);

    /* run(argument) by the host, in the order of the stream, which waits for it. It must not call
       CUDA, and may keep others of this process waiting. */
    int (*launch_host)(hlq_stream stream, void (*run)(void *argument), void *argument);

    int (*stream_create)(hlq_stream *stream); /* not in order with the default stream */
    int (*stream_destroy)(hlq_stream stream);
    int (*stream_wait)(hlq_stream stream, hlq_event event);
    int (*stream_synchronize)(hlq_stream stream);
    int (*is_capturing)(hlq_stream stream, int *is_capturing);

    int (*event_create)(hlq_event *event); /* without times */
    int (*event_destroy)(hlq_event event);
    int (*event_record)(hlq_event event, hlq_stream stream);
    int (*event_query)(hlq_event event); /* HLQ_CUDA_NOT_READY while work before it is under way */
} hlq_cuda_calls;

/* CUDA's own. */
extern const hlq_cuda_calls hlq_cuda_runtime;

#endif
