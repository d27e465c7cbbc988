/*
 * Sums of codes, on the kernels alone: any order of additions gives the same bytes; and the check
 * that goes with every block notices a sum that left its range. A long random run counts wraps
 * against an oracle that cannot wrap; `test_modq_wraps VECTORS` sets its length.
 */
#include "hlq_test.h"

#include <collective/algorithms/modq.h>
#include <kernels/body/check_weights.h>

/* Order of additions --------------------------------------------------------------------------- */

enum { BLOCKS = 64, CODED_RANKS = 16, BASE = 4 };

/* Every rank's codes of the same blocks, with a side word and up to 12 planes each. */
typedef struct codes {
    uint8_t code[BLOCKS], bits[BLOCKS];
    uint32_t side[CODED_RANKS][BLOCKS];
    uint32_t planes[CODED_RANKS][BLOCKS * HLQ_BITS_MAX * HLQ_PLANE_WORDS];
} codes;

/* Rank p's run; further: planes more than `bits` says, at the same scale. */
static hlq_run run_of(codes *c, int p, hlq_lattice lattice, uint64_t seed, int further)
{
    return (hlq_run){
        .place = {.blocks = BLOCKS, .stride = 1, .seed = seed},
        .lattice = lattice,
        .base = BASE,
        .modular = 1,
        .spread = HLQ_MODQ_SPREAD + 8 * further,
        .code = c->code,
        .bits = c->bits,
        .side = c->side[p],
        .planes = c->planes[p],
    };
}

/* Pairs, pairs of pairs …; the sum ends in rank 0's run. */
static void add_as_a_tree(const hlq_kernels *kernels, const hlq_run *run)
{
    for (int d = 1; d < CODED_RANKS; d *= 2) {
        for (int p = 0; p < CODED_RANKS; p += 2 * d) kernels->planes_add(&run[p], &run[p + d]);
    }
}

/* One after another, as at an owner or around a ring; the sum ends in the first one's run. */
static void add_as_a_chain(const hlq_kernels *kernels, const hlq_run *run, const int *order)
{
    for (int i = 1; i < CODED_RANKS; i++) kernels->planes_add(&run[order[0]], &run[order[i]]);
}

static void any_order_of_additions_gives_the_same_bytes(const hlq_kernels *kernels)
{
    static codes original, c;
    static float x[BLOCKS * HLQ_BLOCK_ELEMS];
    hlq_rng rng = hlq_rng_new(2);
    hlq_test_case("order of additions, %s", kernels->name);
    for (int b = 0; b < BLOCKS; b++) {
        original.bits[b] = (uint8_t)hlq_rng_between(&rng, 1, HLQ_BITS_MAX);
        if (b % 5 == 0) original.bits[b] = 0;
        original.code[b] = (uint8_t)hlq_rng_between(&rng, 1, HLQ_CODE_TOP);
    }
    for (int p = 0; p < CODED_RANKS; p++) {
        hlq_rng_fill(&rng, hlq_rng_laplace, x, BLOCKS * HLQ_BLOCK_ELEMS);
        hlq_run run = run_of(&original, p, HLQ_LATTICE_E8, 0, 0);
        hlq_source source = {.data = x, .elems = BLOCKS * HLQ_BLOCK_ELEMS};
        kernels->encode(&run, &source);
    }
    static codes expected;
    for (int way = 0; way < 20; way++) {
        int order[CODED_RANKS];
        c = original;
        hlq_run run[CODED_RANKS];
        for (int p = 0; p < CODED_RANKS; p++) {
            order[p] = p;
            run[p] = run_of(&c, p, HLQ_LATTICE_E8, 0, 0);
        }
        if (way > 1) hlq_rng_shuffle(&rng, order, CODED_RANKS);
        if (way == 1) add_as_a_tree(kernels, run);
        else add_as_a_chain(kernels, run, order);
        if (way == 0) expected = c;
        CHECK_BYTES(c.side[order[0]], expected.side[0], sizeof c.side[0]);
        CHECK_BYTES(c.planes[order[0]], expected.planes[0], sizeof c.planes[0]);
    }
}

/* Two wraps in one block ----------------------------------------------------------------------- */

enum { SHORTEST_MOST = HLQ_LANES * 240 };

/* Both signs of both, of two rows that a shortest vector of D4 or E8 has 2 in (doubled). */
static size_t wraps_of_pair(uint32_t a, uint32_t b, uint32_t *check)
{
    check[0] = 2 * (a + b);
    check[1] = 2 * (a - b);
    check[2] = 2 * (b - a);
    check[3] = -2 * (a + b);
    return 4;
}

/* Those of E8 that are ±1 everywhere, with an even number of minus signs. */
static size_t wraps_of_halves(const uint32_t w[HLQ_ROWS], uint32_t *check)
{
    size_t n = 0;
    for (unsigned minus = 0; minus < 256; minus++) {
        uint32_t sum = 0, odd = 0;
        for (int r = 0; r < HLQ_ROWS; r++) {
            sum += minus >> r & 1 ? -w[r] : w[r];
            odd ^= minus >> r & 1;
        }
        if (!odd) check[n++] = sum;
    }
    return n;
}

/* What a wrap by each shortest vector of the lattice does, in one lane of these weights, to the
   check of a code of 0 bits; to that of a code of more bits, 2^bits times as much. */
static size_t wraps_of_lane(hlq_lattice lattice, const uint32_t w[HLQ_ROWS], uint32_t *check)
{
    size_t n = 0;
    int rows = lattice == HLQ_LATTICE_D4 ? 4 : HLQ_ROWS; /* of a vector */
    for (int i = 0; i < HLQ_ROWS; i++) {
        if (lattice == HLQ_LATTICE_Z) check[n++] = 2 * w[i], check[n++] = -2 * w[i];
        for (int j = i / rows * rows; j < i && lattice != HLQ_LATTICE_Z; j++) {
            n += wraps_of_pair(w[i], w[j], check + n);
        }
    }
    return lattice == HLQ_LATTICE_E8 ? n + wraps_of_halves(w, check + n) : n;
}

static size_t wraps_of(hlq_lattice lattice, uint32_t *check)
{
    size_t n = 0;
    for (int lane = 0; lane < HLQ_LANES; lane++) {
        uint32_t w[HLQ_ROWS];
        for (int r = 0; r < HLQ_ROWS; r++) {
            uint32_t low = (uint32_t)check_weights[0][r][lane];
            w[r] = low + ((uint32_t)check_weights[1][r][lane] << 16);
        }
        n += wraps_of_lane(lattice, w, check + n);
    }
    return n;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* In codes of up to 8 bits. (Of more, too few bits of the check are left for all pairs of E8.) */
static void no_two_shortest_wraps_cancel_out(void)
{
    static const size_t shortest[3] = {
        [HLQ_LATTICE_E8] = 32 * 240, [HLQ_LATTICE_D4] = 64 * 24, [HLQ_LATTICE_Z] = 256 * 2};
    static uint32_t check[SHORTEST_MOST];
    for (int lattice = 0; lattice < 3; lattice++) {
        size_t n = wraps_of((hlq_lattice)lattice, check), cancel = 0;
        hlq_test_case("two wraps, %s", hlq_lattice_name((hlq_lattice)lattice));
        for (size_t i = 0; i < n; i++) check[i] <<= 8;
        qsort(check, n, sizeof *check, ascending);
        for (size_t i = 1; i < n; i++) cancel += check[i] == check[i - 1];
        CHECK_EQ(n, shortest[lattice]);
        CHECK(check[0] != 0);
        CHECK_EQ(cancel, 0);
    }
}

/* The long run ---------------------------------------------------------------------------- */

enum { ORACLE_RANKS = 4 };

typedef struct tally {
    uint64_t wraps, unnoticed, false_alarms;
} tally;

/* Rotated sums: of the codes' sum, and of each rank's codes with so many planes that none wraps. */
typedef struct sums {
    float of_sum[BLOCKS * HLQ_BLOCK_ELEMS], of_each[BLOCKS * HLQ_BLOCK_ELEMS];
    uint8_t failed[BLOCKS / 8];
} sums;

/* A wrap moves coordinates by multiples of half a code's width, rounding by 2^-20 of that. */
static void count_wraps(const codes *c, const sums *s, tally *t)
{
    double half_width = 4 * exp2(HLQ_MODQ_SPREAD / 8.0) / 2;
    for (int b = 0; b < BLOCKS; b++) {
        double rms = exp2((c->code[b] - HLQ_CODE_TOP) / 8.0 + BASE);
        int wrapped = 0, failed = s->failed[b / 8] >> b % 8 & 1;
        for (int i = b * HLQ_BLOCK_ELEMS; i < (b + 1) * HLQ_BLOCK_ELEMS; i++) {
            wrapped |= fabs((double)s->of_sum[i] - s->of_each[i]) > half_width * rms / 2;
        }
        t->wraps += (uint64_t)wrapped;
        t->unnoticed += wrapped && !failed;
        t->false_alarms += failed && !wrapped;
    }
}

/* One round of BLOCKS blocks; the seed makes new vectors of the same tensors. */
static void oracle_round(const hlq_kernels *kernels, hlq_rng *rng, float *const *x, tally *t)
{
    static codes c, wide;
    static sums s;
    static float out[BLOCKS * HLQ_BLOCK_ELEMS];
    hlq_lattice lattice = (hlq_lattice)hlq_rng_below(rng, 3);
    uint64_t seed = hlq_rng_next(rng);
    int bits = hlq_rng_between(rng, 2, 8), same = hlq_rng_between(rng, 0, 7) == 0;
    memset(s.of_each, 0, sizeof s.of_each);
    memset(s.of_sum, 0, sizeof s.of_sum);
    memset(s.failed, 0, sizeof s.failed);
    for (int b = 0; b < BLOCKS; b++) {
        c.bits[b] = (uint8_t)bits;
        wide.bits[b] = HLQ_BITS_MAX;
        /* The sum of 4 Gaussians has rms 2. Codes for 2 to 10: from always wrapping to never. */
        c.code[b] = wide.code[b] = (uint8_t)(HLQ_CODE_TOP - 8 * BASE + hlq_rng_between(rng, 8, 26));
    }
    hlq_run sum = run_of(&c, 0, lattice, seed, 0);
    for (int p = 0; p < ORACLE_RANKS; p++) {
        hlq_source source = {.data = x[same ? 0 : p], .elems = BLOCKS * HLQ_BLOCK_ELEMS};
        hlq_run run = run_of(&c, p, lattice, seed, 0);
        hlq_run all_planes = run_of(&wide, p, lattice, seed, HLQ_BITS_MAX - bits);
        kernels->encode(&run, &source);
        kernels->encode(&all_planes, &source);
        kernels->decode_add(&all_planes, 0, s.of_each);
        if (p) kernels->planes_add(&sum, &run);
    }
    kernels->decode_add(&sum, 0, s.of_sum);
    kernels->decode(&sum, 1, HLQ_FLOAT32, out, BLOCKS * HLQ_BLOCK_ELEMS, s.failed);
    count_wraps(&c, &s, t);
}

static void no_wrap_goes_unnoticed(uint64_t vectors)
{
    static float data[ORACLE_RANKS][BLOCKS * HLQ_BLOCK_ELEMS];
    float *x[ORACLE_RANKS];
    tally t = {0};
    hlq_rng rng = hlq_rng_new(3);
    for (int p = 0; p < ORACLE_RANKS; p++) {
        hlq_rng_fill(&rng, hlq_rng_gauss, data[p], BLOCKS * HLQ_BLOCK_ELEMS);
        x[p] = data[p];
    }
    uint64_t rounds = vectors / (BLOCKS * HLQ_LANES) + 1;
    hlq_test_case("oracle, %" PRIu64 " rounds", rounds);
    for (uint64_t i = 0; i < rounds; i++) oracle_round(hlq_kernels_get(), &rng, x, &t);
    printf("%" PRIu64 " vectors: %" PRIu64 " of %" PRIu64 " blocks wrapped, %" PRIu64
           " unnoticed\n",
           rounds * BLOCKS * HLQ_LANES, t.wraps, rounds * BLOCKS, t.unnoticed);
    CHECK(t.wraps > rounds && t.wraps < rounds * BLOCKS);
    CHECK_EQ(t.unnoticed, 0);
    CHECK_EQ(t.false_alarms, 0);
}

int main(int argc, char **argv)
{
    hlq_test_start("test_modq_wraps");
    uint64_t vectors = argc > 1 ? strtoull(argv[1], NULL, 10) : FEWER_CASES ? 400000 : 4000000;
    int supported = 0;
    for (int i = 0; hlq_kernels_at(i, &supported); i++) {
        if (supported) any_order_of_additions_gives_the_same_bytes(hlq_kernels_at(i, &supported));
    }
    no_two_shortest_wraps_cancel_out();
    no_wrap_goes_unnoticed(vectors);
    return hlq_test_end();
}
