/*
 * The reader of reader.h.
 */
#include "reader.h"

#include <hlqcomm/transport.h>

#include <stdio.h>

void hlq_reader_begin(hlq_reader *r, const hlq_frame *frame, uint8_t *segment, uint8_t *bits)
{
    *r = (hlq_reader){
        .frame = *frame,
        .segment = segment,
        .bits = bits,
        .is_open = frame->place.blocks == 0,
    };
}

/* The bits that a BOUND segment says its blocks have, and whether they are its whole size. */
static hlq_status read_bits(const hlq_reader *r, const uint8_t *code, hlq_plan *plan, char *error)
{
    size_t blocks = r->frame.place.blocks;
    const uint8_t *packed = hlq_segment_bits(blocks, r->segment);
    for (size_t b = 0; b < blocks; b++) {
        int half = packed[b / 2] >> b % 2 * 4 & 15;
        int is_special = code[b] == HLQ_CODE_ZERO || code[b] == HLQ_CODE_NONFINITE;
        if (half == 1 || (half > HLQ_BITS_MAX && half < HLQ_HALF_WHOLE) || (half && is_special)) {
            snprintf(error, HLQ_ERROR_BYTES, "a message has %d bits for a block of code %d", half,
                     code[b]);
            return HLQ_E_WIRE;
        }
        r->bits[b] = (uint8_t)(half == HLQ_HALF_WHOLE ? HLQ_BITS_WHOLE : half);
    }
    *plan = hlq_count_bits(r->bits, blocks);
    size_t expected = hlq_segment_overhead(r->frame.form, blocks) +
                      plan->coded * HLQ_RAMP_WORDS * 4 + plan->planes * HLQ_PLANE_BYTES;
    if (expected == r->frame.bytes) return HLQ_OK;
    snprintf(error, HLQ_ERROR_BYTES, "a message has %zu bytes where its blocks take %zu",
             r->frame.bytes, expected);
    return HLQ_E_WIRE;
}

hlq_status hlq_reader_open(hlq_reader *r, size_t arrived, char *error)
{
    hlq_run run;
    hlq_plan plan;
    if (r->is_open || arrived < hlq_segment_head_bytes(&r->frame)) return HLQ_OK;
    hlq_status status = hlq_segment_open(&r->frame, r->segment, &run, error);
    if (status != HLQ_OK) return status;
    if (r->frame.form == HLQ_FORM_BOUND) {
        status = read_bits(r, run.code, &plan, error);
        if (status != HLQ_OK) return status;
    } else {
        plan = hlq_plan_segment(&r->frame, run.code, r->bits);
    }
    run.bits = r->bits;
    r->rest = run;
    r->is_open = 1;
    if (hlq_segment_pieces(r->frame.form, run.place.blocks) > 1) {
        r->bytes = hlq_segment_head_bytes(&r->frame);
    } else {
        hlq_segment_lay_out(&r->frame, &r->rest, plan.coded, plan.planes, r->segment);
    }
    return HLQ_OK;
}

/* The next piece of a long segment, and where it ends. */
static hlq_run next_piece(hlq_reader *r, const uint8_t **end)
{
    hlq_run piece = hlq_piece_take(&r->rest);
    *end = hlq_piece_lay_out(&piece, r->segment + r->bytes);
    if (r->rest.place.blocks == 0) *end = r->segment + r->frame.bytes;
    return piece;
}

int hlq_reader_has(const hlq_reader *r, size_t arrived)
{
    const uint8_t *end;
    hlq_reader trial = *r;
    if (!r->is_open || r->rest.place.blocks == 0) return 0;
    if (!r->bytes) return 1; /* not long: the head is all of it */
    next_piece(&trial, &end);
    return (size_t)(end - r->segment) <= arrived;
}

hlq_status hlq_reader_next(hlq_reader *r, hlq_run *run, char *error)
{
    const uint8_t *end;
    size_t begin = r->bytes;
    if (!begin) {
        *run = r->rest;
        r->rest.place.blocks = 0;
        return HLQ_OK;
    }
    *run = next_piece(r, &end);
    r->bytes = (size_t)(end - r->segment);
    return hlq_piece_check(r->segment, r->pieces++, r->segment + begin, end, error);
}
