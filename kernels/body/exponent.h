/*
 * The exponent of a block: its root mean square, rounded up to eighths of an octave.
 */
#ifndef HLQ_BODY_EXPONENT_H
#define HLQ_BODY_EXPONENT_H

#include "../kernels.h"
#include "scales.h"
#include "source.h"

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

/* Of rows in units of 2^unit; the special values as they are. */
HLQ_BODY int16_t exponent_of_rows(const F x[HLQ_ROWS], int unit)
{
    int exponent = block_exponent(x);
    return (int16_t)(is_special(exponent) ? exponent : exponent + 8 * unit);
}

HLQ_BODY int16_t source_exponent(const hlq_place *place, const hlq_source *src, size_t b)
{
    F x[HLQ_ROWS];
    int unit = src->rotated ? src->unit : 0;
    if (src->dtype == HLQ_FLOAT64) {
        int octave = double_octave(src->data, src->elems, position(place, b));
        if (is_special(octave)) return (int16_t)octave;
        unit = unit_of(HLQ_FLOAT64, 8 * octave);
    }
    load_source(place, src, b, unit, x);
    return exponent_of_rows(x, unit);
}

#endif
