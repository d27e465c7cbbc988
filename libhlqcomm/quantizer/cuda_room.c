/*
 * A workspace is large enough, and where it has to be.
 */
#include "cuda_room.h"

hlq_status hlq_cuda_check_room(const void *workspace, size_t bytes, size_t needed)
{
    if (bytes < needed) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "workspace has %zu bytes; %zu are needed", bytes,
                                  needed);
    }
    if (needed && !workspace) return hlq_quantizer_fail(HLQ_E_INVALID, "workspace is NULL");
    return hlq_cuda_check_memory("workspace", workspace, HLQ_CUDA_ROOM_ALIGNED);
}
