/*
 * The codes of modq_long.h: their place in memory, how they are made, and what of them travels.
 */
#include "modq_long.h"

#include <string.h>

/* Bytes of a block in a message: 12 planes and a check. */
enum { LONGEST_BLOCK = HLQ_BITS_MAX * HLQ_PLANE_BYTES + 4 };

/* Codes hold 12 planes; a block that would need more is coded anew, with 12. */
static int is_fresh(const modq_long *more, size_t i, int extra)
{
    return more->bits[i] + extra > HLQ_BITS_MAX;
}

size_t hlq_long_planes(const modq_long *more, size_t i, int extra)
{
    return is_fresh(more, i, extra) ? HLQ_BITS_MAX : (size_t)(more->bits[i] + extra);
}

/* Whether all of a code travels, with its check: it is fresh, or nothing of it was sent before. */
static int is_whole(const modq_long *more, size_t i, int have, int want)
{
    return is_fresh(more, i, want) || (more->unseen && have == 0);
}

/* First plane that goes beyond those of `have`, when a block goes to `want` further planes. */
static size_t first_new_plane(const modq_long *more, size_t i, int have, int want)
{
    return is_fresh(more, i, want) ? 0 : (size_t)(more->bits[i] + have);
}

void hlq_longs_lay_out(const hlq_walk *w, modq_space *s, hlq_arena *arena)
{
    int n = w->size;
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
        more->out = hlq_arena_take(arena, hlq_modq_sealed_bytes(f * LONGEST_BLOCK));
        if (f > most_blocks) most_blocks = f;
        if (more->words > most_words) most_words = more->words;
    }
    s->received = hlq_arena_take(arena, (size_t)n * sizeof *s->received);
    s->checks = hlq_arena_take(arena, (size_t)n * sizeof *s->checks);
    const modq_long *own = &s->part[w->rank].more;
    for (int p = 0; p < n; p++) {
        modq_long *more = &s->part[p].more;
        size_t f = more->blocks > own->blocks ? more->blocks : own->blocks;
        more->in = hlq_arena_take(arena, hlq_modq_sealed_bytes(f * LONGEST_BLOCK));
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
    s->trial = hlq_arena_take(arena, hlq_modq_sealed_bytes((most_blocks + 7) / 8));
}

void hlq_long_list(const modq_space *s, modq_part *part, int count_only)
{
    modq_long *more = &part->more;
    const uint8_t *failed = part->failed + HLQ_HEADER_BYTES;
    size_t i = 0, words = 0;
    for (size_t b = 0; b < part->frame.place.blocks; b++) {
        if (!(failed[b / 8] >> b % 8 & 1)) continue;
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

hlq_run hlq_long_run(const hlq_walk *w, const modq_part *part, int extra)
{
    return (hlq_run){
        .place = {.seed = w->comm->options.seed},
        .lattice = w->comm->options.lattice,
        .base = part->base,
        .modular = 1,
        .spread = HLQ_MODQ_SPREAD + 8 * extra,
    };
}

hlq_run hlq_long_compact(const hlq_walk *w, modq_space *s, const modq_part *part, int taken,
                         int extra, const uint32_t *from, const uint32_t *checks)
{
    const modq_long *more = &part->more;
    hlq_run run = hlq_long_run(w, part, extra);
    uint32_t *to = s->trial_planes;
    size_t n = 0;
    for (size_t i = 0; i < more->blocks; i++) {
        if (more->extra[i] != taken) continue;
        size_t planes = hlq_long_planes(more, i, extra), words = planes * HLQ_PLANE_WORDS;
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

void hlq_long_encode(const hlq_walk *w, modq_space *s, modq_part *part, int want)
{
    modq_long *more = &part->more;
    hlq_run run = hlq_long_compact(w, s, part, 0, want, NULL, NULL);
    hlq_source source = part->source;
    if (part->residual) clear_residual(part, &run);
    source.residual = part->residual;
    hlq_team_encode(&w->comm->team, &run, &source);
    const uint32_t *from = run.planes;
    for (size_t i = 0, n = 0; i < more->blocks; i++) {
        if (more->extra[i]) continue;
        size_t words = hlq_long_planes(more, i, want) * HLQ_PLANE_WORDS;
        memcpy(more->planes + more->offset[i], from, words * sizeof *from);
        more->side[i] = run.side[n++];
        from += words;
    }
}

void hlq_long_pick(const modq_long *more, const hlq_run *run, uint32_t *planes, uint32_t *checks)
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

size_t hlq_long_move_planes(const modq_long *more, int have, int want, uint32_t *planes,
                            uint32_t *checks, uint8_t *message, int back)
{
    size_t at = 0;
    for (size_t i = 0; i < more->blocks; i++) {
        if (more->extra[i]) continue;
        int whole = is_whole(more, i, have, want);
        size_t first = whole ? 0 : first_new_plane(more, i, have, want);
        size_t bytes = (hlq_long_planes(more, i, want) - first) * HLQ_PLANE_BYTES;
        uint32_t *p = planes + more->offset[i] + first * HLQ_PLANE_WORDS;
        if (message && back) memcpy(p, message + at, bytes);
        if (message && !back) memcpy(message + at, p, bytes);
        at += bytes;
        if (!whole) continue;
        if (message && back) memcpy(&checks[i], message + at, sizeof *checks);
        if (message && !back) memcpy(message + at, &checks[i], sizeof *checks);
        at += sizeof *checks;
    }
    return at;
}

size_t hlq_long_move_sums(const modq_long *more, uint32_t *planes, uint8_t *message, int back)
{
    size_t at = 0;
    for (size_t i = 0; i < more->blocks; i++) {
        size_t first = first_new_plane(more, i, 0, more->extra[i]);
        size_t bytes = (hlq_long_planes(more, i, more->extra[i]) - first) * HLQ_PLANE_BYTES;
        uint32_t *p = planes + more->offset[i] + first * HLQ_PLANE_WORDS;
        if (message && back) memcpy(p, message + at, bytes);
        if (message && !back) memcpy(message + at, p, bytes);
        at += bytes;
    }
    return at;
}
