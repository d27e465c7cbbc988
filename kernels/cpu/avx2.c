/*
 * Kernel variant "avx2": the block bodies, compiled over the lane words of lanes/avx2_i16.h.
 */
#include "../kernels.h"
#include "../lanes/avx2_i16.h"

#define HLQ_VARIANT_NAME avx2
#include "../body/run.h"
