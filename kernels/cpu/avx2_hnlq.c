/*
 * The quantizer's functions of kernel variant "avx2": over the lane words of lanes/avx2_i32.h.
 */
#include "../kernels.h"
#include "../lanes/avx2_i32.h"

#define HLQ_VARIANT_NAME avx2
#include "../body/hnlq_run.h"
