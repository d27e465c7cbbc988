/*
 * A workspace is large enough, and where it has to be; copies of what the host has.
 */
#include "cuda_room.h"

#include <transport/cuda_calls.h>

hlq_status hlq_cuda_check_room(const void *workspace, size_t bytes, size_t needed)
{
    if (bytes < needed) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "workspace has %zu bytes; %zu are needed", bytes,
                                  needed);
    }
    if (needed && !workspace) return hlq_quantizer_fail(HLQ_E_INVALID, "workspace is NULL");
    return hlq_cuda_check_memory("workspace", workspace, HLQ_CUDA_ROOM_ALIGNED);
}

static int copy_parts(const hlq_cuda_copy *parts, int count, char *memory)
{
    hlq_stream stream;
    int error = hlq_cuda_runtime.stream_create(&stream);
    if (error) return error;
    for (int i = 0; i < count && !error; i++) {
        if (!parts[i].bytes) continue;
        error = hlq_cuda_runtime.copy(memory + parts[i].at, parts[i].from, parts[i].bytes, stream);
    }
    if (!error) error = hlq_cuda_runtime.stream_synchronize(stream);
    const int ended = hlq_cuda_runtime.stream_destroy(stream);
    return error ? error : ended;
}

hlq_status hlq_cuda_copied(const char *what, const hlq_cuda_copy *parts, int count, void **memory)
{
    size_t bytes = 0;
    for (int i = 0; i < count; i++) {
        if (parts[i].at + parts[i].bytes > bytes) bytes = parts[i].at + parts[i].bytes;
    }
    *memory = NULL;
    int error = hlq_cuda_runtime.allocate(memory, bytes);
    if (!error) error = copy_parts(parts, count, *memory);
    if (!error) return HLQ_OK;
    if (*memory) hlq_cuda_runtime.release(*memory);
    *memory = NULL;
    if (error != HLQ_CUDA_NO_MEMORY) return hlq_cuda_launched(error);
    return hlq_quantizer_fail(HLQ_E_NOMEM, "the device has no memory for %s of %zu bytes", what,
                              bytes);
}
