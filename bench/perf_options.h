/*
 * The command line of hlq_perf: what to measure. Read first, the same on every rank; nothing here
 * talks to another rank. The help text is the manual.
 */
#ifndef HLQ_BENCH_PERF_OPTIONS_H
#define HLQ_BENCH_PERF_OPTIONS_H

#include <hlqcomm/hlqcomm.h>

#include <stdio.h>

enum {
    PERF_ALGORITHMS_MAX = 8,
    PERF_BITS_MAX = 32,
    PERF_THREADS_DEFAULT = 4,
    PERF_EXIT_WRONG = 1, /* exit codes */
    PERF_EXIT_USAGE = 2,
};

/* Baselines are a set of bits: fp32, then the codecs of perf_rivals.h in their order. */
enum { PERF_BASELINE_FP32 = 1, PERF_BASELINES_ALL = 0xffff };

static inline unsigned perf_baseline_codec(int i) { return 2U << i; }

typedef struct perf_options {
    size_t min_bytes, max_bytes; /* of one rank's tensor: the larger buffer */
    int sizes_given;             /* -b or -e was there: a file is then not used whole */
    int factor;
    int iterations, warmup;
    int check;
    hlq_operation op;
    hlq_dtype dtype;
    hlq_lattice lattice;
    hlq_topology topology;
    int algorithms;
    hlq_algorithm algorithm[PERF_ALGORITHMS_MAX];
    int bits_given;
    double bits[PERF_BITS_MAX];
    int targets;
    double target[PERF_BITS_MAX];
    int bounds;
    double max_error[PERF_BITS_MAX];
    const char *input; /* a distribution or a file */
    uint64_t seed;
    int ranks; /* threads; 0: not given */
    int in_place;
    unsigned baselines;
    const char *json; /* NULL: none */
    int help, version;
} perf_options;

/* Reads the command line. 0, or PERF_EXIT_USAGE and one sentence in error (TOOL_ERROR_BYTES). */
int perf_options_read(int argc, char **argv, perf_options *options, char *error);

void perf_options_help(FILE *out);

#endif
