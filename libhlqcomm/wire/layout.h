/*
 * Where the fields of a segment lie: what segment.c and devices (cuda/) share. segment.h has the
 * picture.
 */
#ifndef HLQ_WIRE_LAYOUT_H
#define HLQ_WIRE_LAYOUT_H

#include "segment.h"

#include <kernels/body/plain.h>

enum {
    BASE_AT = 8,
    CHECKSUM_AT = HLQ_HEADER_BYTES - 8, /* the header ends with it */
    SUM_BYTES = 8,                      /* a piece begins with one */
};

HLQ_PLAIN void put(uint8_t *p, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) p[i] = (uint8_t)(value >> 8 * i);
}

HLQ_PLAIN uint64_t get(const uint8_t *p, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint64_t)p[i] << 8 * i;
    return value;
}

HLQ_PLAIN int get_signed16(const uint8_t *p) { return (int16_t)get(p, 2); }

HLQ_PLAIN size_t round_up_4(size_t bytes) { return (bytes + 3) / 4 * 4; }

HLQ_PLAIN size_t wide_bytes(size_t blocks) { return (blocks + 7) / 8; }

/* Of a piece, before its side words. */
HLQ_PLAIN size_t piece_overhead(size_t blocks)
{
    return SUM_BYTES + round_up_4(wide_bytes(blocks));
}

/* What of a header both ends know, in the order in which it is checked. */
enum { KNOWN_FIELDS = 9 };

HLQ_PLAIN int64_t known_field(const uint8_t *header, int i)
{
    switch (i) {
    case 0: return (int64_t)get(header, 4);       /* magic */
    case 1: return header[4];                     /* version */
    case 2: return header[5];                     /* form */
    case 3: return header[6];                     /* lattice */
    case 4: return header[7];                     /* dither */
    case 5: return get_signed16(header + 10);     /* spread */
    case 6: return (int64_t)get(header + 12, 4);  /* call */
    case 7: return (int64_t)get(header + 16, 8);  /* first block */
    default: return (int64_t)get(header + 24, 8); /* blocks */
    }
}

#endif
