/*
 * Kernel variant "neon": the block bodies, compiled over the lane words of lanes/neon_i16.h.
 */
#include "../kernels.h"
#include "../lanes/neon_i16.h"

#define HLQ_VARIANT_NAME neon
#include "../body/run.h"
