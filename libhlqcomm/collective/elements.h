/*
 * Plain arithmetic on tensors as they are, without codes: for native sums and working copies.
 */
#ifndef HLQ_COLLECTIVE_ELEMENTS_H
#define HLQ_COLLECTIVE_ELEMENTS_H

#include <hlqcomm/hlqcomm.h>

/* sum[i] += data[i], in fp32; data may be unaligned. */
void hlq_elements_add(float *sum, const void *data, hlq_dtype dtype, size_t elems);

/* data[i] = sum[i] * factor, rounded to dtype (to nearest even); data may be unaligned. */
void hlq_elements_store(void *data, const float *sum, hlq_dtype dtype, size_t elems, float factor);

#endif
