/*
 * The writer of writer.h.
 */
#include "writer.h"

#include <string.h>

/* Bound mode: small blocks count, too; with the least code, larger than they are. */
static void keep_small(uint8_t *code, const int16_t *exponent, size_t blocks)
{
    for (size_t b = 0; b < blocks; b++) {
        code[b] += code[b] == HLQ_CODE_ZERO && exponent[b] != HLQ_EXPONENT_ZERO;
    }
}

/* What is known of all blocks, as soon as their exponents are. */
static void begin_segment(hlq_writer *w, int16_t *exponent)
{
    hlq_frame *frame = &w->frame;
    size_t blocks = frame->place.blocks;
    uint8_t *code = w->segment + HLQ_HEADER_BYTES;
    if (!w->source.rotated) {
        hlq_team_exponents(&w->team, &frame->place, &w->source, exponent);
    }
    int base = hlq_base_of_exponents(frame->dtype, exponent, blocks);
    w->rest = hlq_segment_begin(frame, base, w->segment);
    w->rest.bits = w->bits;
    hlq_codes_from_exponents(exponent, blocks, base, code);
    if (frame->form == HLQ_FORM_BOUND) {
        keep_small(code, exponent, blocks);
        /* Until blocks have their bits, every one has room for side words. */
        hlq_segment_lay_out(frame, &w->rest, blocks, 0, w->segment);
    } else {
        hlq_plan plan = hlq_plan_segment(frame, code, w->bits);
        if (hlq_segment_pieces(frame->form, blocks) > 1) {
            hlq_segment_seal(frame, w->segment);
            w->bytes = hlq_segment_head_bytes(frame);
        } else {
            hlq_segment_lay_out(frame, &w->rest, plan.coded, plan.planes, w->segment);
        }
    }
}

void hlq_writer_begin(hlq_writer *w, const hlq_team *team, const hlq_frame *frame,
                      const hlq_source *source, hlq_scratch scratch, uint8_t *segment,
                      hlq_code_stats *stats)
{
    *w = (hlq_writer){
        .team = *team,
        .frame = *frame,
        .source = *source,
        .stats = stats,
        .segment = segment,
        .bits = scratch.bits,
    };
    if (frame->place.blocks) begin_segment(w, scratch.exponent);
}

static void put_bits(const uint8_t *bits, size_t blocks, uint8_t *packed)
{
    for (size_t b = 0; b < blocks; b++) {
        int half = bits[b] == HLQ_BITS_WHOLE ? HLQ_HALF_WHOLE : bits[b];
        packed[b / 2] |= (uint8_t)(half << b % 2 * 4);
    }
}

/* A BOUND segment becomes as long as its bits take. */
static void write_within(hlq_writer *w)
{
    hlq_run *run = &w->rest;
    size_t blocks = run->place.blocks;
    const uint32_t *planes = run->planes;
    uint8_t *bits = w->bits;
    w->stats->overloads += w->team.kernels->encode_within(run, &w->source, w->frame.allowed, bits);
    hlq_plan plan = hlq_count_bits(bits, blocks);
    put_bits(bits, blocks, hlq_segment_bits(blocks, w->segment));
    uint8_t *end = hlq_segment_lay_out(&w->frame, run, plan.coded, plan.planes, w->segment);
    memmove(run->planes, planes, plan.planes * HLQ_PLANE_BYTES);
    w->frame.bytes = (size_t)(end - w->segment);
}

static void write_whole(hlq_writer *w)
{
    hlq_run *run = &w->rest;
    if (w->frame.form == HLQ_FORM_BOUND) {
        write_within(w);
    } else {
        hlq_plan plan = hlq_count_bits(run->bits, run->place.blocks);
        uint8_t *end = (uint8_t *)run->planes + plan.planes * HLQ_PLANE_BYTES;
        memset(end, 0, (size_t)(w->segment + w->frame.bytes - end));
        w->stats->overloads += hlq_team_encode(&w->team, run, &w->source);
    }
    hlq_segment_seal(&w->frame, w->segment);
    hlq_code_stats_add(w->stats, run);
    w->bytes = w->frame.bytes;
    run->place.blocks = 0;
}

static void write_piece(hlq_writer *w)
{
    uint8_t *at = w->segment + w->bytes;
    hlq_run piece = hlq_piece_take(&w->rest);
    uint8_t *end = hlq_piece_lay_out(&piece, at), *last = w->segment + w->frame.bytes;
    memset(piece.wide, 0, (size_t)((uint8_t *)piece.side - piece.wide));
    if (hlq_writer_is_done(w)) {
        memset(end, 0, (size_t)(last - end));
        end = last;
    }
    w->stats->overloads += hlq_team_encode(&w->team, &piece, &w->source);
    hlq_piece_seal(w->segment, w->pieces, at, end);
    hlq_code_stats_add(w->stats, &piece);
    w->source = hlq_source_from(&w->source, piece.place.blocks);
    w->bytes = (size_t)(end - w->segment);
}

void hlq_writer_next(hlq_writer *w)
{
    if (hlq_writer_is_done(w)) return;
    if (w->bytes) write_piece(w); /* the head is there */
    else write_whole(w);
    w->pieces++;
}
