/*
 * CUDA devices for a torch without CUDA: memory of the host that says it is cuda:0 … cuda:7, and
 * streams and events that only write down what they are told. Operators torch.ops.stand_in:
 *
 *   as_cuda(x)         a tensor of cuda:device over the memory of x, which stays
 *   as_host(x)         the way back
 *   use_stream(s)      makes s the calling thread's current stream of device 0
 *   log()              what was told since the last call, in order: "record event 1 on stream 5"
 */
#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace {

using c10::Device;
using c10::DeviceIndex;
using c10::Stream;
using c10::StreamId;

constexpr DeviceIndex DEVICES = 8;
constexpr StreamId FIRST_OF_POOL = 100;

std::mutex mutex;
std::vector<std::string> told;
std::atomic<StreamId> next_of_pool{FIRST_OF_POOL};
std::atomic<intptr_t> next_event{1};
std::set<intptr_t> held_back; /* events that are pending */

thread_local DeviceIndex current_device = 0;
thread_local StreamId current_stream[DEVICES] = {};

void tell(const std::string &what)
{
    std::lock_guard<std::mutex> lock(mutex);
    told.push_back(what);
}

std::string name(const Stream &stream) { return "stream " + std::to_string(stream.id()); }

std::string name(void *event)
{
    return "event " + std::to_string(reinterpret_cast<intptr_t>(event));
}

struct Guard final : c10::impl::DeviceGuardImplInterface {
    Guard() = default;
    explicit Guard(c10::DeviceType) {}
    c10::DeviceType type() const override { return c10::DeviceType::CUDA; }
    Device exchangeDevice(Device device) const override
    {
        const Device before = getDevice();
        current_device = device.index();
        return before;
    }
    Device getDevice() const override { return {type(), current_device}; }
    void setDevice(Device device) const override { current_device = device.index(); }
    void uncheckedSetDevice(Device device) const noexcept override
    {
        current_device = device.index();
    }
    DeviceIndex deviceCount() const noexcept override { return DEVICES; }

    Stream getStream(Device device) const override
    {
        const DeviceIndex index = device.has_index() ? device.index() : current_device;
        return Stream(Stream::UNSAFE, {type(), index}, current_stream[index]);
    }
    Stream getStreamFromGlobalPool(Device device, bool) const override
    {
        return Stream(Stream::UNSAFE, device, next_of_pool++);
    }
    Stream exchangeStream(Stream stream) const override
    {
        const Stream before = getStream(stream.device());
        current_stream[stream.device_index()] = stream.id();
        return before;
    }
    void *getStreamNativeHandle(const Stream stream) const override
    {
        tell("use " + name(stream));
        return nullptr; /* the stream of tensors of the host, which these are */
    }

    void record(void **event, const Stream &stream, const DeviceIndex,
                const c10::EventFlag) const override
    {
        if (*event == nullptr) {
            *event = reinterpret_cast<void *>(next_event++);
        }
        tell("record " + name(*event) + " on " + name(stream));
    }
    void block(void *event, const Stream &stream) const override
    {
        tell(name(stream) + " waits for " + name(event));
    }
    bool queryEvent(void *event) const override
    {
        std::lock_guard<std::mutex> lock(mutex);
        return held_back.count(reinterpret_cast<intptr_t>(event)) == 0;
    }
    void destroyEvent(void *, const DeviceIndex) const noexcept override {}
    void recordDataPtrOnStream(const c10::DataPtr &data, const Stream &stream) const override
    {
        tell("hold " + std::to_string(reinterpret_cast<uintptr_t>(data.get())) + " for " +
             name(stream));
    }
};

const c10::impl::DeviceGuardImplRegistrar registrar(c10::DeviceType::CUDA, new Guard);

at::Tensor on(const at::Tensor &x, Device device)
{
    return at::for_blob(x.data_ptr(), x.sizes())
        .deleter([x](void *) {})
        .options(x.options().device(device))
        .target_device(device)
        .make_tensor();
}

at::Tensor as_cuda(const at::Tensor &x, int64_t device)
{
    return on(x, {c10::DeviceType::CUDA, static_cast<DeviceIndex>(device)});
}

at::Tensor as_host(const at::Tensor &x) { return on(x, c10::DeviceType::CPU); }

void use_stream(int64_t stream) { current_stream[0] = stream; }

void hold_back(int64_t event, bool is_pending)
{
    std::lock_guard<std::mutex> lock(mutex);
    is_pending ? (void)held_back.insert(event) : (void)held_back.erase(event);
}

std::vector<std::string> take_log()
{
    std::lock_guard<std::mutex> lock(mutex);
    return std::exchange(told, {});
}

} // namespace

TORCH_LIBRARY(stand_in, m)
{
    m.def("as_cuda(Tensor x, int device=0) -> Tensor", as_cuda);
    m.def("as_host(Tensor x) -> Tensor", as_host);
    m.def("use_stream(int stream) -> ()", use_stream);
    m.def("hold_back(int event, bool is_pending) -> ()", hold_back);
    m.def("log() -> str[]", take_log);
}

/* What backend hlq asks of a tensor that is contiguous. */
TORCH_LIBRARY_IMPL(aten, CUDA, m) { m.impl("view", at::native::view); }
