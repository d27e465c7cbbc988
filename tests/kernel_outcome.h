/*
 * All functions of a kernel variant on one case (kernel_case.h), in buffers of its own between
 * guard pages; then the buffers of two variants are compared.
 */
#ifndef HLQ_TEST_KERNEL_OUTCOME_H
#define HLQ_TEST_KERNEL_OUTCOME_H

#include "kernel_case.h"

#include <fenv.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

enum { ENCODED, NONFINITE, MISMATCHES, WIRE_MISMATCHES, WHOLE, COUNTS };

typedef struct outcome {
    hlq_guarded buffer[BUFFERS];
    uint64_t count[COUNTS];
} outcome;

/* Over all cases: that blocks went wide or out of range, held NaN, failed their check, or had to
   travel whole. */
static uint64_t seen[COUNTS];

/* Floating-point environment of the caller ----------------------------------------------------- */

#if defined(__x86_64__)
/* Rounds up, flushes denormals, takes denormals for zero, on top of the usual 0x1f80. */
enum { USUAL = 0x1f80, HOSTILE = 0x1f80 | 0x4000 | 0x8000 | 0x0040 };
static void environment_set(unsigned value) { _mm_setcsr(value); }
static unsigned environment(void) { return _mm_getcsr(); }
#elif defined(__aarch64__)
/* Rounds up, flushes denormals of all types to zero, replaces every NaN by the default one. */
enum { USUAL = 0, HOSTILE = 1 << 22 | 1 << 24 | 1 << 25 | 1 << 19 };
static void environment_set(unsigned value)
{
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)value));
}
static unsigned environment(void)
{
    uint64_t value;
    __asm__ volatile("mrs %0, fpcr" : "=r"(value));
    return (unsigned)value;
}
#else
enum { USUAL = FE_TONEAREST, HOSTILE = FE_UPWARD };
static void environment_set(unsigned value) { fesetround((int)value); }
static unsigned environment(void) { return (unsigned)fegetround(); }
#endif

/* Running -------------------------------------------------------------------------------------- */

static void call_within(const kernel_case *c, const hlq_kernels *k, void *const at[BUFFERS],
                        const hlq_source *source, uint64_t count[COUNTS])
{
    uint8_t *bits = at[WITHIN_BITS];
    hlq_run run = run_of(c, at);
    run.bits = bits;
    run.wide = at[WITHIN_WIDE];
    run.side = at[WITHIN_SIDE];
    run.planes = at[WITHIN_PLANES];
    k->encode_within(&run, source, c->allowed, bits);
    k->decode(&run, c->factor, c->dtype, at[WITHIN_DECODED], c->elems, NULL);
    k->decode_add(&run, c->unit, at[ACC]);
    for (size_t b = 0; b < c->place.blocks; b++) count[WHOLE] += bits[b] == HLQ_BITS_WHOLE;
}

static void call_all(const kernel_case *c, const hlq_kernels *k, void *const at[BUFFERS],
                     uint64_t count[COUNTS])
{
    hlq_run run = run_of(c, at);
    hlq_run wire = run;
    wire.wide = c->modular ? NULL : at[WIRE_WIDE];
    wire.side = at[WIRE_SIDE];
    wire.planes = at[WIRE_PLANES];
    uint8_t *failed = c->modular ? at[FAILED] : NULL;
    hlq_source source = source_of(c, at, c->with_rotated), tensor = source_of(c, at, 0);

    k->exponents(&c->place, &source, at[EXPONENT]);
    count[ENCODED] = k->encode(&run, &source);
    count[MISMATCHES] = k->decode(&run, c->factor, c->dtype, at[DECODED], c->elems, failed);
    k->decode_add(&run, c->unit, at[ACC]);
    k->decode_add(&wire, c->unit, at[ACC]);
    k->rotate_add(&c->place, &tensor, c->unit, at[ACC]);
    count[NONFINITE] = k->unrotate(&c->place, at[ROTATED], c->rotated_unit, c->factor, c->dtype,
                                   at[UNROTATED], c->elems);
    if (c->modular) k->planes_add(&run, &wire);
    else call_within(c, k, at, &source, count);
    count[WIRE_MISMATCHES] = k->decode(&wire, c->factor, c->dtype, at[FROM_WIRE], c->elems, failed);
}

/* Which NaN a sum of NaNs is, processors and compilers decide; unrotate makes all of them one. */
static void make_nans_equal(const hlq_guarded *acc)
{
    float *x = acc->data;
    for (size_t i = 0; i < acc->bytes / sizeof *x; i++) {
        if (isnan(x[i])) x[i] = NAN;
    }
}

/* Runs one variant in fresh buffers, each at a guard of its own and aligned as it must be, at least
   to `align` bytes. */
static outcome run_variant(hlq_rng *rng, const kernel_case *c, const hlq_kernels *k, unsigned env,
                           int align)
{
    outcome o = {0};
    void *at[BUFFERS];
    for (int i = 0; i < BUFFERS; i++) {
        int side = hlq_rng_between(rng, GUARD_AFTER, GUARD_BEFORE);
        int step = align > buffers[i].align ? align : buffers[i].align;
        int misalign = hlq_rng_between(rng, -8, 15) / step * step;
        o.buffer[i] = hlq_guarded_new(c->bytes[i], side, misalign);
        at[i] = o.buffer[i].data;
        memcpy(at[i], c->content[i], c->bytes[i]);
    }
    environment_set(env);
    call_all(c, k, at, o.count);
    unsigned after = environment();
    environment_set(USUAL);
    CHECK_EQ(after, env);
    make_nans_equal(&o.buffer[ACC]);
    for (int i = 0; i < BUFFERS; i++) {
        if (!hlq_guarded_intact(&o.buffer[i])) {
            hlq_test_fail(__FILE__, __LINE__, "wrote beyond %s", buffers[i].name);
        }
        if (i < INPUTS && memcmp(at[i], c->content[i], c->bytes[i]) != 0) {
            hlq_test_fail(__FILE__, __LINE__, "changed its input %s", buffers[i].name);
        }
    }
    return o;
}

static void compare(const outcome *got, const outcome *want)
{
    for (int i = INPUTS; i < BUFFERS; i++) {
        hlq_check_bytes(got->buffer[i].data, want->buffer[i].data, got->buffer[i].bytes, __FILE__,
                        __LINE__, buffers[i].name);
    }
    for (int i = 0; i < COUNTS; i++) {
        CHECK_EQ(got->count[i], want->count[i]);
        seen[i] += want->count[i];
    }
}

static void outcome_free(outcome *o)
{
    for (int i = 0; i < BUFFERS; i++) hlq_guarded_free(&o->buffer[i]);
}

/* Cases ---------------------------------------------------------------------------------------- */

/* A variant's outcome is to be `want`. */
static void check_variant(hlq_rng *rng, const kernel_case *c, const hlq_kernels *k, unsigned env,
                          int align, const outcome *want)
{
    hlq_test_case("%s, %s, %s, %zu elements, %zu blocks, stride %d, %s%s%s%s%s", k->name,
                  hlq_lattice_name(c->lattice), hlq_dtype_name(c->dtype), c->elems, c->place.blocks,
                  (int)c->place.stride,
                  c->modular    ? "modular"
                  : c->dithered ? "dithered"
                                : "ramp",
                  c->with_residual ? ", residual" : "", c->with_rotated ? ", rotated" : "",
                  c->with_rotated && c->room ? " with room" : "",
                  env == HOSTILE ? ", hostile environment" : "");
    outcome got = run_variant(rng, c, k, env, align);
    compare(&got, want);
    outcome_free(&got);
}

typedef struct case_size {
    size_t elems;
    int cases; /* of each lattice, type and form */
} case_size;

/* The cross product of sizes, lattices, types and forms; all else at random. */
static void for_each_case(const case_size *sizes, size_t count,
                          void (*check)(hlq_rng *rng, const kernel_case *c))
{
    hlq_rng rng = hlq_rng_new(1);
    for (size_t i = 0; i < count; i++) {
        for (int choice = 0; choice < 24 * sizes[i].cases; choice += hlq_test_stride()) {
            hlq_lattice lattice = (hlq_lattice)(choice % 3);
            hlq_dtype dtype = (hlq_dtype)(choice / 3 % 4);
            kernel_case c = case_new(&rng, sizes[i].elems, lattice, dtype, choice / 12 % 2);
            check(&rng, &c);
            case_free(&c);
        }
    }
}

#endif
