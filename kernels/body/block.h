/*
 * One block: tensor → codes and codes → tensor. The story of a number, forwards:
 *
 *   load → ×2^(-E/8) → rotate → norm picks the ramp step → ×gain → split → nearest → codes → planes
 *                                                                 + u
 *
 * Backwards: planes → codes → point → ×scale → (add to accumulator | unrotate → ×2^(E/8) → store).
 *                                     - u
 * u: the dither, where there is any (dither.h). A pointer to it is NULL where there is none.
 */
#ifndef HLQ_BODY_BLOCK_H
#define HLQ_BODY_BLOCK_H

/* Exponents outside ± this are brought inside by an exact power of two before anything can overflow
   or be denormal. */
enum { SAFE_EIGHTHS = 800, RESCUE_EIGHTHS = 512 };

/* Codes of at most this many bits use their boundary points, see overloaded(). */
enum { EXACT_BITS = 3 };

/* Codes of so many bits fit at the step after the one their norm picked: that is 1.3 times as wide
   or more, so N(y) < 2^bits / 1.3 there, and rounding adds 1 at most: less than 2^bits. */
enum { SURE_BITS = 3 };

typedef struct {
    uint32_t bit0, bit1; /* of the ramp step of each lane */
    int wide;
} ramp_choice;

HLQ_BODY ramp_choice no_ramp(void)
{
    ramp_choice first = {0, 0, 0};
    return first;
}

HLQ_BODY F by_ramp(const float value[ALL_STEPS], ramp_choice ramp)
{
    const float *v = value + (ramp.wide ? HLQ_RAMP_STEPS - 1 : 0);
    F low = f_select(ramp.bit0, f_set(v[1]), f_set(v[0]));
    F high = f_select(ramp.bit0, f_set(v[3]), f_set(v[2]));
    return f_select(ramp.bit1, high, low);
}

/* The first step whose limit the norm does not exceed; *beyond: lanes past the last one. */
HLQ_BODY ramp_choice ramp_for_norm(const hlq_steps *steps, I norm, int wide, uint32_t *beyond)
{
    const int16_t *limit = steps->limit + (wide ? HLQ_RAMP_STEPS - 1 : 0);
    uint32_t over0 = m_word(i_gt(norm, i_set(limit[0])));
    uint32_t over1 = m_word(i_gt(norm, i_set(limit[1])));
    uint32_t over2 = m_word(i_gt(norm, i_set(limit[2])));
    *beyond = m_word(i_gt(norm, i_set(limit[3])));
    ramp_choice ramp = {(over0 & ~over1) | over2, over1, wide};
    return ramp;
}

HLQ_BODY void quantize(hlq_lattice lattice, const F y[HLQ_ROWS], F gain, const F *u,
                       I point[HLQ_ROWS])
{
    I n[HLQ_ROWS], d[HLQ_ROWS];
    for (int r = 0; r < HLQ_ROWS; r++) {
        F x = f_mul(y[r], gain);
        if (u) x = f_add(x, f_mul(u[r], f_set(SPLIT_UNITS / 2)));
        i_split(x, &n[r], &d[r]);
    }
    nearest(lattice, HLQ_ROWS, n, d, SPLIT_UNITS / 2, point);
}

/*
 * Lanes whose point does not decode to itself. Inside 2^bits times the Voronoi cell all do; on its
 * boundary some do, by the tie rule. There are so many boundary points among so few codes that
 * small codes ask the decoder; large ones give the boundary up for the cheaper test.
 */
HLQ_BODY uint32_t overloaded(hlq_lattice lattice, const I point[HLQ_ROWS], int bits)
{
    if (bits > EXACT_BITS) {
        return m_word(i_gt(voronoi_norm(lattice, point), i_set((2 << bits) - 1)));
    }
    I decoded[HLQ_ROWS];
    for (int r = 0; r < HLQ_ROWS; r++) decoded[r] = point[r];
    reduce_point(lattice, bits, decoded);
    uint32_t same = ~(uint32_t)0;
    for (int r = 0; r < HLQ_ROWS; r++) same &= m_word(i_eq(point[r], decoded[r]));
    return ~same;
}

/*
 * y in 1/512 rms → points that decode to themselves, and the ramp steps they were taken at. The
 * norm of y picks the step; without dither, the few lanes whose point still falls outside climb one
 * more. With dither none does (scales.h), and climbing would make the scale depend on u.
 */
HLQ_BODY ramp_choice quantize_on_ramp(hlq_lattice lattice, const hlq_steps *steps, int bits,
                                      const F y[HLQ_ROWS], const F *u, I point[HLQ_ROWS])
{
    I coarse[HLQ_ROWS];
    for (int r = 0; r < HLQ_ROWS; r++) coarse[r] = i_round(y[r]);
    I norm = voronoi_norm(lattice, coarse);

    uint32_t beyond;
    ramp_choice ramp = ramp_for_norm(steps, norm, 0, &beyond);
    if (beyond) ramp = ramp_for_norm(steps, norm, 1, &beyond);
    for (int is_sure = u != NULL;;) {
        quantize(lattice, y, by_ramp(steps->gain, ramp), u, point);
        if (is_sure) return ramp;
        uint32_t climb = overloaded(lattice, point, bits);
        uint32_t at_top = climb & ramp.bit0 & ramp.bit1;
        if (at_top && !ramp.wide) {
            ramp = ramp_for_norm(steps, norm, 1, &beyond);
            continue;
        }
        climb &= ~at_top;
        if (!climb) return ramp;
        ramp.bit1 ^= ramp.bit0 & climb;
        ramp.bit0 ^= climb;
        is_sure = bits >= SURE_BITS;
    }
}

HLQ_BODY uint32_t check_sum(const I point[HLQ_ROWS])
{
    S low = s_zero(), high = s_zero();
    for (int r = 0; r < HLQ_ROWS; r++) {
        low = s_add_products(low, point[r], i_load(check_weights[0][r]));
        high = s_add_products(high, point[r], i_load(check_weights[1][r]));
    }
    return s_total(low) + (s_total(high) << 16);
}

/* Planes of a block to points; zeros if they are none (HLQ_BITS_WHOLE). */
HLQ_BODY void points_from_planes(hlq_lattice lattice, int bits, const uint32_t *planes,
                                 I point[HLQ_ROWS])
{
    I z[HLQ_ROWS];
    if (bits > HLQ_BITS_MAX) {
        for (int r = 0; r < HLQ_ROWS; r++) point[r] = i_set(0);
        return;
    }
    planes_load(planes, bits, z);
    point_from_codes(lattice, HLQ_ROWS, z, point);
    reduce_point(lattice, bits, point);
}

/* Points (doubled) → coordinates in units of the rms, times factor. */
HLQ_BODY void scale_points(const hlq_steps *steps, ramp_choice ramp, float factor,
                           const I point[HLQ_ROWS], const F *u, F y[HLQ_ROWS])
{
    F scale = f_mul(by_ramp(steps->scale, ramp), f_set(0.5f * factor));
    for (int r = 0; r < HLQ_ROWS; r++) {
        F x = f_from_i(point[r]);
        if (u) x = f_sub(x, u[r]);
        y[r] = f_mul(x, scale);
    }
}

/* y → y × 2^(eighths/8) × factor, whatever the size of eighths. */
HLQ_BODY void scale_rows(F y[HLQ_ROWS], int eighths, float factor)
{
    while (eighths > SAFE_EIGHTHS || eighths < -SAFE_EIGHTHS) {
        int rescue = eighths > 0 ? RESCUE_EIGHTHS : -RESCUE_EIGHTHS;
        F by = f_set(pow2_eighths(rescue));
        for (int r = 0; r < HLQ_ROWS; r++) y[r] = f_mul(y[r], by);
        eighths -= rescue;
    }
    F by = f_set(pow2_eighths(eighths) * factor);
    for (int r = 0; r < HLQ_ROWS; r++) y[r] = f_mul(y[r], by);
}

#endif
