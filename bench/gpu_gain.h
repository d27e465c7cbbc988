/*
 * What an all-reduce gains over one of bf16 on a link, where nothing overlaps: time of the GPU, as
 * it was measured, and of the bytes. bf16 goes around a ring, whose sums are taken to cost nothing.
 */
#ifndef HLQ_BENCH_GPU_GAIN_H
#define HLQ_BENCH_GPU_GAIN_H

#include "gpu_bench.h"

/* Of each of these ranks. */
typedef struct gpu_gain {
    int ranks;
    double seconds;    /* the GPU's */
    double sent_bytes; /* coded, by the rank that sends most */
    double bf16_bytes;
} gpu_gain;

/* seconds: of the case all_reduce. */
gpu_gain gpu_gain_of(const gpu_bench *bench, int ranks, double seconds);

/* Time of bf16 by ours, on a link of so many bits per second in each direction. */
double gpu_gain_at(const gpu_gain *gain, double bits_per_second);

/* The link on which both take as long; faster ones are better off with bf16. */
double gpu_gain_break_even(const gpu_gain *gain);

/* Links to tell of: i = 0, 1, … until name is NULL. */
typedef struct gpu_link {
    const char *name;
    double bits_per_second;
} gpu_link;

gpu_link gpu_link_at(int i);

#endif
