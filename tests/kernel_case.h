/*
 * Random input for kernels: tensors and accumulators of every kind, the blocks meant, codes and
 * bits as the library or another rank could ask for, and sizes of all buffers. test_kernels.c runs
 * it.
 */
#ifndef HLQ_TEST_KERNEL_CASE_H
#define HLQ_TEST_KERNEL_CASE_H

#include "dtypes.h"

#include <collective/partition.h>
#include <kernels/kernels.h>
#include <wire/codec.h>

/* Buffers of a case: what goes in, what comes out. */
enum {
    TENSOR,
    ROTATED, /* an accumulator, as source */
    CODE,
    BITS,
    SPREAD, /* rotated blocks with room between, and the last */
    SPREAD_LAST,
    WIRE_WIDE, /* another run: any bytes at all */
    WIRE_SIDE,
    WIRE_PLANES,
    INPUTS, /* the buffers above must not change */
    RESIDUAL = INPUTS,
    EXPONENT,
    WIDE,
    SIDE,
    PLANES,
    DECODED,
    FAILED,
    FROM_WIRE,
    ACC,
    UNROTATED,
    WITHIN_BITS, /* of the run within an error, and its tensor */
    WITHIN_WIDE,
    WITHIN_SIDE,
    WITHIN_PLANES,
    WITHIN_DECODED,
    BUFFERS,
};

static const struct {
    const char *name;
    int align;
} buffers[BUFFERS] = {
    [TENSOR] = {"tensor", 1},
    [ROTATED] = {"rotated", 4},
    [CODE] = {"code", 1},
    [BITS] = {"bits", 1},
    [SPREAD] = {"spread", 1},
    [SPREAD_LAST] = {"last of spread", 4},
    [WIRE_WIDE] = {"wire wide", 1},
    [WIRE_SIDE] = {"wire side", 4},
    [WIRE_PLANES] = {"wire planes", 4},
    [RESIDUAL] = {"residual", 4},
    [EXPONENT] = {"exponent", 2},
    [WIDE] = {"wide", 1},
    [SIDE] = {"side", 4},
    [PLANES] = {"planes", 4},
    [DECODED] = {"decoded", 1},
    [FAILED] = {"failed", 1},
    [FROM_WIRE] = {"from wire", 1},
    [ACC] = {"acc", 4},
    [UNROTATED] = {"unrotated", 1},
    [WITHIN_BITS] = {"bits within an error", 1},
    [WITHIN_WIDE] = {"wide within an error", 1},
    [WITHIN_SIDE] = {"side within an error", 4},
    [WITHIN_PLANES] = {"planes within an error", 4},
    [WITHIN_DECODED] = {"decoded within an error", 1},
};

typedef struct kernel_case {
    size_t elems;
    hlq_lattice lattice;
    hlq_dtype dtype;
    int modular, spread, dithered, with_residual, with_rotated;
    size_t room;
    uint64_t dither_key;
    int base, unit, rotated_unit;
    float factor;
    double allowed;
    hlq_place place;
    uint64_t *list;
    size_t bytes[BUFFERS];
    void *content[BUFFERS]; /* before the kernels run */
} kernel_case;

/* Contents ------------------------------------------------------------------------------------- */

enum { LARGEST_OF_TENSOR = 126, LARGEST_OF_ACC = 99 }; /* powers of 2 */

/* A block as tensors or accumulators hold them, or one that has broken code before. */
static void fill_block(hlq_rng *rng, int largest, float x[HLQ_BLOCK_ELEMS])
{
    float size = (float)exp2(hlq_rng_between(rng, -15, 15));
    int kind = hlq_rng_between(rng, 0, 19), at = hlq_rng_between(rng, 0, HLQ_BLOCK_ELEMS - 1);
    for (int i = 0; i < HLQ_BLOCK_ELEMS; i++) {
        float gauss = (float)hlq_rng_gauss(rng);
        switch (kind) {
        case 0: x[i] = 0; break;
        case 1: x[i] = -0.0f; break;
        case 2: x[i] = i == at ? size : 0; break;
        case 3: x[i] = -size; break;
        case 4: x[i] = ldexpf(gauss < 0 ? -1.17f : 1.17f, largest); break;
        case 5: x[i] = gauss * 1e-40f; break;
        case 6: x[i] = gauss * 1e-30f; break;
        case 7: x[i] = i == at ? NAN : gauss; break;
        case 8: x[i] = i == at ? INFINITY : i == 7 ? -INFINITY : gauss; break;
        case 9: x[i] = gauss * (float)exp2(hlq_rng_between(rng, -30, 0)); break;
        case 10: x[i] = (float)hlq_rng_between(rng, -3, 3); break;
        case 11: x[i] = i == at ? size : gauss * 1e-6f * size; break;
        default: x[i] = gauss * size;
        }
    }
}

/* float64 blocks have any size that doubles can have. */
static void fill_tensor(hlq_rng *rng, const kernel_case *c, void *tensor)
{
    float x[HLQ_BLOCK_ELEMS];
    double wide[HLQ_BLOCK_ELEMS];
    size_t width = hlq_dtype_bytes(c->dtype);
    for (size_t at = 0; at < c->elems; at += HLQ_BLOCK_ELEMS) {
        size_t here = c->elems - at < HLQ_BLOCK_ELEMS ? c->elems - at : HLQ_BLOCK_ELEMS;
        int octaves = c->dtype == HLQ_FLOAT64 ? hlq_rng_between(rng, -1074, 1023) : 0;
        fill_block(rng, LARGEST_OF_TENSOR, x);
        for (size_t i = 0; i < here; i++) wide[i] = ldexp(x[i], octaves);
        dtype_store(c->dtype, wide, here, (char *)tensor + at * width);
    }
}

/* All blocks of the tensor, every n-th, or a list of some in any order. */
static void choose_place(hlq_rng *rng, kernel_case *c)
{
    uint64_t seed = hlq_rng_next(rng);
    int kind = hlq_rng_between(rng, 0, 2), n = hlq_rng_between(rng, 2, 5);
    size_t all = hlq_block_count(c->elems);
    c->list = malloc((all + 1) * sizeof *c->list);
    c->place = hlq_place_all(c->elems, seed);
    if (kind == 1) c->place = hlq_place_part(c->elems, seed, hlq_rng_between(rng, 0, n - 1), n);
    if (kind != 2) return;
    for (size_t i = 0; i < all; i++) {
        size_t j = hlq_rng_below(rng, i + 1);
        c->list[i] = c->list[j];
        c->list[j] = i;
    }
    c->place = (hlq_place){.blocks = hlq_rng_below(rng, all + 1), .list = c->list, .seed = seed};
}

/* Any size for a rotated source: units are as far apart as sums of a collective can be. */
static hlq_source source_of(const kernel_case *c, void *const content[BUFFERS], int rotated)
{
    return (hlq_source){
        .data = content[!rotated  ? TENSOR
                        : c->room ? SPREAD
                                  : ROTATED],
        .dtype = rotated ? HLQ_FLOAT32 : c->dtype,
        .elems = c->elems,
        .residual = c->with_residual ? content[RESIDUAL] : NULL,
        .rotated = rotated,
        .unit = c->rotated_unit,
        .room = c->room,
        .last = content[SPREAD_LAST],
    };
}

/* Codes as the library makes them, and any bits. In modular form other ranks' blocks may be larger,
   and non-zero where this one counts as zero. */
static void choose_codes(hlq_rng *rng, kernel_case *c)
{
    uint8_t *code = c->content[CODE], *bits = c->content[BITS];
    int16_t *exponent = c->content[EXPONENT];
    int same_bits = hlq_rng_between(rng, 0, 1), bits_of_all = hlq_rng_between(rng, 2, HLQ_BITS_MAX);
    hlq_source source = source_of(c, c->content, c->with_rotated);
    hlq_kernels_scalar.exponents(&c->place, &source, exponent);
    c->base = hlq_base_of_exponents(c->dtype, exponent, c->place.blocks);
    hlq_codes_from_exponents(exponent, c->place.blocks, c->base, code);
    for (size_t b = 0; b < c->place.blocks; b++) {
        int more = hlq_rng_between(rng, 0, 9);
        if (c->modular && code[b] != HLQ_CODE_NONFINITE && (code[b] || more < 5)) {
            code[b] = (uint8_t)(code[b] + more < HLQ_CODE_TOP ? code[b] + more : HLQ_CODE_TOP);
        }
        bits[b] = (uint8_t)(same_bits ? bits_of_all : hlq_rng_between(rng, 2, HLQ_BITS_MAX));
        if (code[b] == HLQ_CODE_ZERO || code[b] == HLQ_CODE_NONFINITE) bits[b] = 0;
        if (hlq_rng_below(rng, 8) == 0) bits[b] = 0;
    }
    int limit = c->dtype == HLQ_FLOAT64 ? HLQ_UNIT_LIMIT_FLOAT64 : HLQ_UNIT_LIMIT;
    c->unit = c->base + hlq_rng_between(rng, 0, 9);
    if (c->unit > limit) c->unit = limit;
    if (c->unit < -limit) c->unit = -limit;
    c->allowed = ldexp(1 + hlq_rng_uniform(rng), c->base + hlq_rng_between(rng, -24, 4));
}

static void allocate(kernel_case *c, int buffer, size_t bytes)
{
    c->bytes[buffer] = bytes;
    c->content[buffer] = malloc(bytes + 1);
}

static void allocate_planes(kernel_case *c)
{
    const uint8_t *bits = c->content[BITS];
    size_t coded = 0, planes = 0;
    for (size_t b = 0; b < c->place.blocks; b++) {
        coded += bits[b] != 0;
        planes += bits[b];
    }
    allocate(c, SIDE, coded * (c->modular ? 4 : HLQ_RAMP_WORDS * 4));
    allocate(c, WIRE_SIDE, c->bytes[SIDE]);
    allocate(c, PLANES, planes * HLQ_PLANE_WORDS * 4);
    allocate(c, WIRE_PLANES, c->bytes[PLANES]);
}

static kernel_case case_new(hlq_rng *rng, size_t elems, hlq_lattice lattice, hlq_dtype dtype,
                            int modular)
{
    static const float factors[] = {1, 0.125f, 1.0f / 3, 2};
    static const size_t rooms[] = {0, HLQ_BLOCK_ELEMS * 4, HLQ_BLOCK_ELEMS * 8};
    kernel_case c = {
        .elems = elems,
        .lattice = lattice,
        .dtype = dtype,
        .modular = modular,
        .spread = modular ? hlq_rng_between(rng, -3, 24) : 0,
        .with_residual = dtype != HLQ_FLOAT64 && hlq_rng_between(rng, 0, 1),
        .dithered = !modular && hlq_rng_between(rng, 0, 1),
        .dither_key = hlq_rng_next(rng),
        .with_rotated = hlq_rng_below(rng, 4) == 0,
        .rotated_unit = hlq_rng_between(rng, -HLQ_UNIT_LIMIT, HLQ_UNIT_LIMIT),
        .room = rooms[hlq_rng_below(rng, 3)],
        .factor = factors[hlq_rng_below(rng, 4)],
    };
    choose_place(rng, &c);
    size_t blocks = c.place.blocks, acc = blocks * HLQ_BLOCK_ELEMS * sizeof(float);
    const int tensors[] = {TENSOR, DECODED, FROM_WIRE, UNROTATED, WITHIN_DECODED};
    for (int i = 0; i < 5; i++) allocate(&c, tensors[i], elems * hlq_dtype_bytes(dtype));
    allocate(&c, WITHIN_BITS, blocks);
    allocate(&c, WITHIN_WIDE, (blocks + 7) / 8);
    allocate(&c, WITHIN_SIDE, blocks * HLQ_RAMP_WORDS * 4);
    allocate(&c, WITHIN_PLANES, blocks * HLQ_BITS_WHOLE * HLQ_PLANE_WORDS * 4);
    for (int i = CODE; i <= BITS; i++) allocate(&c, i, blocks);
    allocate(&c, RESIDUAL, elems * sizeof(float));
    allocate(&c, EXPONENT, blocks * sizeof(int16_t));
    allocate(&c, ROTATED, acc);
    allocate(&c, ACC, acc);
    allocate(&c, SPREAD, elems / HLQ_BLOCK_ELEMS * c.room);
    allocate(&c, SPREAD_LAST, HLQ_BLOCK_ELEMS * sizeof(float));
    allocate(&c, WIDE, modular ? 0 : (blocks + 7) / 8);
    allocate(&c, WIRE_WIDE, c.bytes[WIDE]);
    allocate(&c, FAILED, (blocks + 7) / 8);
    fill_tensor(rng, &c, c.content[TENSOR]);
    hlq_rng_fill(rng, hlq_rng_lognormal, c.content[RESIDUAL], elems);
    for (size_t b = 0; b < blocks; b++) {
        fill_block(rng, LARGEST_OF_ACC, (float *)c.content[ROTATED] + b * HLQ_BLOCK_ELEMS);
    }
    for (size_t at = 0; at < c.bytes[SPREAD]; at += c.room) {
        fill_block(rng, LARGEST_OF_ACC, (float *)(void *)((char *)c.content[SPREAD] + at));
    }
    fill_block(rng, LARGEST_OF_ACC, c.content[SPREAD_LAST]);
    hlq_rng_fill(rng, hlq_rng_gauss, c.content[ACC], blocks * HLQ_BLOCK_ELEMS);
    choose_codes(rng, &c);
    allocate_planes(&c);
    const int any_bytes[] = {WIRE_WIDE,   WIRE_SIDE,   WIRE_PLANES, EXPONENT,      WIDE,
                             SIDE,        PLANES,      DECODED,     FROM_WIRE,     UNROTATED,
                             WITHIN_BITS, WITHIN_WIDE, WITHIN_SIDE, WITHIN_PLANES, WITHIN_DECODED};
    for (size_t i = 0; i < sizeof any_bytes / sizeof *any_bytes; i++) {
        hlq_rng_bytes(rng, c.content[any_bytes[i]], c.bytes[any_bytes[i]]);
    }
    memset(c.content[FAILED], 0, c.bytes[FAILED]);
    return c;
}

static void case_free(kernel_case *c)
{
    for (int i = 0; i < BUFFERS; i++) free(c->content[i]);
    free(c->list);
}

static hlq_run run_of(const kernel_case *c, void *const at[BUFFERS])
{
    return (hlq_run){.place = c->place,
                     .lattice = c->lattice,
                     .base = c->base,
                     .modular = c->modular,
                     .spread = c->spread,
                     .dithered = c->dithered,
                     .dither_key = c->dither_key,
                     .code = at[CODE],
                     .bits = at[BITS],
                     .wide = c->modular ? NULL : at[WIDE],
                     .side = at[SIDE],
                     .planes = at[PLANES]};
}

#endif
