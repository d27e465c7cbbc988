/*
 * Bound mode: a block gets the least bits with which none of its numbers is off by more than is
 * allowed. How far they are off is found by going all the way back, as a decoder does:
 *
 *   rotated y ──▶ points at k bits ──▶ sent;   y - sent ──▶ rotated back ──▶ largest ≤ limit?
 *       ▲                                                                       │ no: k + 1
 *       └───────────────────────────────────────────────────────────────────────┘
 *
 * Where 12 bits do not do, the rotated numbers travel whole. Included by run.h.
 */
#ifndef HLQ_BODY_WITHIN_H
#define HLQ_BODY_WITHIN_H

#include <math.h>

/* Of errors below this, in rms, float32's rounding in a decoder would be a noticeable part. */
static const float finest_error = 1.0f / 2048;
/* The largest of 256 errors, in scales, is seldom less: the first bits to be tried have this. */
static const float likely_error = 0.7f;

/* `allowed` in the units of a block that was rotated back: 1/(16 × 512) rms, which is 2^(e/8). */
HLQ_BODY float limit_of(double allowed, int eighths)
{
    double units = allowed * 16 * NORM_UNITS / (double)pow2_eighths(eighths & 7);
    return (float)fmin(ldexp(units, -(eighths >> 3)), 0x1p127);
}

/* Largest magnitude of y - sent, rotated back; left in x. */
HLQ_APART float largest_error(const uint32_t sign[HLQ_ROWS], const F y[HLQ_ROWS],
                              const F sent[HLQ_ROWS], F x[HLQ_ROWS])
{
    for (int r = 0; r < HLQ_ROWS; r++) x[r] = f_sub(y[r], sent[r]);
    unrotate(x, sign);
    F largest = f_max_abs(x[0], x[0]);
    for (int r = 1; r < HLQ_ROWS; r++) largest = f_max_abs(largest, x[r]);
    return f_max_lanes(largest);
}

HLQ_BODY int first_bits(const hlq_steps *steps, float limit)
{
    float rms = limit / (16 * NORM_UNITS);
    int bits = 2;
    if (rms < finest_error) return HLQ_BITS_WHOLE;
    while (bits < HLQ_BITS_MAX && likely_error * steps[bits].scale[0] > rms) bits++;
    return bits;
}

/* One block's bits, side words and planes; the error of what was sent is left in x. */
HLQ_BODY int encode_block_within(hlq_lattice lattice, const hlq_steps *steps, const F y[HLQ_ROWS],
                                 const uint32_t sign[HLQ_ROWS], float limit, cursor at,
                                 ramp_choice *ramp, F x[HLQ_ROWS])
{
    F sent[HLQ_ROWS];
    I point[HLQ_ROWS], z[HLQ_ROWS];
    fill_rows(sent, 0.0f);
    if (largest_error(sign, y, sent, x) <= limit) return 0;
    for (int bits = first_bits(steps, limit); bits <= HLQ_BITS_MAX; bits++) {
        *ramp = quantize_on_ramp(lattice, &steps[bits], bits, y, NULL, point);
        scale_points(&steps[bits], *ramp, NORM_UNITS, point, NULL, sent);
        if (!(largest_error(sign, y, sent, x) <= limit)) continue;
        at.side[0] = ramp->bit0;
        at.side[1] = ramp->bit1;
        codes_from_point(lattice, HLQ_ROWS, point, z);
        planes_store(z, bits, at.planes);
        return bits;
    }
    *ramp = no_ramp();
    at.side[0] = at.side[1] = 0;
    store_full(at.planes, HLQ_FLOAT32, 0, y);
    fill_rows(x, 0.0f);
    return HLQ_BITS_WHOLE;
}

HLQ_BODY uint64_t encode_within_run(hlq_lattice lattice, const hlq_run *run, const hlq_source *src,
                                    double allowed, uint8_t *bits)
{
    hlq_steps steps[HLQ_BITS_MAX + 1];
    steps_fill(steps, lattice, 0, 0, 0);
    cursor at = cursor_start(run);
    uint64_t beyond = 0;
    memset(run->wide, 0, (run->place.blocks + 7) / 8);
    for (size_t b = 0; b < run->place.blocks; b++) {
        uint32_t sign[HLQ_ROWS];
        int eighths = exponent_of(run, b);
        F y[HLQ_ROWS], x[HLQ_ROWS];
        ramp_choice ramp = no_ramp();
        sign_words(run->place.seed, position(&run->place, b), sign);
        bits[b] = 0;
        if (run->code[b] == HLQ_CODE_ZERO || run->code[b] == HLQ_CODE_NONFINITE) {
            if (src->residual) residual_uncoded(run, src, b, sign);
            continue;
        }
        load_rotated(run, src, b, sign, y);
        bits[b] = (uint8_t)encode_block_within(lattice, steps, y, sign, limit_of(allowed, eighths),
                                               at, &ramp, x);
        beyond += (uint64_t)ramp.wide;
        run->wide[b / 8] |= (uint8_t)(ramp.wide << b % 8);
        if (src->residual) {
            scale_rows(x, eighths, 1.0f / (16 * NORM_UNITS));
            store_block(src->residual, HLQ_FLOAT32, 0, src->elems, position(&run->place, b), x);
        }
        if (bits[b]) cursor_advance(run, b, &at);
    }
    return beyond;
}

static uint64_t encode_within(const hlq_run *run, const hlq_source *src, double allowed,
                              uint8_t *bits)
{
    fp_env saved = fp_env_enter();
    uint64_t beyond = 0;
#define CALL(lattice) beyond = encode_within_run(lattice, run, src, allowed, bits)
    FOR_LATTICE(run->lattice, CALL)
#undef CALL
    fp_env_leave(saved);
    return beyond;
}

#endif
