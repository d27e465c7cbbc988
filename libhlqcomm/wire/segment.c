/*
 * Layout of a segment, its header, and the checks on what arrives. See segment.h for the picture.
 */
#include "layout.h"
#include "checksum.h"
#include "plan.h"

#include <kernels/body/mix.h>

#include <hlqcomm/transport.h>

#include <stdio.h>
#include <string.h>

static const uint8_t magic[4] = {'H', 'L', 'Q', 'C'};

static int is_long(hlq_form form, size_t blocks)
{
    return form == HLQ_FORM_RAMP && blocks > HLQ_PIECE_BLOCKS;
}

size_t hlq_segment_pieces(hlq_form form, size_t blocks)
{
    return is_long(form, blocks) ? (blocks + HLQ_PIECE_BLOCKS - 1) / HLQ_PIECE_BLOCKS : 1;
}

static size_t long_overhead(size_t blocks)
{
    size_t whole = blocks / HLQ_PIECE_BLOCKS, rest = blocks % HLQ_PIECE_BLOCKS;
    return HLQ_HEADER_BYTES + round_up_4(blocks) + whole * piece_overhead(HLQ_PIECE_BLOCKS) +
           (rest ? piece_overhead(rest) : 0);
}

static int has_ramp(hlq_form form) { return form == HLQ_FORM_RAMP || form == HLQ_FORM_BOUND; }

static size_t side_bytes(hlq_form form)
{
    return has_ramp(form) ? HLQ_RAMP_WORDS * 4 : form == HLQ_FORM_MODULAR ? 4 : 0;
}

int hlq_base_limit(hlq_dtype dtype)
{
    return dtype == HLQ_FLOAT64 ? HLQ_BASE_LIMIT_FLOAT64 : HLQ_BASE_LIMIT;
}

size_t hlq_segment_overhead(hlq_form form, size_t blocks)
{
    if (form == HLQ_FORM_MODULAR || form == HLQ_FORM_SUMS) return HLQ_HEADER_BYTES;
    if (form == HLQ_FORM_EXPONENTS) return HLQ_HEADER_BYTES + blocks;
    if (form == HLQ_FORM_FAILED) return HLQ_HEADER_BYTES + (blocks + 7) / 8;
    if (is_long(form, blocks)) return long_overhead(blocks);
    size_t bits = form == HLQ_FORM_BOUND ? (blocks + 1) / 2 : 0;
    return HLQ_HEADER_BYTES + round_up_4(blocks + wide_bytes(blocks) + bits);
}

size_t hlq_segment_head_bytes(const hlq_frame *frame)
{
    size_t blocks = frame->place.blocks;
    return is_long(frame->form, blocks) ? HLQ_HEADER_BYTES + round_up_4(blocks) : frame->bytes;
}

size_t hlq_segment_bytes(hlq_form form, size_t blocks, double budget_bytes, int least_bits)
{
    size_t overhead = hlq_segment_overhead(form, blocks), side = side_bytes(form);
    if (form == HLQ_FORM_BOUND)
        return overhead + blocks * (side + HLQ_BITS_WHOLE * HLQ_PLANE_BYTES);
    size_t most = overhead + blocks * (side + HLQ_BITS_MAX * HLQ_PLANE_BYTES);
    size_t least = overhead;
    if (least_bits) least += blocks * (side + (size_t)least_bits * HLQ_PLANE_BYTES);
    if (budget_bytes >= (double)most) return most;
    size_t bytes = (size_t)budget_bytes / 4 * 4;
    return bytes > least ? bytes : least;
}

/* What sets the dither of one message apart from that of all others. */
static uint64_t dither_key(const hlq_frame *frame)
{
    uint64_t sender = (uint64_t)(2 * (int64_t)frame->sender + frame->leg);
    return mix(mix_counted(frame->place.seed, 0) + frame->call + (sender << 32));
}

hlq_run hlq_segment_run(const hlq_frame *frame, int base, uint8_t *segment)
{
    hlq_run run = {
        .place = frame->place,
        .lattice = frame->lattice,
        .base = base,
        .modular = frame->form == HLQ_FORM_MODULAR || frame->form == HLQ_FORM_SUMS,
        .spread = frame->spread,
        .dithered = frame->dithered,
    };
    if (run.dithered) run.dither_key = dither_key(frame);
    if (!run.modular) run.code = segment + HLQ_HEADER_BYTES;
    if (has_ramp(frame->form) && !is_long(frame->form, run.place.blocks)) {
        run.wide = segment + HLQ_HEADER_BYTES + run.place.blocks;
    }
    return run;
}

void hlq_segment_header(const hlq_frame *frame, int base, uint8_t *segment)
{
    memset(segment, 0, HLQ_HEADER_BYTES);
    memcpy(segment, magic, 4);
    segment[4] = HLQ_WIRE_VERSION;
    segment[5] = (uint8_t)frame->form;
    segment[6] = (uint8_t)frame->lattice;
    segment[7] = (uint8_t)frame->dithered;
    put(segment + BASE_AT, (uint64_t)base, 2);
    put(segment + 10, (uint64_t)frame->spread, 2);
    put(segment + 12, frame->call, 4);
    put(segment + 16, frame->place.first, 8);
    put(segment + 24, frame->place.blocks, 8);
}

hlq_run hlq_segment_begin(const hlq_frame *frame, int base, uint8_t *segment)
{
    size_t blocks = frame->place.blocks;
    size_t end = is_long(frame->form, blocks) ? hlq_segment_head_bytes(frame)
                                              : hlq_segment_overhead(frame->form, blocks);
    hlq_segment_header(frame, base, segment);
    memset(segment + HLQ_HEADER_BYTES, 0, end - HLQ_HEADER_BYTES);
    return hlq_segment_run(frame, base, segment);
}

uint8_t *hlq_segment_lay_out(const hlq_frame *frame, hlq_run *run, size_t coded, size_t planes,
                             uint8_t *segment)
{
    uint8_t *side = segment + hlq_segment_overhead(frame->form, frame->place.blocks);
    uint8_t *first_plane = side + coded * side_bytes(frame->form);
    run->side = (uint32_t *)(void *)side;
    run->planes = (uint32_t *)(void *)first_plane;
    return first_plane + planes * HLQ_PLANE_BYTES;
}

hlq_run hlq_piece_take(hlq_run *rest)
{
    hlq_run piece = *rest;
    piece.place = hlq_place_take(&rest->place, HLQ_PIECE_BLOCKS);
    rest->code += piece.place.blocks;
    rest->bits += piece.place.blocks;
    return piece;
}

uint8_t *hlq_piece_lay_out(hlq_run *piece, uint8_t *at)
{
    hlq_plan plan = hlq_count_bits(piece->bits, piece->place.blocks);
    uint8_t *side = at + piece_overhead(piece->place.blocks);
    uint8_t *first_plane = side + plan.coded * side_bytes(HLQ_FORM_RAMP);
    piece->wide = at + SUM_BYTES;
    piece->side = (uint32_t *)(void *)side;
    piece->planes = (uint32_t *)(void *)first_plane;
    return first_plane + plan.planes * HLQ_PLANE_BYTES;
}

/* Of the segment or its head. */
static uint64_t checksum_of(const hlq_frame *frame, const uint8_t *segment)
{
    uint64_t header = hlq_checksum(segment, CHECKSUM_AT, 0);
    size_t bytes = hlq_segment_head_bytes(frame) - HLQ_HEADER_BYTES;
    return hlq_checksum(segment + HLQ_HEADER_BYTES, bytes, header);
}

static uint64_t piece_checksum(const uint8_t *segment, size_t number, const uint8_t *at,
                               const uint8_t *end)
{
    uint64_t head = get(segment + CHECKSUM_AT, 8);
    return hlq_checksum(at + SUM_BYTES, (size_t)(end - at) - SUM_BYTES, head + number);
}

void hlq_piece_seal(const uint8_t *segment, size_t number, uint8_t *at, const uint8_t *end)
{
    put(at, piece_checksum(segment, number, at, end), SUM_BYTES);
}

void hlq_segment_seal(const hlq_frame *frame, uint8_t *segment)
{
    put(segment + CHECKSUM_AT, checksum_of(frame, segment), 8);
}

static hlq_status reject(char *error, const char *what, long long got, long long expected)
{
    snprintf(error, HLQ_ERROR_BYTES, "a message has %s %lld where %lld was expected", what, got,
             expected);
    return HLQ_E_WIRE;
}

static hlq_status damaged(char *error, const char *what, size_t bytes)
{
    snprintf(error, HLQ_ERROR_BYTES, "%s of %zu bytes is damaged: its checksum differs", what,
             bytes);
    return HLQ_E_WIRE;
}

uint8_t *hlq_segment_bits(size_t blocks, uint8_t *segment)
{
    return segment + HLQ_HEADER_BYTES + blocks + wide_bytes(blocks);
}

const char *hlq_segment_field(int i)
{
    static const char *const name[] = {"magic number", "wire version", "form",        "lattice",
                                       "dither",       "spread",       "call number", "first block",
                                       "block count",  "base exponent"};
    return i >= 0 && i < (int)(sizeof name / sizeof *name) ? name[i] : NULL;
}

hlq_status hlq_segment_open(const hlq_frame *frame, uint8_t *segment, hlq_run *run, char *error)
{
    size_t least = hlq_segment_overhead(frame->form, frame->place.blocks);
    if (frame->bytes < least) {
        return reject(error, "bytes", (long long)frame->bytes, (long long)least);
    }
    uint8_t expected[HLQ_HEADER_BYTES];
    hlq_segment_header(frame, 0, expected);
    for (int i = 0; i < KNOWN_FIELDS; i++) {
        int64_t got = known_field(segment, i), want = known_field(expected, i);
        if (got != want) return reject(error, hlq_segment_field(i), got, want);
    }
    int base = get_signed16(segment + BASE_AT);
    int limit = hlq_base_limit(frame->dtype);
    if (base < -limit || base > limit)
        return reject(error, hlq_segment_field(KNOWN_FIELDS), base, 0);
    if (get(segment + CHECKSUM_AT, 8) != checksum_of(frame, segment)) {
        return damaged(error, "a message", hlq_segment_head_bytes(frame));
    }
    *run = hlq_segment_run(frame, base, segment);
    return HLQ_OK;
}

hlq_status hlq_piece_check(const uint8_t *segment, size_t number, const uint8_t *at,
                           const uint8_t *end, char *error)
{
    if (get(at, SUM_BYTES) == piece_checksum(segment, number, at, end)) return HLQ_OK;
    return damaged(error, "a message's piece", (size_t)(end - at));
}

hlq_run hlq_segment_view(const hlq_frame *frame, uint8_t *segment)
{
    return hlq_segment_run(frame, get_signed16(segment + BASE_AT), segment);
}
