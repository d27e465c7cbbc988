/*
 * A few emulated warps (warp.h) in place of a grid. Included after lane words and walks.
 */
#ifndef HLQ_TEST_WARPS_H
#define HLQ_TEST_WARPS_H

#include <kernels/cpu/fp_env.h>

enum { WARPS = 3 };

/* A GPU's arithmetic has no modes, and leaves no flags. */
struct gpu_arithmetic {
    const fp_env saved = fp_env_enter();
    gpu_arithmetic() = default;
    ~gpu_arithmetic() { fp_env_leave(saved); }
    gpu_arithmetic(const gpu_arithmetic &) = delete;
    gpu_arithmetic &operator=(const gpu_arithmetic &) = delete;
};

/* work(share) by every warp, the last one first: nothing may depend on their order. */
template <typename Work> static void on_warps(Work work)
{
    struct job {
        Work *work;
        hlq_share share;
    };
    for (size_t w = WARPS; w-- > 0;) {
        job one = {&work, {w, WARPS}};
        warp_run(
            [](void *p) {
                job *j = static_cast<job *>(p);
                (*j->work)(j->share);
            },
            &one);
    }
}

/* A test may link several units with warps. */
__attribute__((weak)) const char *hlq_gpu_missing(void) { return NULL; }

#endif
