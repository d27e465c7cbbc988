/*
 * libhlqcomm's bytes over a torch.distributed process group: an hlq_transport made of the byte
 * all-to-all that every backend for host tensors has.
 */
#pragma once

#include <hlqcomm/hlqcomm.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>

namespace hlqtorch {

/*
 * Makes a communicator over a group that serves host tensors (gloo). Collective over the group.
 * Nobody else may use the group while the communicator lives: c10d, like MPI, wants all calls on a
 * group in the same order on all ranks.
 */
hlq_comm *comm_over_process_group(const c10::intrusive_ptr<c10d::ProcessGroup> &group,
                                  const hlq_options &options);

} // namespace hlqtorch
