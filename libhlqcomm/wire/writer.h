/*
 * Writing a message piece by piece, so that what is written can be sent while the rest is coded:
 *
 *   begin   exponents → codes → plan, of all of it: the head
 *   next    the kernels, on the blocks of one piece
 *
 * A segment that is not long has one piece, which is all of it.
 */
#ifndef HLQ_WIRE_WRITER_H
#define HLQ_WIRE_WRITER_H

#include "codec.h"
#include "team.h"

/* Per-block scratch of one segment: exponents for as long as begin() runs, bits until the end.
   Those of an accumulator are there before: they are found while its blocks are added up. */
typedef struct hlq_scratch {
    int16_t *exponent;
    uint8_t *bits;
} hlq_scratch;

typedef struct hlq_writer {
    hlq_team team;
    hlq_frame frame; /* of BOUND, bytes is the real size in the end */
    hlq_source source;
    hlq_run rest; /* blocks that are not coded yet */
    hlq_code_stats *stats;
    uint8_t *segment, *bits;
    size_t bytes;  /* so many are final, from the start of segment */
    size_t pieces; /* so many are written */
} hlq_writer;

/* A RAMP or BOUND segment of blocks of a source; of a frame without blocks, nothing at all. What
   coding costs is added to stats. All that is pointed to stays until the last piece. */
void hlq_writer_begin(hlq_writer *w, const hlq_team *team, const hlq_frame *frame,
                      const hlq_source *source, hlq_scratch scratch, uint8_t *segment,
                      hlq_code_stats *stats);

/* Writes the next piece, if one is left. */
void hlq_writer_next(hlq_writer *w);

static inline int hlq_writer_is_done(const hlq_writer *w) { return w->rest.place.blocks == 0; }

#endif
