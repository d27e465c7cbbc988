/*
 * Writes JSON, one value a call, to a stdio stream. Commas, indentation and escapes are its
 * business; NaN and infinities, which JSON cannot say, become null.
 */
#ifndef HLQ_BENCH_JSON_H
#define HLQ_BENCH_JSON_H

#include <stdint.h>
#include <stdio.h>

typedef struct json {
    FILE *file;
    int depth;
    int members; /* how many values the innermost object or array has so far */
} json;

void json_start(json *j, FILE *file);
/* Ends the document. Returns 0 if something could not be written, on any call. */
int json_finish(json *j);

/* Open and close an object or an array. key: NULL inside an array and at the top. */
void json_open_object(json *j, const char *key);
void json_close_object(json *j);
void json_open_array(json *j, const char *key);
void json_close_array(json *j);

void json_text(json *j, const char *key, const char *value); /* NULL is null */
void json_real(json *j, const char *key, double value);
void json_integer(json *j, const char *key, uint64_t value);
void json_boolean(json *j, const char *key, int value);

#endif
