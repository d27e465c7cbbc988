/*
 * The look-up kernels of GPUs give the bytes of the scalar variant, on an emulated warp and
 * on a GPU, as test_cuda_lanes has it for those of collectives.
 */
#include "quantizer_test.h"
#include "gpu_kernels.h"

#include <quantizer/linear.h>

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

/* A product, all of it by the GPU's kernels but for what is done to x first. */
static void multiply(const hlq_linear *linear, const hlq_quantizer *activation, const float *x,
                     float *y)
{
    hlq_linear_row row = {.x = malloc(linear->in * sizeof(float))};
    const size_t totals = linear->tiles * HLQ_TILE_ROWS;
    int64_t *total = calloc(totals, sizeof *total);
    uint64_t overloads = 0;
    long most;
    hlq_cuda_strips strips = {.tiles = linear->tiles, .weight = 1, .total = total};
    if (!row.x || !total) exit(2);
    if (activation) {
        hlq_rows rows;
        CHECK_EQ(hlq_rows_open(&rows, "x", activation, linear->in), HLQ_OK);
        CHECK_EQ(hlq_linear_two_sided(linear, &rows, x, &row, &overloads), HLQ_OK);
        hlq_rows_close(&rows);
    } else {
        hlq_linear_one_sided(linear, x, &row);
    }
    CHECK_EQ(hlq_linear_most(activation, &most), HLQ_OK);
    strips.planes = hlq_linear_planes(most, strips.largest);
    int8_t *tables = malloc(linear->blocks * (size_t)(HLQ_TABLE_ENTRIES * strips.planes));
    if (!tables) exit(2);
    hlq_gpu_tables(activation ? &linear->points : &linear->centred_points, row.x, linear->blocks,
                   row.factor, strips.planes, tables);
    strips.tables = tables;
    strips.tile_bytes = HLQ_TILE_ROWS * linear->blocks * (size_t)linear->quantizer->params.depth;
    for (int s = 0; s < linear->strips; s++) {
        const int pair = s < linear->pairs, q = linear->quantizer->params.q;
        strips.strip = (hlq_strip){linear->indices + hlq_linear_strip(linear, 0, s), linear->blocks,
                                   pair ? q : 0};
        hlq_gpu_sums(&strips);
        strips.weight *= pair ? q * q : q;
    }
    hlq_gpu_finish(&row.finish, total, linear->out, y);
    free(tables);
    free(total);
    free(row.x);
}

static void check_product(hlq_rng *rng, const hlq_quantizer *quantizer, size_t out, size_t blocks)
{
    const size_t in = blocks * (size_t)quantizer->params.dim;
    float *weight = malloc(out * in * sizeof *weight), *x = malloc(in * sizeof *x);
    float *want = malloc(out * sizeof *want);
    hlq_guarded got = hlq_guarded_new(out * sizeof(float), GUARD_AFTER, -1);
    hlq_linear *linear;
    uint64_t overloads;
    if (!weight || !x || !want) exit(2);
    hlq_rng_fill(rng, hlq_rng_gauss, weight, out * in);
    hlq_rng_fill(rng, hlq_rng_gauss, x, in);
    if (CHECK_EQ(hlq_linear_pack(quantizer, weight, out, in, &linear), HLQ_OK)) {
        for (int two_sided = 0; two_sided < 2; two_sided++) {
            const hlq_quantizer *activation = two_sided ? quantizer : NULL;
            CHECK_EQ(hlq_linear_forward(linear, activation, x, 1, want, &overloads, 1), HLQ_OK);
            multiply(linear, activation, x, got.data);
            CHECK_BYTES(got.data, want, got.bytes);
            CHECK(hlq_guarded_intact(&got));
        }
        hlq_linear_destroy(linear);
    }
    hlq_guarded_free(&got);
    free(weight);
    free(x);
    free(want);
}

static void test_products_are_those_of_the_host(void)
{
    static const hnlq_code codes[] = {
        {HLQ_LATTICE_E8, 8, 2, 4}, {HLQ_LATTICE_D4, 4, 4, 2}, {HLQ_LATTICE_D4, 4, 3, 3},
        {HLQ_LATTICE_Z, 1, 16, 2}, {HLQ_LATTICE_Z, 2, 16, 1}, {HLQ_LATTICE_Z, 8, 2, 5},
    };
    static const size_t outs[] = {1, 63, 64, 65, 200};
    hlq_rng rng = hlq_rng_new(3);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        for (int centred = 0; centred < 2; centred++) {
            hlq_quantizer_params params = params_of(&codes[i]);
            params.beta = 8 / pow(params.q, params.depth);
            params.centred = centred;
            hlq_quantizer *quantizer = quantizer_with(&params);
            const size_t out = outs[hlq_rng_below(&rng, 5)], blocks = 1 + hlq_rng_below(&rng, 90);
            name_case(&codes[i], centred ? "centred" : "");
            check_product(&rng, quantizer, out, blocks);
            hlq_quantizer_destroy(quantizer);
        }
    }
}

int main(void)
{
    hlq_test_start("test_cuda_look_up");
    hlq_skip_without_gpu();
    test_tables_have_the_bytes_of_scalar();
    test_sums_of_all_rows_are_those_of_scalar();
    test_products_are_those_of_the_host();
    return hlq_test_end();
}
