/*
 * Table look-ups of kernel variant "neon": over the words of lanes/neon_look_up.h.
 */
#include "../lanes/neon_look_up.h"

#define HLQ_VARIANT_NAME neon
#include "../body/look_up_run.h"
