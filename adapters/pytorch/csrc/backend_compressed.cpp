/*
 * Backend hlq: which collectives are compressed, and how they become jobs of the worker.
 */
#include "backend.h"
#include "backend_pack.h"

#include <algorithm>

namespace hlqtorch {

using c10::intrusive_ptr;
using c10d::OpType;
using c10d::Work;
using std::vector;

/* A collective that will be compressed. */
struct HLQBackend::Request {
    OpType type;
    const char *title; /* for the profiler */
    hlq_operation operation;
    c10d::ReduceOp op;
    Mode mode;
    std::chrono::milliseconds timeout;
    vector<at::Tensor> inputs;
    c10::IValue value;            /* of the future */
    std::function<Packed()> pack; /* on the worker's thread, or the lane's stream */
};

namespace {

bool is_compressible(at::ScalarType type)
{
    return type == at::kFloat || type == at::kBFloat16 || type == at::kHalf || type == at::kDouble;
}

/* Bytes of tensors that can be compressed together; -1 if they cannot. */
int64_t compressible_bytes(const vector<at::Tensor> &tensors)
{
    int64_t bytes = 0;
    for (const at::Tensor &tensor : tensors) {
        if (tensor.layout() != at::kStrided || !is_compressible(tensor.scalar_type()) ||
            tensor.scalar_type() != tensors.front().scalar_type() ||
            tensor.device() != tensors.front().device()) {
            return -1;
        }
        bytes += static_cast<int64_t>(tensor.nbytes());
    }
    return bytes;
}

bool is_sum(const c10d::ReduceOp &op)
{
    return op.op_ == c10d::ReduceOp::SUM || op.op_ == c10d::ReduceOp::AVG;
}

/* A rank that cannot make the call owes it to the others: they are in it, or will be. */
Packed pack_or_refuse(const std::function<Packed()> &pack, Comm *comm)
{
    try {
        return pack();
    } catch (...) {
        comm->refuse();
        throw;
    }
}

} // namespace

void Totals::add(const hlq_stats &stats, const hlq_plan_info &plan)
{
    const double before = vnmse_estimate * static_cast<double>(elements);
    calls++;
    elements += stats.count;
    if (elements > 0) {
        vnmse_estimate = (before + stats.vnmse_estimate * static_cast<double>(stats.count)) /
                         static_cast<double>(elements);
    }
    bytes_sent += stats.bytes_sent;
    control_bytes += stats.control_bytes;
    plan_bytes += plan.wire_bytes;
    overloads += stats.overloads;
    retries += stats.retries;
    nonfinite_blocks += stats.nonfinite_blocks;
    seconds += stats.seconds;
    seconds_encode += stats.seconds_encode;
    seconds_exchange += stats.seconds_exchange;
    seconds_reduce += stats.seconds_reduce;
    seconds_decode += stats.seconds_decode;
}

Totals HLQBackend::totals()
{
    std::lock_guard<std::mutex> lock(totals_mutex_);
    return totals_;
}

void HLQBackend::reset_totals()
{
    std::lock_guard<std::mutex> lock(totals_mutex_);
    totals_ = Totals();
}

void HLQBackend::count(const Collective &collective, Comm *comm)
{
    const hlq_stats stats = comm->stats();
    const hlq_plan_info plan = comm->plan(collective);
    std::lock_guard<std::mutex> lock(totals_mutex_);
    totals_.add(stats, plan);
}

/* Decisions. Of inputs only: outputs are this rank's own business, and a rank whose outputs do not
 * fit must fail the collective for all, not leave it to them. */

std::optional<Mode> HLQBackend::compresses(int64_t bytes, const at::Tensor &first) const
{
    const std::optional<Mode> entered = entered_mode();
    const Mode mode = entered ? *entered : options_->mode;
    if (!mode.compress || size_ == 1 || bytes < mode.min_bytes || bytes == 0) {
        return std::nullopt;
    }
    const bool is_of_host =
        mode.target_nmse > 0 || mode.max_error > 0 || mode.algorithm == HLQ_ALG_MODQ;
    TORCH_CHECK_NOT_IMPLEMENTED(
        first.is_cpu() || !is_of_host,
        "CUDA tensors are compressed by bits, with twoshot, oneshot or hierarchical; "
        "target_nmse, max_error and modq are for host tensors");
    return mode;
}

std::optional<Mode> HLQBackend::compresses_sum(const vector<at::Tensor> &tensors,
                                               const c10d::ReduceOp &op) const
{
    if (tensors.empty() || !is_sum(op)) {
        return std::nullopt;
    }
    return compresses(compressible_bytes(tensors), tensors.front());
}

std::optional<Mode> HLQBackend::compresses_gather(const vector<at::Tensor> &tensors) const
{
    if (tensors.empty()) {
        return std::nullopt;
    }
    const int64_t bytes = compressible_bytes(tensors);
    const auto mode = compresses(bytes < 0 ? bytes : bytes * size_, tensors.front());
    return mode && mode->all_gather ? mode : std::nullopt;
}

std::chrono::milliseconds HLQBackend::timeout_or(std::chrono::milliseconds of_call) const
{
    if (of_call != c10d::kUnsetTimeout) {
        return of_call;
    }
    const auto own = std::chrono::duration<double>(options_->timeout_s);
    return options_->timeout_s > 0 ? std::chrono::duration_cast<std::chrono::milliseconds>(own)
                                   : options_->timeout;
}

void HLQBackend::make(const Request &request, Comm *comm, hlq_stream stream,
                      const std::function<void(const Collective &)> &run)
{
    const Packed packed = pack_or_refuse(request.pack, comm);
    const hlq_op op = request.op.op_ == c10d::ReduceOp::AVG ? HLQ_AVG : HLQ_SUM;
    const Collective collective = {request.operation,   packed.input, packed.output, op,
                                   request.mode.call(), stream};
    run(collective);
    if (packed.unpack) {
        packed.unpack();
    }
    count(collective, comm);
}

intrusive_ptr<Work> HLQBackend::submit_host(Request request)
{
    auto work = c10::make_intrusive<HLQWork>(rank_, request.type, request.title, request.inputs,
                                             request.value, getSequenceNumberForGroup());
    const auto timeout = timeout_or(request.timeout);
    auto run = [this, request = std::move(request)](Comm *comm, const Comm::Watch &watch) {
        make(request, comm, nullptr,
             [&](const Collective &collective) { comm->run(collective, watch); });
    };
    worker_.submit({work, timeout, true, std::move(run)});
    return work;
}

intrusive_ptr<Work> HLQBackend::submit_cuda(const Request &request)
{
    auto work = c10::make_intrusive<StreamWork>(rank_, request.type, request.title, request.inputs,
                                                request.value, getSequenceNumberForGroup());
    lane_.submit({work, request.inputs, [&](Comm *comm, hlq_stream stream) {
                      make(request, comm, stream,
                           [&](const Collective &collective) { comm->put(collective); });
                  }});
    return work;
}

intrusive_ptr<Work> HLQBackend::submit(Request request)
{
    const bool is_cuda = request.inputs.front().is_cuda();
    auto work = is_cuda ? submit_cuda(request) : submit_host(std::move(request));
    compressed_calls_++;
    return work;
}

/* Collectives */

intrusive_ptr<Work> HLQBackend::allreduce(vector<at::Tensor> &tensors,
                                          const c10d::AllreduceOptions &options)
{
    const auto mode = compresses_sum(tensors, options.reduceOp);
    if (!mode || tensors.size() != 1) {
        return inner_of(tensors).allreduce(tensors, options);
    }
    return submit({OpType::ALLREDUCE, "hlq:all_reduce", HLQ_ALL_REDUCE, options.reduceOp, *mode,
                   options.timeout, tensors, tensors,
                   [tensors] { return pack_all_reduce(tensors); }});
}

intrusive_ptr<Work> HLQBackend::allreduce_coalesced(vector<at::Tensor> &tensors,
                                                    const c10d::AllreduceCoalescedOptions &options)
{
    const auto mode = compresses_sum(tensors, options.reduceOp);
    if (!mode) {
        return inner_of(tensors).allreduce_coalesced(tensors, options);
    }
    return submit({OpType::ALLREDUCE_COALESCED, "hlq:all_reduce", HLQ_ALL_REDUCE, options.reduceOp,
                   *mode, options.timeout, tensors, tensors,
                   [tensors] { return pack_all_reduce(tensors); }});
}

intrusive_ptr<Work> HLQBackend::reduce_scatter(vector<at::Tensor> &outputs,
                                               vector<vector<at::Tensor>> &inputs,
                                               const c10d::ReduceScatterOptions &options)
{
    const bool plain = inputs.size() == 1 && outputs.size() == 1 &&
                       inputs.front().size() == static_cast<size_t>(size_);
    const vector<at::Tensor> parts = plain ? inputs.front() : vector<at::Tensor>();
    const bool equal = std::all_of(parts.begin(), parts.end(), [&parts](const at::Tensor &part) {
        return part.numel() == parts.front().numel();
    });
    const auto mode = compresses_sum(parts, options.reduceOp);
    if (!mode || !equal) {
        return inner_of(outputs).reduce_scatter(outputs, inputs, options);
    }
    return submit({OpType::REDUCE_SCATTER, "hlq:reduce_scatter", HLQ_REDUCE_SCATTER,
                   options.reduceOp, *mode, options.timeout, parts, outputs,
                   [outputs, parts] { return pack_reduce_scatter_list(outputs.front(), parts); }});
}

intrusive_ptr<Work> HLQBackend::_reduce_scatter_base(at::Tensor &output, at::Tensor &input,
                                                     const c10d::ReduceScatterOptions &options)
{
    const vector<at::Tensor> outputs = {output}, inputs = {input};
    const auto mode = compresses_sum(inputs, options.reduceOp);
    if (!mode) {
        return inner_of(inputs)._reduce_scatter_base(output, input, options);
    }
    return submit(
        {OpType::_REDUCE_SCATTER_BASE, "hlq:_reduce_scatter_base", HLQ_REDUCE_SCATTER,
         options.reduceOp, *mode, options.timeout, inputs, outputs,
         [outputs, inputs, ranks = size_] { return pack_reduce_scatter(outputs, inputs, ranks); }});
}

intrusive_ptr<Work>
HLQBackend::reduce_scatter_tensor_coalesced(vector<at::Tensor> &outputs, vector<at::Tensor> &inputs,
                                            const c10d::ReduceScatterOptions &options)
{
    const auto mode = compresses_sum(inputs, options.reduceOp);
    if (!mode) {
        return inner_of(inputs).reduce_scatter_tensor_coalesced(outputs, inputs, options);
    }
    /* Not REDUCE_SCATTER_TENSOR_COALESCED, which torch 2.11 lacks. */
    return submit({OpType::COALESCED, "hlq:reduce_scatter", HLQ_REDUCE_SCATTER, options.reduceOp,
                   *mode, options.timeout, inputs, outputs, [outputs, inputs, ranks = size_] {
                       return pack_reduce_scatter(outputs, inputs, ranks);
                   }});
}

intrusive_ptr<Work> HLQBackend::allgather(vector<vector<at::Tensor>> &outputs,
                                          vector<at::Tensor> &inputs,
                                          const c10d::AllgatherOptions &options)
{
    const bool plain = inputs.size() == 1 && outputs.size() == 1;
    const auto mode = plain ? compresses_gather(inputs) : std::nullopt;
    if (!mode) {
        return inner_of(inputs).allgather(outputs, inputs, options);
    }
    c10::List<c10::List<at::Tensor>> value;
    value.push_back(c10::List<at::Tensor>(outputs.front()));
    return submit({OpType::ALLGATHER, "hlq:all_gather", HLQ_ALL_GATHER, c10d::ReduceOp::SUM, *mode,
                   options.timeout, inputs, std::move(value),
                   [parts = outputs.front(), input = inputs.front(), ranks = size_] {
                       TORCH_CHECK(parts.size() == static_cast<size_t>(ranks), "there are ",
                                   parts.size(), " outputs for ", ranks, " ranks");
                       return pack_all_gather_list(parts, input);
                   }});
}

intrusive_ptr<Work> HLQBackend::_allgather_base(at::Tensor &output, at::Tensor &input,
                                                const c10d::AllgatherOptions &options)
{
    const vector<at::Tensor> outputs = {output}, inputs = {input};
    const auto mode = compresses_gather(inputs);
    if (!mode) {
        return inner_of(inputs)._allgather_base(output, input, options);
    }
    return submit(
        {OpType::_ALLGATHER_BASE, "hlq:_all_gather_base", HLQ_ALL_GATHER, c10d::ReduceOp::SUM,
         *mode, options.timeout, inputs, outputs,
         [outputs, inputs, ranks = size_] { return pack_all_gather(outputs, inputs, ranks); }});
}

intrusive_ptr<Work>
HLQBackend::allgather_into_tensor_coalesced(vector<at::Tensor> &outputs, vector<at::Tensor> &inputs,
                                            const c10d::AllgatherOptions &options)
{
    const auto mode = compresses_gather(inputs);
    if (!mode) {
        return inner_of(inputs).allgather_into_tensor_coalesced(outputs, inputs, options);
    }
    return submit({OpType::COALESCED, "hlq:all_gather", HLQ_ALL_GATHER, c10d::ReduceOp::SUM, *mode,
                   options.timeout, inputs, outputs, [outputs, inputs, ranks = size_] {
                       return pack_all_gather(outputs, inputs, ranks);
                   }});
}

intrusive_ptr<Work> HLQBackend::barrier(const c10d::BarrierOptions &options)
{
    const bool on_cuda =
        options.device && options.device->is_cuda() && inner_.count(c10::DeviceType::CUDA) > 0;
    if (on_cuda) {
        lane_.join(); /* NCCL's barrier is one of the current stream */
    }
    auto entered = inner(on_cuda ? c10::DeviceType::CUDA : c10::DeviceType::CPU)->barrier(options);
    if (!worker_.busy()) {
        return entered;
    }
    /* As with gloo, a barrier is passed when all earlier collectives of this rank are over. */
    auto work =
        c10::make_intrusive<HLQWork>(rank_, OpType::BARRIER, "hlq:barrier", vector<at::Tensor>(),
                                     vector<at::Tensor>(), getSequenceNumberForGroup());
    worker_.submit({work, timeout_or(options.timeout), false,
                    [entered](Comm *, const Comm::Watch &) { entered->wait(); }});
    return work;
}

} // namespace hlqtorch
