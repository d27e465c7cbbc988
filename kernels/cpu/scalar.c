/*
 * Kernel variant "scalar": the block bodies, compiled over the lane words of lanes/scalar_i16.h.
 */
#include "../kernels.h"
#include "../lanes/scalar_i16.h"

#define HLQ_VARIANT_NAME scalar
#include "../body/run.h"
