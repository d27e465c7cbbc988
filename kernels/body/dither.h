/*
 * Subtractive dither: a vector u, as if drawn uniformly from the Voronoi cell V of the lattice,
 * that both ends of a message compute. The encoder sends λ = Q(y + u), the decoder takes λ - u for
 * y.
 * Whatever y is, the error (λ - u) - y = -(y + u - Q(y + u)) is then uniform over V, which is
 * symmetric about 0: its mean is 0, and it has nothing to do with y.
 *
 * That holds as long as nothing else depends on u: the scale of a vector is chosen from y alone,
 * such that every u fits (scales.h).
 *
 * u = r - Q(r), where r is uniform over the grid of odd multiples of 1/16384 in [-1, 1)^8. That
 * cube is whole cells of all three lattices (2Z^8 lies in them), so u is uniform over the grid's
 * points modulo the lattice. Q is asked for r without its 1/16384, so u may lie that far outside V.
 */
#ifndef HLQ_BODY_DITHER_H
#define HLQ_BODY_DITHER_H

#include "mix.h"

/* 16 random bits for every number of a block: four from each hash, in the order of elements. */
#ifndef HLQ_RANDOM_IS_A_WORD /* of the vocabulary itself */

HLQ_BODY void random_rows(uint64_t key, uint64_t block, I row[HLQ_ROWS])
{
    enum { HASHES = HLQ_BLOCK_ELEMS / 4 };
    int16_t word[HLQ_BLOCK_ELEMS];
    for (uint64_t i = 0; i < HASHES; i++) {
        uint64_t z = mix_counted(key, HASHES * block + i);
        for (int j = 0; j < 4; j++) word[4 * i + (uint64_t)j] = (int16_t)(z >> 16 * j);
    }
    for (int r = 0; r < HLQ_ROWS; r++) row[r] = i_load(word + HLQ_LANES * r);
}

#endif

/* u of every lane, in doubled coordinates as points are. */
HLQ_BODY void dither_rows(hlq_lattice lattice, uint64_t key, uint64_t block, F u[HLQ_ROWS])
{
    enum { HALF = SPLIT_UNITS / 2 };
    I r[HLQ_ROWS], n[HLQ_ROWS], d[HLQ_ROWS], point[HLQ_ROWS];
    random_rows(key, block, r);
    for (int row = 0; row < HLQ_ROWS; row++) {
        r[row] = i_sra(r[row], 2); /* 14 bits: 1/8192 of -1 … 1 */
        n[row] = i_sra(i_add(r[row], i_set(HALF)), 13);
        d[row] = i_sub(r[row], i_shl(n[row], 13));
    }
    nearest(lattice, HLQ_ROWS, n, d, HALF, point);
    for (int row = 0; row < HLQ_ROWS; row++) {
        F cell = f_from_i(i_sub(r[row], i_shl(point[row], 12))); /* point: halves of 8192 */
        u[row] = f_mul(f_add(cell, f_set(0.5f)), f_set(2.0f / SPLIT_UNITS));
    }
}

#endif
