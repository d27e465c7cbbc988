/*
 * The floating-point environment kernels run in: round to nearest, denormals kept. Programs that
 * flush denormals (torch.set_flush_denormal) get their own setting back.
 */
#ifndef HLQ_CPU_FP_ENV_H
#define HLQ_CPU_FP_ENV_H

#include <stdint.h>

#if defined(__x86_64__)
#include <xmmintrin.h>

typedef uint32_t fp_env;

static inline fp_env fp_env_enter(void)
{
    fp_env saved = _mm_getcsr();
    _mm_setcsr(
        0x1f80); /* all exceptions masked, nearest, no flush-to-zero, no denormals-are-zero */
    return saved;
}
static inline void fp_env_leave(fp_env saved) { _mm_setcsr(saved); }

#elif defined(__aarch64__)

typedef uint64_t fp_env;

static inline fp_env fp_env_enter(void)
{
    fp_env saved;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0));
    return saved;
}
static inline void fp_env_leave(fp_env saved) { __asm__ volatile("msr fpcr, %0" : : "r"(saved)); }

#else

typedef int fp_env;

static inline fp_env fp_env_enter(void) { return 0; }
static inline void fp_env_leave(fp_env saved) { (void)saved; }

#endif
#endif
