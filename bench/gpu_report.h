/* What hlq_gpu found, as a table and as JSON. */
#ifndef HLQ_BENCH_GPU_REPORT_H
#define HLQ_BENCH_GPU_REPORT_H

#include "gpu_gain.h"

#include <cuda_runtime_api.h>

#include <stdio.h>

enum { GPU_ROWS_MAX = 64 };

typedef struct gpu_row {
    const gpu_case *c;
    gpu_figure figure;
} gpu_row;

typedef struct gpu_results {
    struct cudaDeviceProp gpu;
    int driver, runtime; /* versions: 1000 × major + 10 × minor */
    gpu_row row[GPU_ROWS_MAX];
    gpu_gain gain[GPU_ROWS_MAX];
    size_t rows, gains;
    int calls;
    int wrong; /* results */
} gpu_results;

/* The table: what was measured and the names of columns, a row, and the gains at its end. */
void gpu_print_head(const gpu_bench *bench, const gpu_results *results);
void gpu_print_row(const gpu_row *row);
void gpu_print_gains(const gpu_results *results);

/* Returns 0 if something could not be written. */
int gpu_write_json(FILE *file, const gpu_bench *bench, const gpu_results *results);

#endif
