/*
 * Kernel variant "avx512": the block bodies, compiled over the lane words of lanes/avx512_i16.h.
 */
#include "../kernels.h"
#include "../lanes/avx512_i16.h"

#define HLQ_VARIANT_NAME avx512
#include "../body/run.h"
