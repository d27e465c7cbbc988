/*
 * Nearest lattice points and Voronoi norms, in integers.
 *
 * Points are written in doubled coordinates (E8 holds halves), columns of up to 8 rows.
 *
 * nearest(): the value to round comes split, x = n + d / (2 half) with n the nearest integer (ties
 * up) and d in [-half, half); half is a power of two. So the encoder (fixed-point fractions) and
 * the decoder (a point divided by 2^bits) share one routine, exact in 16 bits for half ≤ 4096.
 *
 * Ties are what makes nested codes decode to what was encoded, so the rule is part of the format
 * and translation invariant: integers round up, the first largest residual is the one re-rounded
 * (up, if its residual is zero), and between the cosets of E8 the smaller first coordinate wins.
 * Source: nearest points after Conway and Sloane 1982; the tie rule by exhaustive test.
 */
#ifndef HLQ_BODY_NEAREST_H
#define HLQ_BODY_NEAREST_H

HLQ_BODY void nearest_z(int rows, const I n[HLQ_ROWS], I point[HLQ_ROWS])
{
    for (int r = 0; r < rows; r++) point[r] = i_shl(n[r], 1);
}

/* D4: integers with even sum. Four rows are a vector. */
HLQ_BODY void nearest_d4(int rows, const I n[HLQ_ROWS], const I d[HLQ_ROWS], I point[HLQ_ROWS])
{
    const I two = i_set(2), none = i_set(0);
    for (int v = 0; v < rows; v += 4) {
        I parity = none, worst = none;
        for (int r = v; r < v + 4; r++) {
            parity = i_xor(parity, n[r]);
            worst = i_max(worst, i_abs(d[r]));
        }
        M todo = i_odd(parity);
        for (int r = v; r < v + 4; r++) {
            M here = m_and(i_eq(i_abs(d[r]), worst), todo);
            todo = m_andnot(todo, here);
            point[r] = i_add_signed(i_shl(n[r], 1), i_select(here, two, none), d[r]);
        }
    }
}

/*
 * E8 = D8 ∪ (D8 + ½). With a = |d|, the candidates of both cosets follow from the same pass:
 *   integers   n, and if their sum is odd, the row of largest a goes one further: + 2 half - 2 a
 *   halves     n ± ½ towards x; odd: the row of smallest a turns back: + 2 a
 * (costs: growth of the squared distance over 2 half). Halves alone cost Σ (half - 2a/2 …) =
 * 4 half - Σ a more than integers alone. Coordinates are doubled: 2n + step in the direction of d.
 */
HLQ_BODY void nearest_e8(const I n[HLQ_ROWS], const I d[HLQ_ROWS], int half, I point[HLQ_ROWS])
{
    const I zero = i_set(0);
    I a[HLQ_ROWS], sum = zero, most = zero, least = i_set(half), parity = zero, signs = zero;
    for (int r = 0; r < HLQ_ROWS; r++) {
        a[r] = i_abs(d[r]);
        sum = i_add(sum, a[r]);
        most = i_max(most, a[r]);
        least = i_min(least, a[r]);
        parity = i_xor(parity, n[r]);
        signs = i_xor(signs, d[r]);
    }
    M odd_integers = i_odd(parity);
    M odd_halves = m_xor(odd_integers, i_negative(signs));
    I cost = i_sub(i_set(4 * half), sum);
    cost = i_add(cost, i_select(odd_halves, i_add(least, least), zero));
    cost = i_sub(cost, i_select(odd_integers, i_sub(i_set(2 * half), i_add(most, most)), zero));

    /* On a tie: halves start lower if x rounds down in row 0, unless row 0 itself is re-rounded. */
    M row0_turns =
        m_or(m_and(odd_integers, i_eq(a[0], most)), m_and(odd_halves, i_eq(a[0], least)));
    M halves_lower = m_xor(i_negative(d[0]), row0_turns);
    M halves = m_or(i_negative(cost), m_and(i_eq(cost, zero), halves_lower));

    I key = i_select(halves, least, most);
    I step = i_select(halves, i_set(1), zero);
    I turned = i_select(halves, i_set(-1), i_set(2));
    M todo = m_select(halves, odd_halves, odd_integers);
    M alike[HLQ_ROWS]; /* found by themselves, so that no compare waits for the one before */
    for (int r = 0; r < HLQ_ROWS; r++) alike[r] = i_eq(a[r], key);
    for (int r = 0; r < HLQ_ROWS; r++) {
        M here = m_and(alike[r], todo);
        todo = m_andnot(todo, here);
        point[r] = i_add_signed(i_shl(n[r], 1), i_select(here, turned, step), d[r]);
    }
}

/* The first `rows` rows: 8 for E8, a multiple of 4 for D4. */
HLQ_BODY void nearest(hlq_lattice lattice, int rows, const I n[HLQ_ROWS], const I d[HLQ_ROWS],
                      int half, I point[HLQ_ROWS])
{
    if (lattice == HLQ_LATTICE_E8) nearest_e8(n, d, half, point);
    if (lattice == HLQ_LATTICE_D4) nearest_d4(rows, n, d, point);
    if (lattice == HLQ_LATTICE_Z) nearest_z(rows, n, point);
}

/* Sum of the two largest |x| of `rows` rows. */
HLQ_BODY I two_largest(const I *x, int rows)
{
    I first = i_abs(x[0]), second = i_set(0);
    for (int r = 1; r < rows; r++) {
        I a = i_abs(x[r]);
        second = i_max(second, i_min(a, first));
        first = i_max(first, a);
    }
    return i_add(first, second);
}

/*
 * Voronoi norm N: x lies inside q times the Voronoi cell exactly if N(x) < q (on its boundary if
 * equal). It is max ⟨x, v⟩ 2/⟨v, v⟩ over the vectors v whose bisectors bound the cell: for D4 and
 * E8 the roots (±1, ±1, 0 …) and, in E8, (±½)^8 with an even number of minus signs; for Z, ±1.
 * Linear in x, so it serves any unit; halving rounds down.
 */
HLQ_BODY I voronoi_norm(hlq_lattice lattice, const I x[HLQ_ROWS])
{
    if (lattice == HLQ_LATTICE_Z) {
        I largest = i_set(0);
        for (int r = 0; r < HLQ_ROWS; r++) largest = i_max(largest, i_abs(x[r]));
        return i_add(largest, largest);
    }
    if (lattice == HLQ_LATTICE_D4) return i_max(two_largest(x, 4), two_largest(x + 4, 4));

    I sum = i_set(0), least = i_abs(x[0]), signs = i_set(0);
    for (int r = 0; r < HLQ_ROWS; r++) {
        I a = i_abs(x[r]);
        sum = i_add(sum, a);
        least = i_min(least, a);
        signs = i_xor(signs, x[r]);
    }
    I odd = i_select(i_negative(signs), i_add(least, least), i_set(0));
    return i_max(two_largest(x, HLQ_ROWS), i_sra(i_sub(sum, odd), 1));
}

#endif
