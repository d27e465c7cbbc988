/*
 * More planes for sums that did not fit. A wrapped sum is right modulo 2^bits; what is missing are
 * the higher planes of everybody's codes. Scale and codes stay what they were, so a further plane
 * costs 32 bytes per rank and block, and nothing already sent is sent again. (Around a ring the
 * owner was sent sums only, and has the first planes to come, too.)
 *
 *   everybody   learns which blocks failed, codes those again with all planes they may ever need,
 *               and sends the owner one plane more, then another, then the rest
 *   the owner   appends what arrives to everybody's codes, adds, checks, and tells which still fail
 */
#include "modq_long.h"

#include <string.h>

/* Further planes after so many rounds. */
static int extra_after(const modq_space *s, int rounds)
{
    int wanted = rounds < 3 ? rounds : s->most_extra;
    return wanted < s->most_extra ? wanted : s->most_extra;
}

void hlq_modq_share_failures(const hlq_walk *w, modq_space *s)
{
    for (int p = 0; p < w->size; p++) {
        modq_part *part = &s->part[p];
        hlq_frame frame = part->frame;
        size_t blocks = frame.place.blocks;
        frame.form = HLQ_FORM_FAILED;
        frame.spread = HLQ_MODQ_SPREAD;
        frame.bytes = blocks ? hlq_segment_overhead(HLQ_FORM_FAILED, blocks) : 0;
        w->in[p] = (hlq_message){part->failed, frame.bytes};
        if (p != w->rank) continue;
        if (blocks) hlq_segment_header(&frame, part->base, part->failed);
        if (blocks) hlq_segment_seal(&frame, part->failed);
        hlq_send_to_all(w, part->failed, frame.bytes);
    }
}

/* Memory for long codes, and in them what was sent already. */
static hlq_status start_longs(hlq_walk *w, modq_space *s)
{
    hlq_arena counting = {NULL, 0, 0};
    hlq_longs_lay_out(w, s, &counting);
    if (hlq_arena_reserve(&w->more, counting.used) != HLQ_OK) {
        return hlq_fail(w, HLQ_E_NOMEM, "no memory for %zu bytes of longer codes", counting.used);
    }
    hlq_longs_lay_out(w, s, &w->more);
    for (int p = 0; p < w->size; p++) {
        hlq_long_list(s, &s->part[p], 0);
        s->part[p].more.unseen = hlq_modq_is_ring(w);
    }
    if (hlq_modq_is_ring(w)) return HLQ_OK;
    modq_part *own = &s->part[w->rank];
    for (int p = 0; p < w->size && own->more.blocks; p++) {
        hlq_run run;
        if (p == w->rank) continue;
        run = hlq_segment_view(&own->frame, s->part[p].in);
        hlq_modq_complete_run(own, s->part[p].in, &run);
        hlq_long_pick(&own->more, &run, s->received[p], s->checks[p]);
    }
    return HLQ_OK;
}

hlq_status hlq_modq_hear_failures(hlq_walk *w, modq_space *s, size_t *left)
{
    *left = 0;
    for (int p = 0; p < w->size; p++) {
        modq_part *part = &s->part[p];
        hlq_frame frame = part->frame;
        hlq_run ignored;
        frame.form = HLQ_FORM_FAILED;
        frame.bytes = w->in[p].bytes;
        if (frame.place.blocks) HLQ_TRY(hlq_modq_from(w, p, &frame, part->failed, &ignored));
        hlq_long_list(s, part, 1);
        *left += part->more.blocks;
    }
    return *left ? start_longs(w, s) : HLQ_OK;
}

/* Adds everybody's long codes of one block of the own part. */
static void add_block(const hlq_walk *w, modq_space *s, size_t i, int want)
{
    modq_part *own = &s->part[w->rank];
    modq_long *more = &own->more;
    uint8_t bits = (uint8_t)hlq_long_planes(more, i, want);
    hlq_run sum = hlq_long_run(w, own, want);
    sum.place.blocks = 1;
    sum.code = &more->code[i];
    sum.bits = &bits;
    sum.side = &s->checks[w->rank][i];
    sum.planes = s->received[w->rank] + more->offset[i];
    sum.side[0] = more->side[i];
    memcpy(sum.planes, more->planes + more->offset[i], (size_t)bits * HLQ_PLANE_BYTES);
    for (int p = 0; p < w->size; p++) {
        if (p == w->rank) continue;
        hlq_run other = sum;
        other.side = &s->checks[p][i];
        other.planes = s->received[p] + more->offset[i];
        w->comm->team.kernels->planes_add(&sum, &other);
    }
}

hlq_status hlq_modq_send_round(hlq_walk *w, modq_space *s)
{
    int have = extra_after(s, s->round), want = extra_after(s, s->round + 1);
    size_t own_bytes = 0;
    if (want == have) {
        return hlq_fail(w, HLQ_E_WIRE, "sums fail their check with all planes: damaged codes");
    }
    for (int p = 0; p < w->size; p++) {
        modq_long *more = &s->part[p].more;
        hlq_long_encode(w, s, &s->part[p], want);
        size_t bytes = hlq_long_move_planes(more, have, want, more->planes, more->side,
                                            more->out + HLQ_SEAL_BYTES, 0);
        w->out[p] = (hlq_message){more->out, hlq_modq_seal(more->out, bytes)};
        if (p == w->rank) own_bytes = w->out[p].bytes;
    }
    for (int p = 0; p < w->size; p++) {
        w->in[p] = (hlq_message){s->part[p].more.in, own_bytes};
    }
    s->round++;
    w->stats->retries++;
    return HLQ_OK;
}

/* How many sums of a part have no fit yet. */
static size_t tried(const modq_long *more)
{
    size_t n = 0;
    for (size_t i = 0; i < more->blocks; i++) n += !more->extra[i];
    return n;
}

/* The owner tries the sums with the planes that came; those that fit go to recv. */
hlq_status hlq_modq_try_round(hlq_walk *w, modq_space *s)
{
    int have = extra_after(s, s->round - 1), want = extra_after(s, s->round);
    modq_part *own = &s->part[w->rank];
    modq_long *more = &own->more;
    size_t bytes = hlq_long_move_planes(more, have, want, more->planes, more->side, NULL, 0);
    for (int p = 0; p < w->size; p++) {
        const modq_long *from = &s->part[p].more;
        if (p == w->rank) continue;
        HLQ_TRY(hlq_modq_unseal(w, p, from->in, bytes));
        hlq_long_move_planes(more, have, want, s->received[p], s->checks[p],
                             from->in + HLQ_SEAL_BYTES, 1);
    }
    for (size_t i = 0; i < more->blocks; i++) {
        if (!more->extra[i]) add_block(w, s, i, want);
    }
    hlq_run run = hlq_long_compact(w, s, own, 0, want, s->received[w->rank], s->checks[w->rank]);
    size_t marks = (run.place.blocks + 7) / 8;
    uint8_t *failed = s->trial + HLQ_SEAL_BYTES;
    memset(failed, 0, marks);
    hlq_team_decode(&w->comm->team, &run, hlq_output_factor(w), w->dtype, w->recv, w->count,
                    failed);
    hlq_send_to_all(w, s->trial, hlq_modq_seal(s->trial, marks));
    for (int p = 0; p < w->size; p++) {
        more = &s->part[p].more;
        w->in[p] = (hlq_message){more->in, hlq_modq_sealed_bytes((tried(more) + 7) / 8)};
    }
    return HLQ_OK;
}

/* Marks the sums that fit now. */
hlq_status hlq_modq_hear_round(hlq_walk *w, modq_space *s, size_t *left)
{
    *left = 0;
    for (int p = 0; p < w->size; p++) {
        modq_long *more = &s->part[p].more;
        const uint8_t *message = p == w->rank ? s->trial : more->in;
        size_t t = 0;
        if (p != w->rank) HLQ_TRY(hlq_modq_unseal(w, p, message, (tried(more) + 7) / 8));
        for (size_t i = 0; i < more->blocks; i++) {
            if (more->extra[i]) continue;
            int is_failed = message[HLQ_SEAL_BYTES + t / 8] >> t % 8 & 1;
            t++;
            if (is_failed) (*left)++;
            else more->extra[i] = (uint8_t)extra_after(s, s->round);
        }
    }
    return HLQ_OK;
}

void hlq_modq_gather_extended(const hlq_walk *w, modq_space *s)
{
    for (int p = 0; p < w->size; p++) {
        modq_long *more = &s->part[p].more;
        size_t bytes = hlq_long_move_sums(more, more->planes, NULL, 0);
        w->in[p] = (hlq_message){more->in, hlq_modq_sealed_bytes(bytes)};
        if (p != w->rank) continue;
        if (bytes) {
            hlq_long_move_sums(more, s->received[p], more->out + HLQ_SEAL_BYTES, 0);
        }
        hlq_send_to_all(w, more->out, hlq_modq_seal(more->out, bytes));
    }
}

hlq_status hlq_modq_decode_extended(const hlq_walk *w, modq_space *s, int p, const hlq_run *main,
                                    hlq_code_stats *stats)
{
    modq_part *part = &s->part[p];
    modq_long *more = &part->more;
    int own = p == w->rank;
    if (!more->blocks) return HLQ_OK;
    if (!own) {
        size_t bytes = hlq_long_move_sums(more, more->planes, NULL, 0);
        HLQ_TRY(hlq_modq_unseal(w, p, more->in, bytes));
        hlq_long_pick(more, main, more->planes, NULL);
        hlq_long_move_sums(more, more->planes, more->in + HLQ_SEAL_BYTES, 1);
    }
    for (int extra = 1; extra <= s->most_extra; extra++) {
        hlq_code_stats scales = {0};
        hlq_run run = hlq_long_compact(w, s, part, extra, extra, own ? NULL : more->planes, NULL);
        if (!own) {
            hlq_team_decode(&w->comm->team, &run, hlq_output_factor(w), w->dtype, w->recv, w->count,
                            NULL);
        }
        hlq_code_stats_add(&scales, &run);
        if (scales.largest_scale > stats->largest_scale) {
            stats->largest_scale = scales.largest_scale;
        }
    }
    return HLQ_OK;
}
