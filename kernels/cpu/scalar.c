/*
 * Kernel variant "scalar": the block bodies, compiled over the lane words of lanes/scalar.h.
 */
#include "../kernels.h"
#include "../lanes/scalar.h"

#define HLQ_VARIANT_NAME scalar
#include "../body/run.h"
