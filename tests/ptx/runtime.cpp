/*
 * Kernels and memory.
 */
#include "runtime.h"

#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>

using namespace ptx;

namespace {

struct Module {
    const void *binary;
    std::map<std::string, Source> kernels; /* once one has been asked for */
};

/* What a host function launches. */
struct Function {
    Module *module;
    std::string name;
    std::unique_ptr<Kernel> kernel; /* once launched */
};

struct Registry {
    std::mutex lock;
    std::map<const void *, Function> functions;
};

Registry &registry()
{
    static Registry *all = new Registry; /* before constructors */
    return *all;
}

const Kernel &kernel_of(const void *function)
{
    std::lock_guard<std::mutex> guard(registry().lock);
    const auto found = registry().functions.find(function);
    if (found == registry().functions.end()) throw Fault("no kernel is registered there");
    Function &f = found->second;
    if (f.kernel) return *f.kernel;
    if (f.module->kernels.empty()) f.module->kernels = split_module(ptx_of(f.module->binary));
    const auto source = f.module->kernels.find(f.name);
    if (source == f.module->kernels.end()) throw Fault("no PTX of " + f.name);
    f.kernel = std::make_unique<Kernel>(parse_kernel(f.name, source->second));
    return *f.kernel;
}

cudaError_t reported(const Fault &fault)
{
    std::fprintf(stderr, "PTX: %s\n", fault.what());
    return cudaErrorLaunchFailure;
}

cudaError_t launch(const void *function, dim3 grid, dim3 block, void **arguments, size_t shared,
                   cudaStream_t stream)
{
    try {
        const Kernel &kernel = kernel_of(function);
        std::vector<uint8_t> parameters(kernel.parameter_bytes);
        if (grid.y != 1 || grid.z != 1 || block.y != 1 || block.z != 1 || shared) {
            throw Fault(kernel.name + ": a grid of one dimension without dynamic memory, please");
        }
        for (size_t n = 0; n < kernel.parameters.size(); n++) {
            std::memcpy(parameters.data() + kernel.parameters[n].at, arguments[n],
                        kernel.parameters[n].bytes);
        }
        return put(stream, [&kernel, grid, block, parameters] {
            try {
                run_grid(kernel, grid.x, block.x, parameters.data());
            } catch (const Fault &fault) {
                return reported(fault);
            }
            return cudaSuccess;
        });
    } catch (const Fault &fault) {
        return reported(fault);
    }
}

cudaError_t allocate_into(void **p, size_t bytes, Owner owner)
{
    if (is_forbidden()) return cudaErrorStreamCaptureUnsupported;
    *p = allocate(bytes, owner);
    return *p ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t release_from(void *p, Owner owner)
{
    if (is_forbidden()) return cudaErrorStreamCaptureUnsupported;
    return !p || release(p, owner) ? cudaSuccess : cudaErrorInvalidValue;
}

bool is_of_device(const void *p, size_t bytes)
{
    const Allocation found = find(p, bytes);
    return found.base && found.owner == Owner::device;
}

cudaError_t copy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind)
{
    const bool into = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool out = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (into && !is_of_device(to, bytes)) return cudaErrorInvalidValue;
    if (out && !is_of_device(from, bytes)) return cudaErrorInvalidValue;
    std::memmove(to, from, bytes);
    return cudaSuccess;
}

cudaError_t fill(void *to, int byte, size_t bytes)
{
    if (!find(to, bytes).base) return cudaErrorInvalidValue;
    std::memset(to, byte, bytes);
    return cudaSuccess;
}

} // namespace

extern "C" {

/* What nvcc's objects call before main(), and for <<<>>> --------------------------------------- */

void **__cudaRegisterFatBinary(void *wrapper)
{
    struct {
        int magic, version;
        const void *binary;
    } of;
    std::memcpy(&of, wrapper, sizeof of);
    return reinterpret_cast<void **>(new Module{of.binary, {}});
}

void __cudaRegisterFatBinaryEnd(void **) {}
void __cudaUnregisterFatBinary(void **) {}

void __cudaRegisterFunction(void **module, const char *host, char *, const char *name, int, uint3 *,
                            uint3 *, dim3 *, dim3 *, int *)
{
    std::lock_guard<std::mutex> guard(registry().lock);
    registry().functions[host] = {reinterpret_cast<Module *>(module), name, nullptr};
}

/* The host never asks for a kernel's variables. */
void __cudaRegisterVar(void **, char *, char *, const char *, int, size_t, int, int) {}

cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *function)
{
    *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void *>(function));
    return cudaSuccess;
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void **arguments,
                               size_t shared, cudaStream_t stream)
{
    return launch(kernel, grid, block, arguments, shared, stream);
}

unsigned __cudaPushCallConfiguration(dim3, dim3, size_t, cudaStream_t)
{
    return cudaErrorNotSupported; /* kernels are launched by cudaLaunchKernelEx() */
}

cudaError_t __cudaPopCallConfiguration(dim3 *, dim3 *, size_t *, void *)
{
    return cudaErrorNotSupported;
}

/* cuda_runtime_api.h -------------------------------------------------------------------------- */

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *function,
                                void **arguments)
{
    return launch(function, config->gridDim, config->blockDim, arguments, config->dynamicSmemBytes,
                  config->stream);
}

const char *cudaGetErrorString(cudaError_t error)
{
    static thread_local char text[64];
    std::snprintf(text, sizeof text, "error %d of the PTX machine", static_cast<int>(error));
    return error == cudaSuccess ? "no error" : text;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device)
{
    *device = 0;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; }

/* One multiprocessor: grids are small, so that warps come to many blocks one after the other. */
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int)
{
    if (attribute != cudaDevAttrMultiProcessorCount) return cudaErrorInvalidValue;
    *value = 1;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int)
{
    *properties = {};
    std::strcpy(properties->name, "PTX machine");
    properties->multiProcessorCount = 1;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) { return cudaDriverGetVersion(version); }

cudaError_t cudaMalloc(void **p, size_t bytes) { return allocate_into(p, bytes, Owner::device); }
cudaError_t cudaMallocHost(void **p, size_t bytes) { return allocate_into(p, bytes, Owner::host); }
cudaError_t cudaHostAlloc(void **p, size_t bytes, unsigned)
{
    return allocate_into(p, bytes, Owner::host);
}
cudaError_t cudaFree(void *p) { return release_from(p, Owner::device); }
cudaError_t cudaFreeHost(void *p) { return release_from(p, Owner::host); }

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *attributes, const void *p)
{
    const Allocation found = find(p, 0);
    *attributes = {};
    attributes->device = found.base ? 0 : -1;
    attributes->type = !found.base                    ? cudaMemoryTypeUnregistered
                       : found.owner == Owner::device ? cudaMemoryTypeDevice
                                                      : cudaMemoryTypeHost;
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind)
{
    if (is_forbidden()) return cudaErrorStreamCaptureUnsupported;
    return copy(to, from, bytes, kind);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    return put(stream, [=] { return copy(to, from, bytes, kind); });
}

cudaError_t cudaMemset(void *to, int byte, size_t bytes)
{
    if (is_forbidden()) return cudaErrorStreamCaptureUnsupported;
    return fill(to, byte, bytes);
}

cudaError_t cudaMemsetAsync(void *to, int byte, size_t bytes, cudaStream_t stream)
{
    return put(stream, [=] { return fill(to, byte, bytes); });
}

} // extern "C"
