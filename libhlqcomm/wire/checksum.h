/*
 * XXH64, a hash of 64 bits, after its published specification (github.com/Cyan4973/xxHash,
 * doc/xxhash_spec.md). It finds damage on the way, not malice: a change within one word of 8 bytes
 * always shows, any other with a probability of 1 - 2^-64.
 */
#ifndef HLQ_WIRE_CHECKSUM_H
#define HLQ_WIRE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Any alignment. */
uint64_t hlq_checksum(const void *data, size_t bytes, uint64_t seed);

#endif
