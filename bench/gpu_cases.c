/*
 * The cases of hlq_gpu: how to prepare each step's input, and the work that is timed. To add one:
 * two functions and a line in the table below.
 */
#include "gpu_bench.h"

#include <collective/partition.h>
#include <wire/codec.h>
#include <wire/plan.h>

#include <cuda_runtime_api.h>

#include <stdlib.h>

static const hlq_device_wire *const wire = &hlq_wire_cuda;

hlq_frame gpu_frame(const gpu_bench *b, int part, int parts, int sender, int leg)
{
    hlq_frame frame = {
        .form = HLQ_FORM_RAMP,
        .lattice = b->lattice,
        .dtype = b->dtype,
        .place = hlq_place_part(b->elems, 0, part, parts),
        .sender = sender,
        .leg = leg,
    };
    double budget = (double)b->bits / 8 * (double)(frame.place.blocks * HLQ_BLOCK_ELEMS);
    if (frame.place.blocks) {
        frame.bytes = hlq_segment_bytes(HLQ_FORM_RAMP, frame.place.blocks, budget, 0);
    }
    return frame;
}

static hlq_device_segment new_segment(gpu_bench *b, hlq_frame frame)
{
    size_t blocks = frame.place.blocks;
    if (!blocks) return (hlq_device_segment){.frame = frame};
    void *segment = gpu_new(b, frame.bytes);
    return (hlq_device_segment){frame, segment, gpu_new(b, hlq_device_scratch_bytes(blocks))};
}

/* As it comes from a rank that has the same tensor. */
static hlq_device_segment new_written(gpu_bench *b, hlq_frame frame)
{
    hlq_device_segment s = new_segment(b, frame);
    gpu_check(wire->write(&s, &b->source, NULL, b->report, b->stream));
    return s;
}

static hlq_device_segment new_opened(gpu_bench *b, hlq_frame frame)
{
    hlq_device_segment s = new_written(b, frame);
    gpu_check(wire->open(&s, b->report, b->stream));
    return s;
}

static void new_sums(gpu_bench *b, size_t blocks)
{
    b->sums.acc = gpu_new(b, blocks * HLQ_BLOCK_ELEMS * sizeof *b->sums.acc);
    b->sums.exponent = gpu_new(b, blocks * sizeof *b->sums.exponent);
    b->sums.unit = gpu_new(b, sizeof *b->sums.unit);
}

/* The tensor as one message -------------------------------------------------------------------- */

static void prepare_nothing(gpu_bench *b) { b->counts = gpu_new(b, sizeof *b->counts); }

static int run_copy(gpu_bench *b)
{
    return cudaMemcpyAsync(b->out, b->tensor, b->bytes, cudaMemcpyDeviceToDevice, b->stream);
}

static void prepare_write(gpu_bench *b) { b->sent[0] = new_segment(b, gpu_frame(b, 0, 1, 0, 0)); }

static int run_write(gpu_bench *b)
{
    return wire->write(&b->sent[0], &b->source, NULL, b->report, b->stream);
}

static void prepare_opened(gpu_bench *b) { b->came[0] = new_opened(b, gpu_frame(b, 0, 1, 0, 0)); }

static int run_open(gpu_bench *b) { return wire->open(&b->came[0], b->report, b->stream); }

static int run_decode(gpu_bench *b)
{
    return wire->decode(&b->came[0], 1, b->dtype, b->out, b->elems, b->report, b->stream);
}

/* What an owner of all blocks does: the codes of the other ranks, and the own numbers. */
static void prepare_sum(gpu_bench *b)
{
    for (int p = 1; p < b->ranks; p++) b->came[p] = new_opened(b, gpu_frame(b, 0, 1, p, 0));
    new_sums(b, hlq_block_count(b->elems));
}

static int run_sum(gpu_bench *b)
{
    return wire->sum(b->came + 1, b->ranks - 1, &b->source, 0, &b->sums, b->stream);
}

static void prepare_unrotate(gpu_bench *b)
{
    prepare_sum(b);
    gpu_check(run_sum(b));
}

static int run_unrotate(gpu_bench *b)
{
    return wire->unrotate(&b->came[1].frame.place, &b->sums, 1.0f / (float)b->ranks, b->dtype,
                          b->out, b->elems, b->report, b->stream);
}

/* The kernels alone ---------------------------------------------------------------------------- */

static void prepare_exponents(gpu_bench *b)
{
    new_sums(b, hlq_block_count(b->elems));
    b->run.run.place = hlq_place_all(b->elems, 0);
}

static int run_exponents(gpu_bench *b)
{
    return hlq_cuda_exponents(&b->run.run.place, &b->source, b->sums.exponent, b->stream);
}

/* Codes of the exponents, found by the host. Returns the base. */
static int find_codes(gpu_bench *b, size_t blocks, uint8_t *code)
{
    int16_t *exponent = malloc(blocks * sizeof *exponent);
    uint8_t *found = malloc(blocks);
    if (exponent == NULL || found == NULL) gpu_check(cudaErrorMemoryAllocation);
    gpu_check(run_exponents(b));
    gpu_check(cudaStreamSynchronize(b->stream));
    gpu_check(
        cudaMemcpy(exponent, b->sums.exponent, blocks * sizeof *exponent, cudaMemcpyDeviceToHost));
    int base = hlq_base_of_exponents(b->dtype, exponent, blocks);
    hlq_codes_from_exponents(exponent, blocks, base, found);
    gpu_check(cudaMemcpy(code, found, blocks, cudaMemcpyHostToDevice));
    free(exponent);
    free(found);
    return base;
}

/* A run over the tensor in which every block gets the same bits. */
static void prepare_encode(gpu_bench *b)
{
    size_t blocks = hlq_block_count(b->elems);
    uint8_t *code = gpu_new(b, blocks), *bits = gpu_new(b, blocks);
    hlq_start *start = gpu_new(b, blocks * sizeof *start);
    prepare_nothing(b);
    prepare_exponents(b);
    gpu_check(cudaMemset(bits, b->bits, blocks));
    int base = find_codes(b, blocks, code);
    b->run = (hlq_cuda_run){
        .run = {.place = hlq_place_all(b->elems, 0),
                .lattice = b->lattice,
                .base = base,
                .code = code,
                .bits = bits,
                .wide = gpu_new(b, (blocks + 31) / 32 * sizeof(uint32_t)),
                .side = gpu_new(b, blocks * HLQ_RAMP_WORDS * sizeof(uint32_t)),
                .planes = gpu_new(b, blocks * (size_t)b->bits * HLQ_PLANE_BYTES)},
        .start = start,
    };
    gpu_check(hlq_cuda_starts(bits, blocks, start, b->stream));
}

static int run_encode(gpu_bench *b)
{
    return hlq_cuda_blocks_encode(&b->run, &b->source, &b->counts->overloads, b->stream);
}

/* The quantizer at q = 4, depth 2 and one scale at which next to nothing overloads: 4 bits per
   number, a byte for each of two digits. */
static void prepare_hnlq(gpu_bench *b)
{
    int dim = b->lattice == HLQ_LATTICE_D4 ? 4 : 8;
    prepare_nothing(b);
    b->vectors = (hlq_cuda_vectors){
        .code = {.lattice = b->lattice,
                 .dim = dim,
                 .q = 4,
                 .depth = 2,
                 .q_log2 = 2,
                 .tries = 1,
                 .scale = {1},
                 .inverse = {1}},
        .vectors = b->elems / (size_t)dim,
        .digits = gpu_new(b, 2 * b->elems),
        .overloads = &b->counts->overloads,
        .bad = &b->counts->nonfinite,
    };
}

static int run_hnlq_encode(gpu_bench *b)
{
    return hlq_cuda_hnlq_encode(&b->vectors, b->tensor, b->stream);
}

static void prepare_hnlq_decode(gpu_bench *b)
{
    prepare_hnlq(b);
    gpu_check(run_hnlq_encode(b));
}

static int run_hnlq_decode(gpu_bench *b)
{
    return hlq_cuda_hnlq_decode(&b->vectors, b->vectors.code.depth, b->out, b->stream);
}

static int run_hnlq_quantize(gpu_bench *b)
{
    return hlq_cuda_hnlq_quantize(&b->vectors, b->tensor, b->out, b->stream);
}

/*
 * y = W x, one-sided, of packed weights at 4 bits a number, which would be the tensor in fp32: D4
 * at q = 4, two layers in pairs. Bytes of the tensor stand for indices, so that look-ups go astray
 * as they do; tables are of zeros.
 */
enum { PRODUCT_IN = 4096, PRODUCT_DIM = 4, PRODUCT_BLOCKS = PRODUCT_IN / PRODUCT_DIM };

static void prepare_product(gpu_bench *b)
{
    enum { PLANES = 2, TILE_BYTES = 2 * HLQ_TILE_ROWS * PRODUCT_BLOCKS };
    const size_t tiles = b->elems / (PRODUCT_IN * HLQ_TILE_ROWS), out = tiles * HLQ_TILE_ROWS;
    b->x = gpu_new(b, PRODUCT_IN * sizeof *b->x);
    b->points = gpu_new(b, sizeof *b->points);
    b->tables = gpu_new(b, PRODUCT_BLOCKS * PLANES * HLQ_TABLE_ENTRIES);
    b->totals = gpu_new(b, (out + 1) * sizeof *b->totals);
    b->strips = (hlq_cuda_strips){.strip = {.indices = b->tensor, .blocks = PRODUCT_BLOCKS, .q = 4},
                                  .tiles = tiles,
                                  .tile_bytes = TILE_BYTES,
                                  .rows = 1,
                                  .tables = b->tables,
                                  .planes = PLANES,
                                  .largest = {128, 127},
                                  .weight = 1,
                                  .total = b->totals};
    b->products = (hlq_cuda_products){
        .finish = {.scales = gpu_new(b, (out + 1) * sizeof(float)), .dim = PRODUCT_DIM},
        .row = gpu_new(b, sizeof(hlq_look_up_row)),
        .rows = 1,
        .out = out,
        .total = b->totals,
        .stride = out,
        .y = gpu_new(b, (out + 1) * sizeof(float))};
}

static int run_product(gpu_bench *b)
{
    const size_t bytes = b->products.out * sizeof *b->totals;
    int error = hlq_cuda_tables(b->points, PRODUCT_DIM, b->x, b->products.row, 1, PRODUCT_BLOCKS,
                                b->strips.planes, b->tables, b->stream);
    if (!error) error = cudaMemsetAsync(b->totals, 0, bytes, b->stream);
    if (!error) error = hlq_cuda_sums(&b->strips, b->stream);
    return error ? error : hlq_cuda_finish(&b->products, b->stream);
}

/* All that rank 0's GPU does in twoshot -------------------------------------------------------- */

/* What the others send is made beforehand, of the same tensor. */
static void prepare_all_reduce(gpu_bench *b)
{
    int n = b->ranks;
    for (int p = 0; p < n; p++) {
        if (p > 0) b->sent[p] = new_segment(b, gpu_frame(b, p, n, 0, 0));
        if (p > 0) b->came[p] = new_written(b, gpu_frame(b, 0, n, p, 0));
        b->result[p] = new_written(b, gpu_frame(b, p, n, p, 1));
    }
    new_sums(b, b->result[0].frame.place.blocks);
}

/* As collective/device/walk.c has it, less what travels. All ranks have the same tensor, so the
   mean in rank 0's part is that, too. */
static int run_all_reduce(gpu_bench *b)
{
    int n = b->ranks, error = 0;
    for (int p = 1; p < n && !error; p++) {
        error = wire->write(&b->sent[p], &b->source, NULL, b->report, b->stream);
    }
    for (int p = 1; p < n && !error; p++) {
        error = wire->open(&b->came[p], b->report, b->stream);
    }
    if (!error) error = run_sum(b);
    if (!error) error = wire->write(&b->result[0], &b->source, &b->sums, b->report, b->stream);
    for (int p = 0; p < n && !error; p++) {
        error = wire->open(&b->result[p], b->report, b->stream);
    }
    for (int p = 0; p < n && !error; p++) {
        float factor = p == 0 ? 1.0f / (float)n : 1.0f;
        error =
            wire->decode(&b->result[p], factor, b->dtype, b->out, b->elems, b->report, b->stream);
    }
    return error;
}

static const gpu_case cases[] = {
    {"copy", 1, 0, 0, prepare_nothing, run_copy},
    {"exponents", 1, 0, 0, prepare_exponents, run_exponents},
    {"encode", 1, 0, 0, prepare_encode, run_encode},
    {"write", 1, 0, 0, prepare_write, run_write},
    {"open", 1, 0, 0, prepare_opened, run_open},
    {"decode", 1, 1, 0, prepare_opened, run_decode},
    {"sum", 2, 0, 0, prepare_sum, run_sum},
    {"sum", 8, 0, 0, prepare_sum, run_sum},
    {"unrotate", 2, 1, 0, prepare_unrotate, run_unrotate},
    {"hnlq_encode", 1, 0, 1, prepare_hnlq, run_hnlq_encode},
    {"hnlq_decode", 1, 0, 1, prepare_hnlq_decode, run_hnlq_decode},
    {"hnlq_quantize", 1, 0, 1, prepare_hnlq, run_hnlq_quantize},
    {"product", 1, 0, 1, prepare_product, run_product},
    {"all_reduce", 2, 1, 0, prepare_all_reduce, run_all_reduce},
    {"all_reduce", 8, 1, 0, prepare_all_reduce, run_all_reduce},
};

const gpu_case *gpu_case_at(int i)
{
    return i < (int)(sizeof cases / sizeof *cases) ? &cases[i] : NULL;
}
