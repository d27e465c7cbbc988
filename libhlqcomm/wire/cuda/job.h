/*
 * A segment, as its kernels are given it: all that the host knows.
 */
#ifndef HLQ_WIRE_CUDA_JOB_H
#define HLQ_WIRE_CUDA_JOB_H

#include "../device.h"
#include "../plan.h"
#include "notes.h"

#include <kernels/cuda/runs.cuh>

/* Of hlq_runs. */
enum { PIECE_SHIFT = 10 };
static_assert(HLQ_PIECE_BLOCKS == 1 << PIECE_SHIFT, "pieces have 2^PIECE_SHIFT blocks");

typedef struct {
    hlq_run run;                      /* of all blocks; base, side and planes are found out */
    uint8_t header[HLQ_HEADER_BYTES]; /* as it must be, but for base and checksum */
    uint8_t *segment;
    size_t bytes, head_bytes, overhead, pieces;
    size_t parts; /* that have checksums: the head, or all of a segment that is not long; pieces */
    hlq_notes notes;
    int least_bits, base_limit, sender;
} hlq_segment_job;

static inline hlq_segment_job job_of(const hlq_device_segment *s)
{
    const hlq_frame *frame = &s->frame;
    const size_t blocks = frame->place.blocks;
    hlq_segment_job job = {};
    job.notes = notes_at(s->scratch, blocks);
    job.run = hlq_segment_run(frame, 0, s->segment);
    job.run.bits = job.notes.bits;
    hlq_segment_header(frame, 0, job.header);
    job.segment = s->segment;
    job.bytes = frame->bytes;
    job.head_bytes = hlq_segment_head_bytes(frame);
    job.overhead = hlq_segment_overhead(frame->form, blocks);
    job.pieces = hlq_segment_pieces(frame->form, blocks);
    job.parts = job.pieces > 1 ? 1 + job.pieces : 1;
    job.least_bits = frame->dithered ? HLQ_DITHER_BITS : 0;
    job.base_limit = hlq_base_limit(frame->dtype);
    job.sender = frame->sender;
    return job;
}

/* The runs that a plan has left in scratch. */
static inline hlq_runs runs_of(const hlq_device_segment *s)
{
    hlq_runs runs = {notes_at(s->scratch, s->frame.place.blocks).run, PIECE_SHIFT};
    return runs;
}

#endif
