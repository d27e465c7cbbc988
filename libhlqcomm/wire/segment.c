/*
 * Layout of a segment, its header, and the checks on what arrives. See segment.h for the picture.
 */
#include "segment.h"
#include "checksum.h"
#include "plan.h"

#include <kernels/body/mix.h>

#include <hlqcomm/transport.h>

#include <stdio.h>
#include <string.h>

static const uint8_t magic[4] = {'H', 'L', 'Q', 'C'};

/* Where the checksum lies: at the header's end. */
enum { CHECKSUM_AT = HLQ_HEADER_BYTES - 8 };

static void put(uint8_t *p, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) p[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t *p, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint64_t)p[i] << 8 * i;
    return value;
}

static int get_signed16(const uint8_t *p) { return (int16_t)get(p, 2); }

static size_t round_up_4(size_t bytes) { return (bytes + 3) / 4 * 4; }

static size_t wide_bytes(size_t blocks) { return (blocks + 7) / 8; }

static int is_long(hlq_form form, size_t blocks)
{
    return form == HLQ_FORM_RAMP && blocks > HLQ_PIECE_BLOCKS;
}

size_t hlq_segment_pieces(hlq_form form, size_t blocks)
{
    return is_long(form, blocks) ? (blocks + HLQ_PIECE_BLOCKS - 1) / HLQ_PIECE_BLOCKS : 1;
}

/* Of a piece, before its side words. */
enum { SUM_BYTES = 8 };
static size_t piece_overhead(size_t blocks) { return SUM_BYTES + round_up_4(wide_bytes(blocks)); }

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

static hlq_run run_of(const hlq_frame *frame, int base, uint8_t *segment)
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
    put(segment + 8, (uint64_t)base, 2);
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
    return run_of(frame, base, segment);
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

hlq_status hlq_segment_open(const hlq_frame *frame, uint8_t *segment, hlq_run *run, char *error)
{
    size_t least = hlq_segment_overhead(frame->form, frame->place.blocks);
    if (frame->bytes < least) {
        return reject(error, "bytes", (long long)frame->bytes, (long long)least);
    }
    const struct {
        const char *what;
        long long got, expected;
    } field[] = {
        {"magic number", (long long)get(segment, 4), (long long)get(magic, 4)},
        {"wire version", segment[4], HLQ_WIRE_VERSION},
        {"form", segment[5], frame->form},
        {"lattice", segment[6], frame->lattice},
        {"dither", segment[7], frame->dithered},
        {"spread", get_signed16(segment + 10), frame->spread},
        {"call number", (long long)get(segment + 12, 4), frame->call},
        {"first block", (long long)get(segment + 16, 8), (long long)frame->place.first},
        {"block count", (long long)get(segment + 24, 8), (long long)frame->place.blocks},
    };
    for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
        if (field[i].got != field[i].expected) {
            return reject(error, field[i].what, field[i].got, field[i].expected);
        }
    }
    int base = get_signed16(segment + 8);
    int limit = hlq_base_limit(frame->dtype);
    if (base < -limit || base > limit) return reject(error, "base exponent", base, 0);
    if (get(segment + CHECKSUM_AT, 8) != checksum_of(frame, segment)) {
        return damaged(error, "a message", hlq_segment_head_bytes(frame));
    }
    *run = run_of(frame, base, segment);
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
    return run_of(frame, get_signed16(segment + 8), segment);
}
