/*
 * Table look-ups of kernel variant "avx512vbmi": over the words of lanes/avx512vbmi_look_up.h.
 */
#include "../lanes/avx512vbmi_look_up.h"

#define HLQ_VARIANT_NAME avx512vbmi
#include "../body/look_up_run.h"
