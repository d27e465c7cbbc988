/*
 * The quantizer for tensors on CUDA devices (hlqcomm/cuda.h). The library hlqcomm_cuda is loaded
 * when it is first asked for, so that one build of the adapter, by a torch without CUDA as well,
 * serves machines with and without; streams come from c10's interface to all kinds of devices.
 */
#pragma once

#include "quantizers.h"

#include <hlqcomm/cuda.h>

#include <c10/core/Device.h>
#include <c10/core/DeviceGuard.h>

namespace hlqtorch {

/* The functions hlq_cuda_NAME. */
#define HLQTORCH_CUDA_FUNCTIONS(X)                                                                 \
    X(nearest)                                                                                     \
    X(encode)                                                                                      \
    X(decode)                                                                                      \
    X(quantize)                                                                                    \
    X(digits_add_modq)                                                                             \
    X(digits_add)                                                                                  \
    X(digits_to_flat)                                                                              \
    X(flat_to_digits)                                                                              \
    X(digits_pack)                                                                                 \
    X(digits_unpack)                                                                               \
    X(lut_create)                                                                                  \
    X(lut_dot)                                                                                     \
    X(lut_build_one_sided)                                                                         \
    X(lut_dot_one_sided)                                                                           \
    X(rows_workspace)                                                                              \
    X(rows_quantize)                                                                               \
    X(linear_create)                                                                               \
    X(linear_destroy)                                                                              \
    X(linear_unpack)                                                                               \
    X(linear_workspace)                                                                            \
    X(linear_forward)

struct CudaQuantizer {
#define DECLARE(name) decltype(&hlq_cuda_##name) name = nullptr;
    HLQTORCH_CUDA_FUNCTIONS(DECLARE)
#undef DECLARE
    std::string failure;
};

/* Throws Failure where libhlqcomm was built without CUDA, that is where this is false. */
const CudaQuantizer &cuda_quantizer();
bool quantizes_cuda();

/* The table of lut_of() in the memory of the current device, which is this one. Made at first use,
 * and kept as long as the process lives: graphs of torch may have its address. */
const hlq_cuda_lut *cuda_lut_of(const Spec &spec, c10::Device device);

/* The stream on which torch puts work of this thread. */
hlq_stream stream_handle(c10::Device device);

/* Calls host(), or, for tensors on a CUDA device, cuda(functions, stream) there; throws what
 * libhlqcomm says if that fails. */
template <typename Host, typename Cuda> void run_on(c10::Device device, Host host, Cuda cuda)
{
    if (device.is_cpu()) {
        check(host());
        return;
    }
    const c10::DeviceGuard guard(device);
    check(cuda(cuda_quantizer(), stream_handle(device)));
}

} // namespace hlqtorch
