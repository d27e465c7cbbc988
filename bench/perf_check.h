/*
 * How wrong a result is: against the exact sum in double precision, and across ranks. Every rank
 * has a slice of the tensor, for which it makes the exact sum from all ranks' numbers and judges
 * its own result; the rest follows from all ranks having the same one.
 */
#ifndef HLQ_BENCH_PERF_CHECK_H
#define HLQ_BENCH_PERF_CHECK_H

#include "perf_input.h"
#include "perf_world.h"

typedef struct perf_exact {
    size_t count;        /* of the whole tensor */
    size_t first, elems; /* this rank's slice */
    double *sum;
} perf_exact;

/* The exact sum of this rank's slice, inputs rounded to dtype. 0, or -1 if there is no memory. */
int perf_exact_make(perf_exact *exact, const perf_world *world, const perf_input *input,
                    size_t count, hlq_dtype dtype);
void perf_exact_free(perf_exact *exact);
size_t perf_exact_bytes(int ranks, size_t count);

typedef struct perf_errors {
    double vnmse;   /* ‖result - exact‖² / ‖exact‖² */
    double max_rel; /* largest |error| / largest |exact| */
    uint64_t
        wrong; /* elements that differ across ranks, or are finite where the exact sum is not, or
                  the reverse (but in a block of 256 with NaN or Inf all may become NaN) */
    int same;  /* all ranks have the same bits */
} perf_errors;

/* Judges every rank's result of count elements of dtype. Collective. */
void perf_check(perf_world *world, const perf_exact *exact, const void *result, hlq_dtype dtype,
                perf_errors *errors);

#endif
