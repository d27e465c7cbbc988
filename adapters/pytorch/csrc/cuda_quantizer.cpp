/*
 * The functions of cuda_quantizer.h.
 */
#include "cuda_quantizer.h"

#include "status.h"

#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <dlfcn.h>

#include <list>
#include <mutex>

namespace hlqtorch {

namespace {

/* It lies beside this module. */
CudaQuantizer load_quantizer()
{
    CudaQuantizer library;
    void *handle = dlopen("libhlqcomm_cuda.so." HLQTORCH_SOVERSION, RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
        library.failure = "libhlqcomm has no quantizer for CUDA tensors here (built without CUDA, "
                          "or it does not load: " +
                          std::string(dlerror()) + ")";
        return library;
    }
#define FIND(name)                                                                                 \
    library.name = reinterpret_cast<decltype(library.name)>(dlsym(handle, "hlq_cuda_" #name));     \
    if (library.name == nullptr) {                                                                 \
        library.failure = "libhlqcomm_cuda is of another version";                                 \
    }
    HLQTORCH_CUDA_FUNCTIONS(FIND)
#undef FIND
    return library;
}

const CudaQuantizer &library()
{
    static const CudaQuantizer loaded = load_quantizer();
    return loaded;
}

} // namespace

const CudaQuantizer &cuda_quantizer()
{
    if (!library().failure.empty()) {
        throw Failure(HLQ_E_UNSUPPORTED, library().failure);
    }
    return library();
}

bool quantizes_cuda() { return library().failure.empty(); }

const hlq_cuda_lut *cuda_lut_of(const Spec &spec, c10::Device device)
{
    struct Table {
        Spec key;
        c10::Device device;
        const hlq_cuda_lut *lut;
    };
    static std::mutex mutex;
    static std::list<Table> tables;
    const Spec key = lut_key(spec);
    std::lock_guard<std::mutex> lock(mutex);
    for (const Table &table : tables) {
        if (table.key == key && table.device == device) {
            return table.lut;
        }
    }
    hlq_cuda_lut *lut = nullptr;
    check(cuda_quantizer().lut_create(lut_of(key).get(), &lut));
    tables.push_back({key, device, lut});
    return lut;
}

hlq_stream stream_handle(c10::Device device)
{
    const c10::impl::VirtualGuardImpl devices(device.type());
    return static_cast<hlq_stream>(devices.getStream(device).native_handle());
}

} // namespace hlqtorch
