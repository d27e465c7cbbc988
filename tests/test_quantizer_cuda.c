/*
 * hlqcomm/cuda.h: the host's digits and numbers, as work on a stream that outlives the quantizer
 * and can be captured; what is refused; what stays invalid. On stand-ins and the emulated warp, and
 * on a GPU.
 */
#include "quantizer_test.h"
#include "gpu_kernels.h"
#include "quantizer_gpu.h"

#include <hlqcomm/cuda.h>
#include <quantizer/quantizer.h>

enum { VECTORS = 101 };

static pair gpu;

/* What the host computes, and where the device does ------------------------------------------- */

typedef struct tensors {
    float x[VECTORS * HLQ_DIM_MAX], z[VECTORS * HLQ_DIM_MAX];
    float decoded[VECTORS * HLQ_DIM_MAX], coarse[VECTORS * HLQ_DIM_MAX],
        quantized[VECTORS * HLQ_DIM_MAX];
    uint16_t digits[VECTORS * HLQ_DEPTH_MAX * HLQ_DIM_MAX],
        sum[VECTORS * HLQ_DEPTH_MAX * HLQ_DIM_MAX];
    uint16_t modular[VECTORS * HLQ_DEPTH_MAX * HLQ_DIM_MAX];
    uint32_t flat[VECTORS * HLQ_DIM_MAX];
    uint8_t retries[VECTORS], overload[VECTORS], sum_overload[VECTORS];
    uint64_t overloads, sum_overloads;
} tensors;

typedef struct device_tensors {
    float *x, *z, *decoded, *coarse, *quantized;
    void *digits, *sum, *modular, *back;
    uint32_t *flat;
    uint8_t *retries, *overload, *sum_overload;
    uint64_t *counter; /* overloads, of sums, of quantize; invalid */
} device_tensors;

static hlq_dither dither_of(const float *z, int kind)
{
    return (hlq_dither){z, kind == 1 ? 1 : VECTORS};
}

/* kind: 0 no dither, 1 one for all, 2 each its own. */
static void by_host(const hlq_quantizer *quantizer, int kind, tensors *t)
{
    const hlq_quantizer_params *p = &quantizer->params;
    const hlq_dither dither = dither_of(t->z, kind), *z = kind ? &dither : NULL;
    const size_t count = (size_t)VECTORS * (size_t)(p->depth * p->dim);
    CHECK_EQ(
        hlq_encode(quantizer, t->x, VECTORS, z, t->digits, t->retries, t->overload, &t->overloads),
        HLQ_OK);
    CHECK_EQ(hlq_decode(quantizer, t->digits, t->retries, VECTORS, z, p->depth, t->decoded),
             HLQ_OK);
    CHECK_EQ(hlq_decode(quantizer, t->digits, t->retries, VECTORS, z, 1, t->coarse), HLQ_OK);
    CHECK_EQ(hlq_quantize(quantizer, t->x, VECTORS, z, t->quantized, NULL, &t->overloads), HLQ_OK);
    CHECK_EQ(hlq_digits_add_modq(p->q, t->digits, t->digits, count, t->modular), HLQ_OK);
    CHECK_EQ(hlq_digits_to_flat(quantizer, t->digits, VECTORS, t->flat), HLQ_OK);
    if (p->centred) return;
    CHECK_EQ(hlq_digits_add(quantizer, t->digits, t->digits, VECTORS, t->sum, t->sum_overload,
                            &t->sum_overloads),
             HLQ_OK);
}

static void by_device(const hlq_quantizer *quantizer, int kind, device_tensors *d, hlq_stream s)
{
    const hlq_quantizer_params *p = &quantizer->params;
    const hlq_dither dither = dither_of(d->z, kind), *z = kind ? &dither : NULL;
    const size_t count = (size_t)VECTORS * (size_t)(p->depth * p->dim);
    uint64_t *overloads = d->counter, *of_sums = overloads + 1, *others = overloads + 2,
             *invalid = overloads + 3;
    CHECK_EQ(hlq_cuda_encode(quantizer, d->x, VECTORS, z, d->digits, d->retries, d->overload,
                             overloads, invalid, s),
             HLQ_OK);
    CHECK_EQ(hlq_cuda_decode(quantizer, d->digits, d->retries, VECTORS, z, p->depth, d->decoded,
                             invalid, s),
             HLQ_OK);
    CHECK_EQ(hlq_cuda_decode(quantizer, d->digits, d->retries, VECTORS, z, 1, d->coarse, NULL, s),
             HLQ_OK);
    CHECK_EQ(hlq_cuda_quantize(quantizer, d->x, VECTORS, z, d->quantized, NULL, others, invalid, s),
             HLQ_OK);
    CHECK_EQ(hlq_cuda_digits_add_modq(p->q, d->digits, d->digits, count, d->modular, invalid, s),
             HLQ_OK);
    CHECK_EQ(hlq_cuda_digits_to_flat(quantizer, d->digits, VECTORS, d->flat, invalid, s), HLQ_OK);
    CHECK_EQ(hlq_cuda_flat_to_digits(quantizer, d->flat, VECTORS, d->back, invalid, s), HLQ_OK);
    if (p->centred) return;
    CHECK_EQ(hlq_cuda_digits_add(quantizer, d->digits, d->digits, VECTORS, d->sum, d->sum_overload,
                                 of_sums, invalid, s),
             HLQ_OK);
}

static device_tensors device_tensors_new(const tensors *t, size_t digits)
{
    return (device_tensors){
        .x = copied(t->x, sizeof t->x),
        .z = copied(t->z, sizeof t->z),
        .decoded = filled(0x55, sizeof t->decoded),
        .coarse = filled(0x55, sizeof t->coarse),
        .quantized = filled(0x55, sizeof t->quantized),
        .digits = filled(0x55, digits),
        .sum = filled(0x55, digits),
        .modular = filled(0x55, digits),
        .back = filled(0x55, digits),
        .flat = filled(0x55, sizeof t->flat),
        .retries = filled(0x55, VECTORS),
        .overload = filled(0x55, VECTORS),
        .sum_overload = filled(0x55, VECTORS),
        .counter = filled(0, 4 * sizeof(uint64_t)),
    };
}

static void device_tensors_free(device_tensors *d)
{
    void *all[] = {d->x,       d->z,        d->decoded,      d->coarse, d->quantized,
                   d->digits,  d->sum,      d->modular,      d->back,   d->flat,
                   d->retries, d->overload, d->sum_overload, d->counter};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) pair_free(all[i]);
}

static void check_same(const device_tensors *d, const tensors *t, const hlq_quantizer_params *p,
                       int times)
{
    const size_t numbers = (size_t)(VECTORS * p->dim) * sizeof(float);
    const size_t digits = (size_t)(VECTORS * p->dim * p->depth) * digit_bytes_of(p->q);
    const uint64_t launches = (uint64_t)times;
    check_device(d->digits, t->digits, digits, "digits");
    check_device(d->retries, t->retries, VECTORS, "retries");
    check_device(d->overload, t->overload, VECTORS, "overload");
    check_device(d->decoded, t->decoded, numbers, "decoded");
    check_device(d->coarse, t->coarse, numbers, "one layer");
    check_device(d->quantized, t->quantized, numbers, "quantized");
    check_device(d->modular, t->modular, digits, "sums modulo q");
    check_device(d->flat, t->flat, numbers, "flat codes");
    check_device(d->back, t->digits, digits, "digits of flat codes");
    check_counter(d->counter, launches * t->overloads);
    check_counter(d->counter + 2, launches * t->overloads);
    check_counter(d->counter + 3, 0);
    if (p->centred) return;
    check_device(d->sum, t->sum, digits, "sums");
    check_device(d->sum_overload, t->sum_overload, VECTORS, "overload of sums");
    check_counter(d->counter + 1, launches * t->sum_overloads);
}

/* Once at once, and captured into a graph that is launched twice after the quantizer is gone. */
static void check_code(const hnlq_code *code)
{
    static tensors t;
    hlq_rng rng = hlq_rng_new(1);
    for (int kind = 0; kind < 3; kind++) {
        hlq_quantizer_params params = params_of(code);
        params.beta = 0.37;
        params.max_retries = kind == 1 ? 4 : 0;
        params.centred = kind == 2 && few(code->q, code->dim) > 0;
        const double reach = params.beta * pow(code->q, code->depth);
        for (int i = 0; i < VECTORS * code->dim; i++) {
            t.x[i] = (float)(reach * exp2(hlq_rng_between(&rng, -5, 0)) * hlq_rng_gauss(&rng));
        }
        hlq_rng_fill(&rng, hlq_rng_gauss, t.z, VECTORS * HLQ_DIM_MAX);
        hlq_quantizer *quantizer = quantizer_with(&params);
        name_case(code, kind == 0 ? "plain" : kind == 1 ? "ramp" : "centred");
        by_host(quantizer, kind, &t);
        for (int captured = 0; captured < 2; captured++) {
            device_tensors d = device_tensors_new(&t, sizeof t.digits);
            if (captured) pair_capture(&gpu);
            by_device(quantizer, kind, &d, gpu.stream);
            if (captured) {
                void *graph = pair_captured(&gpu);
                hlq_quantizer_destroy(quantizer);
                for (int i = 0; i < 2; i++) pair_launch(&gpu, graph);
                pair_synchronize(&gpu);
                pair_graph_free(graph);
            }
            pair_synchronize(&gpu);
            check_same(&d, &t, &params, captured ? 2 : 1);
            device_tensors_free(&d);
        }
    }
}

static void test_tensors_of_a_gpu_become_what_the_hosts_do(void)
{
    static const hnlq_code codes[] = {{HLQ_LATTICE_E8, 8, 4, 2},   {HLQ_LATTICE_E8, 8, 3, 3},
                                      {HLQ_LATTICE_D4, 4, 4, 2},   {HLQ_LATTICE_D4, 4, 5, 3},
                                      {HLQ_LATTICE_Z, 8, 2, 4},    {HLQ_LATTICE_Z, 4, 7, 1},
                                      {HLQ_LATTICE_Z, 2, 257, 1},  {HLQ_LATTICE_Z, 1, 16, 3},
                                      {HLQ_LATTICE_E8, 8, 256, 2}, {HLQ_LATTICE_D4, 4, 4096, 1}};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) check_code(&codes[i]);
}

/* Invalid ------------------------------------------------------------------------------------- */

static void test_what_is_invalid_stays_so_and_is_counted(void)
{
    hlq_quantizer_params params = HLQ_QUANTIZER_INIT; /* D4, q = 4, M = 2 */
    params.max_retries = 1;
    hlq_quantizer *ramp = quantizer_with(&params);
    params.max_retries = 0;
    hlq_quantizer *quantizer = quantizer_with(&params);
    const float x[3][4] = {{0, 1, NAN, INFINITY}, {1, 1, 0, 0}, {0, 0, 0, 0}};
    const float lost[4] = {NAN, NAN, NAN, NAN}, one[4] = {1, 1, 0, 0};
    const uint8_t wrong[3][8] = {{0}, {0, 0, 0, 0, 4}, {0}}, steps[3] = {0, 0, 2},
                  flags[3] = {1, 0, 0};
    const uint8_t of_sums[3] = {0, 1, 0}, none[8] = {255, 255, 255, 255, 255, 255, 255, 255};
    const uint32_t flat[3][4] = {{0, 0, 16, 0}, {15, 15, 15, 15}, {UINT32_MAX, 0, 0, 0}};
    void *there = copied(x, sizeof x), *digits = copied(wrong, sizeof wrong);
    void *numbers = filled(0, sizeof x), *codes = copied(flat, sizeof flat),
         *out = filled(0, sizeof wrong);
    uint8_t *overload = filled(0x55, 3), *retries = copied(steps, 3);
    uint64_t *counter = filled(0, 8 * sizeof *counter);
    hlq_test_case("D4, q 4, depth 2");
    CHECK_EQ(
        hlq_cuda_quantize(quantizer, there, 3, NULL, numbers, overload, NULL, counter, gpu.stream),
        HLQ_OK);
    pair_synchronize(&gpu);
    check_counter(counter, 2);
    check_device(overload, flags, 3, "overload of NaN");
    check_device(numbers, lost, sizeof lost, "NaN");
    check_device((float *)numbers + 4, one, sizeof one, "its neighbour");

    CHECK_EQ(hlq_cuda_encode(quantizer, there, 3, NULL, out, NULL, overload, NULL, counter + 1,
                             gpu.stream),
             HLQ_OK);
    CHECK_EQ(hlq_cuda_decode(ramp, digits, retries, 3, NULL, 2, numbers, counter + 2, gpu.stream),
             HLQ_OK);
    pair_synchronize(&gpu);
    check_counter(counter + 1, 2);
    check_device(overload, flags, 3, "overload of NaN");
    check_counter(counter + 2, 2);
    check_device((float *)numbers + 4, lost, sizeof lost, "a wrong digit");
    check_device((float *)numbers + 8, lost, sizeof lost, "a wrong T");

    CHECK_EQ(hlq_cuda_digits_add(quantizer, digits, digits, 3, out, overload, counter + 3,
                                 counter + 4, gpu.stream),
             HLQ_OK);
    CHECK_EQ(hlq_cuda_digits_to_flat(quantizer, digits, 3, numbers, counter + 5, gpu.stream),
             HLQ_OK);
    pair_synchronize(&gpu);
    check_counter(counter + 3, 1);
    check_counter(counter + 4, 2);
    check_counter(counter + 5, 1);
    check_device(overload, of_sums, 3, "overload of a wrong digit");
    check_device((uint8_t *)out + 8, none, 8, "the sum of a wrong digit");
    check_device((uint32_t *)numbers + 4,
                 (uint32_t[]){UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX}, 16, "its flat code");

    CHECK_EQ(hlq_cuda_flat_to_digits(quantizer, codes, 3, out, counter + 6, gpu.stream), HLQ_OK);
    CHECK_EQ(hlq_cuda_digits_add_modq(4, digits, digits, 24, digits, counter + 7, gpu.stream),
             HLQ_OK);
    pair_synchronize(&gpu);
    check_counter(counter + 6, 2);
    check_device(out, none, 8, "digits of 16");
    check_device((uint8_t *)out + 16, none, 8, "digits of UINT32_MAX");
    check_counter(counter + 7, 1);
    check_device((uint8_t *)digits + 12, none, 1, "a wrong digit modulo q");
    void *all[] = {there, digits, numbers, codes, out, overload, retries, counter};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) pair_free(all[i]);
    hlq_quantizer_destroy(quantizer);
    hlq_quantizer_destroy(ramp);
}

int main(void)
{
    hlq_test_start("test_quantizer_cuda");
    hlq_skip_without_gpu();
    gpu_open(&gpu);
    test_tensors_of_a_gpu_become_what_the_hosts_do();
    test_what_is_invalid_stays_so_and_is_counted();
    gpu_close(&gpu);
    return hlq_test_end();
}
