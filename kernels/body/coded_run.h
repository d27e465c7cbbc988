/*
 * Coded runs, block after block: encode, decode and decode_add of kernels.h.
 */
#ifndef HLQ_BODY_CODED_RUN_H
#define HLQ_BODY_CODED_RUN_H

#include "../cpu/fp_env.h"
#include "coded.h"

HLQ_BODY uint64_t encode_run(hlq_lattice lattice, int dithered, const hlq_run *run,
                             const hlq_source *src)
{
    hlq_steps steps[HLQ_BITS_MAX + 1];
    steps_fill(steps, lattice, run->modular, run->spread, dithered);
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
        fetch_source(&run->place, src, b + 2);
        int is_beyond = encode_block(lattice, dithered, steps, run, src, b, sign, &at);
        if (run->wide) run->wide[b / 8] |= (uint8_t)(is_beyond << b % 8);
        beyond += (uint64_t)is_beyond;
        cursor_advance(run, b, &at);
    }
    return beyond;
}

HLQ_BODY uint64_t decode_run(hlq_lattice lattice, int dithered, const hlq_run *run, float factor,
                             hlq_dtype dtype, void *out, size_t elems, uint8_t *failed)
{
    hlq_steps steps[HLQ_BITS_MAX + 1];
    steps_fill(steps, lattice, run->modular, run->spread, dithered);
    cursor at = cursor_start(run);
    uint64_t failures = 0;
    for (size_t b = 0; b < run->place.blocks; b++) {
        if (decode_block(lattice, dithered, steps, run, b, &at, failed != NULL, factor, dtype, out,
                         elems)) {
            failed[b / 8] |= (uint8_t)(1 << b % 8);
            failures++;
        }
        if (run->bits[b]) cursor_advance(run, b, &at);
    }
    return failures;
}

HLQ_BODY void decode_add_run(hlq_lattice lattice, int dithered, const hlq_run *run, int unit,
                             float *acc)
{
    hlq_steps steps[HLQ_BITS_MAX + 1];
    steps_fill(steps, lattice, run->modular, run->spread, dithered);
    cursor at = cursor_start(run);
    for (size_t b = 0; b < run->place.blocks; b++, acc += HLQ_BLOCK_ELEMS) {
        if (adds_nothing(run, b)) continue;
        F sum[HLQ_ROWS];
        load_full(acc, HLQ_FLOAT32, 0, sum);
        add_coded(lattice, dithered, steps, run, b, &at, unit, sum);
        store_full(acc, HLQ_FLOAT32, 0, sum);
        if (run->bits[b]) cursor_advance(run, b, &at);
    }
}

/* Those with dither are functions of their own, so that compilers make of the others what they make
   without. */
HLQ_APART uint64_t encode_with(const hlq_run *run, const hlq_source *src)
{
    uint64_t beyond = 0;
#define CALL(lattice) beyond = encode_run(lattice, 1, run, src)
    FOR_LATTICE(run->lattice, CALL)
#undef CALL
    return beyond;
}

HLQ_APART uint64_t encode_without(const hlq_run *run, const hlq_source *src)
{
    uint64_t beyond = 0;
#define CALL(lattice) beyond = encode_run(lattice, 0, run, src)
    FOR_LATTICE(run->lattice, CALL)
#undef CALL
    return beyond;
}

static uint64_t encode(const hlq_run *run, const hlq_source *src)
{
    fp_env saved = fp_env_enter();
    uint64_t beyond = run->dithered ? encode_with(run, src) : encode_without(run, src);
    fp_env_leave(saved);
    return beyond;
}

HLQ_APART void decode_with(const hlq_run *run, float factor, hlq_dtype dtype, void *out,
                           size_t elems)
{
    hlq_lattice lattice = run->lattice;
#define CALL(lattice) decode_run(lattice, 1, run, factor, dtype, out, elems, NULL)
    FOR_LATTICE(lattice, CALL)
#undef CALL
}

HLQ_APART uint64_t decode_without(const hlq_run *run, float factor, hlq_dtype dtype, void *out,
                                  size_t elems, uint8_t *failed)
{
    uint64_t failures = 0;
#define CALL(lattice) failures = decode_run(lattice, 0, run, factor, dtype, out, elems, failed)
    FOR_LATTICE(run->lattice, CALL)
#undef CALL
    return failures;
}

static uint64_t decode(const hlq_run *run, float factor, hlq_dtype dtype, void *out, size_t elems,
                       uint8_t *failed)
{
    fp_env saved = fp_env_enter();
    uint64_t failures = 0;
    if (run->dithered) decode_with(run, factor, dtype, out, elems);
    else failures = decode_without(run, factor, dtype, out, elems, failed);
    fp_env_leave(saved);
    return failures;
}

HLQ_APART void decode_add_with(const hlq_run *run, int unit, float *acc)
{
    hlq_lattice lattice = run->lattice;
#define CALL(lattice) decode_add_run(lattice, 1, run, unit, acc)
    FOR_LATTICE(lattice, CALL)
#undef CALL
}

HLQ_APART void decode_add_without(const hlq_run *run, int unit, float *acc)
{
#define CALL(lattice) decode_add_run(lattice, 0, run, unit, acc)
    FOR_LATTICE(run->lattice, CALL)
#undef CALL
}

static void decode_add(const hlq_run *run, int unit, float *acc)
{
    fp_env saved = fp_env_enter();
    if (run->dithered) decode_add_with(run, unit, acc);
    else decode_add_without(run, unit, acc);
    fp_env_leave(saved);
}

#endif
