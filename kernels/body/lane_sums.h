/*
 * Sums of double in an order that 32 lanes can keep, whether they are threads or not:
 *
 *     lane l adds what stands at l, l + 32, l + 64 … in turn; then lanes 16 apart, 8, 4, 2, 1
 *
 * The host and GPUs compile this one. Where lanes are threads, each has its own number, and all of
 * a warp get the sum.
 */
#ifndef HLQ_BODY_LANE_SUMS_H
#define HLQ_BODY_LANE_SUMS_H

#include "plain.h"

enum { HLQ_SUM_LANES = 32 };

#ifdef HLQ_LANES_ARE_THREADS
enum { LANES_HERE = 1 }; /* from first_lane() on */

HLQ_PLAIN int first_lane(void) { return lane(); }

HLQ_PLAIN double sum_of_lanes(const double sum[LANES_HERE])
{
    double all = sum[0];
    for (int d = HLQ_SUM_LANES / 2; d; d /= 2) all += __shfl_xor_sync(WHOLE_WARP, all, d);
    return all;
}
#else
enum { LANES_HERE = HLQ_SUM_LANES };

HLQ_PLAIN int first_lane(void) { return 0; }

/* Uses up `sum`. */
HLQ_PLAIN double sum_of_lanes(double sum[LANES_HERE])
{
    for (int d = HLQ_SUM_LANES / 2; d; d /= 2) {
        for (int l = 0; l < d; l++) sum[l] += sum[l + d];
    }
    return sum[0];
}
#endif

#endif
