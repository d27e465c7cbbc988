/*
 * Nearest points, their tie rule and Voronoi norms are what lattice_model.h says they are. Works on
 * the scalar lane words; that the other variants agree is test_kernels.c's matter.
 */
#include "lattice_model.h"

/* Checks 32 values at once; brute force too, if asked. */
static void check_nearest(hlq_lattice lattice, int64_t x[LANES][D], int half, int brute)
{
    I n[D], d[D], point[D];
    for (int r = 0; r < D; r++) {
        for (int l = 0; l < LANES; l++) {
            int64_t whole = floor_div(x[l][r] + half, 2 * half);
            n[r].v[l] = (int16_t)whole;
            d[r].v[l] = (int16_t)(x[l][r] - 2 * half * whole);
        }
    }
    nearest(lattice, HLQ_ROWS, n, d, half, point);
    for (int l = 0; l < LANES; l++) {
        vec got = lane_of(point, l);
        CHECK(is_point(lattice, got));
        CHECK(vec_equal(got, nearest_by_the_rule(lattice, x[l], half)));
        if (!brute) continue;
        if (lattice != HLQ_LATTICE_D4) {
            CHECK_EQ(distance(x[l], got, half), least_distance(lattice, x[l], half));
        } else {
            CHECK_EQ(distance(x[l], got, half),
                     least_distance(lattice, x[l], half) + least_distance(lattice, x[l] + 4, half));
        }
    }
}

/* Number `pattern` of all vectors of fractions of 1/(2 half); beyond the last, the same plus 1. */
static void fractions_of(int pattern, int half, int64_t x[D])
{
    for (int r = 0; r < D; r++, pattern /= 2 * half) x[r] = pattern % (2 * half) - half;
    x[D - 1] += 2 * half * pattern;
}

/* Fractions of 1/2 and 1/4 are nearly all ties. All of them, over both parities of the rest. */
static void test_nearest_on_all_halves_and_quarters(hlq_lattice lattice)
{
    for (int half = 1; half <= 2; half++) {
        for (int start = 0; start < 2 << D * half; start += LANES) {
            int64_t x[LANES][D];
            for (int l = 0; l < LANES; l++) fractions_of(start + l, half, x[l]);
            hlq_test_case("%s, half %d, from pattern %d", hlq_lattice_name(lattice), half, start);
            check_nearest(lattice, x, half, start % 8192 == 0);
        }
    }
}

static void test_nearest_is_nearest(hlq_lattice lattice)
{
    hlq_rng rng = hlq_rng_new(1);
    for (int round = 0; round < 4000; round++) {
        int half = 1 << hlq_rng_between(&rng, 0, 12), reach = hlq_rng_between(&rng, 1, 64) * half;
        int64_t x[LANES][D];
        for (int l = 0; l < LANES; l++) {
            for (int r = 0; r < D; r++) x[l][r] = hlq_rng_between(&rng, -reach, reach);
            if (l % 8 == 0) x[l][l / 4] = l % 16 ? half : -half; /* extremes of d */
        }
        hlq_test_case("%s, half %d, reach %d", hlq_lattice_name(lattice), half, reach);
        check_nearest(lattice, x, half, round < 8);
    }
}

/* Nested codes need nearest(x + λ) = nearest(x) + λ, ties included. */
static void test_nearest_commutes_with_translation(hlq_lattice lattice)
{
    vec root[240];
    hlq_rng rng = hlq_rng_new(2);
    uint64_t roots = (uint64_t)count_roots(lattice, root);
    for (int round = 0; round < 2000; round++) {
        int half = 1 << hlq_rng_between(&rng, 0, 3);
        int64_t x[LANES][D], moved[LANES][D];
        vec by[LANES];
        for (int l = 0; l < LANES; l++) {
            by[l] = vec_add(root[hlq_rng_below(&rng, roots)], root[hlq_rng_below(&rng, roots)], 3);
            for (int r = 0; r < D; r++) {
                x[l][r] = hlq_rng_between(&rng, -4 * half, 4 * half);
                moved[l][r] = x[l][r] + half * by[l].x[r];
            }
        }
        hlq_test_case("%s, half %d", hlq_lattice_name(lattice), half);
        check_nearest(lattice, x, half, 0);
        check_nearest(lattice, moved, half, 0);
        for (int l = 0; l < LANES; l++) {
            vec here = nearest_by_the_rule(lattice, x[l], half);
            vec there = nearest_by_the_rule(lattice, moved[l], half);
            CHECK(vec_equal(there, vec_add(here, by[l], 1)));
        }
    }
}

/* J. H. Conway and N. J. A. Sloane, "Fast quantizing and decoding algorithms for lattice quantizers
   and codes", 1982: their D4 and E8 examples, and one close to both cosets. */
static void test_nearest_on_published_examples(void)
{
    static const struct {
        hlq_lattice lattice;
        double x[D];
        int point[D];
    } example[] = {
        {HLQ_LATTICE_D4, {0.6, -1.1, 1.7, 0.1}, {1, -1, 2, 0}},
        {HLQ_LATTICE_E8, {0.1, 0.1, 0.8, 1.3, 2.2, -0.6, -0.7, 0.9}, {0, 0, 1, 1, 2, 0, -1, 1}},
        {HLQ_LATTICE_E8, {0.49, 1.01, 1.01, 0.49}, {0, 1, 1}},
    };
    for (size_t e = 0; e < sizeof example / sizeof *example; e++) {
        I n[D], d[D], point[D];
        hlq_test_case("example %zu", e);
        for (int r = 0; r < D; r++) {
            i_split(f_set((float)(SPLIT_UNITS * example[e].x[r])), &n[r], &d[r]);
        }
        nearest(example[e].lattice, HLQ_ROWS, n, d, SPLIT_UNITS / 2, point);
        for (int r = 0; r < D; r++) CHECK_EQ(point[r].v[e], 2 * example[e].point[r]);
    }
}

static void test_the_cells_have_the_known_number_of_faces(void)
{
    static vec root[240];
    CHECK_EQ(count_roots(HLQ_LATTICE_E8, root), 240);
    CHECK_EQ(count_roots(HLQ_LATTICE_D4, root), 2 * 24);
    CHECK_EQ(count_roots(HLQ_LATTICE_Z, root), 8 * 2);
}

static void test_voronoi_norm_is_the_largest_projection(hlq_lattice lattice)
{
    vec root[240], v[LANES];
    hlq_rng rng = hlq_rng_new(3);
    int roots = count_roots(lattice, root);
    for (int round = 0; round < 500; round++) {
        int reach = 1 << hlq_rng_between(&rng, 0, 11);
        I x[D], norm;
        for (int l = 0; l < LANES; l++) {
            for (int r = 0; r < D; r++) v[l].x[r] = hlq_rng_between(&rng, -reach, reach);
        }
        words_from(v, x);
        norm = voronoi_norm(lattice, x);
        hlq_test_case("%s, reach %d", hlq_lattice_name(lattice), reach);
        for (int l = 0; l < LANES; l++) {
            CHECK_EQ(norm.v[l], floor(norm_by_definition(lattice, v[l], root, roots)));
        }
    }
}

/* What lies inside 2^bits times the cell stays, what lies outside is brought inside, and the
   encoder knows which points stay. On the boundary the tie rule decides. */
static void check_reduction(hlq_lattice lattice, int bits, const vec v[LANES])
{
    I x[D], reduced[D];
    words_from(v, x);
    memcpy(reduced, x, sizeof x);
    reduce_point(lattice, bits, reduced);
    I norm = voronoi_norm(lattice, x), after = voronoi_norm(lattice, reduced);
    uint32_t given_up = overloaded(lattice, x, bits);
    for (int l = 0; l < LANES; l++) {
        int stays = vec_equal(lane_of(reduced, l), v[l]), limit = 2 << bits;
        if (norm.v[l] < limit) CHECK(stays);
        if (norm.v[l] > limit) CHECK(!stays);
        CHECK_AT_MOST(after.v[l], limit);
        CHECK_EQ(given_up >> l & 1, bits <= EXACT_BITS ? !stays : norm.v[l] >= limit);
    }
}

static void test_points_stay_exactly_inside_the_scaled_cell(hlq_lattice lattice)
{
    hlq_rng rng = hlq_rng_new(4);
    for (int bits = 1; bits <= HLQ_BITS_MAX; bits++) {
        hlq_test_case("%s, %d bits", hlq_lattice_name(lattice), bits);
        for (int round = 0; round < 400; round++) {
            vec v[LANES];
            random_points(&rng, lattice, 1 + (1 << bits) * (1 + round % 3) / 2, v);
            check_reduction(lattice, bits, v);
        }
    }
}

int main(void)
{
    hlq_test_start("test_lattice");
    test_nearest_on_published_examples();
    test_the_cells_have_the_known_number_of_faces();
    for (hlq_lattice lattice = HLQ_LATTICE_E8; lattice <= HLQ_LATTICE_Z; lattice++) {
        test_nearest_on_all_halves_and_quarters(lattice);
        test_nearest_is_nearest(lattice);
        test_nearest_commutes_with_translation(lattice);
        test_voronoi_norm_is_the_largest_projection(lattice);
        test_points_stay_exactly_inside_the_scaled_cell(lattice);
    }
    return hlq_test_end();
}
