/*
 * The hash behind sign flips and dither: splitmix64, counted. Part of the wire format.
 */
#ifndef HLQ_BODY_MIX_H
#define HLQ_BODY_MIX_H

#include "plain.h"

#include <stdint.h>

HLQ_PLAIN uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Word i = 0, 1, … of the sequence that a key begins, modulo 2^64. */
HLQ_PLAIN uint64_t mix_counted(uint64_t key, uint64_t i)
{
    return mix(key + (i + 1) * 0x9e3779b97f4a7c15u);
}

#endif
