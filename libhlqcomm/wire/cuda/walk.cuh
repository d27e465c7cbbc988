/*
 * What kernels of segments do beside the plan, checksums and the walks of kernels/cuda/walk.cuh:
 * units of sums, counts for the report, NaN after a fault; what ranks tell each other.
 */
#ifndef HLQ_WIRE_CUDA_WALK_CUH
#define HLQ_WIRE_CUDA_WALK_CUH

#include "plan.cuh"
#include "checksum.cuh"

#include <kernels/cuda/walk.cuh>

/* A source, whose unit is in memory if it is an accumulator. */
HLQ_BODY hlq_source source_in_unit(const hlq_source *source, const int32_t *unit)
{
    hlq_source src = *source;
    if (unit) src.unit = *unit;
    return src;
}

/* The largest base of terms, kept within ± limit; by one thread. */
HLQ_BODY void unit_of_terms(const hlq_sum_terms<hlq_runs> *s, int limit, int32_t *unit)
{
    int largest = s->sum.more ? *unit : -limit;
    for (int t = 0; t < s->sum.count; t++) {
        int base = any_run(&s->term[t])->base;
        if (base > largest) largest = base;
    }
    *unit = largest < limit ? largest : limit;
}

/* That of blocks with these exponents, if it is larger. */
HLQ_BODY void unit_of_exponents(hlq_share warps, const int16_t *exponent, size_t blocks, int limit,
                                int32_t *unit)
{
    int base = base_of_largest(largest_exponent(warps, exponent, blocks), limit);
    if (lane() == 0) atomicMax(unit, base < limit ? base : limit);
}

/* Blocks of an opened segment that decode to NaN; counted once. */
HLQ_BODY void report_nonfinite(hlq_share share, const hlq_found *found, hlq_device_report *report)
{
    if (share.first == 0) add_count(&report->nonfinite, found->nonfinite);
}

/* Words of 8 bytes that come with a kernel. */
typedef struct {
    uint64_t word[HLQ_DEVICE_TOLD_BYTES / 8];
    size_t words;
} hlq_told;

HLQ_BODY void write_told(const hlq_told *told, uint64_t *to)
{
    for (size_t i = (size_t)lane(); i < told->words; i += 32) to[i] = told->word[i];
}

/* By one warp, thing after thing, so that the first that differs is the one that is reported. */
HLQ_BODY void compare_told(const uint64_t *told, size_t words, int count, int own,
                           hlq_device_report *report)
{
    for (int p = 0; p < count; p++) {
        uint32_t differs = 0;
        for (size_t i = (size_t)lane(); i < words; i += 32) {
            differs |= told[(size_t)p * words + i] != told[(size_t)own * words + i];
        }
        if (!__ballot_sync(WHOLE_WARP, differs != 0)) continue;
        if (lane() == 0) report_fault(report, p, HLQ_DEVICE_TERMS, 0, 0);
        return;
    }
}

HLQ_BODY void poison_blocks(hlq_share share, const hlq_device_report *report, hlq_dtype dtype,
                            void *out, size_t elems)
{
    F x[HLQ_ROWS];
    if (!report->fault) return;
    fill_rows(x, not_a_number);
    for (size_t b = share.first; b * HLQ_BLOCK_ELEMS < elems; b += share.step) {
        store_block(out, dtype, 0, elems, b, x);
    }
}

#endif
