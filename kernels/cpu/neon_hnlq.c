/*
 * The quantizer's functions of kernel variant "neon": over the lane words of lanes/neon_i32.h.
 */
#include "../kernels.h"
#include "../lanes/neon_i32.h"

#define HLQ_VARIANT_NAME neon
#include "../body/hnlq_run.h"
