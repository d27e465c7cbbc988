/*
 * The two exchanges that every step of modq is made of, parts to their owners and answers to all,
 * and how their messages are opened.
 */
#include "modq.h"

#include <wire/checksum.h>

#include <string.h>

hlq_status hlq_modq_from(const hlq_walk *w, int p, const hlq_frame *frame, uint8_t *segment,
                         hlq_run *run)
{
    char what[HLQ_ERROR_BYTES];
    if (p == w->rank) {
        *run = hlq_segment_view(frame, segment);
        return HLQ_OK;
    }
    hlq_status status = hlq_segment_open(frame, segment, run, what);
    return status == HLQ_OK ? HLQ_OK
                            : hlq_fail(w, status, "from rank %d: %.200s", hlq_rank_of(w, p), what);
}

size_t hlq_modq_sealed_bytes(size_t bytes) { return bytes ? HLQ_SEAL_BYTES + bytes : 0; }

size_t hlq_modq_seal(uint8_t *message, size_t bytes)
{
    uint64_t checksum = hlq_checksum(message + HLQ_SEAL_BYTES, bytes, 0);
    if (bytes) memcpy(message, &checksum, sizeof checksum);
    return hlq_modq_sealed_bytes(bytes);
}

hlq_status hlq_modq_unseal(const hlq_walk *w, int p, const uint8_t *message, size_t bytes)
{
    uint64_t checksum = 0;
    if (!bytes) return HLQ_OK;
    memcpy(&checksum, message, sizeof checksum);
    if (checksum == hlq_checksum(message + HLQ_SEAL_BYTES, bytes, 0)) return HLQ_OK;
    return hlq_fail(w, HLQ_E_WIRE, "from rank %d: a message of %zu bytes is damaged", p,
                    hlq_modq_sealed_bytes(bytes));
}

void hlq_modq_send_parts(const hlq_walk *w, modq_space *s)
{
    for (int p = 0; p < w->size; p++) {
        w->out[p] = (hlq_message){s->part[p].out, s->part[p].frame.bytes};
        w->in[p] = (hlq_message){s->part[p].in, s->part[w->rank].frame.bytes};
    }
}

void hlq_modq_gather_parts(const hlq_walk *w, modq_space *s)
{
    hlq_send_to_all(w, s->sum, s->part[w->rank].frame.bytes);
    for (int p = 0; p < w->size; p++) {
        w->in[p] = (hlq_message){s->part[p].in, s->part[p].frame.bytes};
    }
}

void hlq_modq_complete_run(const modq_part *part, uint8_t *segment, hlq_run *run)
{
    run->code = part->code;
    run->bits = part->bits;
    hlq_segment_lay_out(&part->frame, run, part->plan.coded, part->plan.planes, segment);
}
