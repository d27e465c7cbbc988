/*
 * Memory of a device, cut into parts: given by a caller for a while, or filled from the host's.
 */
#ifndef HLQ_QUANTIZER_CUDA_ROOM_H
#define HLQ_QUANTIZER_CUDA_ROOM_H

#include "cuda_checks.h"

enum { HLQ_CUDA_ROOM_ALIGNED = 256 /* as cudaMalloc() has it */ };

/* Where the next part begins; *used grows by its bytes. */
static inline size_t hlq_cuda_part(size_t *used, size_t bytes)
{
    const size_t at = *used;
    *used += (bytes + HLQ_CUDA_ROOM_ALIGNED - 1) / HLQ_CUDA_ROOM_ALIGNED * HLQ_CUDA_ROOM_ALIGNED;
    return at;
}

/* HLQ_E_INVALID unless `workspace` has what is needed. */
hlq_status hlq_cuda_check_room(const void *workspace, size_t bytes, size_t needed);

typedef struct hlq_cuda_copy {
    const void *from; /* of the host */
    size_t bytes, at; /* where it is to be */
} hlq_cuda_copy;

/* Allocates *memory on the current device for `what`, "a table", and copies all parts there; waits
   for them on a stream of its own: others may capture theirs, or have work that waits for it.
   HLQ_E_NOMEM, HLQ_E_TRANSPORT: *memory is NULL. */
hlq_status hlq_cuda_copied(const char *what, const hlq_cuda_copy *parts, int count, void **memory);

#endif
