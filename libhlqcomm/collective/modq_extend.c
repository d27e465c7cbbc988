/*
 * More planes for sums that did not fit. A wrapped sum is right modulo 2^bits; what is missing are
 * the higher planes of everybody's codes. Scale and codes stay what they were, so a further plane
 * costs 32 bytes per rank and block, and nothing already sent is sent again.
 *
 *   everybody   learns which blocks failed, codes those again with all planes they may ever need,
 *               and sends the owner one plane more, then another, then the rest
 *   the owner   appends what arrives to everybody's codes, adds, checks, and tells which still fail
 */
#include "modq.h"

#include <stdio.h>
#include <string.h>

/* Bytes of a block in a message: 12 planes and a check. */
enum { LONGEST_BLOCK = HLQ_BITS_MAX * HLQ_PLANE_BYTES + 4 };

static int is_set(const uint8_t *bitmap, size_t i) { return bitmap[i / 8] >> i % 8 & 1; }

/*
 * Planes of block i with `extra` further ones. Codes hold 12; a block that would need more is coded
 * anew instead, coarser, with 12: such `fresh` codes travel whole, with a check of their own.
 */
static int is_fresh(const modq_long *more, size_t i, int extra)
{
    return more->bits[i] + extra > HLQ_BITS_MAX;
}

static size_t planes_with(const modq_long *more, size_t i, int extra)
{
    return is_fresh(more, i, extra) ? HLQ_BITS_MAX : (size_t)(more->bits[i] + extra);
}

/* First plane that travels when a block goes from `have` to `want` further planes. */
static size_t first_new_plane(const modq_long *more, size_t i, int have, int want)
{
    return is_fresh(more, i, want) ? 0 : (size_t)(more->bits[i] + have);
}

/* FAILED segments of all parts to everybody; the own bitmap is filled in. */
static hlq_status share_failures(const hlq_request *r, modq_space *s, hlq_status status)
{
    hlq_comm *comm = r->comm;
    char sentence[HLQ_ERROR_BYTES];
    memcpy(sentence, comm->error, sizeof sentence);
    for (int p = 0; p < comm->size; p++) {
        modq_part *part = &s->part[p];
        hlq_frame frame = part->frame;
        size_t blocks = frame.place.blocks;
        size_t bytes = blocks ? hlq_segment_overhead(HLQ_FORM_FAILED, blocks) : 0;
        comm->in[p] = (hlq_message){part->failed, bytes};
        if (p != comm->rank) continue;
        frame.form = HLQ_FORM_FAILED;
        frame.spread = HLQ_MODQ_SPREAD;
        if (bytes) hlq_segment_header(&frame, part->base, part->failed);
        if (bytes && status != HLQ_OK) hlq_segment_poison(part->failed);
        hlq_send_to_all(comm, part->failed, bytes);
    }
    HLQ_TRY(hlq_exchange(comm));
    if (status != HLQ_OK) return hlq_fail(comm, status, "%s", sentence);
    for (int p = 0; p < comm->size; p++) {
        hlq_frame frame = s->part[p].frame;
        hlq_run ignored;
        frame.form = HLQ_FORM_FAILED;
        if (frame.place.blocks) {
            HLQ_TRY(hlq_modq_from(comm, p, &frame, s->part[p].failed, &ignored));
        }
    }
    return HLQ_OK;
}

/* Geometry of the long codes of all parts; the same walk counts and places (workspace.h). */
static void lay_out_longs(const hlq_request *r, modq_space *s, hlq_arena *arena)
{
    int n = r->comm->size;
    size_t most_blocks = 0, most_words = 0;
    for (int p = 0; p < n; p++) {
        modq_long *more = &s->part[p].more;
        size_t f = more->blocks;
        more->position = hlq_arena_take(arena, f * sizeof *more->position);
        more->index = hlq_arena_take(arena, f * sizeof *more->index);
        more->offset = hlq_arena_take(arena, f * sizeof *more->offset);
        more->code = hlq_arena_take(arena, f);
        more->bits = hlq_arena_take(arena, f);
        more->extra = hlq_arena_take(arena, f);
        more->side = hlq_arena_take(arena, f * sizeof *more->side);
        more->planes = hlq_arena_take(arena, more->words * sizeof *more->planes);
        more->out = hlq_arena_take(arena, f * LONGEST_BLOCK);
        if (f > most_blocks) most_blocks = f;
        if (more->words > most_words) most_words = more->words;
    }
    s->received = hlq_arena_take(arena, (size_t)n * sizeof *s->received);
    s->checks = hlq_arena_take(arena, (size_t)n * sizeof *s->checks);
    const modq_long *own = &s->part[r->comm->rank].more;
    for (int p = 0; p < n; p++) {
        modq_long *more = &s->part[p].more;
        size_t f = more->blocks > own->blocks ? more->blocks : own->blocks;
        more->in = hlq_arena_take(arena, f * LONGEST_BLOCK);
        uint32_t *received = hlq_arena_take(arena, own->words * sizeof *received);
        uint32_t *checks = hlq_arena_take(arena, own->blocks * sizeof *checks);
        if (!arena->base) continue;
        s->received[p] = received;
        s->checks[p] = checks;
    }
    s->trial_side = hlq_arena_take(arena, most_blocks * sizeof *s->trial_side);
    s->trial_planes = hlq_arena_take(arena, most_words * sizeof *s->trial_planes);
    s->trial_position = hlq_arena_take(arena, most_blocks * sizeof *s->trial_position);
    s->trial_code = hlq_arena_take(arena, most_blocks);
    s->trial_bits = hlq_arena_take(arena, most_blocks);
    s->trial_failed = hlq_arena_take(arena, (most_blocks + 7) / 8);
}

/* Lists the failed blocks of a part, or only counts them and their words. */
static void list_failed(const modq_space *s, modq_part *part, int count_only)
{
    modq_long *more = &part->more;
    const uint8_t *failed = part->failed + HLQ_HEADER_BYTES;
    size_t i = 0, words = 0;
    for (size_t b = 0; b < part->frame.place.blocks; b++) {
        if (!is_set(failed, b)) continue;
        int most = part->bits[b] + s->most_extra;
        if (!count_only) {
            more->position[i] = part->frame.place.first + b * part->frame.place.stride;
            more->index[i] = b;
            more->offset[i] = words;
            more->code[i] = part->code[b];
            more->bits[i] = part->bits[b];
            more->extra[i] = 0;
        }
        words += (size_t)(most < HLQ_BITS_MAX ? most : HLQ_BITS_MAX) * HLQ_PLANE_WORDS;
        i++;
    }
    more->blocks = i;
    more->words = words;
}

/* A run of long codes with `extra` further planes: the scale of the first codes, a wider range. */
static hlq_run long_run(const hlq_request *r, const modq_part *part, int extra)
{
    return (hlq_run){
        .place = {.seed = r->comm->options.seed},
        .lattice = r->comm->options.lattice,
        .base = part->base,
        .modular = 1,
        .spread = HLQ_MODQ_SPREAD + 8 * extra,
    };
}

/*
 * Blocks that took `taken` further planes (0: those without a fit) as one compact run with `extra`
 * of them, in the trial arrays. Planes and checks are copied from long codes if these are given.
 */
static hlq_run compact(const hlq_request *r, modq_space *s, const modq_part *part, int taken,
                       int extra, const uint32_t *from, const uint32_t *checks)
{
    const modq_long *more = &part->more;
    hlq_run run = long_run(r, part, extra);
    uint32_t *to = s->trial_planes;
    size_t n = 0;
    for (size_t i = 0; i < more->blocks; i++) {
        if (more->extra[i] != taken) continue;
        size_t planes = planes_with(more, i, extra), words = planes * HLQ_PLANE_WORDS;
        s->trial_position[n] = more->position[i];
        s->trial_code[n] = more->code[i];
        s->trial_bits[n] = (uint8_t)planes;
        if (checks) s->trial_side[n] = checks[i];
        if (from) memcpy(to, from + more->offset[i], words * sizeof *to);
        to += words;
        n++;
    }
    run.place.blocks = n;
    run.place.list = s->trial_position;
    run.code = s->trial_code;
    run.bits = s->trial_bits;
    run.side = s->trial_side;
    run.planes = s->trial_planes;
    return run;
}

static void clear_residual(const modq_part *part, const hlq_run *run)
{
    size_t all = part->source.elems;
    for (size_t i = 0; i < run->place.blocks; i++) {
        size_t start = (size_t)run->place.list[i] * HLQ_BLOCK_ELEMS;
        size_t elems = all - start < HLQ_BLOCK_ELEMS ? all - start : HLQ_BLOCK_ELEMS;
        memset(part->residual + start, 0, elems * sizeof *part->residual);
    }
}

/* This rank's codes of a part's blocks without a fit, with `want` further planes. Unless fresh,
   they are the codes already sent, of which more is shown. */
static void encode_long(const hlq_request *r, modq_space *s, modq_part *part, int want)
{
    modq_long *more = &part->more;
    hlq_run run = compact(r, s, part, 0, want, NULL, NULL);
    hlq_source source = part->source;
    if (part->residual) clear_residual(part, &run);
    source.residual = part->residual;
    r->comm->kernels->encode(&run, &source);
    const uint32_t *from = run.planes;
    for (size_t i = 0, n = 0; i < more->blocks; i++) {
        if (more->extra[i]) continue;
        size_t words = planes_with(more, i, want) * HLQ_PLANE_WORDS;
        memcpy(more->planes + more->offset[i], from, words * sizeof *from);
        more->side[i] = run.side[n++];
        from += words;
    }
}

/* Copies the planes and checks of listed blocks out of a run over the whole part. */
static void pick(const modq_long *more, const hlq_run *run, uint32_t *planes, uint32_t *checks)
{
    const uint32_t *from = run->planes;
    size_t i = 0, coded = 0;
    for (size_t b = 0; b < run->place.blocks && i < more->blocks; b++) {
        size_t words = (size_t)run->bits[b] * HLQ_PLANE_WORDS;
        if (b == more->index[i]) {
            memcpy(planes + more->offset[i], from, words * sizeof *planes);
            if (checks) checks[i] = run->side[coded];
            i++;
        }
        from += words;
        coded += run->bits[b] != 0;
    }
}

static hlq_status start_longs(const hlq_request *r, modq_space *s)
{
    hlq_comm *comm = r->comm;
    hlq_arena counting = {NULL, 0, 0};
    lay_out_longs(r, s, &counting);
    if (hlq_arena_reserve(&s->longs, counting.used) != HLQ_OK) {
        return hlq_fail(comm, HLQ_E_NOMEM, "no memory for %zu bytes of longer codes",
                        counting.used);
    }
    lay_out_longs(r, s, &s->longs);
    for (int p = 0; p < comm->size; p++) {
        list_failed(s, &s->part[p], 0);
    }
    modq_part *own = &s->part[comm->rank];
    for (int p = 0; p < comm->size && own->more.blocks; p++) {
        hlq_run run;
        if (p == comm->rank) continue;
        HLQ_TRY(hlq_modq_from(comm, p, &own->frame, s->part[p].in, &run));
        hlq_modq_complete_run(own, s->part[p].in, &run);
        pick(&own->more, &run, s->received[p], s->checks[p]);
    }
    return HLQ_OK;
}

/* What blocks without a fit send to go from `have` to `want` further planes: out of long codes into
   a message, or the way back. Returns the bytes of the message. */
static size_t move_planes(const modq_long *more, int have, int want, uint32_t *planes,
                          uint32_t *checks, uint8_t *message, int back)
{
    size_t at = 0;
    for (size_t i = 0; i < more->blocks; i++) {
        if (more->extra[i]) continue;
        size_t first = first_new_plane(more, i, have, want);
        size_t bytes = (planes_with(more, i, want) - first) * HLQ_PLANE_BYTES;
        uint32_t *p = planes + more->offset[i] + first * HLQ_PLANE_WORDS;
        if (back) memcpy(p, message + at, bytes);
        else memcpy(message + at, p, bytes);
        at += bytes;
        if (!is_fresh(more, i, want)) continue;
        if (back) memcpy(&checks[i], message + at, sizeof *checks);
        else memcpy(message + at, &checks[i], sizeof *checks);
        at += sizeof *checks;
    }
    return at;
}

/* Adds everybody's long codes of one block of the own part. */
static void add_block(const hlq_request *r, modq_space *s, size_t i, int want)
{
    hlq_comm *comm = r->comm;
    modq_part *own = &s->part[comm->rank];
    modq_long *more = &own->more;
    uint8_t bits = (uint8_t)planes_with(more, i, want);
    hlq_run sum = long_run(r, own, want);
    sum.place.blocks = 1;
    sum.code = &more->code[i];
    sum.bits = &bits;
    sum.side = &s->checks[comm->rank][i];
    sum.planes = s->received[comm->rank] + more->offset[i];
    sum.side[0] = more->side[i];
    memcpy(sum.planes, more->planes + more->offset[i], (size_t)bits * HLQ_PLANE_BYTES);
    for (int p = 0; p < comm->size; p++) {
        if (p == comm->rank) continue;
        hlq_run other = sum;
        other.side = &s->checks[p][i];
        other.planes = s->received[p] + more->offset[i];
        comm->kernels->planes_add(&sum, &other);
    }
}

/* The owner tries the sums with `want` further planes; those that fit go to recv. */
static void try_sums(const hlq_request *r, modq_space *s, int have, int want)
{
    hlq_comm *comm = r->comm;
    modq_part *own = &s->part[comm->rank];
    modq_long *more = &own->more;
    for (int p = 0; p < comm->size; p++) {
        if (p == comm->rank) continue;
        move_planes(more, have, want, s->received[p], s->checks[p], s->part[p].more.in, 1);
    }
    for (size_t i = 0; i < more->blocks; i++) {
        if (!more->extra[i]) add_block(r, s, i, want);
    }
    hlq_run run = compact(r, s, own, 0, want, s->received[comm->rank], s->checks[comm->rank]);
    memset(s->trial_failed, 0, (run.place.blocks + 7) / 8);
    comm->kernels->decode(&run, hlq_output_factor(r), r->dtype, r->recv, r->count, s->trial_failed);
}

/* Bitmaps over the blocks tried, to everybody, who mark those that fit. Returns how many do not. */
static hlq_status share_trial(const hlq_request *r, modq_space *s, int want, size_t *left)
{
    hlq_comm *comm = r->comm;
    for (int p = 0; p < comm->size; p++) {
        const modq_long *more = &s->part[p].more;
        size_t tried = 0;
        for (size_t i = 0; i < more->blocks; i++) tried += !more->extra[i];
        comm->in[p] = (hlq_message){more->in, (tried + 7) / 8};
        if (p == comm->rank) hlq_send_to_all(comm, s->trial_failed, (tried + 7) / 8);
    }
    HLQ_TRY(hlq_exchange(comm));
    *left = 0;
    for (int p = 0; p < comm->size; p++) {
        modq_long *more = &s->part[p].more;
        const uint8_t *failed = p == comm->rank ? s->trial_failed : more->in;
        size_t t = 0;
        for (size_t i = 0; i < more->blocks; i++) {
            if (more->extra[i]) continue;
            if (is_set(failed, t++)) (*left)++;
            else more->extra[i] = (uint8_t)want;
        }
    }
    return HLQ_OK;
}

static hlq_status one_round(const hlq_request *r, modq_space *s, int have, int want, size_t *left)
{
    hlq_comm *comm = r->comm;
    size_t own_bytes = 0;
    for (int p = 0; p < comm->size; p++) {
        modq_long *more = &s->part[p].more;
        encode_long(r, s, &s->part[p], want);
        size_t bytes = move_planes(more, have, want, more->planes, more->side, more->out, 0);
        comm->out[p] = (hlq_message){more->out, bytes};
        if (p == comm->rank) own_bytes = bytes;
    }
    for (int p = 0; p < comm->size; p++) {
        comm->in[p] = (hlq_message){s->part[p].more.in, own_bytes};
    }
    HLQ_TRY(hlq_exchange(comm));
    try_sums(r, s, have, want);
    comm->stats.retries++;
    return share_trial(r, s, want, left);
}

hlq_status hlq_modq_extend(const hlq_request *r, modq_space *s, hlq_status status)
{
    hlq_comm *comm = r->comm;
    HLQ_TRY(share_failures(r, s, status));
    size_t left = 0;
    for (int p = 0; p < comm->size; p++) {
        list_failed(s, &s->part[p], 1);
        left += s->part[p].more.blocks;
    }
    comm->stats.overloads = left;
    if (!left) return HLQ_OK;
    HLQ_TRY(start_longs(r, s));
    const int steps[] = {1, 2, s->most_extra};
    for (int i = 0, have = 0; i < 3 && left; have = steps[i++]) {
        if (steps[i] > have) HLQ_TRY(one_round(r, s, have, steps[i], &left));
    }
    if (left) {
        return hlq_fail(comm, HLQ_E_WIRE,
                        "%zu sums fail their check with all planes: damaged codes", left);
    }
    return HLQ_OK;
}

/* What the sums of blocks that failed first have beyond the planes everybody gets anyway: out of
   long sums into a message, or back. Returns the bytes of the message. */
static size_t move_sums(const modq_long *more, uint32_t *planes, uint8_t *message, int back)
{
    size_t at = 0;
    for (size_t i = 0; i < more->blocks; i++) {
        size_t first = first_new_plane(more, i, 0, more->extra[i]);
        size_t bytes = (planes_with(more, i, more->extra[i]) - first) * HLQ_PLANE_BYTES;
        uint32_t *p = planes + more->offset[i] + first * HLQ_PLANE_WORDS;
        if (message && back) memcpy(p, message + at, bytes);
        if (message && !back) memcpy(message + at, p, bytes);
        at += bytes;
    }
    return at;
}

hlq_status hlq_modq_gather_extended(const hlq_request *r, modq_space *s)
{
    hlq_comm *comm = r->comm;
    if (!comm->stats.overloads) return HLQ_OK;
    for (int p = 0; p < comm->size; p++) {
        modq_long *more = &s->part[p].more;
        comm->in[p] = (hlq_message){more->in, move_sums(more, more->planes, NULL, 0)};
        if (p != comm->rank) continue;
        size_t bytes = move_sums(more, s->received[p], more->out, 0);
        hlq_send_to_all(comm, more->out, bytes);
    }
    return hlq_exchange(comm);
}

void hlq_modq_decode_extended(const hlq_request *r, modq_space *s, int p, const hlq_run *main,
                              hlq_code_stats *stats)
{
    modq_part *part = &s->part[p];
    modq_long *more = &part->more;
    int own = p == r->comm->rank;
    if (!more->blocks) return;
    if (!own) {
        pick(more, main, more->planes, NULL);
        move_sums(more, more->planes, more->in, 1);
    }
    for (int extra = 1; extra <= s->most_extra; extra++) {
        hlq_code_stats scales = {0};
        hlq_run run = compact(r, s, part, extra, extra, own ? NULL : more->planes, NULL);
        if (!own) {
            r->comm->kernels->decode(&run, hlq_output_factor(r), r->dtype, r->recv, r->count, NULL);
        }
        hlq_code_stats_add(&scales, &run);
        if (scales.largest_scale > stats->largest_scale) {
            stats->largest_scale = scales.largest_scale;
        }
    }
}
