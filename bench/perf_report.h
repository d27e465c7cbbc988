/*
 * What hlq_perf says: nccl-tests' lines with the columns of compression to their right, the same as
 * JSON, and a progress line on a terminal. Rank 0 only.
 */
#ifndef HLQ_BENCH_PERF_REPORT_H
#define HLQ_BENCH_PERF_REPORT_H

#include "perf_options.h"
#include "perf_row.h"

#include <stdio.h>

/* What is told once. */
typedef struct perf_setup {
    const perf_options *options;
    int ranks;
    const char *transport;
    size_t min_bytes, max_bytes; /* of one rank's tensor, once the input has had its say */
} perf_setup;

/* The end of a run: what the exit code and the footer follow from. */
typedef struct perf_verdict {
    size_t rows;
    uint64_t wrong;
    size_t differing;   /* rows in which ranks ended with different bits */
    size_t over_budget; /* rows that sent more than they may */
    double busbw;       /* sum over rows */
} perf_verdict;

void perf_report_header(const perf_setup *setup);
void perf_report_row(const perf_row *row);
void perf_report_footer(const perf_verdict *verdict);
int perf_verdict_passed(const perf_verdict *verdict);
void perf_verdict_add(perf_verdict *verdict, const perf_row *row);

/* Line `at` of `lines` is under way; nothing if stderr is no terminal. NULL clears the line. */
void perf_report_progress(const perf_entry *entry, size_t at, size_t lines, size_t size_bytes);

/* Everything as JSON. 0, or -1 if the file could not be written. */
int perf_report_json(FILE *file, const perf_setup *setup, const perf_row *rows,
                     const perf_verdict *verdict);

#endif
