/*
 * Segments as a collective has them, and what the host makes of them: what devices are compared
 * with. test_cuda_wire.c runs it.
 */
#ifndef HLQ_TEST_WIRE_CASE_H
#define HLQ_TEST_WIRE_CASE_H

#include "dtypes.h"
#include "gpu_wire.h"
#include "segments.h"

#include <collective/partition.h>
#include <hlqcomm/transport.h>

static const hlq_device_wire *const wire = &hlq_wire_gpu;

/* Memory of the device, with guards, until the case is over ------------------------------------ */

enum { MEMORIES_MAX = 128, MEMORY_GUARD = 64 };

static struct {
    int used;
    struct {
        unsigned char *map;
        size_t bytes;
    } memory[MEMORIES_MAX];
} on_gpu;

/* Holds any bytes. */
static void *gpu_new(size_t bytes)
{
    size_t all = MEMORY_GUARD + bytes + MEMORY_GUARD;
    unsigned char *map = hlq_gpu_alloc(all);
    if (!map || on_gpu.used == MEMORIES_MAX) abort();
    memset(map, GUARD_PATTERN, all);
    on_gpu.memory[on_gpu.used].map = map;
    on_gpu.memory[on_gpu.used++].bytes = bytes;
    return map + MEMORY_GUARD;
}

static void *gpu_copy(const void *from, size_t bytes)
{
    void *to = gpu_new(bytes);
    memcpy(to, from, bytes);
    return to;
}

static void gpu_check_and_free(void)
{
    for (int i = 0; i < on_gpu.used; i++) {
        unsigned char *map = on_gpu.memory[i].map, *end = map + MEMORY_GUARD;
        for (int j = 0; j < MEMORY_GUARD; j++) {
            if (!CHECK_EQ(map[j], GUARD_PATTERN)) break;
            if (!CHECK_EQ(end[on_gpu.memory[i].bytes + (size_t)j], GUARD_PATTERN)) break;
        }
        hlq_gpu_free(map);
    }
    on_gpu.used = 0;
}

/* Tensors and frames --------------------------------------------------------------------------- */

typedef struct wire_case {
    hlq_frame frame;
    size_t elems;
    void *tensor;
    float *residual; /* NULL, or before it is written */
} wire_case;

/* Blocks of all sizes, some zero, tiny or not finite; or all zero. */
static int all_zero;

static void fill_tensor(hlq_rng *rng, hlq_dtype dtype, size_t elems, void *tensor)
{
    double x[HLQ_BLOCK_ELEMS];
    for (size_t at = 0; at < elems; at += HLQ_BLOCK_ELEMS) {
        size_t here = elems - at < HLQ_BLOCK_ELEMS ? elems - at : HLQ_BLOCK_ELEMS;
        int kind = hlq_rng_between(rng, 0, 39), octave = hlq_rng_between(rng, -6, 6);
        if (dtype == HLQ_FLOAT64) octave *= hlq_rng_below(rng, 4) ? 1 : 170;
        if (kind == 0 || all_zero) octave = -2000;
        if (kind == 1) octave = -40;
        for (size_t i = 0; i < here; i++) x[i] = ldexp(hlq_rng_gauss(rng), octave);
        if (all_zero) kind = 0;
        if (kind == 2) x[hlq_rng_below(rng, here)] = NAN;
        if (kind == 3) x[hlq_rng_below(rng, here)] = INFINITY;
        if (kind == 4) x[hlq_rng_below(rng, here)] *= 1000; /* which goes wide */
        dtype_store(dtype, x, here, (char *)tensor + at * hlq_dtype_bytes(dtype));
    }
}

/* Rank p's part of n, for a budget in bits per number, as a message of rank `sender`. */
static hlq_frame frame_new(hlq_rng *rng, size_t elems, int p, int n, double bits)
{
    hlq_frame frame = {.form = HLQ_FORM_RAMP,
                       .lattice = (hlq_lattice)hlq_rng_below(rng, 3),
                       .dtype = (hlq_dtype)hlq_rng_below(rng, 4),
                       .place = hlq_place_part(elems, hlq_rng_next(rng), p, n),
                       .call = (uint32_t)hlq_rng_next(rng),
                       .dithered = hlq_rng_between(rng, 0, 1),
                       .sender = hlq_rng_between(rng, 0, 99)};
    double budget = bits / 8 * (double)(frame.place.blocks * HLQ_BLOCK_ELEMS);
    int least = frame.dithered ? HLQ_DITHER_BITS : 0;
    frame.bytes = hlq_segment_bytes(HLQ_FORM_RAMP, frame.place.blocks, budget, least);
    return frame;
}

static wire_case case_new(hlq_rng *rng, const hlq_frame *frame, size_t elems)
{
    wire_case c = {*frame, elems, gpu_new(elems * hlq_dtype_bytes(frame->dtype)), NULL};
    fill_tensor(rng, frame->dtype, elems, c.tensor);
    if (frame->dtype != HLQ_FLOAT64 && hlq_rng_below(rng, 2)) {
        c.residual = gpu_new(elems * sizeof(float));
        for (size_t i = 0; i < elems; i++) c.residual[i] = (float)hlq_rng_gauss(rng) / 50;
    }
    return c;
}

static hlq_source source_of(const wire_case *c, float *residual)
{
    return (hlq_source){.data = c->tensor,
                        .dtype = c->frame.dtype,
                        .elems = c->elems,
                        .residual = c->residual ? residual : NULL};
}

static hlq_device_segment segment_new(const hlq_frame *frame)
{
    return (hlq_device_segment){*frame, gpu_new(frame->bytes),
                                gpu_new(hlq_device_scratch_bytes(frame->place.blocks))};
}

/* What the host does --------------------------------------------------------------------------- */

/* A segment of a source; exponent: those of an accumulator, else NULL. */
static uint8_t *host_write(const hlq_frame *frame, const hlq_source *source,
                           const int16_t *exponent, uint64_t *overloads)
{
    size_t blocks = frame->place.blocks;
    hlq_code_stats stats = {0};
    hlq_scratch scratch = {malloc(blocks * sizeof(int16_t) + 1), malloc(blocks + 1)};
    uint8_t *segment = malloc(frame->bytes);
    if (exponent) memcpy(scratch.exponent, exponent, blocks * sizeof *exponent);
    memset(segment, GUARD_PATTERN, frame->bytes);
    CHECK_EQ(segment_encode(hlq_kernels_get(), frame, source, scratch, segment, &stats),
             frame->bytes);
    free(scratch.exponent), free(scratch.bits);
    *overloads = stats.overloads;
    return segment;
}

/* visit(run, blocks before it, to) for each piece. Returns the base. */
static int host_read(const hlq_frame *frame, uint8_t *segment,
                     void visit(const hlq_run *run, size_t before, void *to), void *to)
{
    char error[HLQ_ERROR_BYTES] = "";
    uint8_t *bits = malloc(frame->place.blocks + 1);
    hlq_reader r;
    hlq_run run = {0};
    size_t before = 0;
    hlq_reader_begin(&r, frame, segment, bits);
    CHECK_EQ(hlq_reader_open(&r, frame->bytes, error), HLQ_OK);
    int base = r.rest.base;
    while (visit && !hlq_reader_is_done(&r)) {
        if (!CHECK_EQ(hlq_reader_next(&r, &run, error), HLQ_OK)) break;
        visit(&run, before, to);
        before += run.place.blocks;
    }
    CHECK_STR(error, "");
    free(bits);
    return base;
}

typedef struct adding {
    int unit;
    float *acc;
} adding;

static void add_piece(const hlq_run *run, size_t before, void *to)
{
    adding *a = to;
    hlq_kernels_get()->decode_add(run, a->unit, a->acc + before * HLQ_BLOCK_ELEMS);
}

/* The largest base of all terms. */
static int host_unit(const hlq_device_segment *terms, int count, const hlq_source *own)
{
    const hlq_frame *frame = &terms->frame;
    size_t blocks = frame->place.blocks;
    int limit = frame->dtype == HLQ_FLOAT64 ? HLQ_UNIT_LIMIT_FLOAT64 : HLQ_UNIT_LIMIT;
    int unit = -limit;
    int16_t *exponent = malloc(blocks * sizeof *exponent + 1);
    for (int t = 0; t <= count; t++) {
        int base = -limit;
        if (t < count) base = host_read(&terms[t].frame, terms[t].segment, NULL, NULL);
        if (t == count && own) {
            hlq_kernels_get()->exponents(&frame->place, own, exponent);
            base = hlq_base_of_exponents(frame->dtype, exponent, blocks);
        }
        if (base > unit) unit = base;
    }
    free(exponent);
    return unit < limit ? unit : limit;
}

static adding host_sum(const hlq_device_segment *terms, int count, const hlq_source *own,
                       int own_at)
{
    const hlq_place *place = &terms->frame.place;
    adding sum = {host_unit(terms, count, own),
                  calloc(place->blocks * HLQ_BLOCK_ELEMS, sizeof(float))};
    for (int t = 0; t <= count; t++) {
        if (own && t == own_at) hlq_kernels_get()->rotate_add(place, own, sum.unit, sum.acc);
        if (t < count) host_read(&terms[t].frame, terms[t].segment, add_piece, &sum);
    }
    return sum;
}

#endif
