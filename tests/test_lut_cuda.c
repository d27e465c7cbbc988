/*
 * Look-up tables in GPU memory: tables and inner products are the host's, bit by bit, as work on a
 * stream that can be captured; what is invalid becomes NaN, and is counted. On stand-ins and the
 * emulated warp, and on a GPU.
 */
#include "quantizer_test.h"
#include "gpu_kernels.h"
#include "quantizer_gpu.h"

#include <hlqcomm/cuda.h>

static pair gpu;

/* Sides ---------------------------------------------------------------------------------------- */

/* Digits and T of `count` vectors, here and on the device, where T is not aligned. */
typedef struct side {
    hlq_quantizer *quantizer;
    hnlq_code code;
    size_t count;
    uint8_t *digits, *retries;
    void *digits_there;
    uint8_t *retries_there;
} side;

static side side_new(hlq_rng *rng, const hnlq_code *code, int max_retries, int centred,
                     size_t count)
{
    hlq_quantizer_params params = params_of(code);
    params.beta = max_retries ? 0.3 : 0.37;
    params.max_retries = max_retries;
    params.centred = centred;
    const size_t bytes = count * digits_bytes(code);
    side s = {.quantizer = quantizer_with(&params),
              .code = *code,
              .count = count,
              .digits = malloc(bytes + 1),
              .retries = max_retries ? malloc(count + 2) : NULL};
    MUST(s.digits && (s.retries || !max_retries));
    random_digits(rng, code->q, s.digits, count * (size_t)(code->depth * code->dim));
    for (size_t v = 0; s.retries && v < count + 2; v++) {
        s.retries[v] = (uint8_t)hlq_rng_between(rng, 0, max_retries);
    }
    s.digits_there = copied(s.digits, bytes);
    if (s.retries) s.retries_there = copied(s.retries, count + 2);
    return s;
}

static void side_free(side *s)
{
    hlq_quantizer_destroy(s->quantizer);
    free(s->digits);
    free(s->retries);
    pair_free(s->digits_there);
    if (s->retries_there) pair_free(s->retries_there);
}

/* Vectors from `first` on, of the host. */
static hlq_code code_here(const side *s, size_t first)
{
    return (hlq_code){s->quantizer, s->digits + first * digits_bytes(&s->code),
                      s->retries ? s->retries + 1 + first : NULL};
}

static hlq_code code_there(const side *s)
{
    return (hlq_code){s->quantizer, s->digits_there, s->retries ? s->retries_there + 1 : NULL};
}

/* Makes a digit of vector v one that is none; or its T, if there is one and `of_retries`. */
static void spoil(hlq_rng *rng, side *s, size_t v, int of_retries)
{
    const size_t numbers = (size_t)(s->code.depth * s->code.dim);
    const int wrong = hlq_rng_between(rng, 0, 1) ? s->code.q : -1;
    if (of_retries && s->retries) {
        s->retries[1 + v] = 255;
        pair_put(s->retries_there, s->retries, s->count + 2);
        return;
    }
    set_digit(s->code.q, s->digits, v * numbers + hlq_rng_below(rng, numbers), wrong);
    pair_put(s->digits_there, s->digits, s->count * digits_bytes(&s->code));
}

static hlq_cuda_lut *there(const hlq_lut *lut)
{
    hlq_cuda_lut *copy = NULL;
    if (hlq_cuda_lut_create(lut, &copy) == HLQ_OK) return copy;
    fprintf(stderr, "%s: no table: %s\n", test_name, hlq_quantizer_error());
    exit(2);
}

/* Products ------------------------------------------------------------------------------------- */

/* Of `batch` products of `vectors` vectors; one more place shows that nobody writes there. */
typedef struct products {
    size_t batch, vectors;
    double *want;
    uint64_t lost; /* of them */
    double *dot;
    uint64_t *invalid;
} products;

static products products_new(size_t batch, size_t vectors)
{
    products p = {.batch = batch, .vectors = vectors, .want = malloc((batch + 1) * sizeof(double))};
    MUST(p.want != NULL);
    memset(p.want, 0x55, (batch + 1) * sizeof *p.want);
    p.dot = filled(0x55, (batch + 1) * sizeof(double));
    p.invalid = filled(0, sizeof *p.invalid);
    return p;
}

static void products_free(products *p)
{
    free(p->want);
    pair_free(p->dot);
    pair_free(p->invalid);
}

/* As the host refuses digits and T, the product is none. */
static void expect(products *p, size_t i, hlq_status status)
{
    CHECK(status == HLQ_OK || status == HLQ_E_INVALID);
    if (status == HLQ_OK) return;
    p->want[i] = NAN;
    p->lost++;
}

static void check_products(const products *p, int launches)
{
    check_device(p->dot, p->want, (p->batch + 1) * sizeof(double), "inner products");
    check_counter(p->invalid, (uint64_t)launches * p->lost);
}

/* call(context): at once, and twice as a graph. */
static void check_launches(const products *p, void (*call)(void *context), void *context)
{
    call(context);
    pair_synchronize(&gpu);
    check_products(p, 1);
    pair_capture(&gpu);
    call(context);
    void *graph = pair_captured(&gpu);
    for (int i = 0; i < 2; i++) pair_launch(&gpu, graph);
    pair_synchronize(&gpu);
    pair_graph_free(graph);
    check_products(p, 3);
}

typedef struct two_sided {
    products p;
    const hlq_cuda_lut *lut;
    hlq_code a, b;
} two_sided;

static void call_two_sided(void *context)
{
    const two_sided *t = context;
    CHECK_EQ(hlq_cuda_lut_dot(t->lut, &t->a, &t->b, t->p.batch, t->p.vectors, t->p.dot,
                              t->p.invalid, gpu.stream),
             HLQ_OK);
}

static void check_two_sided(const hlq_lut *lut, const hlq_cuda_lut *cuda_lut, const side *a,
                            const side *b, size_t batch, size_t vectors)
{
    two_sided t = {products_new(batch, vectors), cuda_lut, code_there(a), code_there(b)};
    for (size_t i = 0; i < batch; i++) {
        const hlq_code left = code_here(a, i * vectors), right = code_here(b, i * vectors);
        expect(&t.p, i, hlq_lut_dot(lut, &left, &right, vectors, &t.p.want[i]));
    }
    check_launches(&t.p, call_two_sided, &t);
    products_free(&t.p);
}

/* From one size to the next that is tried. */
static size_t step(void) { return hlq_test_stride() > 1 ? 4 : 1; }

/* All right, then with a few vectors that are none. */
static void check_sizes(hlq_rng *rng, const hnlq_code *code_a, const hnlq_code *code_b,
                        int retries_a, int retries_b, int centred)
{
    static const size_t sizes[][2] = {{0, 5},  {3, 0},   {1, 1},   {2, 31},  {5, 32},
                                      {7, 33}, {2, 255}, {1, 256}, {3, 1000}};
    for (size_t n = hlq_rng_below(rng, step()); n < sizeof sizes / sizeof *sizes; n += step()) {
        const size_t batch = sizes[n][0], vectors = sizes[n][1], count = batch * vectors;
        side a = side_new(rng, code_a, retries_a, centred, count),
             b = side_new(rng, code_b, retries_b, centred, count);
        hlq_lut *lut = two_sided_table_of(a.quantizer);
        hlq_cuda_lut *cuda_lut = there(lut);
        hlq_test_case("%s, dim %d, q %d, depths %d and %d, T %d and %d, centred %d, %zu x %zu",
                      hlq_lattice_name(code_a->lattice), code_a->dim, code_a->q, code_a->depth,
                      code_b->depth, retries_a, retries_b, centred, batch, vectors);
        check_two_sided(lut, cuda_lut, &a, &b, batch, vectors);
        for (size_t i = 0; count && i < 3; i++) {
            spoil(rng, i == 1 ? &b : &a, hlq_rng_below(rng, count), i == 2);
        }
        check_two_sided(lut, cuda_lut, &a, &b, batch, vectors);
        hlq_cuda_lut_destroy(cuda_lut);
        hlq_lut_destroy(lut);
        side_free(&a);
        side_free(&b);
    }
}

static void test_products_are_the_hosts(void)
{
    static const struct {
        hnlq_code code;
        int depth_b, can_be_centred;
    } all[] = {
        {{HLQ_LATTICE_D4, 4, 4, 2}, 2, 1},  {{HLQ_LATTICE_D4, 4, 3, 4}, 2, 1},
        {{HLQ_LATTICE_D4, 4, 2, 16}, 5, 1}, {{HLQ_LATTICE_E8, 8, 2, 3}, 4, 1},
        {{HLQ_LATTICE_Z, 8, 2, 2}, 1, 0},   {{HLQ_LATTICE_Z, 4, 5, 3}, 3, 1},
        {{HLQ_LATTICE_Z, 2, 16, 2}, 3, 1},  {{HLQ_LATTICE_Z, 1, 256, 1}, 2, 0},
        {{HLQ_LATTICE_Z, 1, 361, 1}, 1, 0}, {{HLQ_LATTICE_Z, 1, 512, 1}, 1, 2},
    };
    hlq_rng rng = hlq_rng_new(1);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        hnlq_code b = all[i].code;
        b.depth = all[i].depth_b;
        if (all[i].can_be_centred < 2) { /* Z with q = 512 has no other table */
            check_sizes(&rng, &all[i].code, &b, 0, 0, 0);
            check_sizes(&rng, &all[i].code, &b, 0, 7, 0);
            check_sizes(&rng, &b, &all[i].code, 3, 7, 0);
        }
        if (!all[i].can_be_centred) continue;
        check_sizes(&rng, &all[i].code, &b, 0, 0, 1);
        check_sizes(&rng, &all[i].code, &b, 3, 0, 1);
    }
}

/* Integers are added up exactly over 2^15 vectors at a time. */
static void test_long_products(void)
{
    static const size_t lengths[] = {(1 << 15) - 1, 1 << 15, (1 << 16) + 1, 100001};
    const hnlq_code code = {HLQ_LATTICE_D4, 4, 4, 2};
    hlq_rng rng = hlq_rng_new(2);
    for (int i = 0; i < 4; i++) {
        side a = side_new(&rng, &code, 0, 0, 2 * lengths[i]),
             b = side_new(&rng, &code, 0, 0, 2 * lengths[i]);
        hlq_lut *lut = two_sided_table_of(a.quantizer);
        hlq_cuda_lut *cuda_lut = there(lut);
        hlq_test_case("2 products of %zu vectors", lengths[i]);
        check_two_sided(lut, cuda_lut, &a, &b, 2, lengths[i]);
        hlq_cuda_lut_destroy(cuda_lut);
        hlq_lut_destroy(lut);
        side_free(&a);
        side_free(&b);
    }
}

/* One-sided ------------------------------------------------------------------------------------ */

typedef struct one_sided {
    products p;
    const float *table;
    hlq_code b;
} one_sided;

static void call_one_sided(void *context)
{
    const one_sided *o = context;
    CHECK_EQ(hlq_cuda_lut_dot_one_sided(o->table, &o->b, o->p.batch, o->p.vectors, o->p.dot,
                                        o->p.invalid, gpu.stream),
             HLQ_OK);
}

static void check_rows(const float *table, const float *table_there, const side *b, size_t batch,
                       size_t vectors)
{
    const size_t points = info_of(b->quantizer).layer_points;
    one_sided o = {products_new(batch, vectors), table_there, code_there(b)};
    for (size_t i = 0; i < batch; i++) {
        const hlq_code code = code_here(b, i * vectors);
        expect(&o.p, i,
               hlq_lut_dot_one_sided(table + i * vectors * points, &code, vectors, &o.p.want[i]));
    }
    check_launches(&o.p, call_one_sided, &o);
    products_free(&o.p);
}

/* The table of y, of which some vectors may be without. */
static float *check_table(const hlq_quantizer *quantizer, const float *y, const int *lost,
                          size_t vectors, float *want)
{
    const size_t dim = (size_t)info_of(quantizer).params.dim;
    const size_t points = info_of(quantizer).layer_points, bytes = vectors * points * sizeof *want;
    float *known = malloc(vectors * dim * sizeof *known + 1); /* what the host may see */
    float *from = copied(y, vectors * dim * sizeof *y), *table = filled(0x55, bytes + 4);
    uint64_t *invalid = filled(0, sizeof *invalid), expected = 0;
    MUST(known != NULL);
    for (size_t i = 0; i < vectors * dim; i++) known[i] = lost[i / dim] ? 0 : y[i];
    CHECK_EQ(hlq_lut_build_one_sided(quantizer, known, vectors, want), HLQ_OK);
    for (size_t v = 0; v < vectors; v++) {
        for (size_t i = 0; lost[v] && i < points; i++) want[v * points + i] = NAN;
        expected += (uint64_t)lost[v];
    }
    memset(want + vectors * points, 0x55, sizeof *want);
    CHECK_EQ(hlq_cuda_lut_build_one_sided(quantizer, from, vectors, table, invalid, gpu.stream),
             HLQ_OK);
    pair_synchronize(&gpu);
    check_device(table, want, bytes + sizeof *want, "a one-sided table");
    check_counter(invalid, expected);
    free(known);
    pair_free(from);
    pair_free(invalid);
    return table;
}

/* A vector of y that has no table: NaN, Inf, and what with a representative would leave fp32. */
static void lose(hlq_rng *rng, float *y, int dim, int *lost, size_t v)
{
    const float wrong[] = {NAN, -INFINITY, 3e38f};
    y[v * (size_t)dim + hlq_rng_below(rng, (uint64_t)dim)] = wrong[hlq_rng_below(rng, 3)];
    lost[v] = 1;
}

static void check_one_sided(hlq_rng *rng, const hnlq_code *code, int retries, int centred,
                            size_t batch, size_t vectors)
{
    static int lost[1024];
    const size_t count = batch * vectors, points = few(code->q, code->dim);
    side b = side_new(rng, code, retries, centred, count);
    float *y = malloc((count * (size_t)code->dim + 1) * sizeof *y);
    float *want = malloc((count * points + 1) * sizeof *want);
    MUST(y != NULL && want != NULL);
    hlq_rng_fill(rng, hlq_rng_gauss, y, count * (size_t)code->dim);
    hlq_test_case("%s, dim %d, q %d, depth %d, T %d, centred %d, %zu x %zu",
                  hlq_lattice_name(code->lattice), code->dim, code->q, code->depth, retries,
                  centred, batch, vectors);
    memset(lost, 0, sizeof lost);
    float *table = check_table(b.quantizer, y, lost, count, want);
    check_rows(want, table, &b, batch, vectors);
    if (count) {
        for (int i = 0; i < 2; i++) spoil(rng, &b, hlq_rng_below(rng, count), i);
        check_rows(want, table, &b, batch, vectors);
        for (int i = 0; i < 2; i++) lose(rng, y, code->dim, lost, hlq_rng_below(rng, count));
        pair_free(table);
        table = check_table(b.quantizer, y, lost, count, want);
    }
    pair_free(table);
    free(want);
    free(y);
    side_free(&b);
}

static void test_one_sided_tables_and_their_products_are_the_hosts(void)
{
    static const hnlq_code codes[] = {
        {HLQ_LATTICE_D4, 4, 4, 2},  {HLQ_LATTICE_D4, 4, 5, 3},  {HLQ_LATTICE_E8, 8, 2, 3},
        {HLQ_LATTICE_E8, 8, 3, 2},  {HLQ_LATTICE_Z, 8, 2, 2},   {HLQ_LATTICE_Z, 4, 3, 4},
        {HLQ_LATTICE_Z, 2, 7, 5},   {HLQ_LATTICE_Z, 1, 4, 8},   {HLQ_LATTICE_Z, 1, 3, 1},
        {HLQ_LATTICE_Z, 1, 257, 1}, {HLQ_LATTICE_Z, 2, 257, 1},
    };
    static const size_t sizes[][2] = {{0, 3}, {2, 0}, {1, 1}, {3, 11}, {1, 32}, {5, 33}};
    hlq_rng rng = hlq_rng_new(3);
    for (size_t c = 0; c < sizeof codes / sizeof *codes; c++) {
        for (size_t n = hlq_rng_below(&rng, step()); n < sizeof sizes / sizeof *sizes;
             n += step()) {
            const size_t batch = sizes[n][0], vectors = sizes[n][1];
            if (batch * vectors * few(codes[c].q, codes[c].dim) > 1 << 21) continue;
            check_one_sided(&rng, &codes[c], 0, 0, batch, vectors);
            check_one_sided(&rng, &codes[c], 5, 1, batch, vectors);
        }
    }
}

int main(void)
{
    hlq_test_start("test_lut_cuda");
    hlq_skip_without_gpu();
    gpu_open(&gpu);
    test_products_are_the_hosts();
    test_long_products();
    test_one_sided_tables_and_their_products_are_the_hosts();
    gpu_close(&gpu);
    return hlq_test_end();
}
