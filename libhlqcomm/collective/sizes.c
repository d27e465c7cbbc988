/*
 * The exchange of sizes.h.
 */
#include "sizes.h"

#include <wire/checksum.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

hlq_status hlq_sizes_allocate(hlq_sizes *s, size_t ranks)
{
    s->out = calloc(ranks, sizeof *s->out);
    s->in = calloc(ranks, sizeof *s->in);
    s->told = calloc(ranks, sizeof *s->told);
    s->heard = calloc(ranks, sizeof *s->heard);
    return s->out && s->in && s->told && s->heard ? HLQ_OK : HLQ_E_NOMEM;
}

void hlq_sizes_free(hlq_sizes *s)
{
    free(s->out);
    free(s->in);
    free(s->told);
    free(s->heard);
}

static uint64_t checksum_of(const hlq_walk *w, const hlq_size_note *note)
{
    return hlq_checksum(&note->bytes, sizeof note->bytes, w->call);
}

/* Nothing is said between ranks that have nothing for each other: both know. */
void hlq_sizes_tell(const hlq_walk *w, hlq_sizes *s)
{
    size_t bytes = (size_t)w->size * sizeof *w->out;
    memcpy(s->out, w->out, bytes);
    memcpy(s->in, w->in, bytes);
    for (int p = 0; p < w->size; p++) {
        hlq_size_note *note = &s->told[p];
        note->bytes = w->out[p].bytes;
        note->checksum = checksum_of(w, note);
        w->out[p] = (hlq_message){note, w->out[p].bytes ? sizeof *note : 0};
        w->in[p] = (hlq_message){&s->heard[p], w->in[p].bytes ? sizeof *note : 0};
    }
}

hlq_status hlq_sizes_hear(const hlq_walk *w, const hlq_sizes *s)
{
    for (int p = 0; p < w->size; p++) {
        const hlq_size_note *note = &s->heard[p];
        hlq_message in = s->in[p];
        w->out[p] = s->out[p];
        w->in[p] = in;
        if (p == w->rank || !in.bytes) continue;
        if (note->checksum != checksum_of(w, note)) {
            return hlq_fail(w, HLQ_E_WIRE, "from rank %d: the size of a message is damaged", p);
        }
        if (note->bytes > in.bytes || !note->bytes) {
            return hlq_fail(w, HLQ_E_WIRE,
                            "from rank %d: a message has %" PRIu64 " bytes where it can have 1 … "
                            "%zu",
                            p, note->bytes, in.bytes);
        }
        w->in[p].bytes = (size_t)note->bytes;
    }
    return HLQ_OK;
}
