/*
 * How kernels of warps are launched: grids, shares, errors. For units that nvcc compiles.
 */
#ifndef HLQ_KERNELS_CUDA_LAUNCH_H
#define HLQ_KERNELS_CUDA_LAUNCH_H

#include "cuda_kernels.h"

#include <cuda_runtime.h>

enum {
    THREADS = 256,     /* of a group, 8 warps */
    GROUPS_PER_SM = 8, /* a few times what fits at once, so that none waits long for the last */
    GROUPS_FIT_SM = 2, /* which leaves 128 registers to each thread */
    STARTS_THREADS = 1024,
};

/* What a kernel is compiled as. */
#define HLQ_KERNEL static __global__ void __launch_bounds__(THREADS, GROUPS_FIT_SM)
/* A parameter that is read where it is passed. */
#define HLQ_GIVEN const __grid_constant__

static __device__ inline hlq_share share_of_thread(void)
{
    hlq_share share = {blockIdx.x * (size_t)THREADS + threadIdx.x, gridDim.x * (size_t)THREADS};
    return share;
}

static __device__ inline hlq_share share_of_warp(void)
{
    hlq_share share = share_of_thread();
    share.first /= 32;
    share.step /= 32;
    return share;
}

template <typename... Parameters, typename... Arguments>
static int launch_groups(void (*kernel)(Parameters...), unsigned groups, unsigned threads,
                         hlq_stream stream, Arguments... arguments)
{
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(groups);
    config.blockDim = dim3(threads);
    config.stream = stream;
    return cudaLaunchKernelEx(&config, kernel, arguments...);
}

/* At most so many threads as there is work for; where there is none, nothing. */
template <typename... Parameters, typename... Arguments>
static int launch_threads(void (*kernel)(Parameters...), size_t threads, hlq_stream stream,
                          Arguments... arguments)
{
    int device, sms;
    if (!threads) return cudaSuccess;
    cudaError_t error = cudaGetDevice(&device);
    if (!error) error = cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device);
    if (error) return error;
    size_t groups = (threads + THREADS - 1) / THREADS, most = (size_t)sms * GROUPS_PER_SM;
    return launch_groups(kernel, (unsigned)(groups < most ? groups : most), THREADS, stream,
                         arguments...);
}

/* One warp for each block. */
template <typename... Parameters, typename... Arguments>
static int launch_warps(void (*kernel)(Parameters...), size_t blocks, hlq_stream stream,
                        Arguments... arguments)
{
    return launch_threads(kernel, 32 * blocks, stream, arguments...);
}

#endif
