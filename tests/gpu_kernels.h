/*
 * The GPU's kernels, on memory of the host: run on the emulated warp by warp_*.cpp, on a GPU by
 * device_*.c. A test links one or the other.
 */
#ifndef HLQ_TEST_GPU_KERNELS_H
#define HLQ_TEST_GPU_KERNELS_H

#include <kernels/cuda/cuda_hnlq.h>
#include <kernels/cuda/cuda_kernels.h>
#include <kernels/cuda/cuda_look_up.h>

#include <stdio.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All but encode_within, which GPUs do not have. */
extern const hlq_kernels hlq_kernels_gpu;

/* The functions of cuda_hnlq.h. */
void hlq_gpu_hnlq_encode(const hlq_cuda_vectors *vectors, const float *x);
void hlq_gpu_hnlq_quantize(const hlq_cuda_vectors *vectors, const float *x, float *out);
void hlq_gpu_hnlq_decode(const hlq_cuda_vectors *vectors, int layers, float *x);
void hlq_gpu_hnlq_add(const hlq_cuda_vectors *vectors, const void *a, const void *b);
void hlq_gpu_hnlq_flatten(const hlq_cuda_vectors *vectors, uint32_t *flat);
void hlq_gpu_hnlq_unflatten(const hlq_cuda_vectors *vectors, const uint32_t *flat);
void hlq_gpu_hnlq_add_modq(const hlq_cuda_modq *sum);

/* hlq_cuda_starts() and hlq_cuda_sum_up(). */
void hlq_gpu_starts(const uint8_t *bits, size_t blocks, hlq_start *start);
void hlq_gpu_sum_up(const hlq_cuda_sum *sum);

/* hlq_cuda_tables(), hlq_cuda_sums() and hlq_cuda_finish(). */
void hlq_gpu_tables(const hlq_points *points, const float *x, const hlq_look_up_row *row,
                    size_t rows, size_t blocks, int planes, int8_t *tables);
void hlq_gpu_sums(const hlq_cuda_strips *strips);
void hlq_gpu_finish(const hlq_cuda_products *products);

/* Of the emulated warp: f_sum_lanes(), and squared_distance() of body/rows.h; all lanes have it, or
   the program ends. */
float hlq_warp_sum_lanes(const float x[32]);
double hlq_warp_squared_distance(const float *x, const float *y, size_t count);

/* Why there is no GPU to run them on; NULL if there is, or if none is needed. */
const char *hlq_gpu_missing(void);

/* Ends the program as skipped (CMakeLists.txt), with that reason. */
static inline void hlq_skip_without_gpu(void)
{
    const char *missing = hlq_gpu_missing();
    if (!missing) return;
    printf("skipped: %s\n", missing);
    exit(77);
}

#ifdef __cplusplus
}
#endif

#endif
