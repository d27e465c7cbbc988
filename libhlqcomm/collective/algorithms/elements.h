/*
 * Plain arithmetic on tensors as they are, without codes: for native reductions and working copies.
 *
 * An accumulator holds wider numbers than the tensor where that keeps sums exact longer: float for
 * float32, bfloat16 and float16, double for float64, and integers as they are. Integer sums and
 * products are modulo 2^bits. MIN, MAX and PRODUCT of NaN and anything are NaN.
 */
#ifndef HLQ_COLLECTIVE_ELEMENTS_H
#define HLQ_COLLECTIVE_ELEMENTS_H

#include <hlqcomm/hlqcomm.h>

/* Bytes of one accumulated element. */
size_t hlq_elements_wide_bytes(hlq_dtype dtype);

/* acc[i] = data[i]; acc[i] = acc[i] op data[i], AVG being a sum. data may be unaligned. */
void hlq_elements_load(void *acc, const void *data, hlq_dtype dtype, size_t elems);
void hlq_elements_combine(hlq_op op, void *acc, const void *data, hlq_dtype dtype, size_t elems);

/* data[i] = acc[i], times factor if floating point, rounded to dtype (to nearest even); data may be
   unaligned. */
void hlq_elements_store(void *data, const void *acc, hlq_dtype dtype, size_t elems, double factor);

#endif
