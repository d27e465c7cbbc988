/*
 * Table look-ups of kernel variant "scalar": over the words of lanes/scalar_look_up.h.
 */
#include "../lanes/scalar_look_up.h"

#define HLQ_VARIANT_NAME scalar
#include "../body/look_up_run.h"
