/* Runs one line of the table: warm up, time, check. Collective throughout. */
#ifndef HLQ_BENCH_PERF_RUN_H
#define HLQ_BENCH_PERF_RUN_H

#include "perf_options.h"
#include "perf_row.h"

/* What all lines of one size share. */
typedef struct perf_bench {
    perf_world *world;
    const perf_options *options;
    const perf_input *input;
    hlq_comm *comm;
    perf_shape shape;
    void *send, *recv; /* room for the larger buffer each, as float32 or --dtype */
    int loaded;        /* the hlq_dtype that send holds, or -1 */
    perf_exact exact;
} perf_bench;

/* Makes the tensors of a size. 0, or -1 on all ranks and a sentence in error (TOOL_ERROR_BYTES). */
int perf_bench_prepare(perf_bench *bench, size_t count, char *error);
void perf_bench_release(perf_bench *bench);

/* Memory that this process needs for one entry at the size of bench->shape. */
size_t perf_bench_bytes(const perf_bench *bench, const perf_entry *entry,
                        const hlq_plan_info *plan);

/* 0, or -1 on all ranks and a sentence in error. */
int perf_bench_run(perf_bench *bench, const perf_entry *entry, perf_row *row, char *error);

#endif
