/* Arithmetic of gains; gpu_gain.h tells. */
#include "gpu_gain.h"

gpu_gain gpu_gain_of(const gpu_bench *b, int ranks, double seconds)
{
    gpu_gain gain = {.ranks = ranks, .seconds = seconds};
    double others = (double)(ranks - 1);
    for (int p = 1; p < ranks; p++) gain.sent_bytes += (double)gpu_frame(b, p, ranks, 0, 0).bytes;
    gain.sent_bytes += others * (double)gpu_frame(b, 0, ranks, 0, 1).bytes; /* rank 0's sums */
    gain.bf16_bytes = 2 * others / (double)ranks * 2 * (double)b->elems;
    return gain;
}

double gpu_gain_at(const gpu_gain *gain, double bits_per_second)
{
    double bf16_seconds = 8 * gain->bf16_bytes / bits_per_second;
    return bf16_seconds / (8 * gain->sent_bytes / bits_per_second + gain->seconds);
}

double gpu_gain_break_even(const gpu_gain *gain)
{
    return 8 * (gain->bf16_bytes - gain->sent_bytes) / gain->seconds;
}

gpu_link gpu_link_at(int i)
{
    static const gpu_link links[] = {
        {"10 Gb/s", 10e9},   {"25 Gb/s", 25e9},    {"100 Gb/s", 100e9}, {"200 Gb/s", 200e9},
        {"400 Gb/s", 400e9}, {"900 GB/s", 7.2e12}, {NULL, 0},
    };
    return links[i];
}
