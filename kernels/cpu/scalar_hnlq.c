/*
 * The quantizer's functions of kernel variant "scalar": over the lane words of lanes/scalar_i32.h.
 */
#include "../kernels.h"
#include "../lanes/scalar_i32.h"

#define HLQ_VARIANT_NAME scalar
#include "../body/hnlq_run.h"
