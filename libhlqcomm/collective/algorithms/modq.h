/*
 * The parts of modq: agreement on exponents (modq_agree.c), more planes for sums that did not fit
 * (modq_extend.c, on the codes of modq_long.c), messages (modq_messages.c), those around a ring
 * (modq_ring.c), what they may take (modq_budget.c). modq.c tells the story.
 */
#ifndef HLQ_COLLECTIVE_MODQ_H
#define HLQ_COLLECTIVE_MODQ_H

#include <collective/walk.h>

#include <wire/plan.h>

/* Most ranks modq works for: codes of more would not leave enough planes for their sum. */
enum { HLQ_MODQ_RANKS_MAX = 256 };

/* Width of first codes: for E8, 4 × 2^(-3/8) = 3.1 times the agreed size of the sum, see
   modq_agree.c. */
enum { HLQ_MODQ_SPREAD = -3 };

/*
 * Blocks of a part whose first sum did not fit, in the order of the part. Their codes are held with
 * all planes they may need; block i's plane j is at planes[offset[i] + 8 j].
 */
typedef struct modq_long {
    size_t blocks, words;
    int unseen;         /* the owner has not been sent the first codes of each rank */
    uint64_t *position; /* in the tensor */
    size_t *index;      /* in the part */
    size_t *offset;
    uint8_t *code, *bits; /* bits: planes as first planned */
    uint8_t *extra;       /* further planes that made the sum fit; 0 while it does not */
    uint32_t *side;       /* check words of this rank's codes */
    uint32_t *planes;     /* this rank's codes; later, another owner's sums */
    uint8_t *out, *in;    /* messages: to the owner; from rank p, or p's answer */
} modq_long;

/* The blocks one rank owns, and what travels for them. */
typedef struct modq_part {
    hlq_source source; /* their tensor, residual included, never changed */
    float *residual;   /* of that tensor, or NULL */
    hlq_frame frame;
    hlq_plan plan;
    int base;          /* one for all parts */
    uint8_t *out, *in; /* this rank's message to the owner; the message from rank p, or of the own
                          part, its sum */
    uint8_t *code, *bits;
    uint8_t *failed; /* a whole FAILED segment */
    modq_long more;
} modq_part;

/* All of one walk; it stays in the arena from step to step. */
typedef struct modq_space {
    float *work;         /* send plus residual, if there is one */
    int16_t *exponent;   /* blocks of a part */
    uint8_t *sum;        /* the own part's sum, as it is sent */
    modq_part *part;     /* one per rank */
    int most_extra;      /* further planes with which any sum fits */
    int round;           /* of modq_extend.c: 0, 1, … */
    int hops;            /* of modq_ring.c: those begun */
    uint32_t **received; /* per rank: its long codes of the own part; the own entry is their sum */
    uint32_t **checks;   /* per rank: check words of the same */
    uint32_t *trial_side, *trial_planes; /* a compact run being tried or decoded */
    uint64_t *trial_position;
    uint8_t *trial_code, *trial_bits;
    uint8_t *trial; /* sealed message: 1 bit per block tried, its sum did not fit */
} modq_space;

/* Bytes for check words and first planes of a part; of the longest message of any part; and, as the
   walk's, of all that this rank sends. Planes beyond the first that let any sum of n fit. */
size_t hlq_modq_part_budget(const hlq_walk *w, const hlq_part *part);
size_t hlq_modq_longest_message(const hlq_walk *w);
uint64_t hlq_modq_wire_bytes(const hlq_walk *w);
int hlq_modq_most_extra(int n);

/* Opens a segment from rank p, or fails in the communicator's words. The own needs no check. */
hlq_status hlq_modq_from(const hlq_walk *w, int p, const hlq_frame *frame, uint8_t *segment,
                         hlq_run *run);

/* Next: this rank's part[p].out to every owner p, and theirs for the own part to part[p].in. */
void hlq_modq_send_parts(const hlq_walk *w, modq_space *s);
/* Next: s->sum to everybody; rank p's will be at part[p].in. */
void hlq_modq_gather_parts(const hlq_walk *w, modq_space *s);

/*
 * The same around a ring (modq_ring.c), hop by hop: begun by ring_codes, then ring_add with what
 * each hop brought, until it is done: the own part's sum is at s->sum. And by ring_sums, then
 * ring_pass, until all sums are where gather_parts would have put them.
 */
int hlq_modq_is_ring(const hlq_walk *w);
void hlq_modq_ring_codes(const hlq_walk *w, modq_space *s);
hlq_status hlq_modq_ring_add(const hlq_walk *w, modq_space *s, int *done);
void hlq_modq_ring_sums(const hlq_walk *w, modq_space *s);
hlq_status hlq_modq_ring_pass(const hlq_walk *w, modq_space *s, int *done);

/*
 * Messages without a header: a checksum, then so many bytes, or nothing at all for none. Sealed
 * when the bytes are there; returns the length of the whole. Opened, they fail like segments.
 */
enum { HLQ_SEAL_BYTES = 8 };
size_t hlq_modq_sealed_bytes(size_t bytes);
size_t hlq_modq_seal(uint8_t *message, size_t bytes);
hlq_status hlq_modq_unseal(const hlq_walk *w, int p, const uint8_t *message, size_t bytes);

/* Points a run's arrays to the part's code and bits and into segment. */
void hlq_modq_complete_run(const modq_part *part, uint8_t *segment, hlq_run *run);

/* Exponents of all parts to their owners; theirs, agreed, to all; codes and base from these: what
   size the sum is expected to have. */
hlq_status hlq_modq_send_exponents(hlq_walk *w, modq_space *s);
hlq_status hlq_modq_merge_exponents(hlq_walk *w, modq_space *s);
hlq_status hlq_modq_read_exponents(hlq_walk *w, modq_space *s);

/*
 * Sums that failed (modq_extend.c): the own part's list to everybody; then rounds, each of two
 * exchanges: more planes to the owners, who tell which sums still fail, until none does. The own
 * part's sums go to recv. *left: how many sums of all parts still fail.
 */
void hlq_modq_share_failures(const hlq_walk *w, modq_space *s);
hlq_status hlq_modq_hear_failures(hlq_walk *w, modq_space *s, size_t *left);
hlq_status hlq_modq_send_round(hlq_walk *w, modq_space *s);
hlq_status hlq_modq_try_round(hlq_walk *w, modq_space *s);
hlq_status hlq_modq_hear_round(hlq_walk *w, modq_space *s, size_t *left);

/* Next: the further planes of all sums to everybody. */
void hlq_modq_gather_extended(const hlq_walk *w, modq_space *s);
/* Those of part p, whose first planes are in main, to recv, unless they are the own. Their scales
   go to stats. */
hlq_status hlq_modq_decode_extended(const hlq_walk *w, modq_space *s, int p, const hlq_run *main,
                                    hlq_code_stats *stats);

#endif
