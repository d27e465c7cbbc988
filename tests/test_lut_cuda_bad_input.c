/*
 * What calls on tables, packed digits and nearest points of hlqcomm/cuda.h refuse: a status and a
 * sentence, and nothing is put onto the stream. On stand-ins, and on a GPU.
 */
#include "quantizer_test.h"
#include "gpu_kernels.h"
#include "quantizer_gpu.h"

#include <hlqcomm/cuda.h>

enum { BATCH = 2, VECTORS = 3, BYTES = 8 * BATCH * VECTORS, POINTS = 256 };

static pair gpu;

/* Arguments of every call, of one of which a test makes something wrong. D4, q = 4, depth 2. */
typedef struct arguments {
    const hlq_quantizer *quantizer;
    const hlq_cuda_lut *lut;
    hlq_code a, b;
    float *x, *out, *table;
    void *digits, *packed;
    double *dot;
    uint64_t *invalid;
    size_t batch, vectors;
    int q, dim;
} arguments;

static hlq_status call_nearest(const arguments *g)
{
    return hlq_cuda_nearest(HLQ_LATTICE_D4, g->dim, g->x, g->vectors, g->out, g->invalid,
                            gpu.stream);
}

static hlq_status call_pack(const arguments *g)
{
    return hlq_cuda_digits_pack(g->q, g->digits, g->vectors, g->packed, g->invalid, gpu.stream);
}

static hlq_status call_unpack(const arguments *g)
{
    return hlq_cuda_digits_unpack(g->q, g->packed, g->vectors, g->digits, g->invalid, gpu.stream);
}

static hlq_status call_dot(const arguments *g)
{
    return hlq_cuda_lut_dot(g->lut, &g->a, &g->b, g->batch, g->vectors, g->dot, g->invalid,
                            gpu.stream);
}

static hlq_status call_build(const arguments *g)
{
    return hlq_cuda_lut_build_one_sided(g->quantizer, g->x, g->vectors, g->table, g->invalid,
                                        gpu.stream);
}

static hlq_status call_rows(const arguments *g)
{
    return hlq_cuda_lut_dot_one_sided(g->table, &g->b, g->batch, g->vectors, g->dot, g->invalid,
                                      gpu.stream);
}

static hlq_status (*const calls[])(const arguments *g) = {call_nearest, call_pack,  call_unpack,
                                                          call_dot,     call_build, call_rows};

#include "quantizer_refusals.h"

/* Which calls take an argument: a bit for each of calls[]. */
enum {
    NEAREST = 1,
    PACK = 2,
    UNPACK = 4,
    DOT = 8,
    BUILD = 16,
    ROWS = 32,
    TAKES_X = NEAREST | BUILD,
    TAKES_DIGITS = PACK | UNPACK,
    TAKES_B = DOT | ROWS,
    TAKES_TABLE = BUILD | ROWS,
    TAKES_DOT = DOT | ROWS,
};

static arguments right(const hlq_quantizer *quantizer, const hlq_cuda_lut *lut)
{
    return (arguments){
        .quantizer = quantizer,
        .lut = lut,
        .a = {quantizer, filled(0, BYTES), filled(0, BATCH * VECTORS)},
        .b = {quantizer, filled(0, BYTES), filled(0, BATCH * VECTORS)},
        .x = filled(0, 64 * sizeof(float)),
        .out = filled(0, 64 * sizeof(float)),
        .table = filled(0, BATCH * VECTORS * POINTS * sizeof(float)),
        .digits = filled(0, 64),
        .packed = filled(0, 64),
        .dot = filled(0, 64),
        .invalid = filled(0, sizeof(uint64_t)),
        .batch = BATCH,
        .vectors = VECTORS,
        .q = 4,
        .dim = 4,
    };
}

static void arguments_free(const arguments *g)
{
    void *all[] = {(void *)(uintptr_t)g->a.digits,
                   (void *)(uintptr_t)g->a.retries,
                   (void *)(uintptr_t)g->b.digits,
                   (void *)(uintptr_t)g->b.retries,
                   g->x,
                   g->out,
                   g->table,
                   g->digits,
                   g->packed,
                   g->dot,
                   g->invalid};
    pair_synchronize(&gpu);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) pair_free(all[i]);
}

/* In turn, every pointer is NULL, not aligned, of the host. */
static void test_pointers(const hlq_quantizer *quantizer, const hlq_cuda_lut *lut)
{
    static double host[64];
    const arguments g = right(quantizer, lut);
#define WITH(member, value, takes, part) REFUSE_WITH(g, member, value, takes, part)
    WITH(quantizer, NULL, BUILD, "quantizer is NULL")
    WITH(lut, NULL, DOT, "lut is NULL")
    WITH(a.quantizer, NULL, DOT, "a, its quantizer or its digits is NULL")
    WITH(b.quantizer, NULL, TAKES_B, "b, its quantizer or its digits is NULL")
    WITH(a.digits, NULL, DOT, "a, its quantizer or its digits is NULL")
    WITH(b.digits, NULL, TAKES_B, "b, its quantizer or its digits is NULL")
    WITH(a.retries, NULL, 0, "")
    WITH(b.retries, NULL, 0, "")
    WITH(x, NULL, TAKES_X, "is NULL")
    WITH(out, NULL, NEAREST, "x or point is NULL")
    WITH(table, NULL, TAKES_TABLE, "table is NULL")
    WITH(digits, NULL, TAKES_DIGITS, "digits is NULL")
    WITH(packed, NULL, TAKES_DIGITS, "packed is NULL")
    WITH(dot, NULL, TAKES_DOT, "dot is NULL")
    WITH(invalid, NULL, PACK, "invalid is NULL")
    WITH(a.digits, at(g.a.digits, 2), DOT, "a.digits is at 0x")
    WITH(b.digits, at(g.b.digits, 2), TAKES_B, "b.digits is at 0x")
    WITH(a.retries, at(g.a.retries, 1), 0, "")
    WITH(x, at(g.x, 2), TAKES_X, "is at 0x")
    WITH(out, at(g.out, 2), NEAREST, "point is at 0x")
    WITH(table, at(g.table, 2), TAKES_TABLE, "table is at 0x")
    WITH(digits, at(g.digits, 2), TAKES_DIGITS, "digits is at 0x")
    WITH(packed, at(g.packed, 4), TAKES_DIGITS, "not aligned to 8 bytes")
    WITH(dot, at(g.dot, 4), TAKES_DOT, "not aligned to 8 bytes")
    WITH(invalid, at(g.invalid, 4), ALL, "invalid is at 0x")
    WITH(a.digits, host, DOT, "a.digits is not memory of a device")
    WITH(b.digits, host, TAKES_B, "b.digits is not memory of a device")
    WITH(a.retries, host, DOT, "a.retries is not memory of a device")
    WITH(b.retries, host, TAKES_B, "b.retries is not memory of a device")
    WITH(x, host, TAKES_X, "is not memory of a device")
    WITH(out, host, NEAREST, "point is not memory of a device")
    WITH(table, host, TAKES_TABLE, "table is not memory of a device")
    WITH(digits, host, TAKES_DIGITS, "digits is not memory of a device")
    WITH(packed, host, TAKES_DIGITS, "packed is not memory of a device")
    WITH(dot, host, TAKES_DOT, "dot is not memory of a device")
    WITH(invalid, host, ALL, "invalid is not memory of a device")
    arguments_free(&g);
}

/* What a refused call would have written keeps what it is. */
static void test_nothing_is_written(const hlq_quantizer *quantizer, const hlq_cuda_lut *lut)
{
    const arguments g = right(quantizer, lut);
    void *written[] = {g.out, g.table, g.digits, g.packed, g.dot};
    uint8_t was[64];
    arguments w = g;
    memset(was, 0x55, sizeof was);
    for (int i = 0; i < 5; i++) pair_put(written[i], was, sizeof was);
    w.invalid = at(g.invalid, 4);
    for (int i = 0; i < CALLS; i++) CHECK_EQ(calls[i](&w), HLQ_E_INVALID);
    pair_synchronize(&gpu);
    for (int i = 0; i < 5; i++) check_device(written[i], was, sizeof was, "untouched memory");
    arguments_free(&g);
}

static void test_codes_and_bases(const hlq_quantizer *quantizer, const hlq_cuda_lut *lut)
{
    const hnlq_code large = {HLQ_LATTICE_E8, 8, 16, 1}, another = {HLQ_LATTICE_D4, 4, 8, 2};
    hlq_quantizer *without = quantizer_of(&large), *other = quantizer_of(&another);
    const arguments g = right(quantizer, lut);
    arguments w = g;
    w.q = 6;
    refuse(PACK | UNPACK, &w, "q is 6");
    w = g;
    w.dim = 8;
    refuse(NEAREST, &w, "there is no lattice D4");
    w = g;
    w.a.quantizer = other;
    refuse(DOT, &w, "a is of D4 in 4 dimensions, q = 8, not centred; the table is of D4");
    w = g;
    w.b.quantizer = w.quantizer = without;
    CHECK_REFUSED(call_build(&w), HLQ_E_UNSUPPORTED, "E8 with q = 16 would have 4294967296");
    CHECK_REFUSED(call_rows(&w), HLQ_E_UNSUPPORTED, "E8 with q = 16 would have 4294967296");
    CHECK_REFUSED(call_dot(&w), HLQ_E_INVALID, "b is of E8 in 8 dimensions");
    arguments_free(&g);
    hlq_quantizer_destroy(without);
    hlq_quantizer_destroy(other);
}

/* A batch of products of nothing; and no batch. */
static void test_nothing_needs_no_memory(const hlq_quantizer *quantizer, const hlq_cuda_lut *lut)
{
    const double none[BATCH] = {0, 0};
    const arguments g = right(quantizer, lut);
    arguments w = g;
    w.x = w.out = w.table = NULL;
    w.digits = w.packed = NULL;
    w.a.digits = w.b.digits = NULL;
    w.a.retries = w.b.retries = NULL;
    w.vectors = 0;
    pair_put(g.dot, (const double[BATCH]){7, 7}, sizeof none);
    refuse(0, &w, "");
    pair_synchronize(&gpu);
    check_device(g.dot, none, sizeof none, "products of nothing");
    w.batch = 0;
    w.vectors = VECTORS;
    w.dot = NULL;
    CHECK_EQ(call_dot(&w), HLQ_OK);
    CHECK_EQ(call_rows(&w), HLQ_OK);
    arguments_free(&g);
}

static void test_another_device_and_one_that_fails(const hlq_quantizer *quantizer,
                                                   const hlq_cuda_lut *lut)
{
    const arguments g = right(quantizer, lut);
    if (on_another_device()) refuse(ALL, &g, "is memory of device 0; the current one is 1");
    gpu_use_other(0);
    refuse_where_cuda_fails(&g);
    arguments_free(&g);
}

static void test_tables(const hlq_lut *lut)
{
    hlq_cuda_lut *made = (hlq_cuda_lut *)(uintptr_t)1;
    CHECK_REFUSED(hlq_cuda_lut_create(NULL, &made), HLQ_E_INVALID, "lut is NULL");
    CHECK(made == NULL);
    CHECK_REFUSED(hlq_cuda_lut_create(lut, NULL), HLQ_E_INVALID, "cuda_lut is NULL");
    if (gpu_fail_next()) {
        CHECK_REFUSED(hlq_cuda_lut_create(lut, &made), HLQ_E_NOMEM,
                      "the device has no memory for a table of 65536 bytes");
        CHECK(made == NULL);
    }
    hlq_cuda_lut_destroy(NULL);
}

int main(void)
{
    hlq_test_start("test_lut_cuda_bad_input");
    hlq_skip_without_gpu();
    const hlq_quantizer_params params = HLQ_QUANTIZER_INIT;
    hlq_quantizer *quantizer = quantizer_with(&params);
    hlq_lut *lut = two_sided_table_of(quantizer);
    hlq_cuda_lut *cuda_lut = NULL;
    gpu_open(&gpu);
    test_tables(lut);
    CHECK_EQ(hlq_cuda_lut_create(lut, &cuda_lut), HLQ_OK);
    hlq_lut_destroy(lut);
    test_pointers(quantizer, cuda_lut);
    test_nothing_is_written(quantizer, cuda_lut);
    test_codes_and_bases(quantizer, cuda_lut);
    test_nothing_needs_no_memory(quantizer, cuda_lut);
    test_another_device_and_one_that_fails(quantizer, cuda_lut);
    hlq_cuda_lut_destroy(cuda_lut);
    gpu_close(&gpu);
    hlq_quantizer_destroy(quantizer);
    return hlq_test_end();
}
