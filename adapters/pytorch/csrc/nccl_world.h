/*
 * libhlqcomm over NCCL, for tensors on CUDA devices. The library hlqcomm_nccl is loaded when it is
 * first asked for, so that one build of the adapter serves machines with and without CUDA; where
 * libhlqcomm was built without it, the same functions say so.
 */
#pragma once

#include <hlqcomm/hlqcomm.h>

#include <cstdint>
#include <string>

namespace hlqtorch {

/* Splits a communicator off nccl_comm (an ncclComm_t, as torch gives it), collective over it. */
hlq_comm *comm_over_nccl(uintptr_t nccl_comm, const hlq_options &options);

/* "2.28.3"; empty if libhlqcomm was built without CUDA, or no NCCL is found. */
std::string nccl_library();

} // namespace hlqtorch
