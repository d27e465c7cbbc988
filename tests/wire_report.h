/*
 * Of test_cuda_wire, what is no segment's: terms that ranks tell each other, results after a fault.
 */
#ifndef HLQ_TEST_WIRE_REPORT_H
#define HLQ_TEST_WIRE_REPORT_H

#include "wire_case.h"

static inline hlq_device_report *report_new(void)
{
    return gpu_copy(&(hlq_device_report){0}, sizeof(hlq_device_report));
}

/* What ranks tell each other arrives as it is, and the first who tells something else is named. */
static inline void test_terms_are_told_and_compared(void)
{
    enum { COUNT = 5 };
    hlq_rng rng = hlq_rng_new(77);
    hlq_device_report *report = hlq_gpu_alloc(sizeof *report);
    for (size_t bytes = 8; bytes <= HLQ_DEVICE_TOLD_BYTES; bytes += 40) {
        unsigned char told[HLQ_DEVICE_TOLD_BYTES], *all = hlq_gpu_alloc(COUNT * bytes);
        hlq_rng_bytes(&rng, told, bytes);
        hlq_test_case("%zu bytes", bytes);
        for (int p = 0; p < COUNT; p++) {
            CHECK_EQ(wire->tell(told, bytes, all + (size_t)p * bytes, NULL), 0);
            CHECK_BYTES(all + (size_t)p * bytes, told, bytes);
        }
        for (int own = 0; own < COUNT; own++) {
            for (int other = 0; other <= COUNT; other++) {
                size_t at = hlq_rng_below(&rng, bytes);
                memset(report, 0, sizeof *report);
                if (other < COUNT) all[(size_t)other * bytes + at] ^= 1;
                CHECK_EQ(wire->compare(all, bytes, COUNT, own, report, NULL), 0);
                /* Where it is the own one that differs, it is all others. */
                int first = other == own ? (own == 0) : other;
                CHECK_EQ(report->fault, other < COUNT ? HLQ_DEVICE_TERMS : HLQ_DEVICE_FINE);
                if (other < COUNT) CHECK_EQ(report->sender, first);
                if (other < COUNT) all[(size_t)other * bytes + at] ^= 1;
            }
        }
        hlq_gpu_free(all);
    }
    hlq_gpu_free(report);
}

static inline void test_a_fault_poisons_the_result(void)
{
    enum { ELEMS = 1000 };
    for (hlq_dtype dtype = HLQ_FLOAT32; dtype <= HLQ_FLOAT64; dtype++) {
        hlq_device_report *report = report_new();
        double x[ELEMS] = {0};
        void *out = gpu_new(ELEMS * hlq_dtype_bytes(dtype));
        hlq_test_case("poison, %s", hlq_dtype_name(dtype));
        dtype_store(dtype, x, ELEMS, out);
        for (int fault = 0; fault < 2; fault++) {
            report->fault = fault ? HLQ_DEVICE_CALL : HLQ_DEVICE_FINE;
            CHECK_EQ(wire->poison(report, dtype, out, ELEMS, NULL), 0);
            dtype_load(dtype, out, ELEMS, x);
            for (int i = 0; i < ELEMS; i++) CHECK_EQ(isnan(x[i]) != 0, fault);
        }
        gpu_check_and_free();
    }
}

#endif
