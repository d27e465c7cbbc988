/*
 * What rows and linear layers of hlqcomm/cuda.h refuse: a status and a sentence, and nothing is put
 * onto the stream. On stand-ins, and on a GPU.
 */
#include "linear_test.h"
#include "gpu_kernels.h"
#include "quantizer_gpu.h"

#include <hlqcomm/cuda.h>

enum { OUT = 3, IN = 8, BYTES = 1 << 16 };

static pair gpu;

/* Arguments of every call, of one of which a test makes something wrong. */
typedef struct arguments {
    const hlq_quantizer *quantizer, *activation;
    const hlq_cuda_linear *linear;
    float *x, *out;
    uint64_t *count, *invalid;
    void *workspace;
    size_t rows, columns, first, bytes;
} arguments;

static hlq_status call_rows(const arguments *g)
{
    return hlq_cuda_rows_quantize(g->quantizer, g->x, g->rows, g->columns, 1, g->out, g->count,
                                  g->invalid, g->workspace, g->bytes, gpu.stream);
}

static hlq_status call_one_sided(const arguments *g)
{
    return hlq_cuda_linear_forward(g->linear, NULL, g->x, g->rows, g->out, g->count, g->invalid,
                                   g->workspace, g->bytes, gpu.stream);
}

static hlq_status call_two_sided(const arguments *g)
{
    return hlq_cuda_linear_forward(g->linear, g->activation, g->x, g->rows, g->out, g->count,
                                   g->invalid, g->workspace, g->bytes, gpu.stream);
}

static hlq_status call_unpack(const arguments *g)
{
    return hlq_cuda_linear_unpack(g->linear, g->first, g->rows, g->out, gpu.stream);
}

static hlq_status (*const calls[])(const arguments *g) = {call_rows, call_one_sided, call_two_sided,
                                                          call_unpack};

#include "quantizer_refusals.h"

/* Which calls take an argument: a bit for each of calls[]. */
enum {
    ROWS = 1,
    FORWARD = 2 | 4,
    TWO_SIDED = 4,
    UNPACK = 8,
};

static arguments right(const hlq_quantizer *quantizer, const hlq_cuda_linear *linear)
{
    return (arguments){
        .quantizer = quantizer,
        .activation = quantizer,
        .linear = linear,
        .x = filled(0, 64 * sizeof(float)),
        .out = filled(0x55, 64 * sizeof(float)),
        .count = filled(0, sizeof(uint64_t)),
        .invalid = filled(0, sizeof(uint64_t)),
        .workspace = filled(0, BYTES),
        .rows = 2,
        .columns = IN,
        .bytes = BYTES,
    };
}

static void arguments_free(const arguments *g)
{
    void *all[] = {g->x, g->out, g->count, g->invalid, g->workspace};
    pair_synchronize(&gpu);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) pair_free(all[i]);
}

/* In turn, every pointer is NULL, not aligned, of the host. */
static void test_pointers(const arguments *g)
{
    static double host[64];
#define WITH(member, value, takes, part) REFUSE_WITH(*g, member, value, takes, part)
    WITH(quantizer, NULL, ROWS, "quantizer, x, out or shrunk is NULL")
    WITH(linear, NULL, FORWARD | UNPACK, "linear is NULL")
    WITH(x, NULL, ROWS | FORWARD, "is NULL")
    WITH(out, NULL, ALL, "is NULL")
    WITH(count, NULL, ROWS | TWO_SIDED, "is NULL")
    WITH(workspace, NULL, ROWS | FORWARD, "workspace is NULL")
    WITH(invalid, NULL, 0, "")
    WITH(x, at(g->x, 2), ROWS | FORWARD, "x is at 0x")
    WITH(out, at(g->out, 2), ALL, "not aligned to 4 bytes")
    WITH(count, at(g->count, 4), ROWS | FORWARD, "not aligned to 8 bytes")
    WITH(invalid, at(g->invalid, 4), ROWS | FORWARD, "invalid is at 0x")
    WITH(workspace, at(g->workspace, 64), ROWS | FORWARD, "not aligned to 256 bytes")
    WITH(x, host, ROWS | FORWARD, "x is not memory of a device")
    WITH(out, host, ALL, "is not memory of a device")
    WITH(count, host, ROWS | FORWARD, "is not memory of a device")
    WITH(invalid, host, ROWS | FORWARD, "invalid is not memory of a device")
#undef WITH
}

static void test_sizes(const arguments *g, const hlq_quantizer *quantizer)
{
    arguments w = *g;
    w.columns = 6;
    refuse(ROWS, &w, "x has rows of 6 numbers, not a multiple of dim = 4");
    w = *g;
    w.bytes = 100;
    refuse(ROWS | FORWARD, &w, "workspace has 100 bytes; ");
    w.bytes = hlq_cuda_rows_workspace(2, IN, 1) - 1;
    CHECK_REFUSED(call_rows(&w), HLQ_E_INVALID, "are needed");
    w.bytes++;
    CHECK_EQ(call_rows(&w), HLQ_OK);
    w.bytes = hlq_cuda_linear_workspace(g->linear, quantizer, 2) - 1;
    CHECK_REFUSED(call_two_sided(&w), HLQ_E_INVALID, "are needed");
    w.bytes++;
    CHECK_EQ(call_two_sided(&w), HLQ_OK);
    w = *g;
    w.first = 2;
    refuse(UNPACK, &w, "rows 2 ... are 2 in number; the layer has 3 rows");
    CHECK_EQ(hlq_cuda_linear_workspace(NULL, NULL, 1), 0);
    CHECK_EQ(hlq_cuda_linear_workspace(g->linear, NULL, 0), 0);
    CHECK_EQ(hlq_cuda_linear_workspace(g->linear, NULL, 8),
             hlq_cuda_linear_workspace(g->linear, NULL, 1000));
}

static void test_an_activation_of_another_code(const arguments *g)
{
    const hlq_quantizer_params params = {sizeof params, HLQ_LATTICE_E8, 8, 256, 2, 1.0, 1.0, 0, 0};
    hlq_quantizer *other = quantizer_with(&params);
    arguments w = *g;
    w.activation = other;
    refuse(TWO_SIDED, &w, "activation is of E8 in 8 dimensions, q = 256");
    CHECK_EQ(hlq_cuda_linear_workspace(g->linear, other, 1), 0);
    hlq_quantizer_destroy(other);
}

/* Nothing is looked at where there is nothing to do. */
static void test_no_rows_need_no_memory(const arguments *g)
{
    static uint64_t count; /* of the host */
    arguments none = {.quantizer = g->quantizer,
                      .activation = g->activation,
                      .linear = g->linear,
                      .count = &count,
                      .columns = IN};
    refuse(0, &none, "");
}

static void test_nothing_is_written(const arguments *g)
{
    uint8_t was[64], is[64];
    arguments w = *g;
    memset(was, 0x55, sizeof was);
    pair_synchronize(&gpu);
    pair_put(g->out, was, sizeof was);
    w.invalid = (uint64_t *)at(g->invalid, 4);
    for (int i = 0; i < CALLS - 1; i++) CHECK_EQ(calls[i](&w), HLQ_E_INVALID);
    pair_synchronize(&gpu);
    pair_get(is, g->out, sizeof is);
    CHECK_BYTES(is, was, sizeof is);
}

static void test_another_device_and_one_that_fails(const arguments *g, const hlq_linear *linear)
{
    hlq_cuda_linear *none;
    if (on_another_device()) {
        CHECK_REFUSED(call_rows(g), HLQ_E_INVALID, "x is memory of device 0; the current one is 1");
        for (int i = 1; i < CALLS; i++) {
            CHECK_REFUSED(calls[i](g), HLQ_E_INVALID,
                          "linear is on device 0; the current one is 1");
        }
    }
    gpu_use_other(0);
    refuse_where_cuda_fails(g);
    if (gpu_fail_next()) {
        CHECK_REFUSED(hlq_cuda_linear_create(linear, &none), HLQ_E_NOMEM, "no memory for a layer");
        CHECK(none == NULL);
    }
    refuse(0, g, "");
}

int main(void)
{
    hlq_test_start("test_linear_cuda_bad_input");
    hlq_skip_without_gpu();
    static const float weight[OUT * IN] = {1, 2, 3};
    const hlq_quantizer_params params = HLQ_QUANTIZER_INIT;
    hlq_quantizer *quantizer = quantizer_with(&params);
    hlq_linear *linear;
    hlq_cuda_linear *there;
    gpu_open(&gpu);
    MUST(hlq_linear_pack(quantizer, weight, OUT, IN, &linear) == HLQ_OK);
    CHECK_REFUSED(hlq_cuda_linear_create(NULL, &there), HLQ_E_INVALID, "linear or on_device");
    CHECK_REFUSED(hlq_cuda_linear_create(linear, NULL), HLQ_E_INVALID, "linear or on_device");
    MUST(hlq_cuda_linear_create(linear, &there) == HLQ_OK);
    const arguments g = right(quantizer, there);
    test_pointers(&g);
    test_sizes(&g, quantizer);
    test_an_activation_of_another_code(&g);
    test_no_rows_need_no_memory(&g);
    test_nothing_is_written(&g);
    test_another_device_and_one_that_fails(&g, linear);
    arguments_free(&g);
    hlq_cuda_linear_destroy(there);
    hlq_cuda_linear_destroy(NULL);
    hlq_linear_destroy(linear);
    hlq_quantizer_destroy(quantizer);
    gpu_close(&gpu);
    return hlq_test_end();
}
