/*
 * Comm: an hlq_comm that Python owns. Checks tensors, turns them into pointers and counts, gives
 * up the GIL while the collective runs, and turns statuses into exceptions. No algorithm lives
 * here, and nothing here knows what carries the bytes (mpi.h, process_group.h do).
 */
#pragma once

#include <ATen/core/Tensor.h>
#include <hlqcomm/hlqcomm.h>
#include <pybind11/pybind11.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace hlqtorch {

/* Keyword arguments of Comm.mpi() and Comm.process_group() to hlq_options. */
hlq_options options_from(const pybind11::kwargs &arguments);

/* Throws for options that libhlqcomm refuses as late as at the first sum. */
void check_together(const hlq_options &options);

/* What one collective is asked to do, by name, as Python says it. */
struct CallNames {
    std::string op;
    double bits; /* 0: the communicator's */
    std::string algorithm;
    double target_nmse = 0, max_error = 0; /* one of these in place of bits; 0: neither */
};

/* One collective on contiguous tensors that do not change until it is over. */
struct Collective {
    hlq_operation operation; /* all-reduce, reduce-scatter or all-gather */
    at::Tensor input, output;
    hlq_op op; /* ignored by all-gather */
    hlq_call call;
    hlq_stream stream = nullptr; /* of tensors on CUDA devices */
};

class Comm {
public:
    /* Called again and again while a collective is under way; throws to give it up. */
    using Watch = std::function<void()>;

    /* What carries its bytes: over MPI it must not outlive MPI_Finalize. */
    enum class Over { mpi, others };

    /* Takes over handle. has_cuda: tensors may be on a CUDA device. */
    Comm(hlq_comm *handle, Over over, bool has_cuda);
    ~Comm();
    Comm(const Comm &) = delete;
    Comm &operator=(const Comm &) = delete;

    int rank() const { return rank_; }
    int size() const { return size_; }
    bool has_cuda() const { return has_cuda_; }

    /* All-reduce, reduce-scatter or all-gather (where op is ignored), from start to end; of tensors
     * on CUDA devices, put onto stream (a cudaStream_t). Needs no GIL. A rank with wrong arguments
     * tells the others, so that none of them waits. */
    void collect(hlq_operation operation, const at::Tensor &input, const at::Tensor &output,
                 const CallNames &names, const std::optional<at::Tensor> &residual,
                 uintptr_t stream);

    /* Throws if what was put onto streams has failed by now. */
    void check();

    /* Puts a collective on CUDA tensors, whose arguments are valid by construction, onto its
     * stream. */
    void put(const Collective &collective);

    /*
     * Runs a collective whose arguments are valid by construction. Unlike collect() it never
     * measures what pays (hlq_options.probe), so that results are the same on every run. When watch
     * throws, the communicator is closed, which is the only way to end a collective early.
     */
    void run(const Collective &collective, const Watch &watch);

    /* What such a collective would cost. */
    hlq_plan_info plan(const Collective &collective);

    /* Takes part in the next collective by failing it, on every rank, with a sentence that names
     * this one. For a rank that cannot make the call the others wait for. */
    void refuse();

    /* Of count elements of the smaller tensor. */
    hlq_plan_info plan(hlq_operation operation, int64_t count, hlq_dtype dtype,
                       const CallNames &names);
    hlq_stats stats();

    /* Frees everything; later calls raise. Harmless when repeated. */
    void close();

    /* The same, but nobody waits for what is under way, which may take until the timeout. */
    void abandon();

private:
    hlq_comm *open_handle();
    void call_locked(const Collective &collective);
    void refuse_locked();
    void close_locked();
    void abandon_locked(const Collective &collective);
    void watch_streams();
    void end_watching();
    hlq_plan_info plan_locked(hlq_operation operation, size_t count, hlq_dtype dtype, hlq_op op,
                              const hlq_call &call);

    std::mutex mutex_; /* a communicator serves one thread at a time */
    hlq_comm *handle_;
    const Over over_;
    const bool has_cuda_;
    const int rank_, size_;

    /* With CUDA, from the first call on: what hangs on a stream ends when its time is over, even if
     * the program waits for that stream, and makes no call that would look. */
    std::thread watcher_;
    std::condition_variable closing_;
    bool is_closing_ = false;
};

/* Dtypes that gradients with error feedback may have; throws for others. */
hlq_dtype dtype_from(at::ScalarType type);

/* Dtypes that libhlqcomm can compress; throws for others. */
hlq_dtype compressible_dtype_from(at::ScalarType type);

} // namespace hlqtorch
