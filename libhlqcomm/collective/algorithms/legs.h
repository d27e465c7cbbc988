/*
 * The pieces that collectives are put together from: coding the parts for other ranks, opening what
 * arrived, adding it up, decoding it. Each leaves the communicator's messages ready for the next
 * exchange, or reads what the last one brought.
 */
#ifndef HLQ_COLLECTIVE_LEGS_H
#define HLQ_COLLECTIVE_LEGS_H

#include <collective/walk.h>

/* Blocks added at a time: their accumulator stays in the cache while ranks take turns. */
enum { HLQ_SUM_BLOCKS = 64 };

/* The arena of a request whose parts travel as RAMP or BOUND segments. */
typedef struct hlq_legs {
    uint8_t **out, **in; /* one segment per rank: coded for it; received from it */
    size_t *bytes;       /* one per rank: of its segment in out, once coded */
    hlq_run *run;        /* one per rank: what arrived, opened */
    uint8_t **bits;      /* one array per rank, bytes per block of a part */
    int16_t *exponent;   /* of the blocks of a part */
    float *acc;          /* blocks in the rotated domain */
} hlq_legs;

/* Lays a request's arena out; acc_blocks: blocks that are added up. Every step may do so again. */
hlq_legs hlq_legs_of(const hlq_walk *w, size_t acc_blocks);
size_t hlq_legs_bytes(const hlq_walk *w, size_t acc_blocks);

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
/* The part that a message from rank p holds, in the first exchange. */
hlq_part hlq_part_arriving(const hlq_walk *w, int p);

/* Bytes of the messages of hlq_send_parts() and hlq_send_own(). */
uint64_t hlq_bytes_of_parts(const hlq_walk *w);
uint64_t hlq_bytes_of_own(const hlq_walk *w);

/* Codes a part of a source for rank p. */
void hlq_encode_part(const hlq_walk *w, hlq_legs *legs, const hlq_part *part,
                     const hlq_source *source, int p, int leg, hlq_code_stats *stats);

/* Sends to every other rank: its part, coded for it. Or to all the own part, coded once. Or to all
   what already lies at out[rank] as the code of the own part of recv. */
void hlq_send_parts(hlq_walk *w, hlq_legs *legs);
void hlq_send_own(hlq_walk *w, hlq_legs *legs);
void hlq_share_own(hlq_walk *w, hlq_legs *legs);

/*
 * Opens every rank's code of the same part, the own rank's too unless `own` is its source instead,
 * added as it is. *unit becomes the power of two that sums are made in.
 */
hlq_status hlq_open_terms(hlq_walk *w, hlq_legs *legs, const hlq_part *part, const hlq_source *own,
                          int *unit);
/* Adds the energies and errors of these to w->received; `exact`: the own part, which has none. */
void hlq_count_terms(hlq_walk *w, const hlq_legs *legs, const hlq_part *exact);
/* The next blocks of that sum, in rank order, to acc. The runs move on. */
void hlq_add_terms(const hlq_walk *w, hlq_legs *legs, const hlq_place *now, const hlq_source *own,
                   int unit, float *acc);
/* The whole sum to recv, some blocks at a time. */
void hlq_sum_to_recv(const hlq_walk *w, hlq_legs *legs, const hlq_part *part, const hlq_source *own,
                     int unit);

/* What a rank sends to itself, from send to recv. */
void hlq_copy_own_part(const hlq_walk *w);
/* Decodes what came from rank p (the own rank: what was coded) to its place in recv. */
hlq_status hlq_decode_part(hlq_walk *w, hlq_legs *legs, int p);

#endif
