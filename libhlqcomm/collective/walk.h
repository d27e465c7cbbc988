/*
 * The walk of one collective, and what an algorithm must offer. Every collective is the same walk:
 *
 *   step 0 ──▶ exchange ──▶ step 1 ──▶ exchange ──▶ step 2
 *   encode                  sum, encode             decode         all-reduce
 *   encode                  sum                                    reduce-scatter: its first half
 *                           encode                  decode         all-gather: its second half
 *   encode                                          decode         all-to-all
 *
 * A step reads what the last exchange brought, and leaves in `out` and `in` what the next one is
 * to send and receive. It never waits: progress.c makes the exchanges.
 *
 * In place of one exchange, long messages flow in several, so that the processor codes and decodes
 * while the network carries:
 *
 *   fill 0 ─▶ exchange 0 ───────▶ drain 0
 *             fill 1 ─▶ exchange 1 ───────▶ drain 1
 *                       fill 2 ─▶ exchange 2 ───────▶ drain 2
 */
#ifndef HLQ_COLLECTIVE_WALK_H
#define HLQ_COLLECTIVE_WALK_H

#include "comm.h"
#include "partition.h"

struct hlq_walk;
struct hlq_child;

/* Fills go ahead of drains, each in the order of i. After a drain that failed there are no more;
   the rest is filled and exchanged, as other ranks expect. */
typedef struct hlq_flow {
    int exchanges;                                  /* 0: one, of out and in; no flow */
    hlq_status (*fill)(struct hlq_walk *w, int i);  /* leaves exchange i in out and in */
    hlq_status (*drain)(struct hlq_walk *w, int i); /* reads what it brought */
    struct hlq_child *child;                        /* it is a child's (child.h) */
} hlq_flow;

typedef struct hlq_walk {
    hlq_comm *comm;
    int rank, size;    /* of those who walk together */
    const int *member; /* their ranks in the communicator; NULL: they are all of it */
    uint32_t call;     /* number of the collective on its communicator */

    hlq_operation operation;
    const void *send;
    void *recv;
    size_t count;   /* as the public functions take it */
    int has_counts; /* hlq_all_to_all_v: one for each rank, in place of count */
    const size_t *send_counts, *recv_counts;
    hlq_dtype dtype;
    hlq_op op;
    hlq_algorithm algorithm; /* never AUTO */
    int is_auto;             /* but AUTO's choice, which a probe could change */
    double bits;             /* 0 until target mode has found them */
    double target_nmse;      /* 0: bits were given */
    double max_error;        /* 0, or bound mode: no number off by more; bits follow */
    float *residual;
    const hlq_range *exempt;
    size_t exempt_ranges;

    hlq_arena arena;       /* workspace, reserved; a walk lays it out */
    hlq_arena more;        /* what only turns out to be needed on the way */
    hlq_message *out, *in; /* size entries each: the next exchange; those of the own rank are
                              ignored */
    float *sum;            /* not NULL: the next exchange is the carrier's own sum of */
    size_t sum_count;      /* these numbers instead */
    hlq_flow flow;         /* what the next exchange is made of */
    size_t chunk;          /* bytes of a message in one exchange of a flow, as known when the call
                              was started: ranks may be elsewhere in it when a probe ends */
    size_t span;           /* 0, or the elements that the number of exchanges follows from, where
                              ranks of other walks must make as many with some less */
    int sized;             /* the next exchange's messages may be shorter than `in` has room */
    int next;              /* step after the one under way; a step may set another */
    hlq_code_stats sent, received; /* what this rank coded; what it decoded */
    hlq_stats *stats;
    char *error; /* HLQ_ERROR_BYTES */
} hlq_walk;

/* Returns status, having written the sentence that the caller will be given. */
hlq_status hlq_fail(const hlq_walk *w, hlq_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The next exchange sends the same bytes to all. in is set by the caller. */
void hlq_send_to_all(const hlq_walk *w, void *data, size_t bytes);

/*
 * An algorithm: steps with an exchange between each two; the last is followed by NULL. They run
 * with the arena reserved and empty, arguments agreed (see first_bytes), and at least 2 ranks and 1
 * element.
 */
typedef hlq_status hlq_step(hlq_walk *w);

typedef struct hlq_algorithm_entry {
    /* Payload bytes this rank sends; bytes of workspace it takes from the arena. */
    uint64_t (*wire_bytes)(const hlq_walk *w);
    size_t (*workspace_bytes)(const hlq_walk *w);
    hlq_step *const *steps;
    /* Of the longest message of any rank in the first exchange. NULL if step 0 changes any of the
       caller's memory but a residual: it may be run before arguments are agreed (riders.h). */
    size_t (*first_bytes)(const hlq_walk *w);
} hlq_algorithm_entry;

extern const hlq_algorithm_entry hlq_twoshot, hlq_oneshot, hlq_modq, hlq_hierarchical, hlq_exempt,
    hlq_coded_reduce_scatter, hlq_native_reduce_scatter, hlq_coded_all_gather,
    hlq_native_all_gather, hlq_coded_all_to_all, hlq_native_all_to_all;

/* The native all-reduce for a walk's numbers. */
const hlq_algorithm_entry *hlq_native_all_reduce(const hlq_walk *w);

/* What rank p of a walk is in its communicator. */
static inline int hlq_rank_of(const hlq_walk *w, int p) { return w->member ? w->member[p] : p; }

/* What of send goes to rank p, and what of recv comes from there. */
hlq_part hlq_part_to(const hlq_walk *w, int p);
hlq_part hlq_part_from(const hlq_walk *w, int p);

/* Elements of send and recv in all, and those that would be sent to others without compression. */
size_t hlq_send_elems(const hlq_walk *w);
size_t hlq_recv_elems(const hlq_walk *w);
double hlq_sent_elems(const hlq_walk *w);

/*
 * What a part's code may take, in bytes, so that no rank sends more than hlq_sent_elems() × bits
 * / 8. In an all-reduce it is the same for parts with a block more or less.
 */
double hlq_part_budget(const hlq_walk *w, const hlq_part *part);

/*
 * Tensors too small for headers to vanish in the budget go beyond it rather than to zero: below
 * this many elements, all ranks' parts together, every block has at least the bits asked for.
 * Beyond, with dither, at least HLQ_DITHER_BITS.
 */
enum { HLQ_BUDGET_ELEMS = 16384 };
int hlq_least_bits(const hlq_walk *w, const hlq_part *part);

/* The least bits per number that dither works with (wire/plan.h); oneshot's codes have 2/n of the
   bits. 0 without dither. */
double hlq_dither_budget(const hlq_walk *w);

/* Factor from the sum to the result. */
static inline float hlq_output_factor(const hlq_walk *w)
{
    return w->op == HLQ_AVG ? 1.0f / (float)w->comm->size : 1.0f;
}

/* A part of send, residual included, and where in recv a part begins. */
static inline hlq_source hlq_source_of(const hlq_walk *w, const hlq_part *part)
{
    return (hlq_source){
        .data = (const char *)w->send + part->start * hlq_dtype_bytes(w->dtype),
        .dtype = w->dtype,
        .elems = part->elems,
        .residual = w->residual ? w->residual + part->start : NULL,
    };
}

static inline void *hlq_output_of(const hlq_walk *w, const hlq_part *part)
{
    return (char *)w->recv + part->start * hlq_dtype_bytes(w->dtype);
}

#endif
