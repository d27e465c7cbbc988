/*
 * hlq_soak, in the order in which things happen: options are read; episodes follow each other, each
 * with communicators of its own (soak_group.c); an episode has rounds, a round has jobs
 * (soak_draw.c), which are collectives drawn at random, with numbers (soak_numbers.c); they are run
 * (soak_job.c), what they gave is checked (soak_check.c), and at the end there is a report
 * (soak_report.c) with a count of what was drawn (soak_tally.c).
 *
 * Everything but time follows from (seed, episode), on every rank alike: an episode can be run
 * again by itself.
 */
#ifndef HLQ_BENCH_SOAK_H
#define HLQ_BENCH_SOAK_H

#include "perf_world.h"

#include <dtypes.h> /* of tests/: numbers of every type, and a random generator */

enum {
    SOAK_RANKS_MAX = 64,
    SOAK_JOBS_MAX = 8,
    SOAK_GAPS_MAX = 4 * SOAK_JOBS_MAX + 1,
    SOAK_RANGES_MAX = 8,
    SOAK_GAP_BYTE = 0xa5,
    SOAK_SLICE = 64 * 256, /* elements checked at a time: whole blocks */
    SOAK_FAILURES_SHOWN = 20,
    SOAK_TEXT_BYTES = 512,
};

struct json;

typedef struct soak_options {
    double seconds;
    int ranks; /* threads; 0: not given */
    uint64_t seed, first;
    size_t most;   /* elements in the larger buffer, all jobs of a round together */
    size_t growth; /* bytes of resident memory that may come after the warm-up */
    const char *json;
    int help, version;
} soak_options;

/* 0, or an exit code and a sentence in error (TOOL_ERROR_BYTES). */
int soak_options_read(int argc, char **argv, soak_options *options, char *error);
void soak_options_help(FILE *out);

/* The ranks that a communicator joins, and which of the world they are. */
typedef struct soak_group {
    int rank, size, colour;
    int member[SOAK_RANKS_MAX];
    hlq_options options;
    int is_named;  /* ranks name their nodes */
    int has_nodes; /* which are of equal size, so that hierarchical works */
    hlq_comm *comm;
    hlq_thread_group *threads; /* NULL over MPI */
} soak_group;

/* One collective, drawn alike on all ranks of a group. */
typedef struct soak_job {
    hlq_operation operation;
    hlq_algorithm algorithm;
    hlq_dtype dtype;
    hlq_op op;
    size_t count;
    double bits, target, bound; /* of the call's own; 0: none */
    double aim;                 /* the target that counts: the call's, or the communicator's */
    double size;                /* of the numbers */
    double residual_size;
    int has_counts, has_residual, in_place, ranges;
    hlq_range exempt[SOAK_RANGES_MAX];
    uint64_t stream;                                 /* of numbers */
    size_t to[SOAK_RANKS_MAX], from[SOAK_RANKS_MAX]; /* counts of an all-to-all with counts */

    char *send, *recv;      /* of this rank */
    float *residual, *kept; /* kept: what all residuals hold of the result, after the call */
    size_t send_elems, recv_elems;
    uint64_t sent, residual_before; /* hashes of send and residual */
    hlq_plan_info plan;
    hlq_request *request;
    hlq_status status;
    hlq_stats stats;
    char error[HLQ_ERROR_BYTES];
} soak_job;

/* Between buffers: bytes that must stay. */
typedef struct soak_gap {
    char *at;
    size_t bytes;
} soak_gap;

/* How many of each were drawn, counted once for each group of ranks. */
typedef struct soak_tally {
    uint64_t communicators, parts, named; /* parts: of some ranks; named: with named nodes */
    uint64_t calls, operation[4], algorithm[6], dtype[DTYPES]; /* algorithm: that ran */
    uint64_t bits, target, bound, exempt, residual, in_place, counts;
    uint64_t ring, dithered;   /* modq's; coded calls with dither */
    uint64_t alone, under_way; /* calls that block; others, of which several are under way */
    uint64_t aimed, met;       /* calls that ended with a target; within a quarter of it */
} soak_tally;

/* Error and energy of what this rank checked of a job, in units of its size squared. */
typedef struct soak_account {
    double error, energy;
} soak_account;

/* What ranks tell each other after a round. */
typedef struct soak_record {
    uint64_t digest[SOAK_JOBS_MAX];
    double scale[SOAK_JOBS_MAX];
    int failed; /* a call did not return HLQ_OK */
    int stop, is_warm;
    uint64_t bytes, mismatches; /* of this rank, so far */
    soak_tally tally;
    double missed; /* largest error / target */
    uint64_t resident, baseline;
} soak_record;

typedef struct soak_run {
    perf_world *world;
    const soak_options *options;
    double begin;
    uint64_t episode;
    int round, jobs;
    soak_group group;
    soak_job job[SOAK_JOBS_MAX];
    char *arena, *free; /* all buffers of a round; what comes behind those laid out so far */
    soak_gap gap[SOAK_GAPS_MAX];
    int gaps;
    double *x, *y, *got; /* a slice each */
    uint64_t *words, *sum;
    soak_record mine, *all;
    soak_account account[SOAK_JOBS_MAX], *accounts; /* accounts: of all ranks, one after another */
} soak_run;

/* soak_group.c. Both are collective over the world. open: 0, or a sentence in error. */
int soak_group_open(soak_run *run, hlq_rng *rng, char *error);
void soak_group_close(soak_run *run);

/* The least bits for every call of a group: dither needs some for every block. */
double soak_least_bits(const soak_group *g);

/* soak_draw.c. Draws the jobs of a round and lays out their buffers. soak_job.c runs them. */
size_t soak_arena_bytes(const soak_options *options);
void soak_draw(soak_run *run, hlq_rng *rng);
void soak_do(soak_run *run);

/* soak_numbers.c. Numbers of a job, as its type holds them: what rank p of the group has for rank
   q; what the residual of rank p held before; integers as words, modulo 2^64, from a whole block
   on. */
void soak_numbers(const soak_job *j, int p, int q, size_t start, size_t count, double *x);
void soak_kept_numbers(const soak_job *j, int p, int q, size_t start, size_t count, double *x);
void soak_words(const soak_job *j, int p, int q, size_t start, size_t count, uint64_t *x);
/* An integer of a type from the low bytes of a word; a result's integers; numbers or words as the
   bytes of a tensor, from a whole block on. */
uint64_t soak_widened(hlq_dtype dtype, uint64_t word);
void soak_load_words(hlq_dtype dtype, const char *from, size_t count, uint64_t *x);
void soak_store(soak_run *run, const soak_job *j, int p, int q, size_t start, size_t count,
                char *to);
/* Fills send and residual. */
void soak_fill(soak_run *run, soak_job *j);
/* How much of `count` elements is looked at at a time, from `start` on. */
size_t soak_slice(size_t count, size_t start);

/*
 * soak_numbers.c. Exempt ranges are summed as a tensor of their own, and so is the rest: blocks are
 * those of what is left when the others are taken out. A view is one of both.
 *
 *   elements   ▒▒▒▒▒▒▒▒▒▒███▒▒▒▒▒▒▒▒▒▒▒▒▒█▒▒▒▒▒     two spans of █, three of ▒
 */
typedef struct soak_view {
    int spans;
    hlq_range span[SOAK_RANGES_MAX + 1];
    size_t elems;
} soak_view;
soak_view soak_view_of(const soak_job *j, size_t count, int exempt);
/* Element `at` of a view is `start` of the tensor, and so on for as many as are returned. */
size_t soak_view_piece(const soak_view *v, size_t at, size_t most, size_t *start);

/* soak_check.c. All jobs of the round; run->all is what the ranks told. Then, together, whether
   targets were met. They are met by an estimate, which takes a sum to be spread over its blocks as
   the contributions are; here blocks differ from rank to rank by what is drawn, octaves of it. So
   an error may be many times its target, but where it is that of blocks of one size at the bits
   that were found, which is the most. */
enum { SOAK_MISSED_MOST = 16 };
void soak_check(soak_run *run);
void soak_settle(soak_run *run);

/* soak_draw.c. Where parts lie, in elements: what rank p has for rank q; whether each rank has
   another part for each. */
size_t soak_count_between(const soak_job *j, int p, int q);
int soak_deals_out(const soak_job *j);
int soak_collects(const soak_job *j);

/* soak_report.c. One sentence on what is wrong with a job, with all that is needed to see it again;
   counts it. */
void soak_wrong(soak_run *run, const soak_job *j, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Before anything else: malloc gives large blocks back when they are freed, whatever came before,
   so that what stays resident is what is used. */
void soak_start_memory(void);
/* Resident memory of this process in bytes, after malloc gave back what it could; 0: unknown. */
uint64_t soak_resident(void);
/* soak_tally.c. Counts what was drawn for a communicator, and for a round when it is over; writes
   what all ranks counted, to stdout and as JSON. */
void soak_count_group(soak_run *run);
void soak_count_round(soak_run *run);
void soak_tally_print(const soak_run *run);
void soak_tally_json(const soak_run *run, struct json *j);

/* soak_report.c again. */
void soak_progress(const soak_run *run, double seconds);
void soak_line(const soak_run *run, double seconds);
/* Whether all is well; the same on all ranks. */
int soak_passed(const soak_run *run);
/* 0, or -1 if the file cannot be written. */
int soak_json(const soak_run *run, double seconds);

#endif
