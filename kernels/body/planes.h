/*
 * Bit planes: word 8j+r of a block holds bit j of row r over its 32 lanes. Codes are added modulo
 * 2^bits on the planes themselves: a ripple carry of whole words, no unpacking.
 */
#ifndef HLQ_BODY_PLANES_H
#define HLQ_BODY_PLANES_H

#include <stdint.h>

#ifndef HLQ_PLANES_ARE_WORDS /* of the vocabulary itself */

HLQ_BODY void planes_store(const I z[HLQ_ROWS], int bits, uint32_t *planes)
{
    for (int j = 0; j < bits; j++) {
        for (int r = 0; r < HLQ_ROWS; r++) planes[8 * j + r] = i_plane(z[r], j);
    }
}

HLQ_BODY void planes_load(const uint32_t *planes, int bits, I z[HLQ_ROWS])
{
    for (int r = 0; r < HLQ_ROWS; r++) z[r] = i_set(0);
    for (int j = 0; j < bits; j++) {
        for (int r = 0; r < HLQ_ROWS; r++) z[r] = i_set_plane(z[r], planes[8 * j + r], j);
    }
}

#endif

/* The first `rows` rows of every plane. */
HLQ_BODY void planes_ripple(uint32_t *__restrict acc, const uint32_t *__restrict in, int bits,
                            int rows)
{
    uint32_t carry[HLQ_ROWS] = {0};
    for (int j = 0; j < bits; j++, acc += HLQ_PLANE_WORDS, in += HLQ_PLANE_WORDS) {
        for (int r = 0; r < rows; r++) {
            uint32_t a = acc[r], b = in[r], half = a ^ b;
            acc[r] = half ^ carry[r];
            carry[r] = (a & b) | (half & carry[r]);
        }
    }
}

#endif
