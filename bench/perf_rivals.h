/*
 * What hlq_perf --baselines measures libhlqcomm against: the 16-, 8- and 4-bit formats that other
 * software sends gradients in, each run as the same two-shot all-reduce (codes of every part to
 * its owner, sum in fp32 in rank order, codes of the sum to all), or as the half of it that another
 * operation is. Their bytes travel over the same kind of transport as the library's. A tensor is
 * padded with zeros to whole units of 256.
 */
#ifndef HLQ_BENCH_PERF_RIVALS_H
#define HLQ_BENCH_PERF_RIVALS_H

#include "perf_shape.h"

#include <hlqcomm/transport.h>

enum { RIVAL_UNIT_ELEMS = 256 };

/* A format: how 256 numbers become unit_bytes bytes. What is not finite stays so. */
typedef struct rival_codec {
    const char *name;
    size_t unit_bytes;
    void (*encode)(const float *x, uint8_t *code);
    void (*decode)(const uint8_t *code, float *x);
} rival_codec;

/* All of them: i = 0, 1, … until NULL. */
const rival_codec *rival_codec_at(int i);

/* One format at one size, on one rank, with its buffers: nothing is allocated while it runs. */
typedef struct rival rival;

/* NULL if there is no memory. wire serves nothing else while rival_run() runs. */
rival *rival_create(const rival_codec *codec, const hlq_transport *wire, uint32_t *exchanges,
                    const perf_shape *shape);
void rival_destroy(rival *r); /* NULL is fine */
size_t rival_buffer_bytes(const rival_codec *codec, const perf_shape *shape);

/* What one call cost: seconds of its stages, bytes sent to other ranks. */
typedef struct rival_cost {
    double encode, exchange, reduce, decode;
    uint64_t bytes_sent;
} rival_cost;

/* The collective, in place as the library's. error: HLQ_ERROR_BYTES. */
hlq_status rival_run(rival *r, const float *send, float *recv, double timeout_s, rival_cost *cost,
                     char *error);

#endif
