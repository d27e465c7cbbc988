/*
 * The rotation: random sign flips, then a 256-point Walsh-Hadamard transform. Afterwards the
 * coordinates are near Gaussian whatever the tensor held, and no single number carries the block.
 *
 * Element index bits: rows r2 r1 r0, lanes l4 l3 l2 l1 l0. A butterfly between two rows is one add
 * and one subtract; a butterfly between lanes would need shuffles on top. So lane bit b first
 * trades places with a row bit (f_exchange) and the butterfly runs between rows. Lane bits 0 … 4
 * pair with row bits 0 1 2 0 1; nothing moves back, which leaves the rotated coordinates permuted:
 * a fixed relabelling, undone by walking the same steps backwards.
 *
 * The transform is not normalized: norms grow by 16 each way.
 */
#ifndef HLQ_BODY_ROTATE_H
#define HLQ_BODY_ROTATE_H

#include "mix.h"

/* The sign pattern of a block, one word per row: hashes counted by position. */
HLQ_BODY void sign_words(uint64_t seed, uint64_t block, uint32_t sign[HLQ_ROWS])
{
    for (int i = 0; i < HLQ_ROWS / 2; i++) {
        uint64_t z = mix_counted(seed, 4 * block + (uint64_t)i);
        sign[2 * i] = (uint32_t)z;
        sign[2 * i + 1] = (uint32_t)(z >> 32);
    }
}

/* Sum and difference of all pairs of rows whose index differs in `bit`. */
HLQ_BODY void butterfly_rows(F y[HLQ_ROWS], int bit)
{
    for (int r = 0; r < HLQ_ROWS; r++) {
        if (r & bit) continue;
        F a = y[r], b = y[r | bit];
        y[r] = f_add(a, b);
        y[r | bit] = f_sub(a, b);
    }
}

HLQ_BODY void exchange_rows(F y[HLQ_ROWS], int bit, int distance)
{
    for (int r = 0; r < HLQ_ROWS; r++) {
        if (!(r & bit)) f_exchange(&y[r], &y[r | bit], distance);
    }
}

HLQ_BODY void transform_forward(F y[HLQ_ROWS])
{
    butterfly_rows(y, 1);
    butterfly_rows(y, 2);
    butterfly_rows(y, 4);
    exchange_rows(y, 1, 1), butterfly_rows(y, 1);
    exchange_rows(y, 2, 2), butterfly_rows(y, 2);
    exchange_rows(y, 4, 4), butterfly_rows(y, 4);
    exchange_rows(y, 1, 8), butterfly_rows(y, 1);
    exchange_rows(y, 2, 16), butterfly_rows(y, 2);
}

HLQ_BODY void transform_backward(F y[HLQ_ROWS])
{
    butterfly_rows(y, 2), exchange_rows(y, 2, 16);
    butterfly_rows(y, 1), exchange_rows(y, 1, 8);
    butterfly_rows(y, 4), exchange_rows(y, 4, 4);
    butterfly_rows(y, 2), exchange_rows(y, 2, 2);
    butterfly_rows(y, 1), exchange_rows(y, 1, 1);
    butterfly_rows(y, 4);
    butterfly_rows(y, 2);
    butterfly_rows(y, 1);
}

HLQ_BODY void rotate(F y[HLQ_ROWS], const uint32_t sign[HLQ_ROWS])
{
    for (int r = 0; r < HLQ_ROWS; r++) y[r] = f_flip(y[r], sign[r]);
    transform_forward(y);
}

HLQ_BODY void unrotate(F y[HLQ_ROWS], const uint32_t sign[HLQ_ROWS])
{
    transform_backward(y);
    for (int r = 0; r < HLQ_ROWS; r++) y[r] = f_flip(y[r], sign[r]);
}

#endif
