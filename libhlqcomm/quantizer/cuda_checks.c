/*
 * Arguments of calls on GPU memory, checked as far as the host can.
 */
#include "cuda_checks.h"

#include <transport/cuda_calls.h>

enum { DIGITS_ALIGNED = 4 /* kernels take words of them */ };

hlq_status hlq_cuda_launched(int error)
{
    if (!error) return HLQ_OK;
    return hlq_quantizer_fail(HLQ_E_TRANSPORT, "CUDA: %s", hlq_cuda_runtime.error_string(error));
}

hlq_status hlq_cuda_check_memory(const char *what, const void *p, size_t alignment)
{
    int device = -1, current = -1;
    if (!p) return HLQ_OK;
    if ((uintptr_t)p % alignment) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "%s is at %p, which is not aligned to %zu bytes",
                                  what, p, alignment);
    }
    HLQ_TRY(hlq_cuda_launched(hlq_cuda_runtime.device_of(p, &device)));
    HLQ_TRY(hlq_cuda_launched(hlq_cuda_runtime.get_device(&current)));
    if (device < 0) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "%s is not memory of a device", what);
    }
    if (device != current) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "%s is memory of device %d; the current one is %d",
                                  what, device, current);
    }
    return HLQ_OK;
}

hlq_status hlq_cuda_check_digits(const char *what, const void *p)
{
    return hlq_cuda_check_memory(what, p, DIGITS_ALIGNED);
}

hlq_status hlq_cuda_check_numbers(const char *what, const void *p)
{
    return hlq_cuda_check_memory(what, p, sizeof(float));
}
