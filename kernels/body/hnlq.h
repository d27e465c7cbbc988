/*
 * Algorithms 1 and 2 of hierarchical nested-lattice quantization on 32 vectors at a time (Kaplan
 * and Ordentlich, arXiv 2505.13164), in lane words of 32 bits.
 *
 *   x → × 1/β → + centre + dither → split → nearest → point p
 *   p → digits G⁻¹p mod q → p = Q(p / q) → digits … M times; what is left over is the overload
 *   digits → x_m = G b - q Q(G b / q) → Σ q^m x_m → - centre - dither → × β
 *
 * Points are in doubled coordinates, as everywhere in body/. Functions work on one group: 32
 * vectors in rows 0 … d-1.
 */
#ifndef HLQ_BODY_HNLQ_H
#define HLQ_BODY_HNLQ_H

enum {
    FRACTION_HALF = 1 << 25,       /* fractions are multiples of 2^-26 */
    LIMIT_BITS = (127 + 20) << 23, /* of HLQ_HNLQ_LIMIT as a float */
};

/* x = n + d / 2^26 with n the nearest integer, ties up, d in ±2^25. */
HLQ_BODY void split(F x, I *n, I *d)
{
    I whole = i_round(x); /* ties to even, to be corrected */
    I rest = i_round(f_mul(f_sub(x, f_from_i(whole)), f_set(2.0f * FRACTION_HALF)));
    M tie = i_eq(rest, i_set(FRACTION_HALF));
    *n = i_select(tie, i_add(whole, i_set(1)), whole);
    *d = i_select(tie, i_set(-FRACTION_HALF), rest);
}

/* A base; whether it is a power of two is known when the code is compiled. */
typedef struct {
    int q, log2; /* log2 only of a power */
    int power;
} hlq_base;

HLQ_BODY hlq_base base_of(const hlq_hnlq *code, int power)
{
    hlq_base base = {code->q, code->q_log2, power};
    return base;
}

/* Of all layers together: q^depth. */
HLQ_BODY hlq_base base_of_all(const hlq_hnlq *code, int power)
{
    hlq_base all = {1, code->q_log2 * code->depth, power};
    for (int m = 0; m < code->depth; m++) all.q *= code->q;
    return all;
}

HLQ_BODY I times_q(I x, hlq_base base)
{
    return base.power ? i_shl(x, base.log2) : i_mul(x, i_set(base.q));
}

/*
 * x = 2q n + d with n an integer and d in [-q, q). The float quotient is off by less than 1 for
 * |x| < 2^24, so one correction makes it exact.
 */
HLQ_BODY void divide(I x, hlq_base base, I *n, I *d)
{
    if (base.power) {
        *n = i_sra(i_add(x, i_set(base.q)), base.log2 + 1);
        *d = i_sub(x, i_shl(*n, base.log2 + 1));
        return;
    }
    const I modulus = i_set(2 * base.q);
    I whole = i_round(f_mul(f_from_i(x), f_set(0.5f / (float)base.q)));
    I rest = i_sub(x, i_mul(whole, modulus));
    M above = i_gt(rest, i_set(base.q - 1)), below = i_gt(i_set(-base.q), rest);
    I step = i_select(above, i_set(1), i_select(below, i_set(-1), i_set(0)));
    *n = i_add(whole, step);
    *d = i_sub(rest, i_mul(step, modulus));
}

/* z mod q, 0 … q-1. */
HLQ_BODY I digit_of(I z, hlq_base base)
{
    if (base.power) return i_and(z, i_set(base.q - 1));
    I whole = i_round(f_mul(f_from_i(z), f_set(1.0f / (float)base.q)));
    I rest = i_sub(z, i_mul(whole, i_set(base.q)));
    return i_select(i_negative(rest), i_add(rest, i_set(base.q)), rest);
}

/*
 * Q(p / q), without the factor q. Points of L on the boundary of qV have several nearest points;
 * all such ties are broken in one direction, by a nudge that is the same for every p: Q rounds
 * p / q + ε. So a layer's code lies in a shifted cell, and centring the code undoes the shift. (Any
 * rule that is invariant under translation decodes right; the one in nearest.h would spread the
 * boundary to all sides, where centring gains less.)
 *
 * Nudges are in units of 1 / (2q NUDGE_UNIT), with Σ nudges far below one unit of d.
 */
enum { NUDGE_UNIT = 4096 };

HLQ_BODY void coarser(hlq_lattice lattice, int dim, hlq_base base, const I p[HLQ_ROWS],
                      I coarse[HLQ_ROWS])
{
    static const int nudge[HLQ_DIM_MAX] = {31, 47, 66, 83, 97, 118, 131, 152};
    I n[HLQ_ROWS], d[HLQ_ROWS];
    for (int r = 0; r < dim; r++) {
        divide(p[r], base, &n[r], &d[r]);
        d[r] = i_add(i_shl(d[r], 12), i_set(nudge[r]));
    }
    nearest(lattice, dim, n, d, base.q * NUDGE_UNIT, coarse);
}

/*
 * x to points. Returns the vectors with a number beyond the limit, which counts as 0. They are
 * rare, so one comparison for all tells whether any number needs its own.
 */
HLQ_BODY uint32_t points(hlq_lattice lattice, int dim, F x[HLQ_ROWS], I p[HLQ_ROWS])
{
    I n[HLQ_ROWS], d[HLQ_ROWS];
    I largest = i_set(0); /* as bits, magnitudes are ordered, and NaN is above them all */
    uint32_t big = 0;
    for (int r = 0; r < dim; r++) {
        largest = i_max(largest, i_and(i_bits(x[r]), i_set(INT32_MAX)));
    }
    if (m_word(i_gt(largest, i_set(LIMIT_BITS - 1)))) {
        for (int r = 0; r < dim; r++) {
            uint32_t here = f_abs_not_below(x[r], HLQ_HNLQ_LIMIT);
            x[r] = f_select(here, f_set(0.0f), x[r]);
            big |= here;
        }
    }
    for (int r = 0; r < dim; r++) split(x[r], &n[r], &d[r]);
    nearest(lattice, dim, n, d, FRACTION_HALF, p);
    return big;
}

/* p += x_m, of one layer's digits z. */
HLQ_BODY void add_representative(hlq_lattice lattice, int dim, hlq_base base, const I z[HLQ_ROWS],
                                 I p[HLQ_ROWS])
{
    I x[HLQ_ROWS], coarse[HLQ_ROWS];
    point_from_codes(lattice, dim, z, x);
    coarser(lattice, dim, base, x, coarse);
    for (int r = 0; r < dim; r++) {
        p[r] = i_add(p[r], i_sub(x[r], times_q(coarse[r], base)));
    }
}

/* p += weight × x_m. */
HLQ_BODY void add_weighted(hlq_lattice lattice, int dim, hlq_base base, int weight,
                           const I z[HLQ_ROWS], I p[HLQ_ROWS])
{
    I x[HLQ_ROWS];
    for (int r = 0; r < dim; r++) x[r] = i_set(0);
    add_representative(lattice, dim, base, z, x);
    for (int r = 0; r < dim; r++) p[r] = i_add(p[r], i_mul(x[r], i_set(weight)));
}

/*
 * Digits of all layers, finest first, into the words of group g; p is used up. Returns the vectors
 * for which something is left over. `decoded`, if it is not NULL, becomes the points that the
 * digits stand for.
 */
HLQ_BODY uint32_t digits_of_points(const hlq_hnlq *code, hlq_lattice lattice, int dim, int power,
                                   int g, I p[HLQ_ROWS], hlq_layers *layers, I *decoded)
{
    const hlq_base base = base_of(code, power);
    int weight = 1; /* q^m */
    for (int r = 0; decoded && r < dim; r++) decoded[r] = i_set(0);
    for (int m = 0; m < code->depth; m++, weight *= code->q) {
        I z[HLQ_ROWS];
        codes_from_point(lattice, dim, p, z);
        for (int r = 0; r < dim; r++) z[r] = digit_of(z[r], base);
        store_layer(code, dim, m, g, z, layers);
        if (decoded) add_weighted(lattice, dim, base, weight, z, decoded);
        coarser(lattice, dim, base, p, p);
    }
    I any = p[0];
    for (int r = 1; r < dim; r++) any = i_or(any, p[r]);
    return ~m_word(i_eq(any, i_set(0)));
}

/*
 * Points Σ q^m x_m of the coarsest `count` layers of group g. Returns lanes that hold a digit ≥ q:
 * for these the point means nothing.
 */
HLQ_BODY uint32_t points_of_digits(const hlq_hnlq *code, hlq_lattice lattice, int dim, int power,
                                   int g, int count, hlq_layers *layers, I p[HLQ_ROWS])
{
    const hlq_base base = base_of(code, power);
    I largest = i_set(0);
    for (int r = 0; r < dim; r++) p[r] = i_set(0);
    for (int m = code->depth - 1; m >= 0; m--) {
        I z[HLQ_ROWS];
        load_layer(code, dim, m, g, layers, z);
        for (int r = 0; r < dim; r++) {
            largest = i_max(largest, z[r]);
            p[r] = times_q(p[r], base);
        }
        if (m < code->depth - count) continue;
        add_representative(lattice, dim, base, z, p);
    }
    return m_word(i_gt(largest, i_set(code->q - 1)));
}

/* x̂ = (Σ q^m x_m - centre - dither) × β_T */
HLQ_BODY F descale(I point, F shift, F by)
{
    return f_mul(f_sub(f_mul(f_from_i(point), f_set(0.5f)), shift), by);
}

#endif
