/*
 * Kernel variant "avx512vbmi": the block bodies, over the lane words of lanes/avx512vbmi_i16.h. It
 * differs from avx512 in its bit planes and look-ups.
 */
#include "../kernels.h"
#include "../lanes/avx512vbmi_i16.h"

#define HLQ_VARIANT_NAME avx512vbmi
#include "../body/run.h"
