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
#include "coded_run.h"
#include "sums.h"
#include "exponent.h"
#include "within.h"

static void exponents(const hlq_place *place, const hlq_source *src, int16_t *exponent)
{
    fp_env saved = fp_env_enter();
    for (size_t b = 0; b < place->blocks; b++) exponent[b] = source_exponent(place, src, b);
    fp_env_leave(saved);
}

static void rotate_add(const hlq_place *place, const hlq_source *src, int unit, float *acc)
{
    fp_env saved = fp_env_enter();
    for (size_t i = 0; i < place->blocks; i++, acc += HLQ_BLOCK_ELEMS) {
        F y[HLQ_ROWS], sum[HLQ_ROWS];
        if (!load_for_sum(place, src, i, unit, y)) continue;
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
    for (size_t i = 0; i < place->blocks; i++) {
        nonfinite += (uint64_t)unrotate_sum(place, acc, i, unit, factor, dtype, out, elems);
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
        planes_ripple(to.planes, from.planes, bits, HLQ_ROWS);
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
