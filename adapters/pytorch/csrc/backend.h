/*
 * Backend hlq of torch.distributed: a decorator. An inner backend (gloo for host tensors, NCCL for
 * CUDA tensors) does everything that must be exact; sums of floating-point numbers that the user
 * wants compressed go to libhlqcomm:
 *
 *     dist.all_reduce ─▶ compressible? ── no ──▶ inner backend, on the caller's thread
 *                              ├── host ──▶ Worker ─▶ Comm ─▶ MPI, or a gloo of its own
 *                              └── CUDA ──▶ StreamLane ─▶ Comm ─▶ NCCL
 *
 * Whether a call is compressible depends on what is the same on all ranks only: mode, operation,
 * dtype, device, sizes. Overrides the names that c10d has had since torch 2.11.
 */
#pragma once

#include "backend_options.h"
#include "backend_streams.h"
#include "backend_work.h"

#include <map>

namespace hlqtorch {

/* What the collectives of a group did on this rank, summed up; fields as in struct hlq_stats. */
struct Totals {
    uint64_t calls = 0, elements = 0, bytes_sent = 0, control_bytes = 0, plan_bytes = 0;
    uint64_t overloads = 0, retries = 0, nonfinite_blocks = 0;
    double seconds = 0, seconds_encode = 0, seconds_exchange = 0, seconds_reduce = 0;
    double seconds_decode = 0, vnmse_estimate = 0; /* the last is a mean over the elements */

    void add(const hlq_stats &stats, const hlq_plan_info &plan);
};

/* By type of device; where there is none for a device, its tensors are refused. */
using InnerBackends = std::map<c10::DeviceType, c10::intrusive_ptr<c10d::Backend>>;

/* What is made in Python, by hlqtorch/dist/backend.py. All are collective over the ranks, take the
 * GIL, and throw what Python raised. ranks: of the default group, in the order of the group. */
struct Makers {
    std::function<InnerBackends(const c10::intrusive_ptr<c10d::Store> &store, int rank,
                                const std::vector<int64_t> &ranks, const BackendOptions &options)>
        inner;
    std::function<std::shared_ptr<Comm>(const c10::intrusive_ptr<c10d::Store> &store, int rank,
                                        const std::vector<int64_t> &ranks, double timeout_s,
                                        const BackendOptions &options)>
        comm;
    /* For tensors of a CUDA device, over the NCCL that the inner backend for them has. */
    std::function<std::shared_ptr<Comm>(
        const c10::intrusive_ptr<c10d::Store> &store, int rank, const std::vector<int64_t> &ranks,
        double timeout_s, const BackendOptions &options,
        const c10::intrusive_ptr<c10d::Backend> &inner, at::Device device)>
        cuda_comm;
};

class HLQBackend : public c10d::Backend {
public:
    static c10::intrusive_ptr<HLQBackend>
    create(c10::intrusive_ptr<c10d::Store> store, int rank, std::vector<int64_t> global_ranks,
           InnerBackends inner, c10::intrusive_ptr<BackendOptions> options, Makers makers);
    HLQBackend(c10::intrusive_ptr<c10d::Store> store, int rank, std::vector<int64_t> global_ranks,
               InnerBackends inner, c10::intrusive_ptr<BackendOptions> options, Makers makers);
    ~HLQBackend() override;
    void release_resources() override;

    Totals totals();
    void reset_totals();

    const std::string getBackendName() const override { return "hlq"; }
    c10::intrusive_ptr<Options> getBackendOptions() override;
    void setTimeout(std::chrono::milliseconds timeout) override;
    void abort() override;
    void shutdown() override;
    c10d::ErrorType getError() override;
    void setSequenceNumberForGroup() override;
    uint64_t getSequenceNumberForGroup() override;
    void enableCollectivesTiming() override;
    void eagerConnectSingleDevice(at::Device device) override;
    std::shared_ptr<c10::Allocator> getMemAllocator() override;
    at::Tensor allocateTensor(long size, at::TensorOptions options) override;
    bool supportsTensorAlloc(c10::DeviceIndex device) override;

    bool supportsSplitting() const override { return true; }
    c10::intrusive_ptr<Backend> split(const c10::intrusive_ptr<c10d::Store> &store,
                                      const std::vector<int> &ranks,
                                      const c10::intrusive_ptr<Options> &options) override;

    /* Compressed if the mode says so. */
    c10::intrusive_ptr<c10d::Work> allreduce(std::vector<at::Tensor> &tensors,
                                             const c10d::AllreduceOptions &options) override;
    c10::intrusive_ptr<c10d::Work>
    allreduce_coalesced(std::vector<at::Tensor> &tensors,
                        const c10d::AllreduceCoalescedOptions &options) override;
    c10::intrusive_ptr<c10d::Work>
    reduce_scatter(std::vector<at::Tensor> &outputs, std::vector<std::vector<at::Tensor>> &inputs,
                   const c10d::ReduceScatterOptions &options) override;
    c10::intrusive_ptr<c10d::Work>
    _reduce_scatter_base(at::Tensor &output, at::Tensor &input,
                         const c10d::ReduceScatterOptions &options) override;
    c10::intrusive_ptr<c10d::Work>
    reduce_scatter_tensor_coalesced(std::vector<at::Tensor> &outputs,
                                    std::vector<at::Tensor> &inputs,
                                    const c10d::ReduceScatterOptions &options) override;
    c10::intrusive_ptr<c10d::Work> allgather(std::vector<std::vector<at::Tensor>> &outputs,
                                             std::vector<at::Tensor> &inputs,
                                             const c10d::AllgatherOptions &options) override;
    c10::intrusive_ptr<c10d::Work> _allgather_base(at::Tensor &output, at::Tensor &input,
                                                   const c10d::AllgatherOptions &options) override;
    c10::intrusive_ptr<c10d::Work>
    allgather_into_tensor_coalesced(std::vector<at::Tensor> &outputs,
                                    std::vector<at::Tensor> &inputs,
                                    const c10d::AllgatherOptions &options) override;

    /* Never compressed. */
    c10::intrusive_ptr<c10d::Work>
    allgather_coalesced(std::vector<std::vector<at::Tensor>> &outputs,
                        std::vector<at::Tensor> &inputs,
                        const c10d::AllgatherOptions &options) override;
    c10::intrusive_ptr<c10d::Work> allreduce_sparse(std::vector<at::Tensor> &tensors,
                                                    const c10d::AllreduceOptions &options) override;
    c10::intrusive_ptr<c10d::Work> broadcast(std::vector<at::Tensor> &tensors,
                                             const c10d::BroadcastOptions &options) override;
    c10::intrusive_ptr<c10d::Work> reduce(std::vector<at::Tensor> &tensors,
                                          const c10d::ReduceOptions &options) override;
    c10::intrusive_ptr<c10d::Work> gather(std::vector<std::vector<at::Tensor>> &outputs,
                                          std::vector<at::Tensor> &inputs,
                                          const c10d::GatherOptions &options) override;
    c10::intrusive_ptr<c10d::Work> scatter(std::vector<at::Tensor> &outputs,
                                           std::vector<std::vector<at::Tensor>> &inputs,
                                           const c10d::ScatterOptions &options) override;
    c10::intrusive_ptr<c10d::Work> alltoall(std::vector<at::Tensor> &outputs,
                                            std::vector<at::Tensor> &inputs,
                                            const c10d::AllToAllOptions &options) override;
    c10::intrusive_ptr<c10d::Work> alltoall_base(at::Tensor &output, at::Tensor &input,
                                                 std::vector<int64_t> &output_splits,
                                                 std::vector<int64_t> &input_splits,
                                                 const c10d::AllToAllOptions &options) override;
    c10::intrusive_ptr<c10d::Work> send(std::vector<at::Tensor> &tensors, int to, int tag) override;
    c10::intrusive_ptr<c10d::Work> recv(std::vector<at::Tensor> &tensors, int from,
                                        int tag) override;
    c10::intrusive_ptr<c10d::Work> recvAnysource(std::vector<at::Tensor> &tensors,
                                                 int tag) override;
    c10::intrusive_ptr<c10d::Work> barrier(const c10d::BarrierOptions &options) override;
    void monitoredBarrier(const c10d::BarrierOptions &options, bool wait_all_ranks) override;

    /* That for tensors of a type of device; throws if there is none. */
    const c10::intrusive_ptr<c10d::Backend> &inner(c10::DeviceType type) const;

private:
    struct Request; /* a compressed collective, before it is a job */

    c10d::Backend &inner_of(const std::vector<at::Tensor> &tensors) const;
    c10d::Backend &inner_of(const std::vector<std::vector<at::Tensor>> &lists,
                            const std::vector<at::Tensor> &tensors) const;

    /* The mode, if tensors of so many bytes are to be compressed. */
    std::optional<Mode> compresses(int64_t bytes, const at::Tensor &first) const;
    std::optional<Mode> compresses_sum(const std::vector<at::Tensor> &tensors,
                                       const c10d::ReduceOp &op) const;
    std::optional<Mode> compresses_gather(const std::vector<at::Tensor> &inputs) const;
    c10::intrusive_ptr<c10d::Work> submit(Request request);
    c10::intrusive_ptr<c10d::Work> submit_host(Request request);
    c10::intrusive_ptr<c10d::Work> submit_cuda(const Request &request);
    /* Packs the request, runs it, unpacks and counts it. */
    void make(const Request &request, Comm *comm, hlq_stream stream,
              const std::function<void(const Collective &)> &run);
    std::chrono::milliseconds timeout_or(std::chrono::milliseconds of_call) const;
    void count(const Collective &collective, Comm *comm);
    double comm_timeout_s() const;

    const c10::intrusive_ptr<c10d::Store> store_;
    const std::vector<int64_t> global_ranks_;
    const InnerBackends inner_;
    const c10::intrusive_ptr<BackendOptions> options_;
    const Makers makers_;
    uint64_t splits_ = 0;
    c10::weak_intrusive_ptr<Backend> last_split_;
    std::atomic<uint64_t> compressed_calls_{0};
    std::mutex totals_mutex_;
    Totals totals_;
    StreamLane lane_;
    Worker worker_; /* last: its thread uses the rest */
};

/* Ends the worker threads of all groups: after what they were given, or at once. */
void finish_backends(bool at_once);

/* Defines the class in the module. */
void define_backend(pybind11::module_ &module);

} // namespace hlqtorch
