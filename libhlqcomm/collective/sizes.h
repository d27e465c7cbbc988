/*
 * Sizes: in bound mode only the sender of a message knows how long it is. So an exchange of such
 * messages is preceded by one of their sizes:
 *
 *   step ──▶ sizes ──▶ in[p].bytes := what p sends, at most as much as there is room ──▶ messages
 */
#ifndef HLQ_COLLECTIVE_SIZES_H
#define HLQ_COLLECTIVE_SIZES_H

#include "walk.h"

/* What one rank tells another. */
typedef struct hlq_size_note {
    uint64_t bytes;
    uint64_t checksum; /* XXH64 of bytes; seed: the collective's number */
} hlq_size_note;

/* Room for what is put aside and said, for `ranks`. */
typedef struct hlq_sizes {
    hlq_message *out, *in;
    hlq_size_note *told, *heard;
} hlq_sizes;

hlq_status hlq_sizes_allocate(hlq_sizes *s, size_t ranks);
void hlq_sizes_free(hlq_sizes *s);

/* Puts the walk's messages aside; its next exchange is of their sizes. */
void hlq_sizes_tell(const hlq_walk *w, hlq_sizes *s);

/* Puts them back, those to come as long as they will be. */
hlq_status hlq_sizes_hear(const hlq_walk *w, const hlq_sizes *s);

#endif
