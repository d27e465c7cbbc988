/*
 * What the command-line tools share: a clock, order statistics, and numbers typed by a user. Knows
 * nothing of libhlqcomm.
 */
#ifndef HLQ_BENCH_TOOL_H
#define HLQ_BENCH_TOOL_H

#include <stddef.h>
#include <stdint.h>

/* Room for one sentence on what the user did wrong. */
#define TOOL_ERROR_BYTES 512

/* Seconds of a clock that never goes back. */
double tool_seconds(void);

/* The q-quantile (0 smallest, 0.5 median, 1 largest) of n ≥ 1 values, which it sorts. */
double tool_quantile(double *values, size_t n, double q);

/*
 * Readers of numbers. They take the whole text or nothing: 1 and *value set, or 0. A size may end
 * in K, M or G (powers of 1024). An integer must lie in least … most. A real is finite.
 */
int tool_read_bytes(const char *text, size_t *value);
int tool_read_integer(const char *text, long long least, long long most, long long *value);
int tool_read_real(const char *text, double *value);

/*
 * Walks a comma list: copies the next word of *list to word (room for `bytes`) and moves *list on.
 * 0 at the end; a word that does not fit is cut, and so will not be recognized.
 */
int tool_next_word(const char **list, char *word, size_t bytes);

/* "4 MiB", "1.5 KiB", "300 B": a size for a reader. Returns text, which holds 16 bytes or more. */
const char *tool_write_bytes(double size_bytes, char *text);

/*
 * A hash to compare results with. Every step of it can be undone, so that data which differ in one
 * word always differ in hash.
 */
uint64_t tool_hash(const void *data, size_t bytes);

#endif
