/*
 * The GPU's kernels, run on the emulated warp (warp_*.cpp).
 */
#ifndef HLQ_TEST_WARP_KERNELS_H
#define HLQ_TEST_WARP_KERNELS_H

#include <kernels/cuda/cuda_hnlq.h>
#include <kernels/cuda/cuda_kernels.h>
#include <kernels/cuda/cuda_look_up.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All but encode_within, which GPUs do not have. */
extern const hlq_kernels hlq_kernels_warp;

/* encode and decode. */
extern const hlq_hnlq_kernels hlq_hnlq_kernels_warp;

/* hlq_cuda_starts() and hlq_cuda_sum_up(). */
int hlq_warp_starts(const uint8_t *bits, size_t blocks, hlq_start *start);
int hlq_warp_sum_up(const hlq_cuda_sum *sum);

/* hlq_cuda_tables() and hlq_cuda_sums(). */
void hlq_warp_tables(const hlq_points *points, const float *x, size_t blocks, float factor,
                     int planes, int8_t *tables);
void hlq_warp_sums(const hlq_cuda_strips *strips);

/* f_sum_lanes(); all lanes have it, or the program ends. */
float hlq_warp_sum_lanes(const float x[32]);

#ifdef __cplusplus
}
#endif

#endif
