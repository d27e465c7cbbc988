/*
 * The quantizer's functions of kernel variant "avx512vbmi": over the lane words of
 * lanes/avx512_i32.h.
 */
#include "../kernels.h"
#include "../lanes/avx512_i32.h"

#define HLQ_VARIANT_NAME avx512vbmi
#include "../body/hnlq_run.h"
