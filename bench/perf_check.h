/*
 * How wrong a result is: against the exact one in double precision, and across ranks. Where all
 * ranks end with the same, every rank has a slice of it, for which it makes the exact result from
 * all ranks' numbers and judges its own; the rest follows from all ranks having the same. Where
 * each rank has a result of its own, its slice is all of it.
 */
#ifndef HLQ_BENCH_PERF_CHECK_H
#define HLQ_BENCH_PERF_CHECK_H

#include "perf_input.h"
#include "perf_shape.h"
#include "perf_world.h"

typedef struct perf_exact {
    perf_shape shape;
    size_t first, elems; /* this rank's slice of recv */
    double *result;
} perf_exact;

/* The exact result in this rank's slice, inputs rounded to dtype. 0, or -1: there is no memory. */
int perf_exact_make(perf_exact *exact, const perf_shape *shape, const perf_input *input,
                    hlq_dtype dtype);
void perf_exact_free(perf_exact *exact);
size_t perf_exact_bytes(const perf_shape *shape);

typedef struct perf_errors {
    double vnmse;   /* ‖result - exact‖² / ‖exact‖² */
    double max_rel; /* largest |error| / largest |exact| */
    uint64_t
        wrong; /* elements that differ across ranks, or are finite where the exact one is not, or
                  the reverse (but in a block of 256 with NaN or Inf all may become NaN) */
    int same;  /* all ranks have the same bits, where they should */
} perf_errors;

/* Judges every rank's result, of dtype. Collective. */
void perf_check(perf_world *world, const perf_exact *exact, const void *result, hlq_dtype dtype,
                perf_errors *errors);

#endif
