/*
 * Of nccl_pair.h, what is CUDA's: memory, copies, streams, graphs.
 */
#include "pair_cuda.h"

void check_cuda(cudaError_t error, const char *what)
{
    if (error == cudaSuccess) return;
    fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
    exit(2);
}

void *pair_memory(size_t bytes)
{
    void *p = NULL;
    CUDA(cudaMalloc(&p, bytes + 1));
    return p;
}

void pair_free(void *memory) { CUDA(cudaFree(memory)); }

/* Not on the default stream, which would wait for others. */
static void copy(void *to, const void *from, size_t bytes)
{
    cudaStream_t stream;
    CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream));
    CUDA(cudaStreamSynchronize(stream));
    CUDA(cudaStreamDestroy(stream));
}

void pair_put(void *to, const void *from, size_t bytes) { copy(to, from, bytes); }
void pair_get(void *to, const void *from, size_t bytes) { copy(to, from, bytes); }
void pair_synchronize(const pair *p) { CUDA(cudaStreamSynchronize(p->stream)); }

void pair_run(const pair *p, void (*run)(void *argument), void *argument)
{
    CUDA(cudaLaunchHostFunc(p->stream, run, argument));
}

void pair_capture(const pair *p)
{
    CUDA(cudaStreamBeginCapture(p->stream, cudaStreamCaptureModeThreadLocal));
}

void *pair_captured(const pair *p)
{
    cudaGraph_t graph;
    cudaGraphExec_t ready;
    CUDA(cudaStreamEndCapture(p->stream, &graph));
    CUDA(cudaGraphInstantiate(&ready, graph, 0));
    CUDA(cudaGraphDestroy(graph));
    return ready;
}

void pair_launch(const pair *p, void *graph) { CUDA(cudaGraphLaunch(graph, p->stream)); }
void pair_graph_free(void *graph) { CUDA(cudaGraphExecDestroy(graph)); }
