/*
 * Reading a message piece by piece, as far as it has arrived: what a writer wrote (writer.h).
 */
#ifndef HLQ_WIRE_READER_H
#define HLQ_WIRE_READER_H

#include "codec.h"

typedef struct hlq_reader {
    hlq_frame frame; /* of BOUND, bytes is what arrived */
    hlq_run rest;    /* blocks that were not read yet; without any until it is open */
    uint8_t *segment, *bits;
    size_t bytes;  /* so many are read, from the start of segment */
    size_t pieces; /* the same in pieces */
    int is_open;   /* the head was read */
} hlq_reader;

/* bits: room for a byte per block, filled by open(). Of a frame without blocks there is nothing to
   read. */
void hlq_reader_begin(hlq_reader *r, const hlq_frame *frame, uint8_t *segment, uint8_t *bits);

/* Reads the head, once the first `arrived` bytes hold it; else *r stays as it is. error: a sentence
   of at most HLQ_ERROR_BYTES, if that is HLQ_E_WIRE. */
hlq_status hlq_reader_open(hlq_reader *r, size_t arrived, char *error);

/* Whether the next piece is all there. */
int hlq_reader_has(const hlq_reader *r, size_t arrived);

/* Checks that piece, and gives its run, ready to decode. */
hlq_status hlq_reader_next(hlq_reader *r, hlq_run *run, char *error);

static inline int hlq_reader_is_done(const hlq_reader *r)
{
    return r->is_open && r->rest.place.blocks == 0;
}

#endif
