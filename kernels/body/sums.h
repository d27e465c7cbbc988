/*
 * One block of an accumulator, where sums are made in the rotated domain: what of a tensor goes in,
 * and what comes out.
 */
#ifndef HLQ_BODY_SUMS_H
#define HLQ_BODY_SUMS_H

#include "../kernels.h"
#include "rotate.h"
#include "block.h"
#include "source.h"

/* Block i of a tensor that was not quantized, rotated, in units of 2^unit; 0 if it adds nothing. */
HLQ_BODY int load_for_sum(const hlq_place *place, const hlq_source *src, size_t i, int unit,
                          F y[HLQ_ROWS])
{
    uint32_t sign[HLQ_ROWS];
    int read = unit_of(src->dtype, 8 * unit);
    load_source(place, src, i, read, y);
    if (counts_as_zero(y)) return 0;
    sign_words(place->seed, position(place, i), sign);
    scale_rows(y, 8 * (read - unit), 1.0f / 16);
    rotate(y, sign);
    return 1;
}

/* Block i of an accumulator to its block of the tensor out. Returns 1 if it became NaN. */
HLQ_BODY int unrotate_sum(const hlq_place *place, const float *acc, size_t i, int unit,
                          float factor, hlq_dtype dtype, void *out, size_t elems)
{
    F x[HLQ_ROWS];
    uint32_t sign[HLQ_ROWS], bad = 0;
    int written = unit_of(dtype, 8 * unit);
    load_full(acc + i * HLQ_BLOCK_ELEMS, HLQ_FLOAT32, 0, x);
    for (int r = 0; r < HLQ_ROWS; r++) bad |= f_abs_not_below(x[r], __builtin_inff());
    if (bad) {
        fill_rows(x, not_a_number);
    } else {
        sign_words(place->seed, position(place, i), sign);
        unrotate(x, sign);
        scale_rows(x, 8 * (unit - written), factor / 16);
        for (int r = 0; r < HLQ_ROWS; r++) x[r] = f_add(x[r], f_set(0.0f)); /* no -0 */
    }
    store_block(out, dtype, written, elems, position(place, i), x);
    return bad != 0;
}

#endif
