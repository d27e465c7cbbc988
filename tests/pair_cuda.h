/*
 * Pairs (nccl_pair.h) on real streams: calls of CUDA's runtime that have to succeed.
 */
#ifndef HLQ_TEST_PAIR_CUDA_H
#define HLQ_TEST_PAIR_CUDA_H

#include "nccl_pair.h"

#include <cuda_runtime_api.h>

/* Ends the program unless error is none. */
void check_cuda(cudaError_t error, const char *what);
#define CUDA(call) check_cuda(call, #call)

#endif
