/*
 * The look-up kernels of GPUs give the bytes of the scalar variant, on an emulated warp and
 * on a GPU, as test_cuda_lanes has it for those of collectives. Whole products: test_linear_cuda.
 */
#include "quantizer_test.h"
#include "gpu_kernels.h"

#include <kernels/body/finish.h>

static const size_t block_counts[] = {0, 1, 14, 15, 16, 63, 64, 65, 200};
enum { COUNTS = sizeof block_counts / sizeof *block_counts, X_ROWS = 3 };

static void test_tables_have_the_bytes_of_scalar(void)
{
    static const float largest[] = {0, 127, 32639, 8355711}; /* of 1, 2, 3 planes */
    hlq_rng rng = hlq_rng_new(1);
    for (int choice = 0; choice < 96; choice++) {
        const int dim = 1 << choice % 4, planes = 1 + choice / 4 % 3;
        const size_t blocks = block_counts[hlq_rng_below(&rng, COUNTS)];
        const size_t bytes = blocks * (size_t)(256 * planes), numbers = blocks * (size_t)dim;
        hlq_points points = {.dim = dim};
        hlq_look_up_row row[X_ROWS];
        hlq_guarded x = hlq_guarded_new(X_ROWS * numbers * sizeof(float), GUARD_AFTER, -1);
        hlq_guarded got = hlq_guarded_new(X_ROWS * bytes, GUARD_AFTER, -1);
        hlq_guarded want = hlq_guarded_new(got.bytes, GUARD_AFTER, -1);
        for (int i = 0; i < dim * HLQ_TABLE_ENTRIES; i++) {
            points.at[i / HLQ_TABLE_ENTRIES][i % HLQ_TABLE_ENTRIES] =
                0.5f * (float)hlq_rng_between(&rng, -15, 15);
        }
        for (size_t i = 0; i < X_ROWS * numbers; i++) {
            ((float *)x.data)[i] = (float)(2 * hlq_rng_uniform(&rng) - 1);
        }
        hlq_test_case("tables of %zu blocks, dim %d, %d planes", blocks, dim, planes);
        for (size_t r = 0; r < X_ROWS; r++) {
            row[r].factor = largest[planes] / (7.51f * (float)dim * (float)(r + 1));
            hlq_kernels_scalar.look_up->tables(&points, (float *)x.data + r * numbers, blocks,
                                               row[r].factor, planes,
                                               (int8_t *)want.data + r * bytes);
        }
        hlq_gpu_tables(&points, x.data, row, X_ROWS, blocks, planes, got.data);
        CHECK_BYTES(got.data, want.data, got.bytes);
        CHECK(hlq_guarded_intact(&got));
        hlq_guarded_free(&x);
        hlq_guarded_free(&got);
        hlq_guarded_free(&want);
    }
}

/* The strip's sums of one tile and plane by one row's tables, by scalar, weighed and added to what
   was there. */
static void add_tile(const hlq_cuda_strips *s, size_t row, size_t tile, int plane, int64_t *total)
{
    const size_t stride = (size_t)(HLQ_TABLE_ENTRIES * s->planes);
    const int8_t *tables = s->tables + row * s->strip.blocks * stride;
    int32_t sum[HLQ_TILE_ROWS];
    hlq_strip strip = s->strip;
    strip.indices += tile * s->tile_bytes;
    hlq_kernels_scalar.look_up->sums(&strip, tables + HLQ_TABLE_ENTRIES * plane, stride,
                                     s->largest[plane], sum);
    for (int r = 0; r < HLQ_TILE_ROWS; r++) {
        total[HLQ_TILE_ROWS * (row * s->tiles + tile) + (size_t)r] +=
            s->weight * sum[r] * (1 << 8 * plane);
    }
}

static void add_by_scalar(const hlq_cuda_strips *s, int64_t *total)
{
    for (size_t row = 0; row < s->rows; row++) {
        for (size_t tile = 0; tile < s->tiles; tile++) {
            for (int p = 0; p < s->planes; p++) add_tile(s, row, tile, p, total);
        }
    }
}

/* Entries of every size, or all as large as a plane's can be. */
static void fill_entries(hlq_rng *rng, hlq_guarded *tables, int largest)
{
    const int kind = hlq_rng_between(rng, 0, 2);
    for (size_t i = 0; i < tables->bytes; i++) {
        int entry = kind == 1 ? -largest : kind == 2 ? largest : hlq_rng_between(rng, -128, 127);
        if (entry > largest) entry = largest;
        ((int8_t *)tables->data)[i] = (int8_t)(entry > 127        ? 127
                                               : entry < -largest ? -largest
                                                                  : entry);
    }
}

static void test_sums_of_all_rows_are_those_of_scalar(void)
{
    hlq_rng rng = hlq_rng_new(2);
    for (int choice = 0; choice < 200; choice++) {
        const int q = choice % (HLQ_PAIR_Q_MAX + 1) == 1 ? 0 : choice % (HLQ_PAIR_Q_MAX + 1);
        const int planes = 1 + choice % 3, most = choice % 2 ? 128 : hlq_rng_between(&rng, 1, 128);
        const size_t blocks = block_counts[hlq_rng_below(&rng, COUNTS)],
                     tiles = 1 + hlq_rng_below(&rng, 3), rows = 1 + hlq_rng_below(&rng, X_ROWS);
        const size_t tile_bytes = blocks * (q ? 128 : 64) + 2 * hlq_rng_below(&rng, 9);
        const size_t totals = rows * tiles * HLQ_TILE_ROWS;
        hlq_guarded tables =
            hlq_guarded_new(rows * blocks * (size_t)(256 * planes), GUARD_AFTER, -1);
        hlq_guarded indices = hlq_guarded_new(tiles * tile_bytes, GUARD_AFTER, -1);
        hlq_guarded got = hlq_guarded_new(totals * sizeof(int64_t), GUARD_AFTER, -1);
        hlq_guarded want = hlq_guarded_new(got.bytes, GUARD_AFTER, -1);
        fill_entries(&rng, &tables, most);
        hlq_rng_bytes(&rng, indices.data, indices.bytes);
        for (size_t i = 0; i < totals; i++) {
            ((int64_t *)want.data)[i] = hlq_rng_between(&rng, -1000, 1000);
        }
        memcpy(got.data, want.data, got.bytes);
        const hlq_cuda_strips strips = {.strip = {indices.data, blocks, q},
                                        .tiles = tiles,
                                        .tile_bytes = tile_bytes,
                                        .rows = rows,
                                        .tables = tables.data,
                                        .planes = planes,
                                        .largest = {most, most, most},
                                        .weight = hlq_rng_between(&rng, 1, 65536),
                                        .total = got.data};
        hlq_test_case("sums of %zu rows, %zu tiles, %zu blocks, q %d, %d planes", rows, tiles,
                      blocks, q, planes);
        add_by_scalar(&strips, want.data);
        hlq_gpu_sums(&strips);
        CHECK_BYTES(got.data, want.data, got.bytes);
        CHECK(hlq_guarded_intact(&got));
        hlq_guarded_free(&tables);
        hlq_guarded_free(&indices);
        hlq_guarded_free(&got);
        hlq_guarded_free(&want);
    }
}

/* Totals of any size; a stride beyond the rows that there are. */
static void test_the_last_step_is_that_of_the_host(void)
{
    static const size_t outs[] = {0, 1, 31, 32, 33, 64, 200};
    hlq_rng rng = hlq_rng_new(3);
    for (int choice = 0; choice < 56; choice++) {
        const size_t out = outs[choice % 7], stride = (out + 63) / 64 * 64;
        const int dim = 1 << choice / 7 % 4, is_centred = choice >= 28;
        float scales[200];
        double sums[200 * HLQ_DIM_MAX];
        int64_t total[X_ROWS * 256];
        hlq_look_up_row row[X_ROWS];
        hlq_guarded got = hlq_guarded_new(X_ROWS * out * sizeof(float), GUARD_AFTER, -1);
        hlq_cuda_products p = {.finish = {scales, is_centred ? sums : NULL, dim, {0}},
                               .row = row,
                               .rows = X_ROWS,
                               .out = out,
                               .total = total,
                               .stride = stride,
                               .y = got.data};
        hlq_rng_fill(&rng, hlq_rng_lognormal, scales, 200);
        for (int i = 0; i < 200 * HLQ_DIM_MAX; i++) sums[i] = hlq_rng_between(&rng, -999, 999);
        for (int i = 0; i < X_ROWS * 256; i++) total[i] = (int64_t)hlq_rng_next(&rng) >> i % 60;
        for (int j = 0; j < dim; j++) p.finish.minus[j] = hlq_rng_gauss(&rng);
        for (int r = 0; r < X_ROWS; r++) {
            row[r] = (hlq_look_up_row){1, hlq_rng_lognormal(&rng), hlq_rng_gauss(&rng)};
        }
        hlq_test_case("y of %zu rows, dim %d, %s", out, dim, is_centred ? "centred" : "");
        hlq_gpu_finish(&p);
        for (size_t i = 0; i < X_ROWS * out; i++) {
            const size_t x = i / out, r = i % out;
            const float want = finish_row(&p.finish, &row[x], total[x * stride + r], r);
            CHECK_BYTES((float *)got.data + i, &want, sizeof want);
        }
        CHECK(hlq_guarded_intact(&got));
        hlq_guarded_free(&got);
    }
}

int main(void)
{
    hlq_test_start("test_cuda_look_up");
    hlq_skip_without_gpu();
    test_tables_have_the_bytes_of_scalar();
    test_sums_of_all_rows_are_those_of_scalar();
    test_the_last_step_is_that_of_the_host();
    return hlq_test_end();
}
