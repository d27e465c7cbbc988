/*
 * The pieces that collectives are put together from: coding the parts for other ranks, opening what
 * arrived, adding it up, decoding it. Messages flow (walk.h): a chunk of each goes out as soon as
 * it is coded, and what is whole of those that come in is added or decoded at once.
 *
 *   out[p]  ████████████▒▒▒▒░░░░░░░░░░   writer[p]: coded; ▒ goes out in this exchange
 *   in[p]   ████████▒▒▒▒░░░░░░░░░░░░░░   reader[p]: arrived; pieces up to there can be read
 */
#ifndef HLQ_COLLECTIVE_LEGS_H
#define HLQ_COLLECTIVE_LEGS_H

#include <collective/walk.h>

#include <wire/reader.h>
#include <wire/writer.h>

/* Blocks added at a time: their accumulator stays in the cache while ranks take turns. */
enum { HLQ_SUM_BLOCKS = 64 };

/* The arena of a walk whose parts travel as RAMP or BOUND segments; it stays from step to step. */
typedef struct hlq_legs {
    uint8_t **out, **in;           /* one segment per rank: coded for it; received from it */
    uint8_t **bits_out, **bits_in; /* bytes per block of these */
    hlq_writer *writer;            /* one per rank, of out; of those that are not coded, empty */
    hlq_reader *reader;            /* one per rank, of in; the own rank's of out */
    hlq_run *piece;                /* one per rank: what is read of its message */
    hlq_run *run;                  /* the same for each thread, of its slice */
    int16_t *exponent;             /* of the blocks of a part; of the sums that are kept */
    float *acc;                    /* HLQ_SUM_BLOCKS in the rotated domain for each thread */
    float *sums;   /* what was added up to be coded again, if recv has no room for it */
    float *last;   /* of it, the tensor's last block, where recv has */
    int is_to_all; /* writer[rank] is for all */
    size_t chunk;  /* bytes of a message in one exchange */
    int unit;      /* sums are made in units of 2^unit */
    int has_unit;
    hlq_place rest;       /* what is not added up yet */
    hlq_code_stats coded; /* what coding a sum cost */
} hlq_legs;

/* The walk's, laid out by its first step. */
hlq_legs *hlq_legs_begin(const hlq_walk *w);
hlq_legs *hlq_legs_of(const hlq_walk *w);
size_t hlq_legs_bytes(const hlq_walk *w);
size_t hlq_legs_first_bytes(const hlq_walk *w);

/* What a message holds: parts of ranks' tensors, or a sum of such. */
enum { HLQ_LEG_PARTS = 0, HLQ_LEG_SUMS = 1 };

/* Whether a sum travels as a code again. */
static inline int hlq_is_coded_twice(const hlq_walk *w)
{
    return w->operation == HLQ_ALL_REDUCE && w->algorithm != HLQ_ALG_ONESHOT;
}

/* How a part travels from rank p; bytes 0 if it is empty. In bound mode bytes is the
   most it can be. */
hlq_frame hlq_part_frame(const hlq_walk *w, const hlq_part *part, int p, int leg);
/* Bytes of this rank's own code of a part, in the first exchange. */
size_t hlq_part_bytes(const hlq_walk *w, hlq_part part);
/* Whether this rank codes a message for rank p: its part, or for itself, the own part for all. */
int hlq_is_coded(const hlq_walk *w, int p);
/* Of the longest message of any rank, also of walks like this one among other ranks (w->span). */
size_t hlq_longest_bytes(const hlq_walk *w);
/* The part that a message from rank p holds, in the first exchange. */
hlq_part hlq_part_arriving(const hlq_walk *w, int p);

/* Bytes of the messages of hlq_send_parts() and hlq_send_own(). */
uint64_t hlq_bytes_of_parts(const hlq_walk *w);
uint64_t hlq_bytes_of_own(const hlq_walk *w);

/* Of a message of so many bytes, chunk i begins there. */
size_t hlq_chunk_start(const hlq_legs *legs, int i, size_t bytes);

typedef hlq_status hlq_drain(hlq_walk *w, int i);

/* Next, a flow to every other rank: its part, coded for it. Or to all: the own part of send, coded
   once. Or to all: the own part of recv, which source has. `drain` is given what arrives. */
void hlq_send_parts(hlq_walk *w, hlq_legs *legs, hlq_drain *drain);
void hlq_send_own(hlq_walk *w, hlq_legs *legs, hlq_drain *drain);
void hlq_share_own(hlq_walk *w, hlq_legs *legs, const hlq_source *source, hlq_drain *drain);

/*
 * For drains of terms, that is every rank's code of the same part; the own rank's too unless `own`
 * is its source instead, added as it is. Gets ready the next piece of all, *now its blocks: none if
 * not all of it is there. Sums are made in 2^legs->unit.
 */
hlq_status hlq_next_terms(hlq_walk *w, hlq_legs *legs, int i, const hlq_part *part,
                          const hlq_source *own, hlq_place *now);
/*
 * Adds that piece up, in rank order, and keeps the sums for hlq_sums_of(). Those of float32 and
 * float64 tensors are kept in recv, where results will replace them: for huge tensors there is not
 * to be as much memory once more. That may be where `own` is.
 */
void hlq_keep_sums(const hlq_walk *w, hlq_legs *legs, const hlq_place *piece,
                   const hlq_source *own);
hlq_source hlq_sums_of(const hlq_walk *w, const hlq_legs *legs);
/* Drains terms to recv, as sums; their energies and errors to w->received. */
hlq_status hlq_drain_sums(hlq_walk *w, int i, const hlq_part *part, const hlq_source *own);

/* Drains what ranks sent to its place in recv; the own rank's, too, if it is coded. Its energy and
   error to w->received. */
hlq_status hlq_drain_parts(hlq_walk *w, int i);

/* The last step of walks whose numbers were coded once: their statistics. Of a sum the energy is
   not known; independent contributions are assumed. */
hlq_status hlq_account_coded_once(hlq_walk *w);

/* What a rank sends to itself, from send to recv. */
void hlq_copy_own_part(const hlq_walk *w);

#endif
