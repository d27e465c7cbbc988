/*
 * Which vectors have a one-sided table: on the host and on a GPU.
 */
#ifndef HLQ_BODY_ONE_SIDED_H
#define HLQ_BODY_ONE_SIDED_H

#include "plain.h"

#include <float.h>
#include <math.h>

HLQ_PLAIN double norm_of(const float *y, int dim)
{
    double norm2 = 0;
    for (int j = 0; j < dim; j++) norm2 += (double)y[j] * (double)y[j];
    return sqrt(norm2);
}

/* No entry may leave fp32: |⟨y, p⟩| ≤ ‖y‖ ‖p‖, and no ‖p‖ is larger than `longest`. NaN and Inf do
   not fit. */
HLQ_PLAIN int fits_table(const float *y, int dim, double longest)
{
    return norm_of(y, dim) * longest <= FLT_MAX;
}

#endif
