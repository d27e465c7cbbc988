/*
 * CUDA's runtime over the machine: what of it the library and its tests call. Programs link it in
 * place of cudart.
 *
 * There is one device. Work on a stream is done at once, in the order of the calls, unless the
 * stream is being captured; so it shows nothing of work that lacks an order. While a thread
 * captures, what CUDA forbids then fails, as there.
 */
#ifndef HLQ_TEST_PTX_RUNTIME_H
#define HLQ_TEST_PTX_RUNTIME_H

#include "machine.h"

#include <cuda_runtime_api.h>

#include <functional>

namespace ptx {

/* fatbin.cpp */
std::string ptx_of(const void *binary);

/* streams.cpp: does work now, or adds it to the graph that the stream is captured into. */
using Work = std::function<cudaError_t()>;
cudaError_t put(cudaStream_t stream, Work work);

/* Whether this thread captures, and not relaxed: then a call that waits or allocates fails. */
bool is_forbidden();

} // namespace ptx

#endif
