/*
 * Runs of blocks, and the table of functions that a variant offers (kernels.h says what each does).
 * Included once by every kernels/cpu/<variant>.c after its lane words and HLQ_VARIANT_NAME.
 */
#ifndef HLQ_BODY_RUN_H
#define HLQ_BODY_RUN_H

#include "../kernels.h"
#include "../hnlq.h"
#include "../look_up.h"
#include "../cpu/fp_env.h"
#include "check_weights.h"
#include "rotate.h"
#include "nearest.h"
#include "codes.h"
#include "planes.h"
#include "scales.h"
#include "dither.h"
#include "block.h"
#include "source.h"
#include "coded.h"
#include "within.h"

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

HLQ_BODY int is_special(int exponent)
{
    return exponent == HLQ_EXPONENT_ZERO || exponent == HLQ_EXPONENT_NONFINITE;
}

static void exponents(const hlq_place *place, const hlq_source *src, int16_t *exponent)
{
    fp_env saved = fp_env_enter();
    for (size_t b = 0; b < place->blocks; b++) {
        F x[HLQ_ROWS];
        int unit = src->rotated ? src->unit : 0;
        if (src->dtype == HLQ_FLOAT64) {
            int octave = double_octave(src->data, src->elems, position(place, b));
            exponent[b] = (int16_t)octave;
            if (is_special(octave)) continue;
            unit = unit_of(HLQ_FLOAT64, 8 * octave);
        }
        load_source(place, src, b, unit, x);
        exponent[b] = block_exponent(x);
        if (!is_special(exponent[b])) exponent[b] = (int16_t)(exponent[b] + 8 * unit);
    }
    fp_env_leave(saved);
}

static void rotate_add(const hlq_place *place, const hlq_source *src, int unit, float *acc)
{
    fp_env saved = fp_env_enter();
    for (size_t i = 0; i < place->blocks; i++, acc += HLQ_BLOCK_ELEMS) {
        F y[HLQ_ROWS], sum[HLQ_ROWS];
        uint32_t sign[HLQ_ROWS];
        int read = unit_of(src->dtype, 8 * unit);
        load_source(place, src, i, read, y);
        if (counts_as_zero(y)) continue;
        sign_words(place->seed, position(place, i), sign);
        scale_rows(y, 8 * (read - unit), 1.0f / 16);
        rotate(y, sign);
        load_full(acc, HLQ_FLOAT32, 0, sum);
        for (int r = 0; r < HLQ_ROWS; r++) sum[r] = f_add(sum[r], y[r]);
        store_full(acc, HLQ_FLOAT32, 0, sum);
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
        int written = unit_of(dtype, 8 * unit);
        load_full(acc, HLQ_FLOAT32, 0, x);
        for (int r = 0; r < HLQ_ROWS; r++) bad |= f_abs_not_below(x[r], __builtin_inff());
        if (bad) {
            nonfinite++;
            fill_rows(x, not_a_number);
        } else {
            sign_words(place->seed, position(place, i), sign);
            unrotate(x, sign);
            scale_rows(x, 8 * (unit - written), factor / 16);
            for (int r = 0; r < HLQ_ROWS; r++) x[r] = f_add(x[r], f_set(0.0f)); /* no -0 */
        }
        store_block(out, dtype, written, elems, position(place, i), x);
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
    .hnlq = &HLQ_JOIN(hlq_hnlq_kernels_, HLQ_VARIANT_NAME),
    .look_up = &HLQ_JOIN(hlq_look_up_kernels_, HLQ_VARIANT_NAME),
    .exponents = exponents,
    .encode = encode,
    .encode_within = encode_within,
    .decode = decode,
    .decode_add = decode_add,
    .rotate_add = rotate_add,
    .unrotate = unrotate_run,
    .planes_add = planes_add,
};

#endif
