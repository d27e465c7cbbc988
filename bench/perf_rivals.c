/*
 * The two-shot all-reduce that all rivals share. The tensor is cut into units of 256 numbers, the
 * units into one part per rank:
 *
 *      encode        all-to-all           sum, encode        all-gather         decode
 *   rank 0  [0 1 2]    [0 0'0"]  owner 0:  0+0'+0" = A         [A B C]          tensor
 *   rank 1  [0'1'2']   [1 1'1"]  owner 1:  1+1'+1" = B         [A B C]          tensor
 *   rank 2  [0"1"2"]   [2 2'2"]  owner 2:  2+2'+2" = C         [A B C]          tensor
 *
 * Everyone decodes the same bytes, the owner too, so that all ranks end with the same bits.
 */
#include "perf_rivals.h"

#include "tool.h"
#include "transport/transport_internal.h"

#include <stdlib.h>
#include <string.h>

struct rival {
    const rival_codec *codec;
    const hlq_transport *wire;
    uint32_t *exchanges; /* over it, so far */
    perf_shape shape;
    size_t count, units; /* of the larger buffer */
    uint8_t *codes;      /* of it: what this rank codes, then what all have: `units` units */
    uint8_t *received;   /* of this rank's part: one after the other, a part from each rank */
    hlq_message *send, *recv;
};

/* Part p is units part_start(p) … part_start(p+1)-1. */
static size_t part_start(const rival *r, int p)
{
    size_t n = (size_t)r->wire->size, at = (size_t)p;
    return r->units / n * at + r->units % n * at / n;
}

static size_t part_bytes(const rival *r, int p)
{
    return (part_start(r, p + 1) - part_start(r, p)) * r->codec->unit_bytes;
}

static uint8_t *part_codes(const rival *r, int p)
{
    return r->codes + part_start(r, p) * r->codec->unit_bytes;
}

static size_t units_of(size_t count)
{
    return count / RIVAL_UNIT_ELEMS + (count % RIVAL_UNIT_ELEMS != 0);
}

size_t rival_buffer_bytes(const rival_codec *codec, const perf_shape *shape)
{
    return (2 * units_of(perf_shape_elems(shape)) + (size_t)shape->ranks) * codec->unit_bytes;
}

rival *rival_create(const rival_codec *codec, const hlq_transport *wire, uint32_t *exchanges,
                    const perf_shape *shape)
{
    size_t ranks = (size_t)wire->size, count = perf_shape_elems(shape);
    rival *r = calloc(1, sizeof *r);
    if (r == NULL) return NULL;
    *r = (rival){.codec = codec,
                 .wire = wire,
                 .exchanges = exchanges,
                 .shape = *shape,
                 .count = count,
                 .units = units_of(count)};
    r->codes = malloc(r->units * codec->unit_bytes);
    r->received = malloc((ranks * part_bytes(r, wire->rank)) | 1);
    r->send = calloc(ranks, sizeof *r->send);
    r->recv = calloc(ranks, sizeof *r->recv);
    if (r->codes != NULL && r->received != NULL && r->send != NULL && r->recv != NULL) return r;
    rival_destroy(r);
    return NULL;
}

void rival_destroy(rival *r)
{
    if (r == NULL) return;
    free(r->codes);
    free(r->received);
    free(r->send);
    free(r->recv);
    free(r);
}

/* count numbers to whole units of code, and back. */
static void encode_numbers(const rival *r, const float *x, size_t count, uint8_t *code)
{
    for (size_t at = 0; at < count; at += RIVAL_UNIT_ELEMS, code += r->codec->unit_bytes) {
        const float *from = x + at;
        float last[RIVAL_UNIT_ELEMS] = {0};
        if (count - at < RIVAL_UNIT_ELEMS) {
            memcpy(last, from, (count - at) * sizeof *last);
            from = last;
        }
        r->codec->encode(from, code);
    }
}

static void decode_numbers(const rival *r, const uint8_t *code, size_t count, float *x)
{
    for (size_t at = 0; at < count; at += RIVAL_UNIT_ELEMS, code += r->codec->unit_bytes) {
        float last[RIVAL_UNIT_ELEMS];
        if (count - at >= RIVAL_UNIT_ELEMS) {
            r->codec->decode(code, x + at);
        } else {
            r->codec->decode(code, last);
            memcpy(x + at, last, (count - at) * sizeof *last);
        }
    }
}

/* The sum of all ranks' codes of this rank's part, in rank order: to result, or if there is none,
   coded again, into codes. */
static void reduce_part(rival *r, float *result)
{
    size_t unit_bytes = r->codec->unit_bytes;
    size_t bytes = part_bytes(r, r->wire->rank);
    uint8_t *out = part_codes(r, r->wire->rank);
    for (size_t at = 0; at < bytes; at += unit_bytes) {
        float sum[RIVAL_UNIT_ELEMS], x[RIVAL_UNIT_ELEMS];
        r->codec->decode(r->received + at, sum);
        for (int rank = 1; rank < r->wire->size; rank++) {
            r->codec->decode(r->received + (size_t)rank * bytes + at, x);
            for (int i = 0; i < RIVAL_UNIT_ELEMS; i++) sum[i] += x[i];
        }
        if (result == NULL) r->codec->encode(sum, out + at);
        else memcpy(result + at / unit_bytes * RIVAL_UNIT_ELEMS, sum, sizeof sum);
    }
}

static hlq_status exchange(rival *r, double timeout_s, rival_cost *cost, char *error)
{
    for (int p = 0; p < r->wire->size; p++)
        cost->bytes_sent += p != r->wire->rank ? r->send[p].bytes : 0;
    hlq_exchange now = {.number = (*r->exchanges)++, .send = r->send, .recv = r->recv};
    return hlq_transport_run(r->wire, &now, timeout_s, error);
}

/* Parts to their owners: codes → received. */
static hlq_status scatter_parts(rival *r, double timeout_s, rival_cost *cost, char *error)
{
    int me = r->wire->rank;
    size_t bytes = part_bytes(r, me);
    for (int p = 0; p < r->wire->size; p++) {
        r->send[p] = (hlq_message){part_codes(r, p), part_bytes(r, p)};
        r->recv[p] = (hlq_message){r->received + (size_t)p * bytes, bytes};
    }
    memcpy(r->recv[me].data, r->send[me].data, bytes);
    return exchange(r, timeout_s, cost, error);
}

/* Every owner's part to all: codes → codes. */
static hlq_status gather_parts(rival *r, double timeout_s, rival_cost *cost, char *error)
{
    int me = r->wire->rank;
    for (int p = 0; p < r->wire->size; p++) {
        r->send[p] = (hlq_message){part_codes(r, me), part_bytes(r, me)};
        r->recv[p] = (hlq_message){part_codes(r, p), part_bytes(r, p)};
    }
    return exchange(r, timeout_s, cost, error);
}

/* What is left to do between and after the exchanges. */
static void reduce(rival *r, float *recv)
{
    if (r->shape.op == HLQ_ALL_REDUCE) reduce_part(r, NULL);
    if (r->shape.op == HLQ_REDUCE_SCATTER) reduce_part(r, recv);
}

static void decode(rival *r, float *recv)
{
    const uint8_t *codes = r->shape.op == HLQ_ALL_TO_ALL ? r->received : r->codes;
    if (r->shape.op != HLQ_REDUCE_SCATTER) decode_numbers(r, codes, r->count, recv);
}

hlq_status rival_run(rival *r, const float *send, float *recv, double timeout_s, rival_cost *cost,
                     char *error)
{
    hlq_operation op = r->shape.op;
    hlq_status status = HLQ_OK;
    *cost = (rival_cost){0};
    double begin = tool_seconds();
    uint8_t *codes = op == HLQ_ALL_GATHER ? part_codes(r, r->wire->rank) : r->codes;
    encode_numbers(r, send, perf_shape_sent(&r->shape), codes);
    double encoded = tool_seconds();
    if (op != HLQ_ALL_GATHER) status = scatter_parts(r, timeout_s, cost, error);
    if (status != HLQ_OK) return status;
    double scattered = tool_seconds();
    reduce(r, recv);
    double reduced = tool_seconds();
    if (perf_shape_same(&r->shape)) status = gather_parts(r, timeout_s, cost, error);
    if (status != HLQ_OK) return status;
    double gathered = tool_seconds();
    decode(r, recv);
    cost->encode = encoded - begin;
    cost->exchange = (scattered - encoded) + (gathered - reduced);
    cost->reduce = reduced - scattered;
    cost->decode = tool_seconds() - gathered;
    return HLQ_OK;
}
