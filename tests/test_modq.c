/*
 * modq: the same bytes for any order of ranks; and inputs made to leave the range of the codes come
 * out right, whatever it takes. The kernels' part of it is in test_modq_wraps.
 */
#include "hlq_test.h"
#include "model.h"
#include "ranks.h"

#include <kernels/kernels.h>

#include <float.h>

/* Order of ranks ------------------------------------------------------------------------------- */

enum { PERMUTED = 3000 };

typedef struct permutation {
    int of[RANKS_MAX];
    uint64_t digest; /* of the result */
} permutation;

static void reduce_permuted(test_rank *me, void *argument)
{
    permutation *permuted = argument;
    float x[PERMUTED];
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_comm *comm = NULL;
    hlq_rng rng = hlq_rng_new(100 + (uint64_t)permuted->of[me->rank]);
    hlq_rng_fill(&rng, hlq_rng_lognormal, x, PERMUTED);
    options.algorithm = HLQ_ALG_MODQ;
    options.bits = 5;
    if (CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) {
        CHECK_EQ(hlq_all_reduce(comm, x, x, PERMUTED, HLQ_FLOAT32, HLQ_SUM, NULL, NULL), HLQ_OK);
        CHECK(rank_same(me, x, sizeof x));
        if (me->rank == 0) permuted->digest = digest_of(x, sizeof x);
    }
    rank_destroy(me, comm);
}

/* The next permutation in lexicographic order; 0 after the last. */
static int next_permutation(int *a, int n)
{
    int i = n - 2, j = n - 1;
    while (i >= 0 && a[i] > a[i + 1]) i--;
    if (i < 0) return 0;
    while (a[j] < a[i]) j--;
    int t = a[i];
    a[i] = a[j], a[j] = t;
    for (int l = i + 1, r = n - 1; l < r; l++, r--) t = a[l], a[l] = a[r], a[r] = t;
    return 1;
}

static void any_permutation_gives_the_same_bytes(void)
{
    permutation p = {.digest = 0};
    uint64_t expected = 0;
    int tried = 0;
    for (int i = 0; i < 8; i++) p.of[i] = i;
    do {
        hlq_test_case("4 ranks, permutation %d", tried);
        ranks_as_threads(4, reduce_permuted, &p);
        if (!tried++) expected = p.digest;
        CHECK(p.digest == expected);
    } while (next_permutation(p.of, 4));
    CHECK_EQ(tried, 24);

    hlq_rng rng = hlq_rng_new(1);
    for (int i = 0; i < 8; i++) p.of[i] = i;
    for (tried = 0; tried < 11; tried++) {
        hlq_test_case("8 ranks, permutation %d", tried);
        ranks_as_threads(8, reduce_permuted, &p);
        if (!tried) expected = p.digest;
        CHECK(p.digest == expected);
        hlq_rng_shuffle(&rng, p.of, 8);
    }
}

/* Sums that leave their range ------------------------------------------------------------- */

enum { TENSOR = 20 * MODEL_BLOCK + 77 };

typedef enum attack {
    SAME_ON_ALL,
    SAME_SINGLE_VECTOR,    /* all of a block's energy in one lattice vector */
    SINGLE_VECTOR_ON_HALF, /* of the ranks; noise on the others */
    OPPOSITE,
    ONE_RANK_1000_TIMES,
    EACH_RANK_TWICE_THE_LAST,
    ATTACKS,
} attack;

static const char *const attack_name[ATTACKS] = {
    "the same on all ranks", "the same single vector on all ranks", "one vector on half of them",
    "opposite vectors",      "one rank 1000 times larger",          "each rank twice the last",
};

typedef struct attack_run {
    attack attack;
    double bits;
    hlq_lattice lattice;
    hlq_op op;
} attack_run;

/* A tensor each block of which, once rotated, is one row of one lane: what unrotate makes of it. */
static void single_vectors(float *x)
{
    static const hlq_place place = {.blocks = TENSOR / MODEL_BLOCK, .stride = 1};
    float acc[TENSOR] = {0};
    memset(x, 0, TENSOR * sizeof *x);
    for (size_t b = 0; b < place.blocks; b++) {
        acc[b * MODEL_BLOCK + 37 * b % MODEL_BLOCK] = b % 2 ? 16.0f : -16.0f;
    }
    hlq_kernels_get()->unrotate(&place, acc, 0, 1, HLQ_FLOAT32, x, TENSOR);
}

static void attack_input(const attack_run *a, int p, int ranks, float *x)
{
    hlq_rng common = hlq_rng_new(50), own = hlq_rng_new(60 + (uint64_t)p);
    float factor = 1;
    if (a->attack == OPPOSITE && p % 2) factor = -1;
    if (a->attack == ONE_RANK_1000_TIMES && p == ranks / 2) factor = 1000;
    if (a->attack == EACH_RANK_TWICE_THE_LAST) factor = ldexpf(1, p);
    int alone = a->attack == ONE_RANK_1000_TIMES || a->attack == EACH_RANK_TWICE_THE_LAST ||
                (a->attack == SINGLE_VECTOR_ON_HALF && p % 2);
    if (alone) hlq_rng_fill(&own, hlq_rng_gauss, x, TENSOR);
    else if (a->attack == SAME_ON_ALL) hlq_rng_fill(&common, hlq_rng_gauss, x, TENSOR);
    else single_vectors(x);
    for (int i = 0; i < TENSOR; i++) x[i] *= factor;
}

/* What came out plus what stays in the residuals is what went in. */
static void check_identity(test_rank *me, const model *m, const float *result,
                           const float *residual)
{
    float *all = malloc((size_t)me->size * TENSOR * sizeof *all);
    double off = 0, size = 0;
    rank_gather(me, residual, TENSOR * sizeof *residual, all);
    for (size_t i = 0; i < TENSOR; i++) {
        double missing = model_exact(m, i) - result[i];
        for (int p = 0; p < me->size; p++) {
            missing -= m->factor * all[(size_t)p * TENSOR + i];
        }
        off += missing * missing;
    }
    for (size_t b = 0; b < m->blocks; b++) size += m->sizes[b];
    CHECK_AT_MOST(sqrt(off), m->factor * (32 + me->size) * FLT_EPSILON * size);
    free(all);
}

/* A residual is the error of one quantization; no vector is off by more than the statistics say. */
static void check_largest_scale(hlq_lattice lattice, double largest_scale, const float *residual)
{
    double worst = 0;
    for (size_t b = 0; b * MODEL_BLOCK < TENSOR; b++) {
        double squares = 0;
        for (size_t i = b * MODEL_BLOCK; i < (b + 1) * MODEL_BLOCK && i < TENSOR; i++) {
            squares += (double)residual[i] * residual[i];
        }
        worst = fmax(worst, sqrt(squares));
    }
    CHECK_AT_MOST(worst, model_quantized(lattice, largest_scale));
}

static void withstand(test_rank *me, hlq_comm *comm, const attack_run *a)
{
    float x[TENSOR], result[TENSOR], residual[TENSOR] = {0};
    double scales[RANKS_MAX];
    hlq_call call = HLQ_CALL_INIT;
    hlq_stats stats = {.struct_bytes = sizeof stats};
    model m = model_new(TENSOR, me->size, a->op);
    for (int p = 0; p < me->size; p++) {
        attack_input(a, p, me->size, x);
        model_add(&m, x);
    }
    attack_input(a, me->rank, me->size, x);
    call.residual = residual;
    CHECK_EQ(hlq_all_reduce(comm, x, result, TENSOR, HLQ_FLOAT32, a->op, &call, NULL), HLQ_OK);
    CHECK_EQ(hlq_comm_stats(comm, &stats), HLQ_OK);
    CHECK(rank_same(me, result, sizeof result));
    CHECK((stats.overloads > 0) == (stats.retries > 0));
    /* 2.5 √17 = 10.3 times one rank's size is expected of the sum at most; 17 times is what it is.
       (3 bits pay for headers alone.) */
    if (a->attack == SAME_ON_ALL && me->size == 17 && a->bits > 3) CHECK(stats.overloads > 0);
    if (a->attack == SAME_SINGLE_VECTOR) CHECK(stats.overloads > 0);
    rank_gather(me, &stats.largest_scale, sizeof *scales, scales);
    model_bound bound = {a->lattice, HLQ_FLOAT32, model_scales(HLQ_ALG_MODQ, scales, me->size)};
    if (me->rank == 0) CHECK_WITHIN(model_worst(&m, &bound, result), 0, 1);
    check_identity(me, &m, result, residual);
    check_largest_scale(a->lattice, stats.largest_scale, residual);
    model_free(&m);
}

/* Parts of very different sizes: what a rank sent to others counts as what it keeps. */
static void a_reduce_scatter_tells_all_scales(test_rank *me, void *argument)
{
    enum { PART = 3 * MODEL_BLOCK };
    size_t elems = (size_t)me->size * PART;
    float *x = calloc(elems, sizeof *x), *residual = calloc(elems, sizeof *residual), result[PART];
    hlq_rng rng = hlq_rng_new((uint64_t)me->rank);
    hlq_call call = HLQ_CALL_INIT;
    hlq_stats stats = {.struct_bytes = sizeof stats};
    hlq_comm *comm = NULL;
    double worst = 0;
    (void)argument;
    hlq_test_case("reduce-scatter, rank %d of %d", me->rank, me->size);
    for (size_t i = 0; i < elems; i++) x[i] = (float)ldexp(hlq_rng_gauss(&rng), (int)(i / PART));
    call.algorithm = HLQ_ALG_MODQ;
    call.residual = residual;
    CHECK_EQ(rank_create(me, NULL, &comm), HLQ_OK);
    CHECK_EQ(hlq_reduce_scatter(comm, x, result, PART, HLQ_FLOAT32, HLQ_SUM, &call, NULL), HLQ_OK);
    CHECK_EQ(hlq_comm_stats(comm, &stats), HLQ_OK);
    for (size_t b = 0; b < elems; b += MODEL_BLOCK) {
        double squares = 0;
        for (size_t i = b; i < b + MODEL_BLOCK; i++) squares += (double)residual[i] * residual[i];
        worst = fmax(worst, sqrt(squares));
    }
    CHECK_WITHIN(worst, 0.1 * model_quantized(HLQ_LATTICE_E8, stats.largest_scale),
                 model_quantized(HLQ_LATTICE_E8, stats.largest_scale));
    rank_destroy(me, comm);
    free(x);
    free(residual);
}

static void withstand_all(test_rank *me, void *argument)
{
    static const double bits[] = {3, 5, 8, 12};
    (void)argument;
    for (int i = 0; i < ATTACKS * 4; i++) {
        hlq_rng rng = hlq_rng_new((uint64_t)(1000 + 100 * me->size + i));
        attack_run a = {
            .attack = (attack)(i / 4),
            .bits = bits[i % 4],
            .lattice = (hlq_lattice)hlq_rng_below(&rng, 3),
            .op = (hlq_op)hlq_rng_below(&rng, 2),
        };
        hlq_options options = HLQ_OPTIONS_INIT;
        hlq_comm *comm = NULL;
        options.algorithm = HLQ_ALG_MODQ;
        options.bits = a.bits;
        options.lattice = a.lattice;
        hlq_test_case("%d ranks, %s, %s, %g bits", me->size, attack_name[a.attack],
                      hlq_lattice_name(a.lattice), a.bits);
        if (CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) withstand(me, comm, &a);
        rank_destroy(me, comm);
    }
}

int main(void)
{
    static const int ranks[] = {2, 3, 5, 8, 17};
    hlq_test_start("test_modq");
    any_permutation_gives_the_same_bytes();
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++) {
        ranks_as_threads(ranks[i], withstand_all, NULL);
        ranks_as_threads(ranks[i], a_reduce_scatter_tells_all_scales, NULL);
    }
    return hlq_test_end();
}
