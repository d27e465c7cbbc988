/*
 * Memory of a device that a caller gave for a while, cut into parts.
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

#endif
