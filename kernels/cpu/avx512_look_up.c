/*
 * Table look-ups of kernel variant "avx512": over the words of lanes/avx512_look_up.h.
 */
#include "../lanes/avx512_look_up.h"

#define HLQ_VARIANT_NAME avx512
#include "../body/look_up_run.h"
