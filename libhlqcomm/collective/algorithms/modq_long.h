/*
 * Codes of blocks whose first sum did not fit (modq_extend.c): codes of the same points with more
 * planes, or if 12 are not enough, of coarser points with a check of their own (`fresh`).
 *
 *   first sent   ┌────────┬ first new plane
 *   have         ├────────┼────┐
 *   want         └────────┴────┴────┐      what travels: from have to want; of fresh codes all,
 *                                          as of those that went around a ring, at first
 */
#ifndef HLQ_COLLECTIVE_MODQ_LONG_H
#define HLQ_COLLECTIVE_MODQ_LONG_H

#include "modq.h"

/* Geometry of the long codes of all parts; the same walk counts and places (workspace.h). */
void hlq_longs_lay_out(const hlq_walk *w, modq_space *s, hlq_arena *arena);

/* Lists the failed blocks of a part, or only counts them and their words. */
void hlq_long_list(const modq_space *s, modq_part *part, int count_only);

/* Planes of block i with `extra` further ones. */
size_t hlq_long_planes(const modq_long *more, size_t i, int extra);

/* A run of long codes with `extra` further planes: the scale of the first codes, a wider range. */
hlq_run hlq_long_run(const hlq_walk *w, const modq_part *part, int extra);

/*
 * Blocks that took `taken` further planes (0: those without a fit) as one compact run with `extra`
 * of them, in the trial arrays. Planes and checks are copied from long codes if these are given.
 */
hlq_run hlq_long_compact(const hlq_walk *w, modq_space *s, const modq_part *part, int taken,
                         int extra, const uint32_t *from, const uint32_t *checks);

/* This rank's codes of a part's blocks without a fit, with `want` further planes. Unless fresh,
   they are the codes already sent, of which more is shown. */
void hlq_long_encode(const hlq_walk *w, modq_space *s, modq_part *part, int want);

/* Copies the planes and checks of listed blocks out of a run over the whole part. */
void hlq_long_pick(const modq_long *more, const hlq_run *run, uint32_t *planes, uint32_t *checks);

/* What blocks without a fit send to go from `have` to `want` further planes: out of long codes into
   a message, or the way back. Returns its bytes; only counts them if message is NULL. */
size_t hlq_long_move_planes(const modq_long *more, int have, int want, uint32_t *planes,
                            uint32_t *checks, uint8_t *message, int back);

/* What the sums of blocks that failed first have beyond the planes everybody gets anyway: out of
   long sums into a message, or back. The same. */
size_t hlq_long_move_sums(const modq_long *more, uint32_t *planes, uint8_t *message, int back);

#endif
