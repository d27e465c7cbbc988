/*
 * hlq_soak, in the order in which things happen: options are read; episodes follow each other, each
 * with communicators of its own (soak_group.c); an episode has rounds, a round has jobs
 * (soak_job.c), which are collectives drawn at random; what they gave is checked (soak_check.c); at
 * the end there is a report (soak_report.c).
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
    SOAK_GAPS_MAX = 3 * SOAK_JOBS_MAX + 1,
    SOAK_GAP_BYTE = 0xa5,
    SOAK_SLICE = 64 * 256, /* elements checked at a time: whole blocks */
    SOAK_FAILURES_SHOWN = 20,
    SOAK_TEXT_BYTES = 512,
};

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
    double bits, size; /* size: of the numbers */
    int has_counts, has_residual, in_place;
    uint64_t stream;                                 /* of numbers */
    size_t to[SOAK_RANKS_MAX], from[SOAK_RANKS_MAX]; /* counts of an all-to-all with counts */

    char *send, *recv; /* of this rank */
    float *residual;
    size_t send_elems, recv_elems;
    uint64_t sent; /* hash of send */
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

/* What ranks tell each other after a round. */
typedef struct soak_record {
    uint64_t digest[SOAK_JOBS_MAX];
    double scale[SOAK_JOBS_MAX];
    int failed; /* a call did not return HLQ_OK */
    int stop, is_warm;
    uint64_t calls, bytes, mismatches; /* of this rank, so far */
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
    double *x, *got; /* a slice each */
    uint64_t *words, *sum;
    soak_record mine, *all;
    uint64_t of_operation[4], of_algorithm[5]; /* calls */
} soak_run;

/* soak_group.c. Both are collective over the world. open: 0, or a sentence in error. */
int soak_group_open(soak_run *run, hlq_rng *rng, char *error);
void soak_group_close(soak_run *run);

/* soak_job.c. Draws the jobs of a round and lays out their buffers; runs them. */
size_t soak_arena_bytes(const soak_options *options);
void soak_draw(soak_run *run, hlq_rng *rng);
void soak_do(soak_run *run);

/* soak_check.c. Numbers of a job, as its type holds them: what rank p of the group has for rank q,
   from element start (a multiple of 256) on. Words: of integers, modulo 2^64. */
void soak_numbers(const soak_job *j, int p, int q, size_t start, size_t count, double *x);
void soak_words(const soak_job *j, int p, int q, size_t start, size_t count, uint64_t *x);
void soak_fill(soak_run *run, soak_job *j);
/* All jobs of the round; run->all is what the ranks told. */
void soak_check(soak_run *run);

/* soak_job.c. Where parts lie, in elements: what rank p has for rank q; whether each rank has
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
void soak_progress(const soak_run *run, double seconds);
void soak_line(const soak_run *run, double seconds);
/* Whether all is well; the same on all ranks. */
int soak_passed(const soak_run *run);
/* 0, or -1 if the file cannot be written. */
int soak_json(const soak_run *run, double seconds);

#endif
