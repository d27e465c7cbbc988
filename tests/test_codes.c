/*
 * Codes of lattice points: every point inside the scaled cell has a code of its own, codes add as
 * points do, bit planes add as codes do, and the check word tells a sum that wrapped.
 */
#include "lattice_model.h"

static void decode_codes(hlq_lattice lattice, int bits, const I z[D], I point[D])
{
    I masked[D];
    for (int r = 0; r < D; r++) {
        for (int l = 0; l < LANES; l++) masked[r].v[l] = (int16_t)(z[r].v[l] & ((1 << bits) - 1));
    }
    point_from_codes(lattice, HLQ_ROWS, masked, point);
    reduce_point(lattice, bits, point);
}

/* Every code: its point is in the lattice and in the cell, and has that code. */
static void check_codes(hlq_lattice lattice, int bits, const I z[D])
{
    I point[D], again[D];
    decode_codes(lattice, bits, z, point);
    I norm = voronoi_norm(lattice, point);
    codes_from_point(lattice, HLQ_ROWS, point, again);
    for (int l = 0; l < LANES; l++) {
        CHECK(is_point(lattice, lane_of(point, l)));
        CHECK_AT_MOST(norm.v[l], 2 << bits);
        int differ = 0;
        for (int r = 0; r < D; r++) differ |= (z[r].v[l] ^ again[r].v[l]) & ((1 << bits) - 1);
        CHECK_EQ(differ, 0);
    }
}

/* All 2^(8 bits) codes of 1 and 2 bits; of D4, all 2^(4 bits) of 3 and 4 bits as well. */
static void test_every_short_code_round_trips(hlq_lattice lattice)
{
    for (int bits = 1; bits <= (lattice == HLQ_LATTICE_D4 ? 4 : 2); bits++) {
        int rows = bits > 2 ? 4 : D;
        hlq_test_case("%s, %d bits", hlq_lattice_name(lattice), bits);
        for (int start = 0; start < 1 << rows * bits; start += LANES) {
            I z[D];
            for (int i = 0; i < D * LANES; i++) {
                int r = i / LANES, code = (start + i % LANES) >> bits * (r % rows);
                z[r].v[i % LANES] = (int16_t)(code & ((1 << bits) - 1));
            }
            check_codes(lattice, bits, z);
        }
    }
}

static void test_codes_of_all_lengths_round_trip(hlq_lattice lattice)
{
    hlq_rng rng = hlq_rng_new(5);
    for (int bits = 1; bits <= HLQ_BITS_MAX; bits++) {
        hlq_test_case("%s, %d bits", hlq_lattice_name(lattice), bits);
        for (int round = 0; round < 200; round++) {
            I z[D];
            hlq_rng_bytes(&rng, z, sizeof z);
            check_codes(lattice, bits, z);
        }
    }
}

/* decode(encode(λ)) = λ for those of `count` points whose norm is below 2^bits; returns how
   many. */
static int check_points_inside(hlq_lattice lattice, int bits, const vec v[LANES], int count)
{
    I x[D], z[D], decoded[D];
    int inside = 0;
    words_from(v, x);
    I norm = voronoi_norm(lattice, x);
    codes_from_point(lattice, HLQ_ROWS, x, z);
    decode_codes(lattice, bits, z, decoded);
    for (int l = 0; l < count; l++) {
        if (norm.v[l] >= 2 << bits) continue;
        CHECK(vec_equal(lane_of(decoded, l), v[l]));
        inside++;
    }
    return inside;
}

/* Among all vectors with `values` choices per coordinate: low, low + 2, … Vectors of D4 and Z do
   not know of each other: both halves of a column are the same there. */
static int check_box(hlq_lattice lattice, int bits, int low, int values)
{
    vec batch[LANES] = {{{0}}}, v;
    int box = 1, filled = 0, inside = 0, rows = lattice == HLQ_LATTICE_E8 ? D : D / 2;
    for (int r = 0; r < rows; r++) box *= values;
    for (int index = 0; index < box; index++) {
        for (int r = 0, rest = index; r < rows; r++, rest /= values) {
            v.x[r] = v.x[r + D - rows] = low + 2 * (rest % values);
        }
        if (!is_point(lattice, v)) continue;
        batch[filled++] = v;
        if (filled < LANES) continue;
        inside += check_points_inside(lattice, bits, batch, LANES);
        filled = 0;
    }
    return inside + check_points_inside(lattice, bits, batch, filled);
}

/* All points of norm below 2^bits, for 1 and 2 bits. The norm bounds every coordinate; even and odd
   coordinates are a box each. Each point has one of 2^(8 bits) codes to itself. */
static void test_all_points_inside_decode_to_themselves(hlq_lattice lattice)
{
    for (int bits = 1; bits <= 2; bits++) {
        int most = (2 << bits) - 1;
        hlq_test_case("%s, %d bits", hlq_lattice_name(lattice), bits);
        int inside = check_box(lattice, bits, 1 - most, most);
        if (lattice == HLQ_LATTICE_E8) inside += check_box(lattice, bits, -most, most + 1);
        CHECK_WITHIN(inside, 1, 1 << D * bits);
    }
}

static void test_points_inside_decode_to_themselves(hlq_lattice lattice)
{
    hlq_rng rng = hlq_rng_new(8);
    for (int bits = 1; bits <= HLQ_BITS_MAX; bits++) {
        int inside = 0;
        hlq_test_case("%s, %d bits", hlq_lattice_name(lattice), bits);
        for (int round = 0; round < 400; round++) {
            vec v[LANES];
            random_points(&rng, lattice, (1 << bits) * (1 + round % 3) / 2, v);
            inside += check_points_inside(lattice, bits, v, LANES);
        }
        CHECK(inside > 0);
    }
}

/* Sums ----------------------------------------------------------------------------------------- */

static void test_codes_and_checks_add_as_points_do(hlq_lattice lattice)
{
    hlq_rng rng = hlq_rng_new(6);
    hlq_test_case("%s", hlq_lattice_name(lattice));
    for (int round = 0; round < 2000; round++) {
        vec v[3][LANES];
        I x[D], z[3][D];
        uint32_t check[3];
        int differ = 0;
        random_points(&rng, lattice, 6000, v[0]);
        random_points(&rng, lattice, 6000, v[1]);
        for (int l = 0; l < LANES; l++) v[2][l] = vec_add(v[0][l], v[1][l], 1);
        for (int i = 0; i < 3; i++) {
            words_from(v[i], x);
            codes_from_point(lattice, HLQ_ROWS, x, z[i]);
            check[i] = check_sum(x);
        }
        for (int r = 0; r < D; r++) {
            for (int l = 0; l < LANES; l++) differ |= z[0][r].v[l] + z[1][r].v[l] - z[2][r].v[l];
        }
        CHECK_EQ(differ & ((1 << HLQ_BITS_MAX) - 1), 0);
        CHECK_EQ((uint32_t)(check[0] + check[1]), check[2]);
    }
}

static void test_planes_hold_codes_and_add_as_they_do(void)
{
    hlq_rng rng = hlq_rng_new(7);
    for (int bits = 1; bits <= HLQ_BITS_MAX; bits++) {
        hlq_test_case("%d bits", bits);
        for (int round = 0; round < 200; round++) {
            I a[D], b[D], sum[D];
            uint32_t in_a[HLQ_BITS_MAX * D], in_b[HLQ_BITS_MAX * D];
            int mask = (1 << bits) - 1, wrong = 0;
            hlq_rng_bytes(&rng, a, sizeof a);
            hlq_rng_bytes(&rng, b, sizeof b);
            planes_store(a, bits, in_a);
            planes_store(b, bits, in_b);
            CHECK_EQ(in_a[D * (bits - 1) + 5] >> 9 & 1, a[5].v[9] >> (bits - 1) & 1);
            planes_ripple(in_a, in_b, bits, HLQ_ROWS);
            planes_load(in_a, bits, sum);
            for (int i = 0; i < D * LANES; i++) {
                int r = i / LANES, l = i % LANES;
                wrong += sum[r].v[l] != ((a[r].v[l] + b[r].v[l]) & mask);
            }
            CHECK_EQ(wrong, 0);
        }
    }
}

/* The check word ------------------------------------------------------------------------------- */

static void test_check_weights_are_the_sequence_stated(void)
{
    hlq_rng splitmix64 = {2048 * UINT64_C(0x9e3779b97f4a7c15)};
    for (int half = 0; half < 2; half++) {
        for (int r = 0; r < D; r++) {
            for (int l = 0; l < LANES; l++) {
                int top = (int)(hlq_rng_next(&splitmix64) >> 48);
                hlq_test_case("half %d, row %d, lane %d", half, r, l);
                CHECK_EQ((uint16_t)check_weights[half][r][l], half ? top : top | 1);
            }
        }
    }
}

/* A sum that leaves the cell is decoded off by 2^bits times a lattice vector. The check must tell,
   whichever vector of the block it is, for all shortest lattice vectors. */
static void test_the_check_tells_every_wrap_of_one_vector(hlq_lattice lattice)
{
    vec root[240], v[LANES];
    I x[D];
    int roots = count_roots(lattice, root);
    for (int i = 0; i < (HLQ_BITS_MAX - 1) * LANES; i++) {
        int bits = 2 + i / LANES, lane = i % LANES, missed = 0;
        for (int j = 0; j < roots; j++) {
            memset(v, 0, sizeof v);
            v[lane] = vec_add(v[lane], root[j], 1 << bits);
            words_from(v, x);
            missed += check_sum(x) == 0;
        }
        hlq_test_case("%s, %d bits, lane %d", hlq_lattice_name(lattice), bits, lane);
        CHECK_EQ(missed, 0);
    }
}

int main(void)
{
    hlq_test_start("test_codes");
    for (hlq_lattice lattice = HLQ_LATTICE_E8; lattice <= HLQ_LATTICE_Z; lattice++) {
        test_every_short_code_round_trips(lattice);
        test_codes_of_all_lengths_round_trip(lattice);
        test_all_points_inside_decode_to_themselves(lattice);
        test_points_inside_decode_to_themselves(lattice);
        test_codes_and_checks_add_as_points_do(lattice);
        test_the_check_tells_every_wrap_of_one_vector(lattice);
    }
    test_check_weights_are_the_sequence_stated();
    test_planes_hold_codes_and_add_as_they_do();
    return hlq_test_end();
}
