/*
 * The numbers that hlq_perf sums: drawn from a distribution, or read from a file (perf_file.c).
 * Any rank can have any part of any rank's tensor without asking it, so that the exact sum needs
 * no communication.
 */
#ifndef HLQ_BENCH_PERF_INPUT_H
#define HLQ_BENCH_PERF_INPUT_H

#include <hlqcomm/hlqcomm.h>

#include <stddef.h>
#include <stdint.h>

/* Parts of tensors start at multiples of this, and so do distributions and blocks. */
enum { PERF_CHUNK_ELEMS = 256 };

/* A file of float32 [ranks, count], mapped into memory. */
typedef struct perf_file {
    void *map;
    size_t map_bytes;
    const unsigned char *data; /* the first number; not necessarily aligned */
    size_t rows, count;        /* count: of one row */
} perf_file;

/* 0, or -1 and a sentence in error (TOOL_ERROR_BYTES). A raw file is cut into `ranks` rows. */
int perf_file_open(perf_file *file, const char *path, int ranks, char *error);
void perf_file_close(perf_file *file);

typedef struct perf_input {
    void (*draw)(uint64_t seed, int rank, uint64_t chunk, float *out); /* NULL: the file */
    uint64_t seed;
    perf_file file;
} perf_input;

/* name: gauss, laplace, lognormal, or a path. 0, or -1 and a sentence in error. */
int perf_input_open(perf_input *input, const char *name, int ranks, uint64_t seed, char *error);
void perf_input_close(perf_input *input);

/* How many numbers a rank's tensor can have; SIZE_MAX for distributions. */
size_t perf_input_count(const perf_input *input);

/*
 * Numbers first … first+elems-1 of a rank's tensor, first a multiple of PERF_CHUNK_ELEMS, rounded
 * to dtype, as float32.
 */
void perf_input_read(const perf_input *input, int rank, size_t first, size_t elems, hlq_dtype dtype,
                     float *out);

/* elems numbers as dtype, which they fit, and back; the tensor may be float64. */
void perf_numbers_store(hlq_dtype dtype, const float *x, size_t elems, void *tensor);
void perf_numbers_load(hlq_dtype dtype, const void *tensor, size_t elems, double *x);

#endif
