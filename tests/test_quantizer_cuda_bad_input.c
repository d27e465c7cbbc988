/*
 * What hlqcomm/cuda.h refuses: a status and a sentence, and nothing is put onto the stream. On
 * stand-ins, and on a GPU.
 */
#include "quantizer_test.h"
#include "gpu_kernels.h"
#include "quantizer_gpu.h"

#include <hlqcomm/cuda.h>

enum { VECTORS = 5 };

static pair gpu;

/* Arguments of every call, of one of which a test makes something wrong. */
typedef struct arguments {
    const hlq_quantizer *quantizer;
    float *x, *out;
    void *digits, *a;
    uint8_t *retries, *overload;
    uint64_t *overloads, *invalid;
    uint32_t *flat;
    hlq_dither dither;
    size_t vectors;
    int layers, q;
} arguments;

static hlq_status call_encode(const arguments *g)
{
    return hlq_cuda_encode(g->quantizer, g->x, g->vectors, &g->dither, g->digits, g->retries,
                           g->overload, g->overloads, g->invalid, gpu.stream);
}

static hlq_status call_decode(const arguments *g)
{
    return hlq_cuda_decode(g->quantizer, g->digits, g->retries, g->vectors, &g->dither, g->layers,
                           g->x, g->invalid, gpu.stream);
}

static hlq_status call_quantize(const arguments *g)
{
    return hlq_cuda_quantize(g->quantizer, g->x, g->vectors, &g->dither, g->out, g->overload,
                             g->overloads, g->invalid, gpu.stream);
}

static hlq_status call_add_modq(const arguments *g)
{
    return hlq_cuda_digits_add_modq(g->q, g->a, g->a, g->vectors, g->digits, g->invalid,
                                    gpu.stream);
}

static hlq_status call_add(const arguments *g)
{
    return hlq_cuda_digits_add(g->quantizer, g->a, g->a, g->vectors, g->digits, g->overload,
                               g->overloads, g->invalid, gpu.stream);
}

static hlq_status call_to_flat(const arguments *g)
{
    return hlq_cuda_digits_to_flat(g->quantizer, g->digits, g->vectors, g->flat, g->invalid,
                                   gpu.stream);
}

static hlq_status call_from_flat(const arguments *g)
{
    return hlq_cuda_flat_to_digits(g->quantizer, g->flat, g->vectors, g->digits, g->invalid,
                                   gpu.stream);
}

static hlq_status (*const calls[])(const arguments *g) = {
    call_encode, call_decode, call_quantize, call_add_modq, call_add, call_to_flat, call_from_flat};
enum { ENCODE, DECODE, QUANTIZE, ADD_MODQ, ADD };

#include "quantizer_refusals.h"

static arguments right(const hlq_quantizer *quantizer)
{
    return (arguments){
        .quantizer = quantizer,
        .x = filled(0, 64 * sizeof(float)),
        .out = filled(0, 64 * sizeof(float)),
        .digits = filled(0, 64),
        .a = filled(0, 64),
        .retries = filled(0, 64),
        .overload = filled(0, 64),
        .overloads = filled(0, sizeof(uint64_t)),
        .invalid = filled(0, sizeof(uint64_t)),
        .flat = filled(0, 64 * sizeof(uint32_t)),
        .dither = {filled(0, 64 * sizeof(float)), 1},
        .vectors = VECTORS,
        .layers = 2,
        .q = 4,
    };
}

static void arguments_free(const arguments *g)
{
    void *all[] = {g->x,        g->out,       g->digits,  g->a,    g->retries,
                   g->overload, g->overloads, g->invalid, g->flat, (void *)(uintptr_t)g->dither.z};
    pair_synchronize(&gpu);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) pair_free(all[i]);
}

/* Which calls take an argument: a bit for each of calls[]. */
enum {
    TAKES_X = 1 << ENCODE | 1 << DECODE | 1 << QUANTIZE,
    TAKES_OUT = 1 << QUANTIZE,
    TAKES_DIGITS = (1 << CALLS) - 1 - (1 << QUANTIZE),
    TAKES_A = 1 << ADD_MODQ | 1 << ADD,
    TAKES_RETRIES = 1 << ENCODE | 1 << DECODE,
    TAKES_OVERLOAD = 1 << ENCODE | 1 << QUANTIZE | 1 << ADD,
    TAKES_DITHER = TAKES_X,
    TAKES_FLAT = 3 << 5,
};

/* In turn, every pointer is NULL, not aligned, of the host. */
static void test_pointers(const hlq_quantizer *quantizer)
{
    static double host[64];
    const arguments g = right(quantizer);
#define WITH(member, value, takes, part) REFUSE_WITH(g, member, value, takes, part)
    WITH(x, NULL, TAKES_X, "is NULL")
    WITH(out, NULL, TAKES_OUT, "is NULL")
    WITH(digits, NULL, TAKES_DIGITS, "NULL")
    WITH(a, NULL, TAKES_A, "NULL")
    WITH(flat, NULL, TAKES_FLAT, "is NULL")
    WITH(quantizer, NULL, ALL - (1 << ADD_MODQ), "quantizer is NULL")
    WITH(dither.z, NULL, TAKES_DITHER, "dither has 0 vectors")
    WITH(x, at(g.x, 2), TAKES_X, "x is at 0x")
    WITH(out, at(g.out, 1), TAKES_OUT, "out is at 0x")
    WITH(digits, at(g.digits, 2), TAKES_DIGITS, "not aligned to 4 bytes")
    WITH(a, at(g.a, 1), TAKES_A, "a is at 0x")
    WITH(flat, at(g.flat, 2), TAKES_FLAT, "flat is at 0x")
    WITH(dither.z, at((void *)(uintptr_t)g.dither.z, 2), TAKES_DITHER, "dither is at 0x")
    WITH(overloads, at(g.overloads, 4), TAKES_OVERLOAD, "not aligned to 8 bytes")
    WITH(invalid, at(g.invalid, 4), ALL, "invalid is at 0x")
    WITH(x, host, TAKES_X, "x is not memory of a device")
    WITH(out, host, TAKES_OUT, "out is not memory of a device")
    WITH(digits, host, TAKES_DIGITS, "is not memory of a device")
    WITH(a, host, TAKES_A, "a is not memory of a device")
    WITH(flat, host, TAKES_FLAT, "flat is not memory of a device")
    WITH(retries, host, TAKES_RETRIES, "retries is not memory of a device")
    WITH(overload, host, TAKES_OVERLOAD, "overload is not memory of a device")
    WITH(overloads, host, TAKES_OVERLOAD, "overloads is not memory of a device")
    WITH(invalid, host, ALL, "invalid is not memory of a device")
    WITH(dither.z, host, TAKES_DITHER, "dither is not memory of a device")
    arguments w = g;
    w.overload = NULL;
    refuse(0, &w, "");
    w.overloads = NULL;
    refuse(TAKES_OVERLOAD, &w, "both NULL");
    arguments_free(&g);
}

/* Digits that nobody may write keep what they are. */
static void test_nothing_is_written(const hlq_quantizer *quantizer)
{
    const arguments g = right(quantizer);
    arguments w = g;
    uint8_t was[64], is[64];
    memset(was, 0x55, sizeof was);
    pair_put(g.digits, was, sizeof was);
    w.invalid = (uint64_t *)at(g.invalid, 4);
    for (int i = 0; i < CALLS; i++) CHECK_EQ(calls[i](&w), HLQ_E_INVALID);
    pair_synchronize(&gpu);
    pair_get(is, g.digits, sizeof is);
    CHECK_BYTES(is, was, sizeof is);
    arguments_free(&g);
}

static void test_other_arguments(const hlq_quantizer *quantizer)
{
    const arguments g = right(quantizer);
    arguments w = g;
    w.layers = 3;
    refuse(1 << DECODE, &w, "layers is 3; it can be 1 ... 2");
    w.layers = 0;
    refuse(1 << DECODE, &w, "layers is 0");
    w = g;
    w.dither.vectors = 2;
    refuse(TAKES_DITHER, &w, "dither has 2 vectors");
    w = g;
    w.q = 6;
    refuse(1 << ADD_MODQ, &w, "q is 6");
    hlq_quantizer_params params = HLQ_QUANTIZER_INIT;
    params.centred = 1;
    params.max_retries = 1;
    hlq_quantizer *other = quantizer_with(&params);
    w = g;
    w.quantizer = other;
    refuse(1 << ADD, &w, "centred");
    w.retries = NULL;
    refuse(TAKES_RETRIES | 1 << ADD, &w, "");
    CHECK_REFUSED(call_encode(&w), HLQ_E_INVALID, "retries is NULL, but max_retries is 1");
    CHECK_REFUSED(call_decode(&w), HLQ_E_INVALID, "retries is NULL, but max_retries is 1");
    hlq_quantizer_destroy(other);
    arguments_free(&g);
}

static void test_no_vectors_need_no_memory(const hlq_quantizer *quantizer)
{
    static uint8_t overload; /* of the host, which nobody looks at */
    const arguments none = {.quantizer = quantizer, .overload = &overload, .layers = 1, .q = 4};
    refuse(0, &none, "");
    pair_synchronize(&gpu);
}

static void test_another_device_and_one_that_fails(const hlq_quantizer *quantizer)
{
    const arguments g = right(quantizer);
    if (on_another_device()) refuse(ALL, &g, "is memory of device 0; the current one is 1");
    gpu_use_other(0);
    refuse_where_cuda_fails(&g);
    arguments_free(&g);
}

int main(void)
{
    hlq_test_start("test_quantizer_cuda_bad_input");
    hlq_skip_without_gpu();
    const hlq_quantizer_params params = HLQ_QUANTIZER_INIT;
    hlq_quantizer *quantizer = quantizer_with(&params);
    gpu_open(&gpu);
    test_pointers(quantizer);
    test_nothing_is_written(quantizer);
    test_other_arguments(quantizer);
    test_no_vectors_need_no_memory(quantizer);
    test_another_device_and_one_that_fails(quantizer);
    gpu_close(&gpu);
    hlq_quantizer_destroy(quantizer);
    return hlq_test_end();
}
