/*
 * Lattices by definition, written out plainly, for tests: what a point is, which is nearest, how
 * ties are broken, what bounds the Voronoi cell. And the way between one vector and lane words,
 * which hold 32 side by side.
 *
 * A vector is 8 doubled coordinates: one vector of E8, two of D4 (rows 0-3 and 4-7), 8 of Z.
 */
#ifndef HLQ_TEST_LATTICE_MODEL_H
#define HLQ_TEST_LATTICE_MODEL_H

#include "hlq_test.h"

#include <kernels/kernels.h>
#include <kernels/lanes/scalar_i16.h>
#include <kernels/body/nearest.h>
#include <kernels/body/codes.h>
#include <kernels/body/planes.h>
#include <kernels/body/scales.h>
#include <kernels/body/check_weights.h>
#include <kernels/body/block.h>

enum { D = HLQ_ROWS, LANES = HLQ_LANES };

typedef struct vec {
    int x[D];
} vec;

/* Between vectors and words -------------------------------------------------------------------- */

static inline void words_from(const vec v[LANES], I word[D])
{
    for (int r = 0; r < D; r++) {
        for (int l = 0; l < LANES; l++) word[r].v[l] = (int16_t)v[l].x[r];
    }
}

static inline vec lane_of(const I word[D], int lane)
{
    vec v;
    for (int r = 0; r < D; r++) v.x[r] = word[r].v[lane];
    return v;
}

static inline vec vec_add(vec a, vec b, int times)
{
    for (int r = 0; r < D; r++) a.x[r] += times * b.x[r];
    return a;
}

static inline int vec_equal(vec a, vec b) { return memcmp(&a, &b, sizeof a) == 0; }

/* Definitions ---------------------------------------------------------------------------------- */

/* E8: all even or all odd, sum divisible by 4. D4: even, both sums of four divisible by 4. Z:
   even. */
static inline int is_point(hlq_lattice lattice, vec v)
{
    int odd = 0, first = 0, second = 0;
    for (int r = 0; r < D; r++) {
        odd += v.x[r] & 1;
        if (r < 4) first += v.x[r];
        else second += v.x[r];
    }
    if (lattice == HLQ_LATTICE_E8) return (odd == 0 || odd == D) && (first + second) % 4 == 0;
    if (lattice == HLQ_LATTICE_D4) return odd == 0 && first % 4 == 0 && second % 4 == 0;
    return odd == 0;
}

/* Vectors whose bisectors bound the Voronoi cell. A column is two vectors of D4, or 8 of Z. */
static inline int count_roots(hlq_lattice lattice, vec root[240])
{
    int length = lattice == HLQ_LATTICE_Z ? 4 : 8, count = 0; /* squared, of doubled coordinates */
    for (int i = 0; i < 390625; i++) {
        vec v;
        int square = 0, first = 0, second = 0;
        for (int r = 0, rest = i; r < D; r++, rest /= 5) {
            v.x[r] = rest % 5 - 2;
            square += v.x[r] * v.x[r];
            if (r < 4) first += v.x[r] != 0;
            else second += v.x[r] != 0;
        }
        if (square != length || !is_point(lattice, v)) continue;
        if (lattice == HLQ_LATTICE_D4 && first && second) continue;
        root[count++] = v;
    }
    return count;
}

/* A value to round, in units of 1/(2 half): x = n + d/(2 half) with d in [-half, half). */
static inline int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

static inline void round_d_n(const int64_t *x, int dim, int half, int64_t *point)
{
    int64_t sum = 0, worst = -1;
    int at = 0;
    for (int i = 0; i < dim; i++) {
        point[i] = floor_div(x[i] + half, 2 * half);
        sum += point[i];
        int64_t residual = llabs(x[i] - 2 * half * point[i]);
        if (residual > worst) worst = residual, at = i;
    }
    if (sum & 1) point[at] += x[at] - 2 * half * point[at] >= 0 ? 1 : -1;
}

static inline int64_t distance(const int64_t x[D], vec p, int half)
{
    int64_t d = 0;
    for (int r = 0; r < D; r++)
        d += (x[r] - (int64_t)half * p.x[r]) * (x[r] - (int64_t)half * p.x[r]);
    return d;
}

/* The rule of nearest.h: integers round up, the first largest residual is re-rounded, up if it is
   zero; between the cosets of E8 the smaller first coordinate. */
static inline vec nearest_by_the_rule(hlq_lattice lattice, const int64_t x[D], int half)
{
    int64_t p[D], shifted[D];
    vec whole, halves;
    if (lattice == HLQ_LATTICE_Z) {
        for (int r = 0; r < D; r++) whole.x[r] = (int)(2 * floor_div(x[r] + half, 2 * half));
        return whole;
    }
    if (lattice == HLQ_LATTICE_D4) {
        round_d_n(x, 4, half, p);
        round_d_n(x + 4, 4, half, p + 4);
    } else {
        round_d_n(x, D, half, p);
    }
    for (int r = 0; r < D; r++) whole.x[r] = (int)(2 * p[r]);
    if (lattice == HLQ_LATTICE_D4) return whole;
    for (int r = 0; r < D; r++) shifted[r] = x[r] - half;
    round_d_n(shifted, D, half, p);
    for (int r = 0; r < D; r++) halves.x[r] = (int)(2 * p[r] + 1);
    int64_t more = distance(x, halves, half) - distance(x, whole, half);
    return more < 0 || (more == 0 && halves.x[0] < whole.x[0]) ? halves : whole;
}

/* Least squared distance to any point with coordinates within 3/2 of x: all 4^dim of each coset. */
static inline int64_t least_distance(hlq_lattice lattice, const int64_t x[D], int half)
{
    int64_t least = INT64_MAX;
    int dim = lattice == HLQ_LATTICE_D4 ? 4 : D;
    for (int odd = 0; odd <= (lattice == HLQ_LATTICE_E8); odd++) {
        for (int64_t i = 0; i < INT64_C(1) << 2 * dim; i++) {
            int64_t d = 0, sum = 0;
            for (int r = 0; r < dim; r++) {
                int64_t low = 2 * floor_div(x[r], 2 * half) - 2 + odd,
                        at = low + 2 * (i >> 2 * r & 3);
                sum += at;
                d += (x[r] - half * at) * (x[r] - half * at);
            }
            if ((lattice == HLQ_LATTICE_Z || sum % 4 == 0) && d < least) least = d;
        }
    }
    return least;
}

static inline double norm_by_definition(hlq_lattice lattice, vec x, const vec *root, int roots)
{
    int most = 0; /* 4 ⟨x, v⟩, of doubled coordinates */
    for (int i = 0; i < roots; i++) {
        int product = 0;
        for (int r = 0; r < D; r++) product += x.x[r] * root[i].x[r];
        if (product > most) most = product;
    }
    return most / (lattice == HLQ_LATTICE_Z ? 1.0 : 2.0); /* 2/⟨v, v⟩, doubled like x */
}

/* Lattice points whose doubled coordinates are about `reach`. */
static inline void random_points(hlq_rng *rng, hlq_lattice lattice, int reach, vec v[LANES])
{
    for (int l = 0; l < LANES; l++) {
        int64_t x[D];
        for (int r = 0; r < D; r++) x[r] = hlq_rng_between(rng, -reach, reach);
        v[l] = nearest_by_the_rule(lattice, x, 1);
    }
}

#endif
