/*
 * Streams, events and graphs.
 */
#include "runtime.h"

#include <chrono>
#include <memory>

using namespace ptx;

struct CUgraph_st {
    std::vector<Work> work;
    bool is_open = true; /* still captured */
};

struct CUgraphExec_st {
    std::vector<Work> work;
};

/* Streams that are captured into the same graph share it; it began with the origin. */
struct CUstream_st {
    std::shared_ptr<CUgraph_st> graph;
    bool is_origin = false;
};

struct CUevent_st {
    std::shared_ptr<CUgraph_st> graph; /* recorded while this was captured */
    std::chrono::steady_clock::time_point when;
};

namespace {

thread_local int captures = 0; /* of this thread, under way */
thread_local cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;

/* What the stream is captured into; NULL: nothing. */
CUgraph_st *captured(cudaStream_t stream)
{
    return stream && stream->graph && stream->graph->is_open ? stream->graph.get() : nullptr;
}

cudaError_t wait_for_all()
{
    return is_forbidden() ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}

} // namespace

bool ptx::is_forbidden() { return captures > 0 && mode != cudaStreamCaptureModeRelaxed; }

cudaError_t ptx::put(cudaStream_t stream, Work work)
{
    if (CUgraph_st *graph = captured(stream)) {
        graph->work.push_back(std::move(work));
        return cudaSuccess;
    }
    if (!stream && captures) return cudaErrorStreamCaptureImplicit;
    return work();
}

extern "C" {

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned)
{
    *stream = new CUstream_st;
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *stream) { return cudaStreamCreateWithFlags(stream, 0); }

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    delete stream;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    return captured(stream) ? cudaErrorStreamCaptureUnsupported : wait_for_all();
}

cudaError_t cudaDeviceSynchronize(void) { return wait_for_all(); }

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t run, void *argument)
{
    return put(stream, [=] {
        run(argument);
        return cudaSuccess;
    });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned)
{
    *event = new CUevent_st;
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event) { return cudaEventCreateWithFlags(event, 0); }

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    event->graph = captured(stream) ? stream->graph : nullptr;
    event->when = std::chrono::steady_clock::now();
    return cudaSuccess;
}

/* Of the host: nothing is measured of a GPU. */
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t begun, cudaEvent_t ended)
{
    *milliseconds = std::chrono::duration<float, std::milli>(ended->when - begun->when).count();
    return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    const bool is_captured = event->graph && event->graph->is_open;
    return is_captured || is_forbidden() ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}

/* A stream that waits for what is captured is captured, too. */
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned)
{
    if (!event->graph || !event->graph->is_open) return cudaSuccess;
    if (!stream) return cudaErrorStreamCaptureImplicit;
    stream->graph = event->graph;
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode asked)
{
    if (!stream || captured(stream)) return cudaErrorStreamCaptureUnsupported;
    stream->graph = std::make_shared<CUgraph_st>();
    stream->is_origin = true;
    mode = asked;
    captures++;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    if (!captured(stream) || !stream->is_origin) return cudaErrorStreamCaptureUnmatched;
    stream->graph->is_open = false;
    *graph = new CUgraph_st(*stream->graph);
    stream->graph = nullptr;
    stream->is_origin = false;
    captures--;
    return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status)
{
    *status = captured(stream) ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    return cudaSuccess;
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode *wanted)
{
    std::swap(mode, *wanted);
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *ready, cudaGraph_t graph,
                                          unsigned long long)
{
    *ready = new CUgraphExec_st{graph->work};
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *ready, cudaGraph_t graph,
                                 unsigned long long flags)
{
    return cudaGraphInstantiateWithFlags(ready, graph, flags);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t ready, cudaStream_t stream)
{
    for (const Work &work : ready->work) {
        const cudaError_t error = put(stream, work);
        if (error) return error;
    }
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t ready)
{
    delete ready;
    return cudaSuccess;
}

} // extern "C"
