/*
 * libhlqcomm's bytes over a backend of torch.distributed: an hlq_transport made of the byte
 * all-to-all that every backend for host tensors has.
 */
#pragma once

#include <hlqcomm/hlqcomm.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>

namespace hlqtorch {

/*
 * Makes a communicator over a backend for host tensors (gloo). Collective over its ranks. Nobody
 * else may use the backend while the communicator lives: c10d, like MPI, wants all calls on a
 * backend in the same order on all ranks.
 */
hlq_comm *comm_over_backend(c10::intrusive_ptr<c10d::Backend> backend, const hlq_options &options);

} // namespace hlqtorch
