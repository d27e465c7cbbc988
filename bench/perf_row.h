/*
 * One line of hlq_perf's table: what was run, what it cost, how wrong it was. perf_run.c fills it,
 * perf_report.c prints it.
 */
#ifndef HLQ_BENCH_PERF_ROW_H
#define HLQ_BENCH_PERF_ROW_H

#include "perf_check.h"

#include <hlqcomm/hlqcomm.h>

/* What to run: the library with an algorithm and a budget, or a rival's format. */
typedef struct perf_entry {
    const char *name; /* of a baseline; NULL: the algorithm's */
    hlq_algorithm algorithm;
    double bits;      /* 0: not a matter of choice, or of the target or bound */
    double target;    /* 0, or an error in place of bits */
    double max_error; /* the same */
    hlq_dtype dtype;
    const struct rival_codec *codec; /* NULL: the library */
} perf_entry;

typedef struct perf_row {
    const char *name;  /* twoshot, modq, oneshot, native, fp32, bf16, fp8, int4 */
    const char *asked; /* the same, but auto where the library chose */
    const char *redop; /* sum, none */
    double bits;
    hlq_dtype dtype;
    size_t count, size_bytes; /* the library's argument; bytes of the larger buffer */
    double time_s, time_min_s, time_p99_s, time_max_s; /* over calls, of the slowest rank */
    double algbw, busbw, effbw;                        /* GB/s */
    double encode_s, exchange_s, reduce_s, decode_s;   /* mean over calls and ranks */
    uint64_t wire_bytes, control_bytes;                /* of the rank that sent most */
    double bits_per_elem;
    double vnmse_estimate; /* the library's own prediction; NaN for rivals */
    uint64_t overloads, retries, nonfinite_blocks;
    int over_budget;
    int comparable; /* all ranks are to end with the same */
    int checked;    /* errors is filled in */
    perf_errors errors;
} perf_row;

#endif
