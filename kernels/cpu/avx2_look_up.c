/*
 * Table look-ups of kernel variant "avx2": over the words of lanes/avx2_look_up.h.
 */
#include "../lanes/avx2_look_up.h"

#define HLQ_VARIANT_NAME avx2
#include "../body/look_up_run.h"
