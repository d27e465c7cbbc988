/*
 * The pieces of legs.h that read what arrived: terms of sums, and parts.
 */
#include "legs.h"

#include <transport/transport_internal.h>

#include <stdatomic.h>
#include <string.h>

/* How much of rank p's message is there, after exchange i. In bound mode it is shorter than could
   be. */
static size_t arrived(const hlq_walk *w, hlq_legs *legs, int p, int i)
{
    hlq_reader *reader = &legs->reader[p];
    if (p == w->rank) {
        if (w->max_error > 0) reader->frame.bytes = legs->writer[p].bytes;
        return legs->writer[p].bytes;
    }
    if (w->max_error > 0) reader->frame.bytes = w->in[p].bytes;
    return hlq_chunk_start(legs, i + 1, reader->frame.bytes);
}

/* In the communicator's words. */
static hlq_status blame(const hlq_walk *w, int p, hlq_status status, const char *what)
{
    if (status == HLQ_OK) return HLQ_OK;
    return hlq_fail(w, status, "from rank %d: %.200s", hlq_rank_of(w, p), what);
}

static hlq_status open_message(const hlq_walk *w, hlq_legs *legs, int p, size_t bytes)
{
    char what[HLQ_ERROR_BYTES];
    return blame(w, p, hlq_reader_open(&legs->reader[p], bytes, what), what);
}

static hlq_status read_piece(const hlq_walk *w, hlq_legs *legs, int p)
{
    char what[HLQ_ERROR_BYTES];
    return blame(w, p, hlq_reader_next(&legs->reader[p], &legs->piece[p], what), what);
}

/* The power of two that sums are made in, once all heads are there. */
static void find_unit(const hlq_walk *w, hlq_legs *legs, const hlq_part *part,
                      const hlq_source *own)
{
    int limit = w->dtype == HLQ_FLOAT64 ? HLQ_UNIT_LIMIT_FLOAT64 : HLQ_UNIT_LIMIT;
    legs->unit = -limit;
    legs->has_unit = 1;
    legs->rest = part->place;
    for (int p = 0; p < w->size; p++) {
        int base = legs->reader[p].rest.base;
        if (own && p == w->rank) {
            hlq_team_exponents(&w->comm->team, &part->place, own, legs->exponent);
            base = hlq_base_of_exponents(w->dtype, legs->exponent, part->place.blocks);
        }
        if (base > legs->unit) legs->unit = base;
    }
    if (legs->unit > limit) legs->unit = limit;
}

/* Whether all ranks' next piece can be read; all have the same blocks. */
static hlq_status has_terms(const hlq_walk *w, hlq_legs *legs, int i, const hlq_source *own,
                            int *has)
{
    *has = 1;
    for (int p = 0; p < w->size; p++) {
        if (own && p == w->rank) continue;
        size_t bytes = arrived(w, legs, p, i);
        HLQ_TRY(open_message(w, legs, p, bytes));
        *has &= hlq_reader_has(&legs->reader[p], bytes);
    }
    return HLQ_OK;
}

hlq_status hlq_next_terms(hlq_walk *w, hlq_legs *legs, int i, const hlq_part *part,
                          const hlq_source *own, hlq_place *now)
{
    int has;
    *now = (hlq_place){0};
    if (!part->place.blocks) return HLQ_OK;
    HLQ_TRY(has_terms(w, legs, i, own, &has));
    if (!has) return HLQ_OK;
    if (!legs->has_unit) find_unit(w, legs, part, own);
    size_t blocks = legs->rest.blocks;
    for (int p = 0; p < w->size; p++) {
        if (own && p == w->rank) continue;
        HLQ_TRY(read_piece(w, legs, p));
        blocks = legs->piece[p].place.blocks;
    }
    *now = hlq_place_take(&legs->rest, blocks);
    return HLQ_OK;
}

typedef struct sum_job {
    const hlq_walk *w;
    hlq_legs *legs;
    const hlq_place *piece;
    const hlq_source *own;
    int is_kept; /* for hlq_sums_of(); else they go to recv as what they are */
    size_t elems;
    int slices;
    _Atomic uint64_t nonfinite;
} sum_job;

/* Of the part's blocks, which is the first of `now`. */
static size_t index_in_part(const sum_job *j, const hlq_place *now)
{
    return now->first / (size_t)j->w->size;
}

/* Where the sum of block i of a place is kept, as hlq_sums_of() says. */
static char *kept_at(const sum_job *j, const hlq_place *now, size_t i)
{
    const size_t bytes = HLQ_BLOCK_ELEMS * sizeof(float);
    hlq_legs *legs = j->legs;
    size_t block = now->first + i * now->stride;
    if (legs->sums) return (char *)legs->sums + (index_in_part(j, now) + i) * bytes;
    if ((block + 1) * HLQ_BLOCK_ELEMS > j->w->count) return (char *)legs->last;
    return (char *)j->w->recv + block * HLQ_BLOCK_ELEMS * hlq_dtype_bytes(j->w->dtype);
}

/* Exponents are found while sums are in the cache: to code them, all must be known before. */
static void keep_blocks(const sum_job *j, const hlq_place *now, const float *acc)
{
    const size_t bytes = HLQ_BLOCK_ELEMS * sizeof *acc;
    hlq_source sums = {.data = acc, .dtype = HLQ_FLOAT32, .rotated = 1, .unit = j->legs->unit};
    for (size_t i = 0; i < now->blocks; i++) {
        memcpy(kept_at(j, now, i), acc + i * HLQ_BLOCK_ELEMS, bytes);
    }
    j->w->comm->team.kernels->exponents(now, &sums, j->legs->exponent + index_in_part(j, now));
}

/* The next blocks of a slice, of which run has every rank's code. */
static void add_blocks(const sum_job *j, hlq_run *run, const hlq_place *now, float *acc)
{
    const hlq_kernels *kernels = j->w->comm->team.kernels;
    memset(acc, 0, now->blocks * HLQ_BLOCK_ELEMS * sizeof *acc);
    for (int p = 0; p < j->w->size; p++) {
        if (j->own && p == j->w->rank) {
            kernels->rotate_add(now, j->own, j->legs->unit, acc);
        } else {
            hlq_run term = hlq_run_take(&run[p], now->blocks);
            kernels->decode_add(&term, j->legs->unit, acc);
        }
    }
}

static void sum_slice(void *job, int slice)
{
    sum_job *j = job;
    const hlq_walk *w = j->w;
    size_t start = hlq_slice_start(j->piece->blocks, j->slices, slice);
    size_t end = hlq_slice_start(j->piece->blocks, j->slices, slice + 1);
    hlq_place rest = hlq_place_slice(j->piece, start, end);
    hlq_run *run = j->legs->run + (size_t)slice * (size_t)w->size;
    for (int p = 0; p < w->size; p++) {
        int is_own = j->own && p == w->rank;
        if (!is_own) run[p] = hlq_run_slice(&j->legs->piece[p], start, end);
    }
    float *acc = j->legs->acc + (size_t)slice * HLQ_SUM_BLOCKS * HLQ_BLOCK_ELEMS;
    while (rest.blocks) {
        hlq_place now = hlq_place_take(&rest, HLQ_SUM_BLOCKS);
        add_blocks(j, run, &now, acc);
        if (j->is_kept) {
            keep_blocks(j, &now, acc);
        } else {
            j->nonfinite += w->comm->team.kernels->unrotate(
                &now, acc, j->legs->unit, hlq_output_factor(w), w->dtype, w->recv, j->elems);
        }
    }
}

static uint64_t sum_piece(sum_job *j)
{
    j->slices = hlq_team_slices(&j->w->comm->team, j->piece->blocks);
    hlq_team_run(j->slices, sum_slice, j);
    return j->nonfinite;
}

void hlq_keep_sums(const hlq_walk *w, hlq_legs *legs, const hlq_place *piece, const hlq_source *own)
{
    sum_job j = {.w = w, .legs = legs, .piece = piece, .own = own, .is_kept = 1};
    sum_piece(&j);
}

hlq_status hlq_drain_sums(hlq_walk *w, int i, const hlq_part *part, const hlq_source *own)
{
    hlq_legs *legs = hlq_legs_of(w);
    for (;;) {
        hlq_place piece;
        HLQ_TRY(hlq_next_terms(w, legs, i, part, own, &piece));
        if (!piece.blocks) return HLQ_OK;
        for (int p = 0; p < w->size; p++) {
            if (!own || p != w->rank) hlq_code_stats_add(&w->received, &legs->piece[p]);
        }
        sum_job j = {.w = w, .legs = legs, .piece = &piece, .own = own, .elems = part->elems};
        w->stats->nonfinite_blocks += sum_piece(&j);
    }
}

hlq_status hlq_account_coded_once(hlq_walk *w)
{
    w->stats->overloads = w->sent.overloads;
    w->stats->largest_scale = w->sent.largest_scale;
    hlq_stats_estimate(w->stats, w->received.error, w->received.energy);
    return HLQ_OK;
}

/* In place, a piece goes where the one for its sender came from: that must be coded by then. */
static void write_ahead(const hlq_walk *w, hlq_writer *writer, size_t pieces)
{
    double begin = hlq_now();
    while (writer->pieces < pieces && !hlq_writer_is_done(writer)) hlq_writer_next(writer);
    w->stats->seconds_encode += hlq_now() - begin;
}

/* What is there of rank p's part. */
static hlq_status drain_part(hlq_walk *w, hlq_legs *legs, int p, int i)
{
    hlq_reader *reader = &legs->reader[p];
    hlq_part from = hlq_part_from(w, p);
    size_t bytes = arrived(w, legs, p, i);
    HLQ_TRY(open_message(w, legs, p, bytes));
    while (hlq_reader_has(reader, bytes)) {
        write_ahead(w, &legs->writer[p], reader->pieces + 1);
        double begin = hlq_now();
        HLQ_TRY(read_piece(w, legs, p));
        const hlq_run *run = &legs->piece[p];
        hlq_team_decode(&w->comm->team, run, hlq_output_factor(w), w->dtype,
                        hlq_output_of(w, &from), from.elems, NULL);
        hlq_code_stats_add(&w->received, run);
        w->stats->nonfinite_blocks += hlq_run_nonfinite(run);
        w->stats->seconds_decode += hlq_now() - begin;
    }
    return HLQ_OK;
}

hlq_status hlq_drain_parts(hlq_walk *w, int i)
{
    hlq_legs *legs = hlq_legs_of(w);
    for (int p = 0; p < w->size; p++) HLQ_TRY(drain_part(w, legs, p, i));
    return HLQ_OK;
}
