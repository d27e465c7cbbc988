/*
 * The look-up kernels of GPUs give the bytes of the scalar variant, on an emulated warp and
 * on a GPU, as test_cuda_lanes has it for those of collectives.
 */
#include "hlq_test.h"
#include "gpu_kernels.h"

static const size_t block_counts[] = {0, 1, 14, 15, 16, 63, 64, 65, 200};
enum { COUNTS = sizeof block_counts / sizeof *block_counts };

static void test_tables_have_the_bytes_of_scalar(void)
{
    static const float largest[] = {0, 127, 32639, 8355711}; /* of 1, 2, 3 planes */
    hlq_rng rng = hlq_rng_new(1);
    for (int choice = 0; choice < 96; choice++) {
        const int dim = 1 << choice % 4, planes = 1 + choice / 4 % 3;
        const size_t blocks = block_counts[hlq_rng_below(&rng, COUNTS)];
        hlq_points points = {.dim = dim};
        hlq_guarded x = hlq_guarded_new(blocks * (size_t)dim * sizeof(float), GUARD_AFTER, -1);
        hlq_guarded got = hlq_guarded_new(blocks * (size_t)(256 * planes), GUARD_AFTER, -1);
        hlq_guarded want = hlq_guarded_new(got.bytes, GUARD_AFTER, -1);
        for (int i = 0; i < dim * HLQ_TABLE_ENTRIES; i++) {
            points.at[i / HLQ_TABLE_ENTRIES][i % HLQ_TABLE_ENTRIES] =
                0.5f * (float)hlq_rng_between(&rng, -15, 15);
        }
        for (size_t i = 0; i < blocks * (size_t)dim; i++) {
            ((float *)x.data)[i] = (float)(2 * hlq_rng_uniform(&rng) - 1);
        }
        const float factor = largest[planes] / (7.51f * (float)dim);
        hlq_test_case("tables of %zu blocks, dim %d, %d planes", blocks, dim, planes);
        hlq_kernels_scalar.look_up->tables(&points, x.data, blocks, factor, planes, want.data);
        hlq_gpu_tables(&points, x.data, blocks, factor, planes, got.data);
        CHECK_BYTES(got.data, want.data, got.bytes);
        CHECK(hlq_guarded_intact(&got));
        hlq_guarded_free(&x);
        hlq_guarded_free(&got);
        hlq_guarded_free(&want);
    }
}

/* A matrix of a few tiles: every strip's sums, by scalar, weighed and added to what was there. */
static void add_by_scalar(const hlq_cuda_strips *s, int64_t *total)
{
    const size_t stride = (size_t)(HLQ_TABLE_ENTRIES * s->planes);
    for (size_t tile = 0; tile < s->tiles; tile++) {
        for (int p = 0; p < s->planes; p++) {
            int32_t sum[HLQ_TILE_ROWS];
            hlq_strip strip = s->strip;
            strip.indices += tile * s->tile_bytes;
            hlq_kernels_scalar.look_up->sums(&strip, s->tables + HLQ_TABLE_ENTRIES * p, stride,
                                             s->largest[p], sum);
            for (int r = 0; r < HLQ_TILE_ROWS; r++) {
                total[HLQ_TILE_ROWS * tile + (size_t)r] += s->weight * sum[r] * (1 << 8 * p);
            }
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
                     tiles = 1 + hlq_rng_below(&rng, 3);
        const size_t tile_bytes = blocks * (q ? 128 : 64) + 2 * hlq_rng_below(&rng, 9);
        hlq_guarded tables = hlq_guarded_new(blocks * (size_t)(256 * planes), GUARD_AFTER, -1);
        hlq_guarded indices = hlq_guarded_new(tiles * tile_bytes, GUARD_AFTER, -1);
        hlq_guarded got = hlq_guarded_new(tiles * HLQ_TILE_ROWS * sizeof(int64_t), GUARD_AFTER, -1);
        hlq_guarded want = hlq_guarded_new(got.bytes, GUARD_AFTER, -1);
        fill_entries(&rng, &tables, most);
        hlq_rng_bytes(&rng, indices.data, indices.bytes);
        for (size_t i = 0; i < tiles * HLQ_TILE_ROWS; i++) {
            ((int64_t *)want.data)[i] = hlq_rng_between(&rng, -1000, 1000);
        }
        memcpy(got.data, want.data, got.bytes);
        const hlq_cuda_strips strips = {.strip = {indices.data, blocks, q},
                                        .tiles = tiles,
                                        .tile_bytes = tile_bytes,
                                        .tables = tables.data,
                                        .planes = planes,
                                        .largest = {most, most, most},
                                        .weight = hlq_rng_between(&rng, 1, 65536),
                                        .total = got.data};
        hlq_test_case("sums of %zu tiles, %zu blocks, q %d, %d planes", tiles, blocks, q, planes);
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

int main(void)
{
    hlq_test_start("test_cuda_look_up");
    hlq_skip_without_gpu();
    test_tables_have_the_bytes_of_scalar();
    test_sums_of_all_rows_are_those_of_scalar();
    return hlq_test_end();
}
