/*
 * Comm: an hlq_comm that Python owns. Checks tensors, turns them into pointers and counts, gives
 * up the GIL while the collective runs, and turns statuses into exceptions. No algorithm lives
 * here, and nothing here knows what carries the bytes (mpi.h, process_group.h do).
 */
#pragma once

#include <ATen/core/Tensor.h>
#include <hlqcomm/hlqcomm.h>
#include <pybind11/pybind11.h>

#include <mutex>
#include <optional>
#include <string>

namespace hlqtorch {

/* Keyword arguments of Comm.mpi() and Comm.process_group() to hlq_options. */
hlq_options options_from(const pybind11::kwargs &arguments);

/* What one collective is asked to do, by name, as Python says it. */
struct CallNames {
    std::string op;
    double bits; /* 0: the communicator's */
    std::string algorithm;
};

class Comm {
public:
    /* Takes over handle; over_mpi: it must not outlive MPI_Finalize. */
    Comm(hlq_comm *handle, bool over_mpi);
    ~Comm();
    Comm(const Comm &) = delete;
    Comm &operator=(const Comm &) = delete;

    int rank() const { return rank_; }
    int size() const { return size_; }

    /* Needs no GIL. A rank with wrong arguments tells the others, so that none of them waits. */
    void all_reduce(const at::Tensor &input, const at::Tensor &output, const CallNames &names,
                    const std::optional<at::Tensor> &residual);

    /* Takes part in the next collective by failing it, on every rank, with a sentence that names
     * this one. For a rank that cannot make the call the others wait for. */
    void refuse();

    hlq_plan_info plan(int64_t count, hlq_dtype dtype, const CallNames &names);
    hlq_stats stats();

    /* Frees everything; later calls raise. Harmless when repeated. */
    void close();

private:
    hlq_comm *open_handle();
    void refuse_locked();

    std::mutex mutex_; /* a communicator serves one thread at a time */
    hlq_comm *handle_;
    const bool over_mpi_;
    const int rank_, size_;
};

/* Dtypes that libhlqcomm knows; throws for others. */
hlq_dtype dtype_from(at::ScalarType type);

} // namespace hlqtorch
