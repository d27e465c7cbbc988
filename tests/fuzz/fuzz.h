/*
 * What the fuzzers share. Each is a function of bytes that must return whatever they are; libFuzzer
 * calls it with new ones, replay.c with those of a corpus.
 */
#ifndef HLQ_FUZZ_H
#define HLQ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* What must hold whatever the input is. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The bytes, taken from the front. Behind their end there are zeros. */
typedef struct input {
    const uint8_t *at, *end;
} input;

static inline size_t input_left(const input *in) { return (size_t)(in->end - in->at); }

static inline void input_bytes(input *in, void *to, size_t bytes)
{
    size_t there = bytes < input_left(in) ? bytes : input_left(in);
    memset(to, 0, bytes);
    if (there) memcpy(to, in->at, there);
    in->at += there;
}

/* An integer of so many bytes, little endian. */
static inline uint64_t input_uint(input *in, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes && in->at < in->end; i++) value |= (uint64_t)*in->at++ << 8 * i;
    return value;
}

/* 0 … n-1 */
static inline int input_below(input *in, int n) { return (int)(input_uint(in, 1) % (uint64_t)n); }

/* Memory of exactly this size, so that a sanitizer sees every step outside. Never NULL. */
static inline void *exactly(size_t bytes)
{
    void *p = malloc(bytes ? bytes : 1);
    MUST(p);
    if (bytes) memset(p, 0x5a, bytes);
    return p;
}

/* A sentence of HLQ_ERROR_BYTES bytes: there and ended. */
static inline int is_sentence(const char *text, size_t bytes)
{
    return *text && memchr(text, 0, bytes) != NULL;
}

#endif
