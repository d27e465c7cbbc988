/*
 * Kernels as work on the streams of stand_in.h, done by the emulated warp of warp.h.
 */
#ifndef HLQ_TEST_STAND_IN_KERNELS_H
#define HLQ_TEST_STAND_IN_KERNELS_H

#include <kernels/cuda/cuda_kernels.h>

#ifdef __cplusplus
extern "C" {
#endif

/* run(argument), one kernel at a time: the emulated warp is one. The argument is copied, as a
   kernel's parameters are. Returns CUDA's error if gpu_fail_next() has asked for one. */
int stand_in_kernel(hlq_stream stream, void (*run)(const void *argument), const void *argument,
                    size_t bytes);

#ifdef __cplusplus
}

#include <type_traits>

/* walk(share) by every warp; included after warps.h. */
template <typename Walk> static int put_walk(hlq_stream stream, Walk walk)
{
    static_assert(std::is_trivially_copyable<Walk>::value, "it is copied as bytes");
    return stand_in_kernel(
        stream,
        [](const void *argument) {
            const gpu_arithmetic arithmetic;
            on_warps(*static_cast<const Walk *>(argument));
        },
        &walk, sizeof walk);
}
#endif

#endif
