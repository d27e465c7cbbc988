/*
 * What this processor can run, as bits of a mask. Each bit stands for everything a variant needs,
 * the operating system's support for its registers included.
 */
#ifndef HLQ_CPU_FEATURES_H
#define HLQ_CPU_FEATURES_H

#include <stdint.h>

enum {
    HLQ_CPU_AVX2 = 1 << 0,
    HLQ_CPU_AVX512 = 1 << 1, /* F, BW, DQ, VL */
    HLQ_CPU_VBMI = 1 << 2,   /* of AVX-512, and GFNI */
    HLQ_CPU_NEON = 1 << 3,   /* of AArch64 */
};

uint32_t hlq_cpu_features(void);

#endif
