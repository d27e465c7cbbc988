/*
 * The plan: the budget is never exceeded, what it can still pay for is bought, larger blocks come
 * first, and only positions break ties. Beside these properties, every plan is compared with one
 * made by trying all levels on every block.
 */
#include "hlq_test.h"

#include <wire/plan.h>

enum { BLOCKS_MAX = 700 };

typedef struct problem {
    size_t blocks, side_bytes, budget;
    int most;
    uint8_t code[BLOCKS_MAX];
} problem;

/* Bits by height over the level, as plan.c draws them. */
static int bits_of_height(int height, int most)
{
    static const int threshold[] = {0, 10, 19, 27, 35, 43, 51, 59, 67, 75, 83};
    int bits = 0;
    for (int i = 0; i < 11; i++) {
        if (height >= threshold[i]) bits = i + 2;
    }
    return bits < most ? bits : most;
}

static int bits_at_level(const problem *p, size_t b, int level)
{
    int c = p->code[b];
    return c == HLQ_CODE_ZERO || c == HLQ_CODE_NONFINITE ? 0 : bits_of_height(c - level, p->most);
}

static size_t price(const problem *p, int bits)
{
    return bits ? p->side_bytes + 32 * (size_t)bits : 0;
}

static size_t total_price(const problem *p, const uint8_t *bits)
{
    size_t total = 0;
    for (size_t b = 0; b < p->blocks; b++) total += price(p, bits[b]);
    return total;
}

/* The lowest level that can be paid, by trying all, from one where every code is worth nothing. */
static int level_by_trying(const problem *p)
{
    for (int level = 256;; level--) {
        size_t total = 0;
        int all_full = 1;
        for (size_t b = 0; b < p->blocks; b++) {
            int bits = bits_at_level(p, b, level - 1);
            total += price(p, bits);
            all_full &= bits == bits_at_level(p, b, -1000);
        }
        if (total > p->budget) return level;
        if (all_full) return level - 1;
    }
}

static hlq_plan solve(const problem *p, uint8_t *bits)
{
    return hlq_plan_bits(p->code, p->blocks, 0, p->most, p->side_bytes, p->budget, bits);
}

/* The level pays for all blocks; what is left raises those that one level lower would, in order. */
static void check_against_the_plain_way(const problem *p, const uint8_t *bits)
{
    int level = level_by_trying(p);
    size_t left = p->budget;
    for (size_t b = 0; b < p->blocks; b++) left -= price(p, bits_at_level(p, b, level));
    for (size_t b = 0; b < p->blocks; b++) {
        int now = bits_at_level(p, b, level), raised = bits_at_level(p, b, level - 1);
        size_t more = price(p, raised) - price(p, now);
        int take = more && more <= left;
        if (take) left -= more;
        if (!CHECK_EQ(bits[b], take ? raised : now)) return;
    }
    for (size_t b = 0; b < p->blocks; b++) {
        int raised = bits_at_level(p, b, level - 1);
        CHECK(bits[b] == raised || price(p, raised) - price(p, bits[b]) > left);
    }
}

static void check_properties(const problem *p, const uint8_t *bits, hlq_plan plan)
{
    uint8_t least[256], most[256] = {0};
    size_t coded = 0, planes = 0;
    memset(least, 255, sizeof least);
    CHECK(total_price(p, bits) <= p->budget);
    for (size_t b = 0; b < p->blocks; b++) {
        int c = p->code[b], k = bits[b];
        coded += k != 0;
        planes += (size_t)k;
        CHECK(k == 0 || (k >= 2 && k <= p->most));
        if (c == HLQ_CODE_ZERO || c == HLQ_CODE_NONFINITE) CHECK_EQ(k, 0);
        CHECK(least[c] >= k); /* among equal codes, earlier ones get more */
        if (k < least[c]) least[c] = (uint8_t)k;
        if (k > most[c]) most[c] = (uint8_t)k;
    }
    CHECK_EQ(plan.coded, coded);
    CHECK_EQ(plan.planes, planes);
    int below = 0; /* most bits of any smaller code */
    for (int c = 1; c <= HLQ_CODE_TOP; c++) {
        if (least[c] == 255) continue;
        CHECK(least[c] >= below);
        below = most[c];
    }
}

static problem random_problem(hlq_rng *rng)
{
    problem p = {
        .blocks = hlq_rng_below(rng, hlq_rng_below(rng, BLOCKS_MAX) + 1),
        .side_bytes = 4 * hlq_rng_below(rng, 3),
        .most = hlq_rng_between(rng, 2, HLQ_BITS_MAX),
    };
    int top = hlq_rng_between(rng, 0, 255), range = hlq_rng_between(rng, 0, 255);
    for (size_t b = 0; b < p.blocks; b++) {
        int c = top - hlq_rng_between(rng, 0, range);
        p.code[b] = (uint8_t)(c < 0 ? 0 : c);
        if (hlq_rng_below(rng, 50) == 0) p.code[b] = HLQ_CODE_NONFINITE;
        if (hlq_rng_below(rng, 50) == 0) p.code[b] = HLQ_CODE_ZERO;
    }
    p.budget = hlq_rng_below(rng, p.blocks * (p.side_bytes + 32 * HLQ_BITS_MAX) + 100);
    return p;
}

static void test_plans_meet_the_budget_in_the_plain_way(void)
{
    hlq_rng rng = hlq_rng_new(1);
    for (int round = 0; round < 3000; round++) {
        problem p = random_problem(&rng);
        uint8_t bits[BLOCKS_MAX];
        hlq_test_case("round %d: %zu blocks, budget %zu, most %d, side %zu", round, p.blocks,
                      p.budget, p.most, p.side_bytes);
        hlq_plan plan = solve(&p, bits);
        check_properties(&p, bits, plan);
        check_against_the_plain_way(&p, bits);
    }
}

/* Byte by byte: more budget never buys less. */
static void test_a_larger_budget_spends_no_less(void)
{
    hlq_rng rng = hlq_rng_new(2);
    for (int round = 0; round < 20; round++) {
        problem p = random_problem(&rng);
        uint8_t bits[BLOCKS_MAX];
        size_t all = p.budget, before = 0;
        if (p.blocks > 40) p.blocks = 40;
        hlq_test_case("round %d: %zu blocks", round, p.blocks);
        for (p.budget = 0; p.budget <= all && p.budget < 20000; p.budget++) {
            solve(&p, bits);
            size_t spent = total_price(&p, bits);
            CHECK(spent >= before);
            before = spent;
        }
    }
}

static int same_or_next_step(int a, int b)
{
    int low = a < b ? a : b, high = a < b ? b : a;
    return high == low || high == (low ? low + 1 : 2);
}

/* Where a block stands decides at most over the one step that the last bytes pay for. */
static void test_order_decides_over_the_last_step_only(void)
{
    hlq_rng rng = hlq_rng_new(3);
    for (int round = 0; round < 500; round++) {
        problem p = random_problem(&rng), shuffled = p;
        uint8_t bits[BLOCKS_MAX], shuffled_bits[BLOCKS_MAX];
        size_t at[BLOCKS_MAX];
        for (size_t b = 0; b < p.blocks; b++) {
            size_t other = hlq_rng_below(&rng, b + 1);
            at[b] = b;
            if (other != b) at[b] = at[other], at[other] = b;
        }
        for (size_t b = 0; b < p.blocks; b++) shuffled.code[at[b]] = p.code[b];
        hlq_test_case("round %d: %zu blocks, budget %zu", round, p.blocks, p.budget);
        solve(&p, bits);
        solve(&shuffled, shuffled_bits);
        for (size_t b = 0; b < p.blocks; b++) {
            CHECK(same_or_next_step(bits[b], shuffled_bits[at[b]]));
        }
    }
}

static void test_extremes(void)
{
    problem p = {.side_bytes = 8, .most = HLQ_BITS_MAX};
    uint8_t bits[BLOCKS_MAX];
    hlq_test_case("no blocks");
    p.budget = 1000;
    hlq_plan plan = solve(&p, bits);
    CHECK_EQ(plan.coded, 0);
    CHECK_EQ(plan.planes, 0);

    static const int codes[] = {1, 2, 100, HLQ_CODE_TOP};
    for (int i = 0; i < 4; i++) {
        hlq_test_case("100 blocks of code %d", codes[i]);
        p.blocks = 100;
        memset(p.code, codes[i], p.blocks);
        p.budget = 0;
        CHECK_EQ(solve(&p, bits).coded, 0);
        p.budget = 100 * 8 + 100 * 4 * 32 - 1; /* one byte short of 4 bits for all */
        plan = solve(&p, bits);
        CHECK_EQ(plan.coded, 100);
        CHECK_EQ(plan.planes, 399);
        CHECK_EQ(bits[98], 4);
        CHECK_EQ(bits[99], 3);
        p.budget = SIZE_MAX;
        CHECK_EQ(solve(&p, bits).planes, 100 * HLQ_BITS_MAX);
    }

    hlq_test_case("a small block among large ones");
    memset(p.code, HLQ_CODE_TOP, p.blocks);
    p.code[0] = 1;
    p.budget = 99 * (8 + 32 * HLQ_BITS_MAX);
    solve(&p, bits);
    CHECK_EQ(bits[0], 0);
    CHECK_EQ(bits[99], HLQ_BITS_MAX);

    hlq_test_case("zero and non-finite blocks");
    for (size_t b = 0; b < p.blocks; b++) p.code[b] = b & 1 ? HLQ_CODE_ZERO : HLQ_CODE_NONFINITE;
    CHECK_EQ(solve(&p, bits).coded, 0);
}

static void test_expected_distortion_falls_with_bits_and_lattice(void)
{
    for (hlq_lattice l = HLQ_LATTICE_E8; l <= HLQ_LATTICE_Z; l++) {
        hlq_test_case("%s", hlq_lattice_name(l));
        CHECK_WITHIN(hlq_plan_distortion(l, 0, 0), 1, 1);
        CHECK_WITHIN(hlq_plan_distortion(l, 1, 0), 1, 1);
        for (int k = 3; k <= HLQ_BITS_MAX; k++) {
            double ratio = hlq_plan_distortion(l, 0, k - 1) / hlq_plan_distortion(l, 0, k);
            /* 6 dB per bit; more at first, where codes waste more of their range */
            CHECK_WITHIN(ratio, k > 6 ? 4 : 3.9, k > 6 ? 4 : 5.2);
            /* Dither costs less with every bit: 2 of 2^bits lattice units. */
            double cost = hlq_plan_distortion(l, 1, k) / hlq_plan_distortion(l, 0, k);
            CHECK_WITHIN(cost, 0.9, k == 3 ? 1.65 : k == 4 ? 1.3 : 1.15);
        }
    }
    for (int k = 2; k <= HLQ_BITS_MAX; k++) {
        for (int dithered = 0; dithered <= 1; dithered++) {
            hlq_test_case("%d bits", k);
            double e8 = hlq_plan_distortion(HLQ_LATTICE_E8, dithered, k);
            double d4 = hlq_plan_distortion(HLQ_LATTICE_D4, dithered, k);
            CHECK(e8 < d4 && d4 < hlq_plan_distortion(HLQ_LATTICE_Z, dithered, k));
        }
    }
}

/* A least of 2 bits, where the budget pays for it: every block that can have bits has them, and the
   rest goes to the largest as ever; where it does not, it is as if there were none. */
static void test_a_least_is_kept_where_it_can_be_paid(void)
{
    enum { BLOCKS = 500, LEAST = 2, SIDE = 8 };
    uint8_t code[BLOCKS], bits[BLOCKS], without[BLOCKS];
    hlq_rng rng = hlq_rng_new(5);
    for (int trial = 0; trial < 2000; trial++) {
        size_t sized = 0;
        for (int b = 0; b < BLOCKS; b++) {
            code[b] = (uint8_t)hlq_rng_below(&rng, 256);
            sized += code[b] != HLQ_CODE_ZERO && code[b] != HLQ_CODE_NONFINITE;
        }
        size_t needed = sized * (SIDE + LEAST * HLQ_PLANE_BYTES);
        size_t budget = needed + hlq_rng_below(&rng, 2 * needed);
        hlq_test_case("%zu blocks, %zu bytes beyond what they need", sized, budget - needed);
        if (trial % 10 == 0) budget = hlq_rng_below(&rng, needed);
        hlq_plan plan = hlq_plan_bits(code, BLOCKS, LEAST, HLQ_BITS_MAX, SIDE, budget, bits);
        size_t spent = plan.coded * SIDE + plan.planes * HLQ_PLANE_BYTES, below = 0, few = 0;
        CHECK_AT_MOST(spent, budget);
        if (budget < needed) {
            hlq_plan_bits(code, BLOCKS, 0, HLQ_BITS_MAX, SIDE, budget, without);
            CHECK_BYTES(bits, without, sizeof bits);
            continue;
        }
        CHECK_EQ(plan.coded, sized);
        CHECK_AT_MOST(budget - spent, HLQ_PLANE_BYTES - 1 + (plan.planes == 12 * sized) * budget);
        for (int b = 0; b < BLOCKS; b++) {
            int is_sized = code[b] != HLQ_CODE_ZERO && code[b] != HLQ_CODE_NONFINITE;
            few += is_sized ? bits[b] < LEAST : bits[b] > 0;
            for (int c = 0; c < BLOCKS && is_sized; c++) {
                int is_larger = code[c] > code[b] && code[c] != HLQ_CODE_NONFINITE;
                below += is_larger && bits[c] < bits[b];
            }
        }
        CHECK_EQ(few, 0);
        CHECK_EQ(below, 0);
    }
}

int main(void)
{
    hlq_test_start("test_plan");
    test_plans_meet_the_budget_in_the_plain_way();
    test_a_larger_budget_spends_no_less();
    test_order_decides_over_the_last_step_only();
    test_extremes();
    test_expected_distortion_falls_with_bits_and_lattice();
    test_a_least_is_kept_where_it_can_be_paid();
    return hlq_test_end();
}
