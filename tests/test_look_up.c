/*
 * The look-up kernels: scalar against their definition in exact integers, all other variants
 * against scalar, byte by byte, at every alignment, with nothing read or written beyond the ends.
 */
#include "hlq_test.h"

#include <kernels/kernels.h>
#include <kernels/look_up.h>

#include <fenv.h>

static const size_t block_counts[] = {0, 1, 2, 14, 15, 16, 63, 64, 65, 255, 256, 300};
enum { COUNTS = sizeof block_counts / sizeof *block_counts };

typedef void variant_test(hlq_rng *rng, const hlq_look_up_kernels *look_up);

static void on_all_variants(variant_test *test)
{
    const hlq_kernels *k;
    int supported;
    for (int i = 0; (k = hlq_kernels_at(i, &supported)); i++) {
        hlq_rng rng = hlq_rng_new(1);
        if (!supported) continue;
        hlq_test_case("%s", k->name);
        test(&rng, k->look_up);
    }
}

/* Tables --------------------------------------------------------------------------------------- */

static void fill_points(hlq_rng *rng, hlq_points *points, int dim)
{
    *points = (hlq_points){.dim = dim};
    for (int j = 0; j < dim; j++) {
        for (int i = 0; i < HLQ_TABLE_ENTRIES; i++) {
            points->at[j][i] = 0.5f * (float)hlq_rng_between(rng, -15, 15);
        }
    }
}

/* Added in fp32 in the order of coordinates, scaled, rounded to even, cut into signed bytes. */
static void check_entry(const hlq_points *points, const float *x, float factor, int planes, int i,
                        const int8_t *table)
{
    float sum = x[0] * points->at[0][i];
    for (int j = 1; j < points->dim; j++) {
        float term = x[j] * points->at[j][i];
        sum = sum + term;
    }
    long entry = 0;
    for (int p = planes - 1; p >= 0; p--) entry = entry * 256 + table[256 * p + i];
    CHECK_EQ(entry, lrintf(sum * factor));
}

static void test_tables_of(hlq_rng *rng, const hlq_look_up_kernels *look_up)
{
    static const float largest[] = {0, 127, 32639, 8355711}; /* of 1, 2, 3 planes */
    for (int choice = 0; choice < 200; choice++) {
        const int dim = 1 << hlq_rng_between(rng, 0, 3), planes = hlq_rng_between(rng, 1, 3);
        const size_t blocks = block_counts[hlq_rng_below(rng, 9)];
        const size_t bytes = blocks * (size_t)(256 * planes);
        hlq_points points;
        fill_points(rng, &points, dim);
        hlq_guarded x = hlq_guarded_new(blocks * (size_t)dim * 4, GUARD_AFTER, -1);
        hlq_guarded tables = hlq_guarded_new(bytes, GUARD_AFTER, hlq_rng_between(rng, -1, 15));
        float *from = x.data;
        for (size_t i = 0; i < blocks * (size_t)dim; i++) {
            from[i] = (float)(2 * hlq_rng_uniform(rng) - 1);
        }
        const float factor = largest[planes] / (7.51f * (float)dim);
        look_up->tables(&points, from, blocks, factor, planes, tables.data);
        for (size_t b = 0; b < blocks; b++) {
            const int8_t *table = (const int8_t *)tables.data + b * (size_t)(256 * planes);
            for (int i = 0; i < 256; i += 1 + hlq_rng_between(rng, 0, 6)) {
                check_entry(&points, from + b * (size_t)dim, factor, planes, i, table);
            }
        }
        CHECK(hlq_guarded_intact(&tables));
        hlq_guarded_free(&x);
        hlq_guarded_free(&tables);
    }
}

static void test_entries_are_rounded_inner_products(void) { on_all_variants(test_tables_of); }

/* A program may round upwards, torch may flush denormals: tables are the same. */
static void test_tables_of_a_hostile_environment(hlq_rng *rng, const hlq_look_up_kernels *look_up)
{
    hlq_points points;
    float x[8 * 64];
    static int8_t want[64 * 512], got[64 * 512];
    fill_points(rng, &points, 8);
    hlq_rng_fill(rng, hlq_rng_gauss, x, 8 * 64);
    hlq_kernels_scalar.look_up->tables(&points, x, 64, 100, 2, want);
    CHECK_EQ(fesetround(FE_UPWARD), 0);
    look_up->tables(&points, x, 64, 100, 2, got);
    CHECK_EQ(fegetround(), FE_UPWARD);
    fesetround(FE_TONEAREST);
    CHECK_BYTES(got, want, sizeof want);
}

static void test_the_callers_rounding_changes_nothing(void)
{
    on_all_variants(test_tables_of_a_hostile_environment);
}

/* Sums ----------------------------------------------------------------------------------------- */

/* Σ entry of each row's index; in a pair, + q × entry of its index in the other layer. */
static void check_sums(const hlq_strip *strip, const int8_t *tables, size_t stride,
                       const int32_t sum[HLQ_TILE_ROWS])
{
    for (size_t r = 0; r < HLQ_TILE_ROWS; r++) {
        int64_t want = 0;
        for (size_t b = 0; b < strip->blocks; b++) {
            const int8_t *table = tables + b * stride;
            const uint8_t *pair = strip->indices + 128 * b + 2 * r;
            const uint8_t *single = strip->indices + 64 * b + 2 * (r % 32) + r / 32;
            want += strip->q ? table[pair[0]] + strip->q * table[pair[1]] : table[*single];
        }
        CHECK_EQ(sum[r], want);
    }
}

/* Entries as large as they are said to be, some strips with nothing but the largest. */
static void fill_tables(hlq_rng *rng, int8_t *tables, size_t bytes, int largest)
{
    const int kind = hlq_rng_between(rng, 0, 3);
    for (size_t i = 0; i < bytes; i++) {
        int entry = hlq_rng_between(rng, -largest, largest);
        if (kind == 1) entry = -largest;
        if (kind == 2) entry = largest;
        tables[i] = (int8_t)(entry > 127 ? 127 : entry);
    }
}

static void test_sums_of(hlq_rng *rng, const hlq_look_up_kernels *look_up)
{
    for (int choice = 0; choice < 400; choice++) {
        const int q = choice % (HLQ_PAIR_Q_MAX + 1) == 1 ? 0 : choice % (HLQ_PAIR_Q_MAX + 1);
        const int largest = choice % 3 ? 128 : hlq_rng_between(rng, 1, 128);
        const size_t blocks = block_counts[hlq_rng_below(rng, COUNTS)];
        const size_t stride = 256 * (size_t)hlq_rng_between(rng, 1, 3);
        const size_t tables_bytes = blocks ? (blocks - 1) * stride + 256 : 0;
        const int misalign = hlq_rng_between(rng, -1, 15);
        hlq_guarded tables = hlq_guarded_new(tables_bytes, GUARD_AFTER, misalign);
        hlq_guarded indices = hlq_guarded_new(blocks * (q ? 128 : 64), GUARD_AFTER, misalign);
        hlq_guarded sum = hlq_guarded_new(HLQ_TILE_ROWS * 4, GUARD_AFTER, -1);
        fill_tables(rng, tables.data, tables_bytes, largest);
        hlq_rng_bytes(rng, indices.data, indices.bytes);
        const hlq_strip strip = {indices.data, blocks, q};
        look_up->sums(&strip, tables.data, stride, largest, sum.data);
        check_sums(&strip, tables.data, stride, sum.data);
        hlq_guarded_free(&tables);
        hlq_guarded_free(&indices);
        hlq_guarded_free(&sum);
    }
}

static void test_sums_are_exact(void) { on_all_variants(test_sums_of); }

int main(void)
{
    hlq_test_start("test_look_up");
    test_entries_are_rounded_inner_products();
    test_the_callers_rounding_changes_nothing();
    test_sums_are_exact();
    return hlq_test_end();
}
