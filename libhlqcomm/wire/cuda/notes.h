/*
 * What the kernels of a segment tell each other: its scratch, in memory of the device. C, for
 * device.c counts its bytes.
 */
#ifndef HLQ_WIRE_CUDA_NOTES_H
#define HLQ_WIRE_CUDA_NOTES_H

#include "../segment.h"

#include <kernels/cuda/cuda_kernels.h>

/* Of blocks that could be given more bits, how many need their first, or one more (plan.cuh). */
typedef struct hlq_prices {
    uint32_t first, more;
} hlq_prices;

typedef struct hlq_found {
    uint64_t nonfinite; /* blocks */
    uint32_t damaged;   /* the first part whose checksum differs: 0 the head, 1 + i piece i */
} hlq_found;

typedef struct hlq_notes {
    hlq_found *found;
    hlq_cuda_run *run; /* of each piece, as in hlq_runs */
    size_t *at;        /* where each piece of a long segment begins in it */
    hlq_prices *price; /* of each piece */
    hlq_start *total;  /* of each piece: what its blocks have */
    hlq_start *start;  /* of each block, from its piece's side words and planes on */
    int16_t *exponent;
    uint8_t *bits;
    size_t bytes; /* of all */
} hlq_notes;

static inline void *note_take(uintptr_t *at, size_t count, size_t bytes)
{
    void *note = (void *)*at;
    *at += count * bytes;
    return note;
}

/* From widest to narrowest, which leaves every one aligned. */
static inline hlq_notes notes_at(void *scratch, size_t blocks)
{
    uintptr_t at = (uintptr_t)scratch;
    size_t pieces = hlq_segment_pieces(HLQ_FORM_RAMP, blocks);
    hlq_notes n;
    n.found = (hlq_found *)note_take(&at, 1, sizeof *n.found);
    n.run = (hlq_cuda_run *)note_take(&at, pieces, sizeof *n.run);
    n.at = (size_t *)note_take(&at, pieces, sizeof *n.at);
    n.price = (hlq_prices *)note_take(&at, pieces, sizeof *n.price);
    n.total = (hlq_start *)note_take(&at, pieces, sizeof *n.total);
    n.start = (hlq_start *)note_take(&at, blocks, sizeof *n.start);
    n.exponent = (int16_t *)note_take(&at, blocks, sizeof *n.exponent);
    n.bits = (uint8_t *)note_take(&at, blocks, sizeof *n.bits);
    n.bytes = (size_t)(at - (uintptr_t)scratch);
    return n;
}

#endif
