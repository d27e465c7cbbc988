/*
 * A CUDA device for a torch that has none: memory of the host, and one stream for each device, of
 * which torch tells the handle STREAM + its index.
 */
#include <ATen/ATen.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/extension.h>
#include <torch/library.h>

#include <cstdlib>
#include <cstring>

namespace {

constexpr intptr_t STREAM = 700;
constexpr c10::DeviceIndex DEVICES = 2;
thread_local c10::DeviceIndex current = 0;

struct Guard final : c10::impl::DeviceGuardImplInterface {
    Guard() = default;
    explicit Guard(c10::DeviceType) {}
    c10::DeviceType type() const override { return at::kCUDA; }
    c10::Device exchangeDevice(c10::Device device) const override
    {
        const c10::Device was(at::kCUDA, current);
        current = device.index();
        return was;
    }
    c10::Device getDevice() const override { return c10::Device(at::kCUDA, current); }
    void setDevice(c10::Device device) const override { current = device.index(); }
    void uncheckedSetDevice(c10::Device device) const noexcept override
    {
        current = device.index();
    }
    c10::Stream getStream(c10::Device device) const override
    {
        return c10::Stream(c10::Stream::UNSAFE, device, device.index());
    }
    c10::Stream exchangeStream(c10::Stream stream) const override { return stream; }
    void *getStreamNativeHandle(const c10::Stream stream) const override
    {
        return reinterpret_cast<void *>(STREAM + stream.id());
    }
    c10::DeviceIndex deviceCount() const noexcept override { return DEVICES; }
};

/* Its memory starts `skip` bytes behind an aligned address. */
at::Tensor zeros(at::IntArrayRef sizes, at::ScalarType type, c10::Device device, int64_t skip)
{
    const size_t bytes = c10::multiply_integers(sizes) * c10::elementSize(type);
    char *memory = static_cast<char *>(std::calloc(skip + bytes + 1, 1));
    return at::for_blob(memory + skip, sizes)
        .deleter([memory](void *) { std::free(memory); })
        .options(at::dtype(type).device(device))
        .target_device(device)
        .make_tensor();
}

at::Tensor empty(at::IntArrayRef sizes, std::optional<at::ScalarType> type,
                 std::optional<at::Layout>, std::optional<at::Device> device, std::optional<bool>,
                 std::optional<at::MemoryFormat>)
{
    return zeros(sizes, *type, *device, 0);
}

at::Tensor empty_strided(at::IntArrayRef sizes, at::IntArrayRef, std::optional<at::ScalarType> type,
                         std::optional<at::Layout> layout, std::optional<at::Device> device,
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

at::Tensor to_device(const at::Tensor &tensor, int64_t index, int64_t skip)
{
    const c10::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
    at::Tensor there = zeros(tensor.sizes(), tensor.scalar_type(), device, skip);
    const at::Tensor from = tensor.contiguous();
    std::memcpy(there.mutable_data_ptr(), from.const_data_ptr(), from.nbytes());
    return there;
}

at::Tensor to_host(const at::Tensor &tensor)
{
    at::Tensor here = at::empty(tensor.sizes(), at::dtype(tensor.scalar_type()));
    std::memcpy(here.mutable_data_ptr(), tensor.const_data_ptr(), tensor.nbytes());
    return here;
}

} // namespace

/* For libhlqcomm_cuda's stand-in. */
extern "C" int fake_cuda_current(void) { return current; }

namespace c10::impl {
C10_REGISTER_GUARD_IMPL(CUDA, Guard)
} // namespace c10::impl

TORCH_LIBRARY_IMPL(aten, CUDA, m)
{
    m.impl("empty.memory_format", empty);
    m.impl("empty_strided", empty_strided);
    m.impl("copy_", copy);
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, module)
{
    module.def("to_device", to_device, py::arg("tensor"), py::arg("device"), py::arg("skip") = 0);
    module.def("to_host", to_host);
    module.attr("STREAM") = STREAM;
}
