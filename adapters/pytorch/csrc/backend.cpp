/*
 * Backend hlq: how a group begins, splits and ends, and everything that the inner backend does.
 * What is compressed is in backend_compressed.cpp.
 */
#include "backend.h"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>

#include <algorithm>
#include <mutex>

namespace py = pybind11;

namespace hlqtorch {

using c10::intrusive_ptr;
using c10d::Work;
using std::vector;

namespace {

/* Gives up the GIL, if this thread has it, around waiting for a thread that may want it. */
class WithoutGil {
public:
    WithoutGil()
    {
        if (Py_IsInitialized() && PyGILState_Check()) {
            released_.emplace();
        }
    }

private:
    std::optional<py::gil_scoped_release> released_;
};

std::mutex living_backends_mutex;
vector<c10::weak_intrusive_ptr<HLQBackend>> living_backends;

void remember(const intrusive_ptr<HLQBackend> &backend)
{
    /* A backend's memory goes with the last pointer to it. That takes the GIL, for which another
     * thread may be keeping us waiting that wants the lock. */
    vector<c10::weak_intrusive_ptr<HLQBackend>> ended;
    std::lock_guard<std::mutex> lock(living_backends_mutex);
    const auto first = std::partition(living_backends.begin(), living_backends.end(),
                                      [](const auto &one) { return !one.expired(); });
    std::move(first, living_backends.end(), std::back_inserter(ended));
    living_backends.erase(first, living_backends.end());
    living_backends.emplace_back(backend);
}

} // namespace

HLQBackend::HLQBackend(intrusive_ptr<c10d::Store> store, int rank, vector<int64_t> global_ranks,
                       InnerBackends inner, intrusive_ptr<BackendOptions> options, Makers makers)
    : Backend(rank, static_cast<int>(global_ranks.size())), store_(std::move(store)),
      global_ranks_(std::move(global_ranks)), inner_(std::move(inner)),
      options_(std::move(options)), makers_(std::move(makers)),
      last_split_(intrusive_ptr<Backend>()), lane_([this](at::Device device) {
          return makers_.cuda_comm(store_, rank_, global_ranks_, comm_timeout_s(), *options_,
                                   this->inner(c10::DeviceType::CUDA), device);
      }),
      worker_([this] {
          return makers_.comm(store_, rank_, global_ranks_, comm_timeout_s(), *options_);
      })
{
    init();
}

intrusive_ptr<HLQBackend> HLQBackend::create(intrusive_ptr<c10d::Store> store, int rank,
                                             vector<int64_t> global_ranks, InnerBackends inner,
                                             intrusive_ptr<BackendOptions> options, Makers makers)
{
    auto backend =
        c10::make_intrusive<HLQBackend>(std::move(store), rank, std::move(global_ranks),
                                        std::move(inner), std::move(options), std::move(makers));
    remember(backend);
    return backend;
}

HLQBackend::~HLQBackend() { release_resources(); }

/* Nobody has it any more: called before memory goes, which those who only watch it keep. */
void HLQBackend::release_resources()
{
    WithoutGil released;
    worker_.stop();
    lane_.stop();
}

void finish_backends(bool at_once)
{
    vector<intrusive_ptr<HLQBackend>> found;
    {
        std::lock_guard<std::mutex> lock(living_backends_mutex);
        for (const auto &weak : living_backends) {
            if (auto backend = weak.lock()) {
                found.push_back(std::move(backend));
            }
        }
        living_backends.clear();
    }
    for (const auto &backend : found) {
        at_once ? backend->abort() : backend->shutdown();
    }
}

double HLQBackend::comm_timeout_s() const
{
    return options_->timeout_s > 0 ? options_->timeout_s
                                   : std::chrono::duration<double>(options_->timeout).count();
}

/* Life of the group */

void HLQBackend::setTimeout(std::chrono::milliseconds timeout)
{
    options_->timeout = timeout;
    for (const auto &[type, backend] : inner_) {
        backend->setTimeout(timeout);
    }
}

void HLQBackend::abort()
{
    WithoutGil released;
    worker_.abort();
    lane_.abort();
    for (const auto &[type, backend] : inner_) {
        backend->abort();
    }
}

void HLQBackend::shutdown()
{
    WithoutGil released;
    worker_.stop();
    lane_.stop();
    for (const auto &[type, backend] : inner_) {
        backend->shutdown();
    }
}

c10d::ErrorType HLQBackend::getError()
{
    const c10d::ErrorType error = worker_.error();
    return error != c10d::ErrorType::SUCCESS ? error : lane_.error();
}

/* A copy: ProcessGroup::splitGroup() writes name and timeout of the new group into what it gets. */
intrusive_ptr<c10d::Backend::Options> HLQBackend::getBackendOptions()
{
    return c10::make_intrusive<BackendOptions>(*options_);
}

intrusive_ptr<c10d::Backend> HLQBackend::split(const intrusive_ptr<c10d::Store> &store,
                                               const vector<int> &ranks,
                                               const intrusive_ptr<Options> &options)
{
    const auto given = c10::dynamic_intrusive_pointer_cast<BackendOptions>(options);
    TORCH_CHECK(given,
                "the options of a group split off from one of backend hlq must be HLQOptions");
    vector<int64_t> global_ranks;
    for (int one : ranks) {
        global_ranks.push_back(global_ranks_.at(one));
    }
    /* c10d splits once for each type of device, and uses the first. */
    const auto last = c10::static_intrusive_pointer_cast<HLQBackend>(last_split_.lock());
    if (last && last->options_->group_name == given->group_name &&
        last->global_ranks_ == global_ranks) {
        return last;
    }
    const std::string prefix = "split" + std::to_string(splits_++); /* on ranks left out, too */
    const auto place = std::find(ranks.begin(), ranks.end(), rank_);
    if (place == ranks.end()) {
        return nullptr;
    }
    const int rank = static_cast<int>(place - ranks.begin());
    auto own = c10::make_intrusive<BackendOptions>(*given);
    own->global_ranks_in_group.assign(global_ranks.begin(), global_ranks.end());
    auto own_store = c10::make_intrusive<c10d::PrefixStore>(prefix, store);
    /* New inner backends, not inner backends split: gloo's would share its options with the old. */
    InnerBackends inner = makers_.inner(own_store, rank, global_ranks, *own);
    auto part =
        create(own_store, rank, std::move(global_ranks), std::move(inner), std::move(own), makers_);
    last_split_ = intrusive_ptr<Backend>(part);
    return part;
}

void HLQBackend::setSequenceNumberForGroup()
{
    for (const auto &[type, backend] : inner_) {
        backend->setSequenceNumberForGroup();
    }
}

uint64_t HLQBackend::getSequenceNumberForGroup()
{
    uint64_t sum = compressed_calls_;
    for (const auto &[type, backend] : inner_) {
        sum += backend->getSequenceNumberForGroup();
    }
    return sum;
}

void HLQBackend::enableCollectivesTiming()
{
    for (const auto &[type, backend] : inner_) {
        backend->enableCollectivesTiming();
    }
}

void HLQBackend::eagerConnectSingleDevice(at::Device device)
{
    inner(device.type())->eagerConnectSingleDevice(device);
}

std::shared_ptr<c10::Allocator> HLQBackend::getMemAllocator()
{
    return inner(c10::DeviceType::CUDA)->getMemAllocator();
}

at::Tensor HLQBackend::allocateTensor(long size, at::TensorOptions options)
{
    return inner(options.device().type())->allocateTensor(size, options);
}

bool HLQBackend::supportsTensorAlloc(c10::DeviceIndex device)
{
    const auto cuda = inner_.find(c10::DeviceType::CUDA);
    return cuda != inner_.end() && cuda->second->supportsTensorAlloc(device);
}

/* To the inner backend */

const intrusive_ptr<c10d::Backend> &HLQBackend::inner(c10::DeviceType type) const
{
    const auto found = inner_.find(type);
    TORCH_CHECK_NOT_IMPLEMENTED(
        found != inner_.end(), "backend hlq has no inner backend for tensors on ",
        c10::DeviceTypeName(type, true), "; ",
        type == c10::DeviceType::CUDA ? "this torch has no NCCL, or there is no GPU"
                                      : "it serves tensors on cpu and cuda");
    return found->second;
}

c10d::Backend &HLQBackend::inner_of(const vector<at::Tensor> &tensors) const
{
    /* An empty list is an error, and the inner backend says which. */
    return *inner(tensors.empty() ? c10::DeviceType::CPU : tensors.front().device().type());
}

c10d::Backend &HLQBackend::inner_of(const vector<vector<at::Tensor>> &lists,
                                    const vector<at::Tensor> &tensors) const
{
    return inner_of(tensors.empty() && !lists.empty() ? lists.front() : tensors);
}

intrusive_ptr<Work> HLQBackend::allgather_coalesced(vector<vector<at::Tensor>> &outputs,
                                                    vector<at::Tensor> &inputs,
                                                    const c10d::AllgatherOptions &options)
{
    return inner_of(inputs).allgather_coalesced(outputs, inputs, options);
}

intrusive_ptr<Work> HLQBackend::allreduce_sparse(vector<at::Tensor> &tensors,
                                                 const c10d::AllreduceOptions &options)
{
    return inner_of(tensors).allreduce_sparse(tensors, options);
}

intrusive_ptr<Work> HLQBackend::broadcast(vector<at::Tensor> &tensors,
                                          const c10d::BroadcastOptions &options)
{
    return inner_of(tensors).broadcast(tensors, options);
}

intrusive_ptr<Work> HLQBackend::reduce(vector<at::Tensor> &tensors,
                                       const c10d::ReduceOptions &options)
{
    return inner_of(tensors).reduce(tensors, options);
}

intrusive_ptr<Work> HLQBackend::gather(vector<vector<at::Tensor>> &outputs,
                                       vector<at::Tensor> &inputs,
                                       const c10d::GatherOptions &options)
{
    return inner_of(outputs, inputs).gather(outputs, inputs, options);
}

intrusive_ptr<Work> HLQBackend::scatter(vector<at::Tensor> &outputs,
                                        vector<vector<at::Tensor>> &inputs,
                                        const c10d::ScatterOptions &options)
{
    return inner_of(inputs, outputs).scatter(outputs, inputs, options);
}

intrusive_ptr<Work> HLQBackend::alltoall(vector<at::Tensor> &outputs, vector<at::Tensor> &inputs,
                                         const c10d::AllToAllOptions &options)
{
    return inner_of(inputs).alltoall(outputs, inputs, options);
}

intrusive_ptr<Work> HLQBackend::alltoall_base(at::Tensor &output, at::Tensor &input,
                                              vector<int64_t> &output_splits,
                                              vector<int64_t> &input_splits,
                                              const c10d::AllToAllOptions &options)
{
    return inner(input.device().type())
        ->alltoall_base(output, input, output_splits, input_splits, options);
}

intrusive_ptr<Work> HLQBackend::send(vector<at::Tensor> &tensors, int to, int tag)
{
    return inner_of(tensors).send(tensors, to, tag);
}

intrusive_ptr<Work> HLQBackend::recv(vector<at::Tensor> &tensors, int from, int tag)
{
    return inner_of(tensors).recv(tensors, from, tag);
}

intrusive_ptr<Work> HLQBackend::recvAnysource(vector<at::Tensor> &tensors, int tag)
{
    return inner_of(tensors).recvAnysource(tensors, tag);
}

void HLQBackend::monitoredBarrier(const c10d::BarrierOptions &options, bool wait_all_ranks)
{
    inner(c10::DeviceType::CPU)->monitoredBarrier(options, wait_all_ranks);
}

} // namespace hlqtorch
