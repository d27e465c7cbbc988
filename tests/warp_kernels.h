/*
 * The GPU's kernels, run on the emulated warp (warp_kernels.cpp).
 */
#ifndef HLQ_TEST_WARP_KERNELS_H
#define HLQ_TEST_WARP_KERNELS_H

#include <kernels/cuda/cuda_kernels.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All but encode_within, which GPUs do not have. */
extern const hlq_kernels hlq_kernels_warp;

/* hlq_cuda_starts(). */
void hlq_warp_starts(const uint8_t *bits, size_t blocks, hlq_start *start);

/* f_sum_lanes(); all lanes have it, or the program ends. */
float hlq_warp_sum_lanes(const float x[32]);

/* hlq_cuda_sum_up() from 0. */
void hlq_warp_sum(const hlq_place *place, const hlq_run *run, int count, const hlq_source *own,
                  int own_at, int unit, float *acc, int16_t *exponent);

#ifdef __cplusplus
}
#endif

#endif
