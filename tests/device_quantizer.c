/*
 * quantizer_gpu.h by CUDA.
 */
#include "quantizer_gpu.h"
#include "gpu_kernels.h"
#include "pair_cuda.h"

const char *hlq_gpu_missing(void)
{
    static char text[256];
    int count = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (!error && count) return NULL;
    snprintf(text, sizeof text, "there is no GPU to run on: %s",
             error ? cudaGetErrorString(error) : "CUDA finds none");
    return text;
}

void gpu_open(pair *p)
{
    *p = (pair){0};
    CUDA(cudaStreamCreateWithFlags(&p->stream, cudaStreamNonBlocking));
    CUDA(cudaStreamCreateWithFlags(&p->other, cudaStreamNonBlocking));
}

void gpu_close(pair *p)
{
    CUDA(cudaStreamDestroy(p->stream));
    CUDA(cudaStreamDestroy(p->other));
}

int gpu_use_other(int other)
{
    int count = 0;
    CUDA(cudaGetDeviceCount(&count));
    if (count > 1) CUDA(cudaSetDevice(other));
    return count > 1;
}

int gpu_fail_next(void) { return 0; }
