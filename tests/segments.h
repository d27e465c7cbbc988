/*
 * Whole RAMP or BOUND segments at once, for tests of what is inside them.
 */
#ifndef HLQ_TEST_SEGMENTS_H
#define HLQ_TEST_SEGMENTS_H

#include <wire/reader.h>
#include <wire/writer.h>

/* Returns its size. */
static inline size_t segment_encode(const hlq_kernels *kernels, const hlq_frame *frame,
                                    const hlq_source *source, hlq_scratch scratch, uint8_t *segment,
                                    hlq_code_stats *stats)
{
    hlq_writer w;
    hlq_team team = {kernels, 1};
    hlq_writer_begin(&w, &team, frame, source, scratch, segment, stats);
    while (!hlq_writer_is_done(&w)) hlq_writer_next(&w);
    return w.bytes;
}

/* Of one piece: *run is all of it. */
static inline hlq_status segment_read(const hlq_frame *frame, uint8_t *segment, uint8_t *bits,
                                      hlq_run *run, char *error)
{
    hlq_reader r;
    hlq_reader_begin(&r, frame, segment, bits);
    hlq_status status = hlq_reader_open(&r, frame->bytes, error);
    return status == HLQ_OK ? hlq_reader_next(&r, run, error) : status;
}

#endif
