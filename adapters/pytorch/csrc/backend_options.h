/*
 * What a process group of backend hlq compresses, and how: the options given when the group is
 * made, and what hlqtorch.compressed() and hlqtorch.exact() say for a while. Knows nothing of
 * tensors in flight.
 */
#pragma once

#include <hlqcomm/hlqcomm.h>
#include <pybind11/pybind11.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>

#include <optional>
#include <string>

namespace hlqtorch {

/* Whether and how the next collectives are compressed. Must be the same on all ranks. */
struct Mode {
    bool compress = false;
    bool all_gather = false; /* all-gathers too, which nobody expects to be lossy */
    double bits = 4.0;
    double target_nmse = 0.0, max_error = 0.0; /* one of these in place of bits; 0: neither */
    hlq_algorithm algorithm = HLQ_ALG_AUTO;
    int64_t min_bytes = 65536; /* smaller tensors stay exact */

    hlq_call call() const;
};

/* Of a process group; `pg_options` of torch.distributed.init_process_group() and new_group(). */
struct BackendOptions : c10d::Backend::Options {
    BackendOptions() : c10d::Backend::Options("hlq") {}

    Mode mode;
    hlq_lattice lattice = HLQ_LATTICE_E8;
    uint64_t seed = 0;
    hlq_topology topology = HLQ_TOPOLOGY_AUTO;
    int dither = 0;
    int threads = 0;                /* may differ between ranks */
    std::string transport = "auto"; /* as in hlqtorch.dist.connect */
    double timeout_s = 0.0;         /* of compressed collectives; 0: `timeout`, the group's */

    /* What all ranks must agree on, as text. */
    std::string description() const;
};

/* Keyword arguments of HLQOptions to options; throws for values that libhlqcomm would refuse. */
c10::intrusive_ptr<BackendOptions> backend_options_from(const pybind11::kwargs &arguments);

/* Options of a group that was not told to compress. */
c10::intrusive_ptr<BackendOptions> exact_options();

/*
 * Modes that override those of all groups of the process, the one entered last first. Process-wide,
 * not per thread: the autograd engine calls collectives from threads of its own.
 */
int64_t enter_mode(const Mode &mode);
void leave_mode(int64_t ticket);
std::optional<Mode> entered_mode();

/* Defines HLQOptions and the functions above in the module. */
void define_backend_options(pybind11::module_ &module);

} // namespace hlqtorch
