/*
 * Tensor to segment and segment to run: exponents, plan, layout and kernels in the right order.
 */
#ifndef HLQ_WIRE_CODEC_H
#define HLQ_WIRE_CODEC_H

#include "segment.h"

/* What coding cost, summed over blocks. */
typedef struct hlq_code_stats {
    uint64_t overloads; /* blocks beyond the usual scales */
    double energy;      /* Σ squares, as the exponents tell */
    double error;       /* Σ squared error to expect */
    double largest_scale;
} hlq_code_stats;

/* Per-block scratch of one segment. */
typedef struct hlq_scratch {
    int16_t *exponent;
    uint8_t *bits;
} hlq_scratch;

/* The base that lets the largest finite exponent of a tensor's blocks be said; the least there is
   if none is finite. */
int hlq_base_of_exponents(hlq_dtype dtype, const int16_t *exponent, size_t blocks);

/* Exponent codes relative to base; exponents too small to be said become zero blocks. */
void hlq_codes_from_exponents(const int16_t *exponent, size_t blocks, int base, uint8_t *code);

/* Fills a whole RAMP or BOUND segment from blocks of a source. Adds to stats. Returns its size. */
size_t hlq_segment_encode(const hlq_kernels *kernels, const hlq_frame *frame, const hlq_source *src,
                          hlq_scratch scratch, uint8_t *segment, hlq_code_stats *stats);

/* Opens a RAMP or BOUND segment: *run is ready to decode; bits holds one byte per block. */
hlq_status hlq_segment_read(const hlq_frame *frame, uint8_t *segment, uint8_t *bits, hlq_run *run,
                            char *error);

/* Σ squares of blocks with these exponents, as far as they are finite. */
double hlq_energy_of_exponents(const int16_t *exponent, size_t blocks);

/* Adds the energy and expected error of a run that was coded or read. */
void hlq_code_stats_add(hlq_code_stats *stats, const hlq_run *run);

#endif
