/*
 * Runs of blocks, and the table of functions that a variant offers (kernels.h says what each does).
 * Included once by every kernels/cpu/<variant>.c after its lane words and HLQ_VARIANT_NAME.
 */
#ifndef HLQ_BODY_RUN_H
#define HLQ_BODY_RUN_H

#include "../kernels.h"
#include "../cpu/fp_env.h"
#include "check_weights.h"
#include "rotate.h"
#include "nearest.h"
#include "codes.h"
#include "planes.h"
#include "scales.h"
#include "block.h"

static const float not_a_number = __builtin_nanf("");

HLQ_BODY void load_full(const void *p, hlq_dtype dtype, F x[HLQ_ROWS])
{
    for (int r = 0; r < HLQ_ROWS; r++) {
        x[r] = dtype == HLQ_BFLOAT16 ? f_load_bf16((const uint16_t *)p + HLQ_LANES * r)
                                     : f_load((const float *)p + HLQ_LANES * r);
    }
}

HLQ_BODY void store_full(void *p, hlq_dtype dtype, const F x[HLQ_ROWS])
{
    for (int r = 0; r < HLQ_ROWS; r++) {
        if (dtype == HLQ_BFLOAT16) f_store_bf16((uint16_t *)p + HLQ_LANES * r, x[r]);
        else f_store((float *)p + HLQ_LANES * r, x[r]);
    }
}

/* elems < 256: the rest reads as zero and is not written. */
HLQ_BODY void load_part(const void *p, hlq_dtype dtype, size_t elems, F x[HLQ_ROWS])
{
    float copy[HLQ_BLOCK_ELEMS] = {0};
    memcpy(copy, p, elems * (dtype == HLQ_BFLOAT16 ? 2 : 4));
    load_full(copy, dtype, x);
}

HLQ_BODY void store_part(void *p, hlq_dtype dtype, size_t elems, const F x[HLQ_ROWS])
{
    float copy[HLQ_BLOCK_ELEMS];
    store_full(copy, dtype, x);
    memcpy(p, copy, elems * (dtype == HLQ_BFLOAT16 ? 2 : 4));
}

/* Block `index` of a tensor: where it starts, and how many of its 256 elements exist. */
HLQ_BODY size_t block_elems(size_t elems, uint64_t index)
{
    size_t left = elems - (size_t)index * HLQ_BLOCK_ELEMS;
    return left < HLQ_BLOCK_ELEMS ? left : HLQ_BLOCK_ELEMS;
}

HLQ_BODY size_t block_offset(hlq_dtype dtype, uint64_t index)
{
    return (size_t)index * HLQ_BLOCK_ELEMS * (dtype == HLQ_BFLOAT16 ? 2 : 4);
}

HLQ_BODY void load_block(const void *data, hlq_dtype dtype, size_t elems, uint64_t index,
                         F x[HLQ_ROWS])
{
    size_t here = block_elems(elems, index);
    const void *p = (const char *)data + block_offset(dtype, index);
    if (here == HLQ_BLOCK_ELEMS) load_full(p, dtype, x);
    else load_part(p, dtype, here, x);
}

HLQ_BODY void store_block(void *data, hlq_dtype dtype, size_t elems, uint64_t index,
                          const F x[HLQ_ROWS])
{
    size_t here = block_elems(elems, index);
    void *p = (char *)data + block_offset(dtype, index);
    if (here == HLQ_BLOCK_ELEMS) store_full(p, dtype, x);
    else store_part(p, dtype, here, x);
}

HLQ_BODY uint64_t position(const hlq_place *place, size_t i)
{
    return place->list ? place->list[i] : place->first + i * place->stride;
}

/* Block i of a source, residual added. */
HLQ_BODY void load_source(const hlq_place *place, const hlq_source *src, size_t i, F x[HLQ_ROWS])
{
    if (src->rotated) {
        load_full((const float *)src->data + i * HLQ_BLOCK_ELEMS, HLQ_FLOAT32, x);
        return;
    }
    load_block(src->data, src->dtype, src->elems, position(place, i), x);
    if (src->residual) {
        F more[HLQ_ROWS];
        load_block(src->residual, HLQ_FLOAT32, src->elems, position(place, i), more);
        for (int r = 0; r < HLQ_ROWS; r++) x[r] = f_add(x[r], more[r]);
    }
}

HLQ_BODY void fill_rows(F x[HLQ_ROWS], float value)
{
    for (int r = 0; r < HLQ_ROWS; r++) x[r] = f_set(value);
}

/*
 * ⌈8 log2 rms⌉ from the largest |x| and the sum of squares of x / 2^scale, where scale is the
 * exponent of the largest, so that squares neither overflow nor vanish.
 */
HLQ_BODY int exponent_from_squares(float squares, int scale)
{
    /* 2^(j/4): 4 log2 of the sum rounds up to the count of these that its mantissa exceeds */
    static const float quarter[4] = {1.0f, 1.18920712f, 1.41421356f, 1.68179283f};
    uint32_t u;
    memcpy(&u, &squares, sizeof u);
    int exponent = (int)(u >> 23) - 127;
    u = (u & 0x7fffff) | 0x3f800000;
    float mantissa;
    memcpy(&mantissa, &u, sizeof mantissa);
    int eighths = 4 * exponent;
    for (int j = 0; j < 4; j++) eighths += mantissa > quarter[j];
    return eighths - 4 * 8 + 8 * scale; /* mean of 256 = 2^8 squares */
}

HLQ_BODY int16_t block_exponent(const F x[HLQ_ROWS])
{
    uint32_t bad = 0;
    F largest = f_max_abs(x[0], x[0]);
    for (int r = 0; r < HLQ_ROWS; r++) bad |= f_abs_not_below(x[r], __builtin_inff());
    if (bad) return HLQ_EXPONENT_NONFINITE;
    for (int r = 1; r < HLQ_ROWS; r++) largest = f_max_abs(largest, x[r]);
    float top = f_max_lanes(largest);
    uint32_t u;
    memcpy(&u, &top, sizeof u);
    int scale = (int)(u >> 23) - 127;
    if (scale < -126) return HLQ_EXPONENT_ZERO; /* zeros and denormals */
    F squares = f_set(0.0f), down = f_set(pow2_eighths(-8 * (scale < 126 ? scale : 126)));
    for (int r = 0; r < HLQ_ROWS; r++) {
        F y = f_mul(x[r], down);
        squares = f_add(squares, f_mul(y, y));
    }
    return (int16_t)exponent_from_squares(f_sum_lanes(squares), scale < 126 ? scale : 126);
}

static void exponents(const hlq_place *place, const hlq_source *src, int16_t *exponent)
{
    fp_env saved = fp_env_enter();
    for (size_t b = 0; b < place->blocks; b++) {
        F x[HLQ_ROWS];
        load_source(place, src, b, x);
        exponent[b] = block_exponent(x);
        if (src->rotated && exponent[b] != HLQ_EXPONENT_ZERO &&
            exponent[b] != HLQ_EXPONENT_NONFINITE) {
            exponent[b] = (int16_t)(exponent[b] + 8 * src->unit);
        }
    }
    fp_env_leave(saved);
}

HLQ_BODY int exponent_of(const hlq_run *run, size_t b)
{
    return run->code[b] - HLQ_CODE_TOP + 8 * run->base;
}

/* Where the walk through a run stands: side words and planes of coded blocks follow each other. */
typedef struct {
    uint32_t *side, *planes;
} cursor;

HLQ_BODY cursor cursor_start(const hlq_run *run) { return (cursor){run->side, run->planes}; }

HLQ_BODY void cursor_advance(const hlq_run *run, size_t b, cursor *at)
{
    at->side += run->modular ? 1 : HLQ_RAMP_WORDS;
    at->planes += (size_t)run->bits[b] * HLQ_PLANE_WORDS;
}

HLQ_BODY ramp_choice ramp_of(const hlq_run *run, size_t b, const cursor *at)
{
    if (run->modular) return (ramp_choice){0, 0, 0};
    return (ramp_choice){at->side[0], at->side[1], run->wide[b / 8] >> b % 8 & 1};
}

/* A block without codes leaves all of itself in the residual; a non-finite one nothing. */
HLQ_BODY void residual_uncoded(const hlq_run *run, const hlq_source *src, size_t b,
                               const uint32_t sign[HLQ_ROWS])
{
    F x[HLQ_ROWS];
    if (run->code[b] == HLQ_CODE_NONFINITE) {
        fill_rows(x, 0.0f);
    } else {
        load_source(&run->place, src, b, x);
        if (src->rotated) {
            unrotate(x, sign);
            scale_rows(x, 8 * src->unit, 1.0f / 16);
        }
    }
    store_block(src->residual, HLQ_FLOAT32, src->elems, position(&run->place, b), x);
}

/* residual = y (1/512 rms, rotated) minus the points, rotated back. */
HLQ_BODY void residual_coded(const hlq_run *run, const hlq_source *src, size_t b,
                             const uint32_t sign[HLQ_ROWS], const F y[HLQ_ROWS],
                             const F sent[HLQ_ROWS])
{
    F x[HLQ_ROWS];
    for (int r = 0; r < HLQ_ROWS; r++) x[r] = f_sub(y[r], sent[r]);
    unrotate(x, sign);
    scale_rows(x, exponent_of(run, b), 1.0f / (16 * NORM_UNITS));
    store_block(src->residual, HLQ_FLOAT32, src->elems, position(&run->place, b), x);
}

/* Whether exponents() takes the block for zero. */
HLQ_BODY int counts_as_zero(const F x[HLQ_ROWS])
{
    uint32_t normal = 0;
    for (int r = 0; r < HLQ_ROWS; r++) normal |= f_abs_not_below(x[r], 0x1p-126f);
    return !normal;
}

/* Source → coordinates in 1/512 rms, rotated. In modular form the scale is that of all ranks, and
   may be too fine for denormals, which count as zero. */
HLQ_BODY void load_rotated(const hlq_run *run, const hlq_source *src, size_t b,
                           const uint32_t sign[HLQ_ROWS], F y[HLQ_ROWS])
{
    load_source(&run->place, src, b, y);
    if (run->modular && counts_as_zero(y)) fill_rows(y, 0.0f);
    if (src->rotated) {
        scale_rows(y, 8 * src->unit - exponent_of(run, b), NORM_UNITS);
    } else {
        scale_rows(y, -exponent_of(run, b), NORM_UNITS / 16.0f);
        rotate(y, sign);
    }
}

HLQ_BODY uint64_t encode_run(hlq_lattice lattice, const hlq_run *run, const hlq_source *src)
{
    hlq_steps steps[HLQ_BITS_MAX + 1];
    steps_fill(steps, lattice, run->modular, run->spread);
    cursor at = cursor_start(run);
    uint64_t beyond = 0;
    if (run->wide) memset(run->wide, 0, (run->place.blocks + 7) / 8);
    for (size_t b = 0; b < run->place.blocks; b++) {
        int bits = run->bits[b];
        uint32_t sign[HLQ_ROWS];
        if (bits || src->residual) sign_words(run->place.seed, position(&run->place, b), sign);
        if (!bits) {
            if (src->residual) residual_uncoded(run, src, b, sign);
            continue;
        }
        F y[HLQ_ROWS], sent[HLQ_ROWS];
        I point[HLQ_ROWS], z[HLQ_ROWS];
        ramp_choice ramp = {0, 0, 0};
        load_rotated(run, src, b, sign, y);
        if (run->modular) {
            quantize(lattice, y, f_set(steps[bits].gain[0]), point);
            beyond += overloaded(lattice, point, bits) != 0;
            at.side[0] = check_sum(point);
        } else {
            ramp = quantize_on_ramp(lattice, &steps[bits], bits, y, point);
            beyond += (uint64_t)ramp.wide;
            run->wide[b / 8] |= (uint8_t)(ramp.wide << b % 8);
            at.side[0] = ramp.bit0;
            at.side[1] = ramp.bit1;
        }
        codes_from_point(lattice, point, z);
        planes_store(z, bits, at.planes);
        if (src->residual) {
            scale_points(&steps[bits], ramp, NORM_UNITS, point, sent);
            residual_coded(run, src, b, sign, y, sent);
        }
        cursor_advance(run, b, &at);
    }
    return beyond;
}

HLQ_BODY uint64_t decode_run(hlq_lattice lattice, const hlq_run *run, float factor, hlq_dtype dtype,
                             void *out, size_t elems, uint8_t *failed)
{
    hlq_steps steps[HLQ_BITS_MAX + 1];
    steps_fill(steps, lattice, run->modular, run->spread);
    cursor at = cursor_start(run);
    uint64_t failures = 0;
    for (size_t b = 0; b < run->place.blocks; b++) {
        int bits = run->bits[b];
        F x[HLQ_ROWS];
        if (!bits) {
            fill_rows(x, run->code[b] == HLQ_CODE_NONFINITE ? not_a_number : 0.0f);
            store_block(out, dtype, elems, position(&run->place, b), x);
            continue;
        }
        I point[HLQ_ROWS];
        points_from_planes(lattice, bits, at.planes, point);
        if (failed && check_sum(point) != at.side[0]) {
            failed[b / 8] |= (uint8_t)(1 << b % 8);
            failures++;
        } else {
            uint32_t sign[HLQ_ROWS];
            sign_words(run->place.seed, position(&run->place, b), sign);
            scale_points(&steps[bits], ramp_of(run, b, &at), 1.0f, point, x);
            unrotate(x, sign);
            scale_rows(x, exponent_of(run, b), factor / 16);
            store_block(out, dtype, elems, position(&run->place, b), x);
        }
        cursor_advance(run, b, &at);
    }
    return failures;
}

HLQ_BODY void decode_add_run(hlq_lattice lattice, const hlq_run *run, int unit, float *acc)
{
    hlq_steps steps[HLQ_BITS_MAX + 1];
    steps_fill(steps, lattice, run->modular, run->spread);
    cursor at = cursor_start(run);
    for (size_t b = 0; b < run->place.blocks; b++, acc += HLQ_BLOCK_ELEMS) {
        int bits = run->bits[b];
        if (!bits && run->code[b] != HLQ_CODE_NONFINITE) continue;
        F y[HLQ_ROWS], sum[HLQ_ROWS];
        load_full(acc, HLQ_FLOAT32, sum);
        if (bits) {
            I point[HLQ_ROWS];
            points_from_planes(lattice, bits, at.planes, point);
            float size = pow2_eighths(exponent_of(run, b) - 8 * unit);
            scale_points(&steps[bits], ramp_of(run, b, &at), size, point, y);
            cursor_advance(run, b, &at);
        } else {
            fill_rows(y, not_a_number);
        }
        for (int r = 0; r < HLQ_ROWS; r++) sum[r] = f_add(sum[r], y[r]);
        store_full(acc, HLQ_FLOAT32, sum);
    }
}

#define FOR_LATTICE(lattice, call)                                                                 \
    switch (lattice) {                                                                             \
    case HLQ_LATTICE_E8: call(HLQ_LATTICE_E8); break;                                              \
    case HLQ_LATTICE_D4: call(HLQ_LATTICE_D4); break;                                              \
    case HLQ_LATTICE_Z: call(HLQ_LATTICE_Z); break;                                                \
    }

static uint64_t encode(const hlq_run *run, const hlq_source *src)
{
    fp_env saved = fp_env_enter();
    uint64_t beyond = 0;
#define CALL(lattice) beyond = encode_run(lattice, run, src)
    FOR_LATTICE(run->lattice, CALL)
#undef CALL
    fp_env_leave(saved);
    return beyond;
}

static uint64_t decode(const hlq_run *run, float factor, hlq_dtype dtype, void *out, size_t elems,
                       uint8_t *failed)
{
    fp_env saved = fp_env_enter();
    uint64_t failures = 0;
#define CALL(lattice) failures = decode_run(lattice, run, factor, dtype, out, elems, failed)
    FOR_LATTICE(run->lattice, CALL)
#undef CALL
    fp_env_leave(saved);
    return failures;
}

static void decode_add(const hlq_run *run, int unit, float *acc)
{
    fp_env saved = fp_env_enter();
#define CALL(lattice) decode_add_run(lattice, run, unit, acc)
    FOR_LATTICE(run->lattice, CALL)
#undef CALL
    fp_env_leave(saved);
}

static void rotate_add(const hlq_place *place, const hlq_source *src, int unit, float *acc)
{
    fp_env saved = fp_env_enter();
    for (size_t i = 0; i < place->blocks; i++, acc += HLQ_BLOCK_ELEMS) {
        F y[HLQ_ROWS], sum[HLQ_ROWS];
        uint32_t sign[HLQ_ROWS];
        load_source(place, src, i, y);
        if (counts_as_zero(y)) continue;
        sign_words(place->seed, position(place, i), sign);
        scale_rows(y, -8 * unit, 1.0f / 16);
        rotate(y, sign);
        load_full(acc, HLQ_FLOAT32, sum);
        for (int r = 0; r < HLQ_ROWS; r++) sum[r] = f_add(sum[r], y[r]);
        store_full(acc, HLQ_FLOAT32, sum);
    }
    fp_env_leave(saved);
}

static uint64_t unrotate_run(const hlq_place *place, const float *acc, int unit, float factor,
                             hlq_dtype dtype, void *out, size_t elems)
{
    fp_env saved = fp_env_enter();
    uint64_t nonfinite = 0;
    for (size_t i = 0; i < place->blocks; i++, acc += HLQ_BLOCK_ELEMS) {
        F x[HLQ_ROWS];
        uint32_t sign[HLQ_ROWS], bad = 0;
        load_full(acc, HLQ_FLOAT32, x);
        for (int r = 0; r < HLQ_ROWS; r++) bad |= f_abs_not_below(x[r], __builtin_inff());
        if (bad) {
            nonfinite++;
            fill_rows(x, not_a_number);
        } else {
            sign_words(place->seed, position(place, i), sign);
            unrotate(x, sign);
            scale_rows(x, 8 * unit, factor / 16);
            for (int r = 0; r < HLQ_ROWS; r++) x[r] = f_add(x[r], f_set(0.0f)); /* no -0 */
        }
        store_block(out, dtype, elems, position(place, i), x);
    }
    fp_env_leave(saved);
    return nonfinite;
}

static void planes_add(const hlq_run *acc, const hlq_run *in)
{
    cursor to = cursor_start(acc), from = cursor_start(in);
    for (size_t b = 0; b < acc->place.blocks; b++) {
        int bits = acc->bits[b];
        if (!bits) continue;
        to.side[0] += from.side[0];
        planes_ripple(to.planes, from.planes, bits);
        cursor_advance(acc, b, &to);
        cursor_advance(in, b, &from);
    }
}

#define HLQ_JOIN_(a, b) a##b
#define HLQ_JOIN(a, b) HLQ_JOIN_(a, b)
#define HLQ_STRING_(a) #a
#define HLQ_STRING(a) HLQ_STRING_(a)

const hlq_kernels HLQ_JOIN(hlq_kernels_, HLQ_VARIANT_NAME) = {
    .name = HLQ_STRING(HLQ_VARIANT_NAME),
    .exponents = exponents,
    .encode = encode,
    .decode = decode,
    .decode_add = decode_add,
    .rotate_add = rotate_add,
    .unrotate = unrotate_run,
    .planes_add = planes_add,
};

#endif
