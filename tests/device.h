/*
 * What GPU tests run on: buffers of the host, copied to a GPU and back around each call, with a
 * guard before and after; and a stream that is captured into a graph, so that a kernel that
 * allocates, waits or asks the GPU anything fails. For one C unit of one thread.
 *
 *     device_open();
 *     float *x = on_device(host_x, bytes);           the GPU's copy
 *     device_capture();
 *     device_check(hlq_cuda_...(x, ..., device.stream));
 *     device_close();                                runs it; all buffers are the host's again
 */
#ifndef HLQ_TEST_DEVICE_H
#define HLQ_TEST_DEVICE_H

#include "hlq_test.h"
#include "gpu_kernels.h"

#include <cuda_runtime_api.h>

enum { BUFFERS_MAX = 128, DEVICE_GUARD = 64 };

static struct {
    cudaStream_t stream;
    char missing[256];
    int used;
    struct {
        void *host;
        unsigned char *map; /* of the GPU: guard, data, guard */
        size_t before, bytes;
    } buffer[BUFFERS_MAX];
} device;

static inline void device_check(int error)
{
    if (!error) return;
    fprintf(stderr, "%s: CUDA: %s\n", test_name, cudaGetErrorString((cudaError_t)error));
    exit(2);
}

const char *hlq_gpu_missing(void)
{
    int count = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (!error && count) return NULL;
    snprintf(device.missing, sizeof device.missing, "there is no GPU to run on: %s",
             error ? cudaGetErrorString(error) : "CUDA finds none");
    return device.missing;
}

static inline void device_open(void)
{
    if (!device.stream) {
        device_check(cudaStreamCreateWithFlags(&device.stream, cudaStreamNonBlocking));
    }
    device.used = 0;
}

/* From here on to device_close(), calls go into the graph. */
static inline void device_capture(void)
{
    device_check(cudaStreamBeginCapture(device.stream, cudaStreamCaptureModeThreadLocal));
}

/* A copy at the host's address modulo 16, which the GPU only reads. NULL stays NULL. */
static inline void *lent_to_device(const void *host, size_t bytes)
{
    if (!host) return NULL;
    const size_t before = DEVICE_GUARD + (uintptr_t)host % 16, all = before + bytes + DEVICE_GUARD;
    unsigned char *map;
    if (device.used == BUFFERS_MAX) exit(2);
    device_check(cudaMalloc((void **)&map, all));
    device_check(cudaMemset(map, GUARD_PATTERN, all));
    device_check(cudaMemcpy(map + before, host, bytes, cudaMemcpyHostToDevice));
    device.buffer[device.used].host = NULL;
    device.buffer[device.used].map = map;
    device.buffer[device.used].before = before;
    device.buffer[device.used++].bytes = bytes;
    return map + before;
}

/* The same, and the host gets back what it has become. */
static inline void *on_device(void *host, size_t bytes)
{
    void *there = lent_to_device(host, bytes);
    if (there) device.buffer[device.used - 1].host = host;
    return there;
}

static inline void take_back(int i)
{
    size_t before = device.buffer[i].before, bytes = device.buffer[i].bytes;
    size_t all = before + bytes + DEVICE_GUARD;
    unsigned char *copy = malloc(all);
    if (!copy) exit(2);
    device_check(cudaMemcpy(copy, device.buffer[i].map, all, cudaMemcpyDeviceToHost));
    for (size_t at = 0; at < all; at++) {
        if (at >= before && at < before + bytes) continue;
        if (!CHECK_EQ(copy[at], GUARD_PATTERN)) break;
    }
    if (device.buffer[i].host) memcpy(device.buffer[i].host, copy + before, bytes);
    device_check(cudaFree(device.buffer[i].map));
    free(copy);
}

static inline void device_close(void)
{
    cudaGraph_t graph;
    cudaGraphExec_t ready;
    device_check(cudaStreamEndCapture(device.stream, &graph));
    device_check(cudaGraphInstantiateWithFlags(&ready, graph, 0));
    device_check(cudaDeviceSynchronize()); /* copies, which the stream does not wait for */
    device_check(cudaGraphLaunch(ready, device.stream));
    device_check(cudaStreamSynchronize(device.stream));
    device_check(cudaGraphExecDestroy(ready));
    device_check(cudaGraphDestroy(graph));
    for (int i = 0; i < device.used; i++) take_back(i);
}

#endif
