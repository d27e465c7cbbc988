/*
 * The functions of nccl_world.h.
 */
#include "nccl_world.h"

#include "status.h"

#include <hlqcomm/nccl.h>

#include <dlfcn.h>

namespace hlqtorch {

namespace {

struct NcclLibrary {
    decltype(&hlq_comm_create_nccl) create = nullptr;
    decltype(&hlq_nccl_version) version = nullptr;
    std::string failure;
};

/* It lies beside this module. */
NcclLibrary load_nccl()
{
    NcclLibrary library;
    void *handle = dlopen("libhlqcomm_nccl.so." HLQTORCH_SOVERSION, RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
        library.failure = "libhlqcomm has no NCCL here (built without CUDA, or it does not load: " +
                          std::string(dlerror()) + ")";
        return library;
    }
    library.create =
        reinterpret_cast<decltype(library.create)>(dlsym(handle, "hlq_comm_create_nccl"));
    library.version =
        reinterpret_cast<decltype(library.version)>(dlsym(handle, "hlq_nccl_version"));
    if (library.create == nullptr || library.version == nullptr) {
        library.failure = "libhlqcomm_nccl is of another version";
    }
    return library;
}

const NcclLibrary &nccl()
{
    static const NcclLibrary loaded = load_nccl();
    return loaded;
}

} // namespace

hlq_comm *comm_over_nccl(uintptr_t nccl_comm, const hlq_options &options)
{
    if (!nccl().failure.empty()) {
        throw Failure(HLQ_E_UNSUPPORTED, nccl().failure);
    }
    hlq_comm *comm = nullptr;
    const hlq_status status =
        nccl().create(reinterpret_cast<ncclComm_t>(nccl_comm), &options, &comm);
    if (status != HLQ_OK) {
        throw Failure(status, hlq_create_error());
    }
    return comm;
}

std::string nccl_library()
{
    const char *version = nccl().failure.empty() ? nccl().version() : nullptr;
    return version != nullptr ? version : "";
}

} // namespace hlqtorch
