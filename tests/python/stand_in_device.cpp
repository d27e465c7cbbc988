/*
 * CUDA devices for a torch without CUDA: memory of the host that says it is cuda:0 … cuda:7, and
 * streams and events that only write down what they are told. Operators torch.ops.stand_in:
 *
 *   as_cuda(x, device)       a tensor of cuda:device over the memory of x, which stays
 *   as_host(x)               the way back
 *   use_stream(s, device)    makes s the calling thread's current stream of a device
 *   hold_back(event, is)     an event is pending, or no more
 *   log()                    what was told since the last call: "record event 1 on stream 5"
 *
 * The handle of a stream is its number; that of streams that torch takes from its pool is 0, the
 * only one that a communicator of the host takes.
 */
#include <ATen/core/Tensor.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <atomic>
#include <cstring>
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
        const bool is_of_pool = stream.id() >= FIRST_OF_POOL;
        tell("use " + name(stream));
        return reinterpret_cast<void *>(is_of_pool ? 0 : stream.id());
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
        .strides(x.strides())
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

void use_stream(int64_t stream, int64_t device) { current_stream[device] = stream; }

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

/* Operators of torch ------------------------------------------------------------------------ */

at::Tensor empty(at::IntArrayRef sizes, std::optional<at::ScalarType> type,
                 std::optional<at::Layout>, std::optional<Device> device, std::optional<bool>,
                 std::optional<at::MemoryFormat>)
{
    return on(at::empty(sizes, at::dtype(*type)), *device);
}

at::Tensor empty_strided(at::IntArrayRef sizes, at::IntArrayRef, std::optional<at::ScalarType> type,
                         std::optional<at::Layout> layout, std::optional<Device> device,
                         std::optional<bool> pinned)
{
    return empty(sizes, type, layout, device, pinned, std::nullopt);
}

/* Both contiguous, of one type. */
at::Tensor &copy(at::Tensor &to, const at::Tensor &from, bool)
{
    TORCH_CHECK(to.is_contiguous() && from.is_contiguous() && to.dtype() == from.dtype());
    std::memcpy(to.mutable_data_ptr(), from.const_data_ptr(), to.nbytes());
    return to;
}

at::Tensor &zero(at::Tensor &x)
{
    TORCH_CHECK(x.is_contiguous());
    std::memset(x.mutable_data_ptr(), 0, x.nbytes());
    return x;
}

at::Tensor mm(const at::Tensor &a, const at::Tensor &b)
{
    return on(at::mm(as_host(a), as_host(b)), a.device());
}

} // namespace

/* For stand_in_quantizer.c. */
extern "C" int stand_in_current_device(void) { return current_device; }

TORCH_LIBRARY(stand_in, m)
{
    m.def("as_cuda(Tensor x, int device=0) -> Tensor", as_cuda);
    m.def("as_host(Tensor x) -> Tensor", as_host);
    m.def("use_stream(int stream, int device=0) -> ()", use_stream);
    m.def("hold_back(int event, bool is_pending) -> ()", hold_back);
    m.def("log() -> str[]", take_log);
}

TORCH_LIBRARY_IMPL(aten, CUDA, m)
{
    m.impl("empty.memory_format", empty);
    m.impl("empty_strided", empty_strided);
    m.impl("copy_", copy);
    m.impl("zero_", zero);
    m.impl("mm", mm);
    m.impl("as_strided", at::native::as_strided_tensorimpl);
    m.impl("view", at::native::view);
}
