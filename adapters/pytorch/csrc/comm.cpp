/*
 * Comm: checks and conversions around the collectives, hlq_comm_plan, hlq_comm_stats.
 */
#include "comm.h"

#include "mpi_world.h"
#include "names.h"
#include "status.h"

#include <c10/core/ScalarType.h>

#include <chrono>

namespace py = pybind11;

namespace hlqtorch {

namespace {

hlq_op op_from(const std::string &name)
{
    if (name == "sum") {
        return HLQ_SUM;
    }
    if (name == "avg") {
        return HLQ_AVG;
    }
    throw invalid("op '" + name + "' does not exist; there is sum, avg");
}

hlq_call call_from(const CallNames &names)
{
    hlq_call call = HLQ_CALL_INIT;
    call.algorithm = enum_from("algorithm", names.algorithm, hlq_algorithm_name);
    call.bits = names.bits;
    call.target_nmse = names.target_nmse;
    call.max_error = names.max_error;
    return call;
}

void check_tensor(const char *what, const at::Tensor &tensor, bool has_cuda)
{
    if (!tensor.is_cpu() && !(has_cuda && tensor.is_cuda())) {
        throw invalid(std::string(what) + " is on " + tensor.device().str() +
                      "; this communicator reduces tensors in host memory only");
    }
    if (!tensor.is_contiguous()) {
        throw invalid(std::string(what) + " is not contiguous");
    }
}

/* The elements that input must have, given those of output. */
int64_t input_numel(hlq_operation operation, int64_t output, int ranks)
{
    switch (operation) {
    case HLQ_REDUCE_SCATTER: return output * ranks;
    case HLQ_ALL_GATHER: return output / ranks;
    default: return output;
    }
}

void check_sizes(hlq_operation operation, int64_t input, int64_t output, int ranks)
{
    const bool fits = operation != HLQ_ALL_GATHER || output % ranks == 0;
    if (!fits || input != input_numel(operation, output, ranks)) {
        throw invalid("input has " + std::to_string(input) + " elements and output " +
                      std::to_string(output) + ", which is no " + hlq_operation_name(operation) +
                      " on " + std::to_string(ranks) + " ranks");
    }
}

Collective check_collective(hlq_operation operation, const at::Tensor &input,
                            const at::Tensor &output, const CallNames &names,
                            const std::optional<at::Tensor> &residual, int ranks, bool has_cuda)
{
    check_tensor("input", input, has_cuda);
    check_tensor("output", output, has_cuda);
    check_sizes(operation, input.numel(), output.numel(), ranks);
    if (output.scalar_type() != input.scalar_type()) {
        throw invalid(std::string("output is ") + c10::toString(output.scalar_type()) +
                      " where input is " + c10::toString(input.scalar_type()));
    }
    dtype_from(input.scalar_type());
    Collective collective = {operation, input, output, op_from(names.op), call_from(names)};
    if (residual) {
        check_tensor("residual", *residual, has_cuda);
        if (residual->numel() != input.numel()) {
            throw invalid("residual has " + std::to_string(residual->numel()) +
                          " elements where input has " + std::to_string(input.numel()));
        }
        if (residual->scalar_type() != at::kFloat) {
            throw invalid(std::string("residual is ") + c10::toString(residual->scalar_type()) +
                          "; it must be torch.float32");
        }
        collective.call.residual = residual->mutable_data_ptr<float>();
    }
    return collective;
}

/* Sets the option of that name; throws py::cast_error if value is of another type. */
void set_option(hlq_options *options, const std::string &name, py::handle value)
{
    if (name == "bits") {
        options->bits = value.cast<double>();
    } else if (name == "lattice") {
        options->lattice = enum_from("lattice", value.cast<std::string>(), hlq_lattice_name);
    } else if (name == "algorithm") {
        options->algorithm = enum_from("algorithm", value.cast<std::string>(), hlq_algorithm_name);
    } else if (name == "seed") {
        options->seed = value.cast<uint64_t>();
    } else if (name == "min_bytes") {
        options->min_bytes = value.cast<size_t>();
    } else if (name == "target_nmse") {
        options->target_nmse = value.cast<double>();
    } else if (name == "max_error") {
        options->max_error = value.cast<double>();
    } else if (name == "probe") {
        options->probe = value.cast<bool>() ? HLQ_PROBE_ON : HLQ_PROBE_OFF;
    } else if (name == "group") {
        options->group = value.cast<int>();
    } else if (name == "topology") {
        options->topology = enum_from("topology", value.cast<std::string>(), hlq_topology_name);
    } else if (name == "dither") {
        options->dither = value.cast<int>(); /* libhlqcomm refuses all but 0 and 1 */
    } else if (name == "threads") {
        options->threads = value.cast<int>();
    } else if (name == "timeout") {
        options->timeout_s = value.cast<double>();
    } else {
        throw py::type_error(
            "there is no option '" + name + "'; there is bits, lattice, " +
            "algorithm, seed, min_bytes, target_nmse, max_error, probe, group, topology, dither, "
            "threads, timeout");
    }
}

/* What libhlqcomm calls count: the elements of the smaller tensor. */
size_t count_of(const Collective &collective)
{
    const bool reduces = collective.operation == HLQ_REDUCE_SCATTER;
    return static_cast<size_t>((reduces ? collective.output : collective.input).numel());
}

/* Ends it if request is NULL, else only starts it. */
hlq_status start(hlq_comm *comm, const Collective &collective, hlq_request **request)
{
    const void *send = collective.input.const_data_ptr();
    void *recv = collective.output.mutable_data_ptr();
    const size_t count = count_of(collective);
    const hlq_dtype dtype = compressible_dtype_from(collective.input.scalar_type());
    const hlq_op op = collective.op;
    const hlq_call *call = &collective.call;
    const hlq_stream stream = collective.stream;
    switch (collective.operation) {
    case HLQ_ALL_REDUCE:
        return request != nullptr
                   ? hlq_all_reduce_start(comm, send, recv, count, dtype, op, call, stream, request)
                   : hlq_all_reduce(comm, send, recv, count, dtype, op, call, stream);
    case HLQ_REDUCE_SCATTER:
        return request != nullptr
                   ? hlq_reduce_scatter_start(comm, send, recv, count, dtype, op, call, stream,
                                              request)
                   : hlq_reduce_scatter(comm, send, recv, count, dtype, op, call, stream);
    case HLQ_ALL_GATHER:
        return request != nullptr
                   ? hlq_all_gather_start(comm, send, recv, count, dtype, call, stream, request)
                   : hlq_all_gather(comm, send, recv, count, dtype, call, stream);
    default: throw invalid("this collective has no tensors of equal parts");
    }
}

} // namespace

hlq_dtype dtype_from(at::ScalarType type)
{
    switch (type) {
    case at::kFloat: return HLQ_FLOAT32;
    case at::kBFloat16: return HLQ_BFLOAT16;
    case at::kHalf: return HLQ_FLOAT16;
    default:
        throw invalid(std::string("dtype ") + c10::toString(type) +
                      " is not supported; use torch.float32, torch.bfloat16 or torch.float16");
    }
}

hlq_dtype compressible_dtype_from(at::ScalarType type)
{
    return type == at::kDouble ? HLQ_FLOAT64 : dtype_from(type);
}

hlq_options options_from(const py::kwargs &arguments)
{
    hlq_options options = HLQ_OPTIONS_INIT;
    for (const auto &[key, value] : arguments) {
        const std::string name = py::str(key);
        try {
            set_option(&options, name, value);
        } catch (const py::cast_error &) {
            throw py::type_error("option '" + name + "' cannot be " + std::string(py::repr(value)));
        }
    }
    check_together(options);
    return options;
}

void check_together(const hlq_options &options)
{
    if (options.dither != 0 && options.algorithm == HLQ_ALG_MODQ) {
        throw Failure(HLQ_E_UNSUPPORTED, "modq has no dither; take another algorithm");
    }
}

Comm::Comm(hlq_comm *handle, Over over, bool has_cuda)
    : handle_(handle), over_(over), has_cuda_(has_cuda), rank_(hlq_comm_rank(handle)),
      size_(hlq_comm_size(handle))
{
    if (over_ == Over::mpi) {
        mpi_remember(this);
    }
}

Comm::~Comm() { close(); }

void Comm::end_watching()
{
    std::thread watcher;
    {
        std::lock_guard<std::mutex> lock(mutex_);
        is_closing_ = true;
        watcher.swap(watcher_);
    }
    closing_.notify_all();
    if (watcher.joinable()) {
        watcher.join();
    }
}

void Comm::close()
{
    end_watching();
    std::lock_guard<std::mutex> lock(mutex_);
    close_locked();
}

void Comm::abandon()
{
    end_watching();
    std::lock_guard<std::mutex> lock(mutex_);
    if (handle_ != nullptr) {
        abandon_locked({});
    }
}

void Comm::close_locked()
{
    if (handle_ == nullptr) {
        return;
    }
    if (over_ == Over::mpi) {
        mpi_forget(this);
    }
    /* After MPI_Finalize nothing of MPI may be called: leave the handle to the process's end. */
    if (over_ != Over::mpi || mpi_is_running()) {
        hlq_comm_destroy(handle_);
    }
    handle_ = nullptr;
}

void Comm::abandon_locked(const Collective &collective)
{
    if (over_ == Over::mpi) {
        close_locked();
        return;
    }
    /* A backend of c10d is only destroyed when its works are over, at its timeout. Nobody should
     * wait for that; the tensors must. */
    hlq_comm *handle = handle_;
    handle_ = nullptr;
    std::thread([handle, collective] { hlq_comm_destroy(handle); }).detach();
}

hlq_comm *Comm::open_handle()
{
    if (handle_ == nullptr) {
        throw invalid("the communicator is closed");
    }
    return handle_;
}

void Comm::refuse_locked()
{
    /* The other ranks are in the call already or will be, and silence would let them wait for the
     * timeout. NULL is what libhlqcomm refuses; its status says nothing new to this rank. */
    const hlq_status refused =
        hlq_all_reduce(open_handle(), nullptr, nullptr, 1, HLQ_FLOAT32, HLQ_SUM, nullptr, nullptr);
    (void)refused;
}

void Comm::refuse()
{
    std::lock_guard<std::mutex> lock(mutex_);
    refuse_locked();
}

void Comm::collect(hlq_operation operation, const at::Tensor &input, const at::Tensor &output,
                   const CallNames &names, const std::optional<at::Tensor> &residual,
                   uintptr_t stream)
{
    std::lock_guard<std::mutex> lock(mutex_);
    open_handle();
    std::optional<Collective> collective;
    try {
        collective = check_collective(operation, input, output, names, residual, size_, has_cuda_);
        if (input.device().is_cuda()) {
            collective->stream = reinterpret_cast<hlq_stream>(stream);
        }
    } catch (const Failure &) {
        refuse_locked();
        throw;
    }
    call_locked(*collective);
}

void Comm::put(const Collective &collective)
{
    std::lock_guard<std::mutex> lock(mutex_);
    open_handle();
    call_locked(collective);
}

/* From start to end, or onto its stream. */
void Comm::call_locked(const Collective &collective)
{
    if (has_cuda_ && !watcher_.joinable() && !is_closing_) {
        watcher_ = std::thread([this] { watch_streams(); });
    }
    const hlq_status status = start(handle_, collective, nullptr);
    if (status != HLQ_OK) {
        throw Failure(status, hlq_comm_last_error(handle_));
    }
}

void Comm::watch_streams()
{
    const auto look = std::chrono::milliseconds(100);
    std::unique_lock<std::mutex> lock(mutex_);
    while (!closing_.wait_for(lock, look, [this] { return is_closing_; })) {
        if (hlq_comm_async_error(handle_) != HLQ_OK) {
            return; /* work under way was ended; the next call says why */
        }
    }
}

void Comm::check()
{
    std::lock_guard<std::mutex> lock(mutex_);
    if (handle_ == nullptr) {
        return;
    }
    const hlq_status status = hlq_comm_async_error(handle_);
    if (status != HLQ_OK) {
        throw Failure(status, hlq_comm_last_error(handle_));
    }
}

void Comm::run(const Collective &collective, const Watch &watch)
{
    const double look_s = 0.05; /* how long abort() of a process group may go unnoticed */
    std::lock_guard<std::mutex> lock(mutex_);
    hlq_comm *comm = open_handle();
    hlq_request *request = nullptr;
    hlq_status status = start(comm, collective, &request);
    while (status == HLQ_OK && request != nullptr) {
        status = hlq_wait(request, look_s);
        if (status != HLQ_E_PENDING) {
            break;
        }
        status = HLQ_OK;
        try {
            watch();
        } catch (...) {
            abandon_locked(collective);
            throw;
        }
    }
    if (status != HLQ_OK) {
        throw Failure(status, hlq_comm_last_error(comm));
    }
}

hlq_plan_info Comm::plan_locked(hlq_operation operation, size_t count, hlq_dtype dtype, hlq_op op,
                                const hlq_call &call)
{
    hlq_comm *comm = open_handle();
    hlq_plan_info info = {};
    info.struct_bytes = sizeof info;
    info.operation = operation;
    const hlq_status status = hlq_comm_plan(comm, count, dtype, op, &call, &info);
    if (status != HLQ_OK) {
        throw Failure(status, hlq_comm_last_error(comm));
    }
    return info;
}

hlq_plan_info Comm::plan(hlq_operation operation, int64_t count, hlq_dtype dtype,
                         const CallNames &names)
{
    std::lock_guard<std::mutex> lock(mutex_);
    open_handle();
    if (count < 0) {
        throw invalid("count is negative");
    }
    return plan_locked(operation, static_cast<size_t>(count), dtype, op_from(names.op),
                       call_from(names));
}

hlq_plan_info Comm::plan(const Collective &collective)
{
    std::lock_guard<std::mutex> lock(mutex_);
    return plan_locked(collective.operation, count_of(collective),
                       compressible_dtype_from(collective.input.scalar_type()), collective.op,
                       collective.call);
}

hlq_stats Comm::stats()
{
    std::lock_guard<std::mutex> lock(mutex_);
    hlq_comm *comm = open_handle();
    hlq_stats stats = {};
    stats.struct_bytes = sizeof stats;
    const hlq_status status = hlq_comm_stats(comm, &stats);
    if (status != HLQ_OK) {
        throw Failure(status, hlq_comm_last_error(comm));
    }
    return stats;
}

} // namespace hlqtorch
