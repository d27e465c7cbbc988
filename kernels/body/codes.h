/*
 * Codes of lattice points: z = G^-1 x modulo 2^bits, and back. Adding codes modulo 2^bits adds
 * points modulo 2^bits times the lattice. Coordinates x are doubled, columns of up to 8 rows.
 *
 * Generators (columns; notes in docs/):
 *   E8   (2,0…), (-1,1,0…), (0,-1,1,0…) … (0…-1,1,0), (½…½): G^-1 is upper triangular, so z are
 *        running sums from the last row up
 *   D4   (-1,-1,0,0), (1,-1,0,0), (0,1,-1,0), (0,0,1,-1)
 *   Z    the identity
 */
#ifndef HLQ_BODY_CODES_H
#define HLQ_BODY_CODES_H

HLQ_BODY void codes_from_point(hlq_lattice lattice, int rows, const I x[HLQ_ROWS], I z[HLQ_ROWS])
{
    if (lattice == HLQ_LATTICE_E8) {
        I sum = i_set(0);
        z[7] = x[7];
        for (int r = 6; r >= 0; r--) {
            sum = i_add(sum, i_sra(i_sub(x[r], x[7]), 1));
            z[r] = sum;
        }
        z[0] = i_sra(z[0], 1);
    }
    if (lattice == HLQ_LATTICE_D4) {
        for (int v = 0; v < rows; v += 4) {
            I x0 = i_sra(x[v], 1), x1 = i_sra(x[v + 1], 1);
            I tail = i_sra(i_add(x[v + 2], x[v + 3]), 1);
            I sum = i_add(x1, tail);
            z[v] = i_sra(i_sub(i_set(0), i_add(x0, sum)), 1);
            z[v + 1] = i_sra(i_sub(x0, sum), 1);
            z[v + 2] = i_sub(i_set(0), tail);
            z[v + 3] = i_sub(i_set(0), i_sra(x[v + 3], 1));
        }
    }
    if (lattice == HLQ_LATTICE_Z) {
        for (int r = 0; r < rows; r++) z[r] = i_sra(x[r], 1);
    }
}

/* G z, doubled, for 0 ≤ z < 2^12: fits 16 bits. */
HLQ_BODY void point_from_codes(hlq_lattice lattice, int rows, const I z[HLQ_ROWS], I x[HLQ_ROWS])
{
    if (lattice == HLQ_LATTICE_E8) {
        x[7] = z[7];
        x[6] = i_add(i_shl(z[6], 1), z[7]);
        for (int r = 5; r >= 1; r--) x[r] = i_add(i_shl(i_sub(z[r], z[r + 1]), 1), z[7]);
        x[0] = i_add(i_shl(i_sub(i_shl(z[0], 1), z[1]), 1), z[7]);
    }
    if (lattice == HLQ_LATTICE_D4) {
        for (int v = 0; v < rows; v += 4) {
            x[v] = i_shl(i_sub(z[v + 1], z[v]), 1);
            x[v + 1] = i_shl(i_sub(z[v + 2], i_add(z[v], z[v + 1])), 1);
            x[v + 2] = i_shl(i_sub(z[v + 3], z[v + 2]), 1);
            x[v + 3] = i_shl(i_sub(i_set(0), z[v + 3]), 1);
        }
    }
    if (lattice == HLQ_LATTICE_Z) {
        for (int r = 0; r < rows; r++) x[r] = i_shl(z[r], 1);
    }
}

/* x minus 2^bits times the lattice point nearest to x / 2^bits: the member of the code. */
HLQ_BODY void reduce_point(hlq_lattice lattice, int bits, I x[HLQ_ROWS])
{
    int half = 1 << bits; /* x is doubled: x/2^bits = x / (2 half) */
    I n[HLQ_ROWS], d[HLQ_ROWS], coarse[HLQ_ROWS];
    for (int r = 0; r < HLQ_ROWS; r++) {
        n[r] = i_sra(i_add(x[r], i_set(half)), bits + 1);
        d[r] = i_sub(x[r], i_shl(n[r], bits + 1));
    }
    nearest(lattice, HLQ_ROWS, n, d, half, coarse);
    for (int r = 0; r < HLQ_ROWS; r++) x[r] = i_sub(x[r], i_shl(coarse[r], bits));
}

#endif
