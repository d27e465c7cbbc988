/*
 * Kernel variant "avx512vbmi": the block bodies, over the lane words of lanes/avx512_i16.h. It
 * differs from avx512 in its look-ups alone.
 */
#include "../kernels.h"
#include "../lanes/avx512_i16.h"

#define HLQ_VARIANT_NAME avx512vbmi
#include "../body/run.h"
