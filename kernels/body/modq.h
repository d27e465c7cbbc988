/*
 * Addition of digits modulo q, one by one: for the host's digits and for a GPU's.
 */
#ifndef HLQ_BODY_MODQ_H
#define HLQ_BODY_MODQ_H

#include "plain.h"

#include <stdint.h>

/* (a + b) mod q; all bits one if either is no digit. Those of 16 bits come without their sign. */
HLQ_PLAIN uint32_t add_modq(uint32_t q, uint32_t a, uint32_t b)
{
    if (a >= q || b >= q) return UINT32_MAX;
    return a + b < q ? a + b : a + b - q;
}

#endif
