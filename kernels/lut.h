/*
 * Inner products of codes from look-up tables: what the host (libhlqcomm/quantizer/lut_dot.c) and
 * GPUs (cuda/cuda_lut.h) look up, and the order in which both add it up, so that sums are the same
 * bit by bit:
 *
 *   integers of one scale   exact over runs of HLQ_RUN_VECTORS vectors; each run's sum, times the
 *                           scale, is added to the total in double, in order
 *   everything else         terms are scaled in double; body/lane_sums.h, where vector v has lane
 *                           v mod 32
 */
#ifndef HLQ_KERNELS_LUT_H
#define HLQ_KERNELS_LUT_H

#include "hnlq.h"

enum {
    /* Entries are at most 2^15 and the weights of a vector add up to less than 2^32, so that the
       integers of a run fit 64 bits. */
    HLQ_RUN_VECTORS = 1 << 15,
};

/* A two-sided table, and what its entries count in a pair of vectors of these depths. */
typedef struct hlq_pairs {
    hlq_lut_type type;
    size_t side; /* q^dim */
    union {      /* [side, side] */
        const void *any;
        const int8_t *int8;
        const int16_t *int16;
        const float *float32;
    } entries;
    int depth_a, depth_b;
    int64_t weight[2 * HLQ_DEPTH_MAX]; /* q^(i+j), of layers i and j */
} hlq_pairs;

#endif
