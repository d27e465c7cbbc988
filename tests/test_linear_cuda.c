/*
 * Rows and linear layers of hlqcomm/cuda.h: the host's numbers, bit by bit, as work on a stream
 * that can be captured; rows that the host refuses are NaN and counted. On stand-ins and the
 * emulated warp, and on a GPU.
 */
#include "linear_test.h"
#include "gpu_kernels.h"
#include "quantizer_gpu.h"

#include <hlqcomm/cuda.h>

#include <float.h>

static pair gpu;

/* Nothing is known of what it holds. */
static void *workspace_of(size_t bytes) { return bytes ? filled(0x55, bytes) : NULL; }

/* Rows ---------------------------------------------------------------------------------------- */

typedef struct rows {
    size_t rows, columns;
    int fit;
    float *x, *want; /* of the host, [rows, columns] */
    uint64_t shrunk, invalid;
} rows;

/* Row by row, so that those that are refused are known. */
static void by_host(const hlq_quantizer *quantizer, rows *r)
{
    r->shrunk = r->invalid = 0;
    for (size_t i = 0; i < r->rows; i++) {
        uint64_t shrunk;
        float *out = r->want + i * r->columns;
        if (hlq_rows_quantize(quantizer, r->x + i * r->columns, 1, r->columns, r->fit, out,
                              &shrunk) == HLQ_OK) {
            r->shrunk += shrunk;
            continue;
        }
        r->invalid++;
        for (size_t j = 0; j < r->columns; j++) out[j] = NAN;
    }
}

/* times: how often the work is done, from 2 on by a graph; 0: once, in place. */
static void check_rows(const hlq_quantizer *quantizer, rows *r, int times)
{
    const int in_place = times == 0;
    const size_t numbers = r->rows * r->columns, bytes = numbers * sizeof(float);
    const size_t room = hlq_cuda_rows_workspace(r->rows, r->columns, r->fit);
    float *x = copied(r->x, bytes), *out = in_place ? x : filled(0x55, bytes);
    uint64_t *counter = filled(0, 2 * sizeof *counter); /* shrunk, invalid */
    void *workspace = workspace_of(room), *graph = NULL;
    by_host(quantizer, r);
    if (times > 1) pair_capture(&gpu);
    CHECK_EQ(hlq_cuda_rows_quantize(quantizer, x, r->rows, r->columns, r->fit, out, counter,
                                    counter + 1, workspace, room, gpu.stream),
             HLQ_OK);
    if (times > 1) {
        graph = pair_captured(&gpu);
        for (int i = 0; i < times; i++) pair_launch(&gpu, graph);
    }
    pair_synchronize(&gpu);
    if (graph) pair_graph_free(graph);
    check_device(out, r->want, bytes, "rows");
    const uint64_t calls = in_place ? 1 : (uint64_t)times;
    if (!r->invalid) check_counter(counter, calls * r->shrunk);
    check_counter(counter + 1, calls * r->invalid);
    if (!in_place) check_device(x, r->x, bytes, "x");
    void *all[] = {x, in_place ? NULL : out, counter, workspace};
    for (int i = 0; i < 4; i++) {
        if (all[i]) pair_free(all[i]);
    }
}

static rows rows_new(hlq_rng *rng, size_t count, size_t columns, int fit)
{
    const size_t bytes = count * columns * sizeof(float);
    rows r = {.rows = count, .columns = columns, .fit = fit, .x = room(bytes), .want = room(bytes)};
    for (size_t i = 0; i < count; i++) {
        const double size = i % 4 == 3 ? 0 : exp(2 * hlq_rng_gauss(rng));
        for (size_t j = 0; j < columns; j++) {
            r.x[i * columns + j] = (float)(size * hlq_rng_lognormal(rng));
        }
    }
    return r;
}

static void rows_free(rows *r) { free(r->x), free(r->want); }

static void check_rows_of(hlq_rng *rng, const hnlq_code *code, int centred)
{
    static const size_t counts[] = {0, 1, 3, 9};
    hlq_quantizer_params params = params_of(code);
    params.beta = beta_for(code);
    params.centred = centred;
    hlq_quantizer *quantizer = quantizer_with(&params);
    for (int fit = 0; fit < 2; fit++) {
        const size_t count = counts[hlq_rng_below(rng, 4)], blocks = hlq_rng_below(rng, 60);
        rows r = rows_new(rng, count, blocks * (size_t)code->dim, fit);
        name_case(code, fit ? "fit" : "rms");
        check_rows(quantizer, &r, hlq_rng_between(rng, 0, 2));
        rows_free(&r);
    }
    hlq_quantizer_destroy(quantizer);
}

static void test_rows_become_what_the_hosts_do(void)
{
    static const hnlq_code large[] = {/* for which there are no tables */
                                      {HLQ_LATTICE_E8, 8, 4, 2},
                                      {HLQ_LATTICE_E8, 8, 3, 3},
                                      {HLQ_LATTICE_Z, 2, 257, 1},
                                      {HLQ_LATTICE_D4, 4, 5, 3}};
    hlq_rng rng = hlq_rng_new(1);
    for (int c = 0; c < LINEAR_CODES; c++) {
        check_rows_of(&rng, &linear_codes[c], 0);
        check_rows_of(&rng, &linear_codes[c], 1);
    }
    for (int c = 0; c < 4; c++) check_rows_of(&rng, &large[c], c == 0);
}

/* A few more than are worked on at once; rows longer than that. */
static void test_many_numbers_take_several_pieces(void)
{
    static const size_t shapes[][2] = {{1025, 1024}, {2, (1 << 20) + 4}};
    hlq_quantizer_params params = HLQ_QUANTIZER_INIT;
    params.beta = 0.3;
    hlq_quantizer *quantizer = quantizer_with(&params);
    hlq_rng rng = hlq_rng_new(2);
    for (int i = 0; i < 2; i++) {
        rows r = rows_new(&rng, shapes[i][0], shapes[i][1], 0);
        hlq_test_case("%zu rows of %zu", r.rows, r.columns);
        check_rows(quantizer, &r, 1);
        rows_free(&r);
    }
    hlq_quantizer_destroy(quantizer);
}

static void test_rows_that_the_host_refuses_are_nan(void)
{
    static const float wrong[] = {NAN, INFINITY, -INFINITY};
    hlq_quantizer_params params = HLQ_QUANTIZER_INIT;
    params.beta = 0.3;
    hlq_quantizer *quantizer = quantizer_with(&params);
    params.beta = 0x1p-100; /* the largest point is 2^-64 or so, however much is shrunk */
    hlq_quantizer *tiny = quantizer_with(&params);
    params.beta = 1.9; /* each coordinate decodes to 1.9 times its size */
    hlq_quantizer *growing = quantizer_with(&params);
    hlq_rng rng = hlq_rng_new(3);
    for (int fit = 0; fit < 2; fit++) {
        rows r = rows_new(&rng, 9, 12, fit);
        for (int i = 0; i < 3; i++) r.x[12 * (4 + i) + 5 * (size_t)i] = wrong[i];
        hlq_test_case("not finite, fit %d", fit);
        check_rows(quantizer, &r, 1);
        CHECK_EQ(r.invalid, 3);
        check_rows(quantizer, &r, 0);
        check_rows(quantizer, &r, 2);
        for (int i = 0; i < 3; i++) r.x[12 * (4 + i) + 5 * (size_t)i] = 0;
        hlq_test_case("too large for the code, fit %d", fit);
        check_rows(tiny, &r, 1);
        CHECK_EQ(r.invalid, 7); /* two are zeros */
        for (int j = 0; j < 12; j++) r.x[12 + j] = FLT_MAX;
        hlq_test_case("too large for fp32, fit %d", fit);
        check_rows(growing, &r, 1);
        CHECK_EQ(r.invalid, (uint64_t)fit);
        for (int j = 0; j < 12; j++) r.x[12 + j] = 0x1p-140f;
        hlq_test_case("denormal, fit %d", fit);
        check_rows(quantizer, &r, 1);
        CHECK_EQ(r.invalid, 0);
        rows_free(&r);
    }
    hlq_quantizer_destroy(quantizer);
    hlq_quantizer_destroy(tiny);
    hlq_quantizer_destroy(growing);
}

/* Layers -------------------------------------------------------------------------------------- */

static hlq_cuda_linear *on_device(const hlq_linear *linear)
{
    hlq_cuda_linear *made;
    if (hlq_cuda_linear_create(linear, &made) == HLQ_OK) return made;
    hlq_test_fail(__FILE__, __LINE__, "no layer: %s", hlq_quantizer_error());
    exit(2);
}

static void check_unpack(hlq_rng *rng, const layer *l, const hlq_cuda_linear *linear)
{
    const size_t first = hlq_rng_below(rng, l->out), count = hlq_rng_below(rng, l->out - first + 1);
    const size_t bytes = l->out * l->in * sizeof(float), guard = 64;
    float *all = filled(0x55, bytes), *some = filled(0x55, count * l->in * 4 + guard);
    CHECK_EQ(hlq_cuda_linear_unpack(linear, 0, l->out, all, gpu.stream), HLQ_OK);
    CHECK_EQ(hlq_cuda_linear_unpack(linear, first, count, some, gpu.stream), HLQ_OK);
    pair_synchronize(&gpu);
    check_device(all, l->unpacked, bytes, "all rows of W");
    check_device(some, l->unpacked + first * l->in, count * l->in * 4, "some rows of W");
    check_device((char *)some + count * l->in * 4, memset((char[64]){0}, 0x55, guard), guard,
                 "what follows");
    pair_free(all);
    pair_free(some);
}

typedef struct product {
    const hlq_quantizer *activation;
    size_t batch;
    const float *x;
    uint64_t invalid; /* rows */
} product;

/* Of rows that are NaN, all of y is. */
static void check_y(const layer *l, const product *p, const float *there, const float *want)
{
    const size_t bytes = l->out * sizeof(float);
    float *y = room(p->batch * bytes);
    pair_get(y, there, p->batch * bytes);
    for (size_t r = 0; r < p->batch; r++) {
        size_t lost = 0;
        for (size_t o = 0; o < l->out; o++) lost += isnan(y[r * l->out + o]) != 0;
        if (isnan(want[r * l->out])) CHECK_EQ(lost, l->out);
        else hlq_check_bytes(y + r * l->out, want + r * l->out, bytes, __FILE__, __LINE__, "y");
    }
    free(y);
}

static void check_product(const layer *l, const hlq_cuda_linear *linear, const product *p,
                          const float *want, uint64_t overloads, int times)
{
    const size_t bytes = p->batch * l->out * sizeof(float);
    const size_t room = hlq_cuda_linear_workspace(linear, p->activation, p->batch);
    float *x = copied(p->x, p->batch * l->in * sizeof(float)), *y = filled(0x55, bytes);
    uint64_t *counter = filled(0, 2 * sizeof *counter); /* overloads, invalid */
    void *workspace = workspace_of(room), *graph = NULL;
    if (times > 1) pair_capture(&gpu);
    CHECK_EQ(hlq_cuda_linear_forward(linear, p->activation, x, p->batch, y,
                                     p->activation ? counter : NULL, counter + 1, workspace, room,
                                     gpu.stream),
             HLQ_OK);
    if (times > 1) {
        graph = pair_captured(&gpu);
        for (int i = 0; i < times; i++) pair_launch(&gpu, graph);
    }
    pair_synchronize(&gpu);
    if (graph) pair_graph_free(graph);
    check_y(l, p, y, want);
    check_counter(counter, (uint64_t)times * overloads);
    check_counter(counter + 1, (uint64_t)times * p->invalid);
    pair_free(x), pair_free(y), pair_free(counter);
    if (workspace) pair_free(workspace);
}

/* The host's y, row by row; NaN where it refuses. Returns its overloads. */
static uint64_t host_product(const layer *l, product *p, float *y)
{
    uint64_t overloads = 0;
    p->invalid = 0;
    for (size_t r = 0; r < p->batch; r++) {
        uint64_t here = 0;
        float *to = y + r * l->out;
        if (hlq_linear_forward(l->linear, p->activation, p->x + r * l->in, 1, to, &here, 1) ==
            HLQ_OK) {
            overloads += here;
            continue;
        }
        p->invalid++;
        for (size_t o = 0; o < l->out; o++) to[o] = NAN;
    }
    return overloads;
}

static void check_products(const layer *l, const hlq_cuda_linear *linear, product p, int times)
{
    float *want = room(p.batch * l->out * sizeof *want);
    const uint64_t overloads = host_product(l, &p, want);
    check_product(l, linear, &p, want, overloads, times);
    free(want);
}

/* The layer of the host is gone while its copy is at work. */
static void check_layer(hlq_rng *rng, layer *l)
{
    static const size_t batches[] = {0, 1, 3, 9};
    hlq_linear *given;
    const size_t batch = batches[hlq_rng_below(rng, 4)];
    CHECK_EQ(hlq_linear_load(l->quantizer, l->indices, l->scales, l->out, l->in, &given), HLQ_OK);
    hlq_cuda_linear *linear = on_device(given);
    hlq_linear_destroy(given);
    float *x = random_rows(rng, batch, l->in);
    for (size_t i = 0; batch > 2 && i < l->in; i++) {
        x[i] *= 1e30f;
        x[l->in + i] = i % 7 ? 0 : x[i]; /* some that overload */
        x[2 * l->in + i] = 0;
    }
    check_unpack(rng, l, linear);
    check_products(l, linear, (product){NULL, batch, x, 0}, 1);
    for (int depth = 1; depth <= 2; depth++) {
        hlq_quantizer *activation = activation_of(l, depth, 6 / pow(l->code.q, depth));
        check_products(l, linear, (product){activation, batch, x, 0}, depth);
        hlq_quantizer_destroy(activation);
    }
    hlq_cuda_linear_destroy(linear);
    free(x);
}

static void test_products_are_those_of_the_host(void) { on_layers(check_layer); }

static void test_rows_of_x_that_the_host_refuses_give_nan(void)
{
    static const hnlq_code code = {HLQ_LATTICE_D4, 4, 4, 2};
    enum { IN = 300 };
    hlq_rng rng = hlq_rng_new(4);
    for (int centred = 0; centred < 2; centred++) {
        layer l = layer_new(&rng, &code, centred, 70, IN);
        hlq_cuda_linear *linear = on_device(l.linear);
        hlq_quantizer *activation = activation_of(&l, 2, 0.4),
                      *tiny = activation_of(&l, 2, 0x1p-100);
        float *x = random_rows(&rng, 9, IN);
        for (int two_sided = 0; two_sided < 2; two_sided++) {
            product p = {two_sided ? activation : NULL, 9, x, 0};
            hlq_test_case("not finite, %s", two_sided ? "two-sided" : "one-sided");
            x[IN + 299] = INFINITY, x[2 * IN] = NAN, x[8 * IN + 64] = -INFINITY;
            check_products(&l, linear, p, 2);
            x[IN + 299] = x[2 * IN] = x[8 * IN + 64] = 0;
        }
        memset(x, 0, IN * sizeof *x);
        hlq_test_case("too large for the activation");
        check_products(&l, linear, (product){tiny, 9, x, 0}, 1);
        hlq_quantizer_destroy(activation);
        hlq_quantizer_destroy(tiny);
        hlq_cuda_linear_destroy(linear);
        layer_free(&l);
        free(x);
    }
}

/* The counter may be left out; layers without rows or columns are layers. */
static void test_empty_layers_and_no_counter(void)
{
    static const size_t shapes[][2] = {{0, 8}, {5, 0}, {0, 0}};
    static const float numbers[16] = {1, 2, 3};
    hlq_quantizer_params params = HLQ_QUANTIZER_INIT;
    hlq_quantizer *quantizer = quantizer_with(&params);
    float *x = copied(numbers, sizeof numbers), *y = filled(0x55, 10 * sizeof *y);
    uint64_t *overloads = filled(0, sizeof *overloads);
    for (int i = 0; i < 6; i++) {
        const size_t out = shapes[i / 2][0], in = shapes[i / 2][1];
        const hlq_quantizer *activation = i % 2 ? quantizer : NULL;
        hlq_linear *linear;
        hlq_test_case("%zu x %zu", out, in);
        CHECK_EQ(hlq_linear_pack(quantizer, numbers, out, in, &linear), HLQ_OK);
        hlq_cuda_linear *there = on_device(linear);
        const size_t room = hlq_cuda_linear_workspace(there, activation, 2);
        void *workspace = workspace_of(room);
        CHECK_EQ(hlq_cuda_linear_forward(there, activation, in ? x : NULL, 2, out ? y : NULL,
                                         overloads, NULL, workspace, room, gpu.stream),
                 HLQ_OK);
        CHECK_EQ(hlq_cuda_linear_unpack(there, 0, out, NULL, gpu.stream), HLQ_OK);
        pair_synchronize(&gpu);
        if (out) check_device(y, (float[10]){0}, 2 * out * sizeof *y, "y of nothing");
        if (workspace) pair_free(workspace);
        hlq_cuda_linear_destroy(there);
        hlq_linear_destroy(linear);
    }
    check_counter(overloads, 0);
    pair_free(x), pair_free(y), pair_free(overloads);
    hlq_quantizer_destroy(quantizer);
}

int main(void)
{
    hlq_test_start("test_linear_cuda");
    hlq_skip_without_gpu();
    gpu_open(&gpu);
    test_rows_become_what_the_hosts_do();
    if (hlq_test_stride() == 1) test_many_numbers_take_several_pieces();
    test_rows_that_the_host_refuses_are_nan();
    test_products_are_those_of_the_host();
    test_rows_of_x_that_the_host_refuses_give_nan();
    test_empty_layers_and_no_counter();
    gpu_close(&gpu);
    return hlq_test_end();
}
