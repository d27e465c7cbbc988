/*
 * CUDA's runtime as the table of cuda_calls.h.
 */
#include "cuda_calls.h"

#include <cuda_runtime_api.h>

_Static_assert((int)cudaErrorNotReady == (int)HLQ_CUDA_NOT_READY, "the same error");
_Static_assert((int)cudaErrorMemoryAllocation == (int)HLQ_CUDA_NO_MEMORY, "the same error");

static const char *error_string(int error) { return cudaGetErrorString((cudaError_t)error); }
static int get_device(int *device) { return cudaGetDevice(device); }
static int set_device(int device) { return cudaSetDevice(device); }

static int device_of(const void *p, int *device)
{
    struct cudaPointerAttributes attributes;
    cudaError_t error = cudaPointerGetAttributes(&attributes, p);
    *device = -1;
    if (error != cudaSuccess) return error;
    if (attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged) {
        *device = attributes.device;
    }
    return cudaSuccess;
}

static int allocate(void **p, size_t bytes) { return cudaMalloc(p, bytes); }
static int release(void *p) { return cudaFree(p); }
static int allocate_host(void **p, size_t bytes) { return cudaMallocHost(p, bytes); }
static int release_host(void *p) { return cudaFreeHost(p); }

static int copy(void *to, const void *from, size_t bytes, hlq_stream stream)
{
    return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream);
}

static int fill(void *to, int byte, size_t bytes, hlq_stream stream)
{
    return cudaMemsetAsync(to, byte, bytes, stream);
}

static int launch_host(hlq_stream stream, void (*run)(void *argument), void *argument)
{
    return cudaLaunchHostFunc(stream, run, argument);
}

static int stream_create(hlq_stream *stream)
{
    return cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking);
}

static int stream_destroy(hlq_stream stream) { return cudaStreamDestroy(stream); }

static int stream_wait(hlq_stream stream, hlq_event event)
{
    return cudaStreamWaitEvent(stream, event, 0);
}

static int stream_synchronize(hlq_stream stream) { return cudaStreamSynchronize(stream); }

static int is_capturing(hlq_stream stream, int *is_capturing)
{
    enum cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    cudaError_t error = cudaStreamIsCapturing(stream, &status);
    *is_capturing = status != cudaStreamCaptureStatusNone;
    return error;
}

static int event_create(hlq_event *event)
{
    return cudaEventCreateWithFlags(event, cudaEventDisableTiming);
}

static int event_destroy(hlq_event event) { return cudaEventDestroy(event); }

static int event_record(hlq_event event, hlq_stream stream)
{
    return cudaEventRecord(event, stream);
}

/* While any thread captures, others may only ask if they say that they know. */
static int event_query(hlq_event event)
{
    enum cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    int failed = cudaThreadExchangeStreamCaptureMode(&mode);
    if (failed) return failed;
    int code = cudaEventQuery(event);
    failed = cudaThreadExchangeStreamCaptureMode(&mode);
    return failed ? failed : code;
}

const hlq_cuda_calls hlq_cuda_runtime = {
    .error_string = error_string,
    .get_device = get_device,
    .set_device = set_device,
    .device_of = device_of,
    .allocate = allocate,
    .release = release,
    .allocate_host = allocate_host,
    .release_host = release_host,
    .copy = copy,
    .fill = fill,
    .launch_host = launch_host,
    .stream_create = stream_create,
    .stream_destroy = stream_destroy,
    .stream_wait = stream_wait,
    .stream_synchronize = stream_synchronize,
    .is_capturing = is_capturing,
    .event_create = event_create,
    .event_destroy = event_destroy,
    .event_record = event_record,
    .event_query = event_query,
};
