/*
 * Target mode: the walk before the walk, which sets bits, or NATIVE where 12 are not enough.
 */
#ifndef HLQ_COLLECTIVE_TARGET_H
#define HLQ_COLLECTIVE_TARGET_H

#include "choose.h"

extern const hlq_algorithm_entry hlq_target;

#endif
