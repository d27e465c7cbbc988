/*
 * Detection by CPUID and XCR0: an instruction set counts only if the operating system also saves
 * its registers. NEON is part of every AArch64.
 */
#include "features.h"

#if defined(__x86_64__)
#include <cpuid.h>

static uint64_t xcr0(void)
{
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

uint32_t hlq_cpu_features(void)
{
    enum { OSXSAVE = 1 << 27, AVX = 1 << 28, F16C = 1 << 29 };       /* leaf 1, ecx */
    enum { AVX2 = 1 << 5, F = 1 << 16, DQ = 1 << 17, BW = 1 << 30 }; /* leaf 7, ebx */
    const uint32_t VL = UINT32_C(1) << 31;
    enum { VBMI = 1 << 1, GFNI = 1 << 8 }; /* leaf 7, ecx */
    enum { YMM = 0x6, ZMM = 0xe6 };        /* XCR0 */
    uint32_t a, b, c, d, found = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE) || !(c & AVX)) return 0;
    int f16c = (c & F16C) != 0;
    uint64_t saved = xcr0();
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    if ((b & AVX2) && f16c && (saved & YMM) == YMM) found |= HLQ_CPU_AVX2;
    if ((b & F) && (b & DQ) && (b & BW) && (b & VL) && (saved & ZMM) == ZMM) {
        found |= HLQ_CPU_AVX512;
        if ((c & VBMI) && (c & GFNI)) found |= HLQ_CPU_VBMI;
    }
    return found;
}

#elif defined(__aarch64__)

uint32_t hlq_cpu_features(void) { return HLQ_CPU_NEON; }

#else

uint32_t hlq_cpu_features(void) { return 0; }

#endif
