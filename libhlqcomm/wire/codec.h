/*
 * What writer.c and reader.c share: exponents to codes, codes to bits, and what coding cost.
 */
#ifndef HLQ_WIRE_CODEC_H
#define HLQ_WIRE_CODEC_H

#include "plan.h"
#include "segment.h"

/* What coding cost, summed over blocks. */
typedef struct hlq_code_stats {
    uint64_t overloads; /* blocks beyond the usual scales */
    double energy;      /* Σ squares, as the exponents tell */
    double error;       /* Σ squared error to expect */
    double largest_scale;
} hlq_code_stats;

/* The base that lets the largest finite exponent of a tensor's blocks be said; the least there is
   if none is finite. */
int hlq_base_of_exponents(hlq_dtype dtype, const int16_t *exponent, size_t blocks);

/* Exponent codes relative to base; exponents too small to be said become zero blocks. */
void hlq_codes_from_exponents(const int16_t *exponent, size_t blocks, int base, uint8_t *code);

/* What a RAMP segment has left for side words and planes is the budget of its plan. Fills bits, one
   byte per block. */
hlq_plan hlq_plan_segment(const hlq_frame *frame, const uint8_t *code, uint8_t *bits);

/* Σ squares of blocks with these exponents, as far as they are finite. */
double hlq_energy_of_exponents(const int16_t *exponent, size_t blocks);

/* Adds the energy and expected error of a run that was coded or read. */
void hlq_code_stats_add(hlq_code_stats *stats, const hlq_run *run);

#endif
