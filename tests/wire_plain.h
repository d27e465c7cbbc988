/*
 * Of test_cuda_wire, numbers that are not coded: sums of several ranks', rounded to their type.
 */
#ifndef HLQ_TEST_WIRE_PLAIN_H
#define HLQ_TEST_WIRE_PLAIN_H

#include "wire_case.h"

#include <collective/algorithms/elements.h>

/* Of all sizes, denormals and one infinity among them; but no NaN, whose bits may differ. */
static inline void fill_plain(hlq_rng *rng, hlq_dtype dtype, size_t elems, void *to)
{
    int smallest = dtype == HLQ_FLOAT64 ? -1070 : dtype == HLQ_FLOAT16 ? -22 : -145;
    int largest = dtype == HLQ_FLOAT64 ? 1000 : dtype == HLQ_FLOAT16 ? 12 : 120;
    for (size_t i = 0; i < elems; i++) {
        int octave = hlq_rng_between(rng, smallest, largest);
        double x = hlq_rng_below(rng, 3) ? hlq_rng_gauss(rng) : ldexp(hlq_rng_gauss(rng), octave);
        if (hlq_rng_below(rng, 500) == 0) x = INFINITY;
        if (hlq_rng_below(rng, 50) == 0) x = -0.0;
        dtype_store_one(dtype, x, (char *)to + i * hlq_dtype_bytes(dtype));
    }
}

static inline void check_plain(hlq_rng *rng, hlq_dtype dtype, int count, size_t elems)
{
    size_t bytes = elems * hlq_dtype_bytes(dtype), wide = elems * hlq_elements_wide_bytes(dtype);
    char *x = malloc((size_t)count * bytes + 1), *sums = malloc(wide + 1),
         *want = malloc(bytes + 1);
    int own_at = hlq_rng_between(rng, 0, count - 1);
    fill_plain(rng, dtype, (size_t)count * elems, x);
    for (int i = 0; i < count; i++) {
        const char *at = x + (size_t)i * bytes;
        if (i == 0) hlq_elements_load(sums, at, dtype, elems);
        else hlq_elements_combine(HLQ_SUM, sums, at, dtype, elems);
    }
    hlq_elements_store(want, sums, dtype, elems, 1);
    char *own = gpu_copy(x + (size_t)own_at * bytes, bytes);
    memset(x + (size_t)own_at * bytes, 0x55, bytes);
    const hlq_device_plain stretches = {
        gpu_copy(x, (size_t)count * bytes), own, count, own_at, dtype, elems};
    void *got = gpu_new(wide), *out = gpu_new(bytes);
    hlq_test_case("%d stretches of %zu %s", count, elems, hlq_dtype_name(dtype));
    CHECK_EQ(wire->add_plain(&stretches, got, NULL), 0);
    CHECK_BYTES(got, sums, wide);
    if (wide != bytes) {
        CHECK_EQ(wire->round_plain(got, dtype, elems, out, NULL), 0);
        CHECK_BYTES(out, want, bytes);
    }
    free(x), free(sums), free(want);
    gpu_check_and_free();
}

static inline void test_plain_numbers_are_added_as_on_the_host(void)
{
    static const size_t elems[] = {0, 1, 255, 256, 257, 3001};
    hlq_rng rng = hlq_rng_new(8);
    for (int i = 0; i < 6 * 4 * 3; i += hlq_test_stride()) {
        check_plain(&rng, (hlq_dtype)(i / 6 % 4), 2 + 3 * (i / 24), elems[i % 6]);
    }
}

#endif
