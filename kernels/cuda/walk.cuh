/*
 * How warps share the blocks of a run: the bodies of all kernels, in the words of lanes/cuda_i16.h.
 * Each is called by all warps, with a share of its own; launch.cu gives it, and tests/warp.cpp.
 */
#ifndef HLQ_KERNELS_CUDA_WALK_CUH
#define HLQ_KERNELS_CUDA_WALK_CUH

#include "share.cuh"
#include "terms.cuh"

#include "../body/check_weights.h"
#include "../body/rotate.h"
#include "../body/nearest.h"
#include "../body/codes.h"
#include "../body/planes.h"
#include "../body/scales.h"
#include "../body/dither.h"
#include "../body/block.h"
#include "../body/source.h"
#include "../body/coded.h"
#include "../body/sums.h"
#include "../body/exponent.h"

HLQ_BODY cursor cursor_at(const hlq_run *run, hlq_start start)
{
    cursor at;
    at.side = run->side + (size_t)start.coded * (run->modular ? 1 : HLQ_RAMP_WORDS);
    at.planes = run->planes + (size_t)start.planes * HLQ_PLANE_WORDS;
    return at;
}

HLQ_BODY void exponents_of_blocks(hlq_share share, const hlq_place *place, const hlq_source *src,
                                  int16_t *exponent)
{
    for (size_t b = share.first; b < place->blocks; b += share.step) {
        exponent[b] = source_exponent(place, src, b);
    }
}

template <typename Runs>
HLQ_BODY void encode_blocks(hlq_lattice lattice, int dithered, hlq_share share,
                            const hlq_steps *steps, const Runs *runs, const hlq_source *src,
                            uint64_t *beyond)
{
    const size_t blocks = any_run(runs)->place.blocks;
    uint64_t count = 0;
    for (size_t b = share.first; b < blocks; b += share.step) {
        const hlq_cuda_run *coded = run_at(runs, b);
        const hlq_run *run = &coded->run;
        uint32_t sign[HLQ_ROWS];
        if (!run->bits[b] && !src->residual) continue;
        sign_words(run->place.seed, position(&run->place, b), sign);
        if (!run->bits[b]) {
            residual_uncoded(run, src, b, sign);
            continue;
        }
        cursor at = cursor_at(run, coded->start[b]);
        int is_beyond = encode_block(lattice, dithered, steps, run, src, b, sign, &at);
        if (is_beyond && run->wide) set_bit(run->wide, b);
        count += (uint64_t)is_beyond;
    }
    add_count(beyond, count);
}

template <typename Runs>
HLQ_BODY void decode_blocks(hlq_lattice lattice, int dithered, hlq_share share,
                            const hlq_steps *steps, const Runs *runs, float factor, hlq_dtype dtype,
                            void *out, size_t elems, uint8_t *failed, uint64_t *failures)
{
    const size_t blocks = any_run(runs)->place.blocks;
    uint64_t count = 0;
    for (size_t b = share.first; b < blocks; b += share.step) {
        const hlq_cuda_run *coded = run_at(runs, b);
        cursor at = cursor_at(&coded->run, coded->start[b]);
        if (!decode_block(lattice, dithered, steps, &coded->run, b, &at, failed != NULL, factor,
                          dtype, out, elems)) {
            continue;
        }
        set_bit(failed, b);
        count++;
    }
    add_count(failures, count);
}

HLQ_BODY void add_own(const hlq_place *place, const hlq_source *own, size_t b, int unit,
                      F sum[HLQ_ROWS])
{
    F y[HLQ_ROWS];
    if (!load_for_sum(place, own, b, unit, y)) return;
    for (int r = 0; r < HLQ_ROWS; r++) sum[r] = f_add(sum[r], y[r]);
}

/* In units of 2^unit, whatever s says. */
template <typename Runs>
HLQ_BODY void sum_blocks(hlq_lattice lattice, int dithered, hlq_share share, const hlq_steps *steps,
                         const hlq_sum_terms<Runs> *s, int unit)
{
    const hlq_place *place = &s->sum.place;
    for (size_t b = share.first; b < place->blocks; b += share.step) {
        float *acc = s->sum.acc + b * HLQ_BLOCK_ELEMS;
        F sum[HLQ_ROWS];
        fill_rows(sum, 0.0f);
        if (s->sum.more) load_full(acc, HLQ_FLOAT32, 0, sum);
        for (int t = 0; t < s->sum.count; t++) {
            const hlq_cuda_run *term = run_at(&s->term[t], b);
            if (s->has_own && t == s->sum.own_at) add_own(place, &s->own, b, unit, sum);
            if (adds_nothing(&term->run, b)) continue;
            cursor at = cursor_at(&term->run, term->start[b]);
            add_coded(lattice, dithered, steps, &term->run, b, &at, unit, sum);
        }
        if (s->has_own && s->sum.own_at == s->sum.count) add_own(place, &s->own, b, unit, sum);
        store_full(acc, HLQ_FLOAT32, 0, sum);
        if (s->sum.exponent) s->sum.exponent[b] = exponent_of_rows(sum, unit);
    }
}

HLQ_BODY void unrotate_blocks(hlq_share share, const hlq_place *place, const float *acc, int unit,
                              float factor, hlq_dtype dtype, void *out, size_t elems,
                              uint64_t *nonfinite)
{
    uint64_t count = 0;
    for (size_t i = share.first; i < place->blocks; i += share.step) {
        count += (uint64_t)unrotate_sum(place, acc, i, unit, factor, dtype, out, elems);
    }
    add_count(nonfinite, count);
}

/* A thread has one row of a block. */
HLQ_BODY void planes_add_rows(hlq_share share, const hlq_cuda_run *acc, const hlq_run *in)
{
    for (size_t i = share.first; i < acc->run.place.blocks * HLQ_ROWS; i += share.step) {
        size_t b = i / HLQ_ROWS, row = i % HLQ_ROWS;
        int bits = acc->run.bits[b];
        if (!bits) continue;
        cursor to = cursor_at(&acc->run, acc->start[b]), from = cursor_at(in, acc->start[b]);
        planes_ripple(to.planes + row, from.planes + row, bits, 1);
        if (row == 0) to.side[0] += from.side[0];
    }
}

#endif
