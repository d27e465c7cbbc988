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

#include <stdlib.h>
#include <string.h>

struct rival {
    const rival_codec *codec;
    const hlq_transport *wire;
    size_t count, units;
    uint8_t *codes;    /* of this rank's tensor, then of the sum: `units` units */
    uint8_t *received; /* of this rank's part: one after the other, a part from each rank */
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

static size_t units_of(size_t count)
{
    return count / RIVAL_UNIT_ELEMS + (count % RIVAL_UNIT_ELEMS != 0);
}

size_t rival_buffer_bytes(const rival_codec *codec, int ranks, size_t count)
{
    return (2 * units_of(count) + (size_t)ranks) * codec->unit_bytes;
}

rival *rival_create(const rival_codec *codec, const hlq_transport *wire, size_t count)
{
    size_t ranks = (size_t)wire->size;
    rival *r = calloc(1, sizeof *r);
    if (r == NULL) return NULL;
    *r = (rival){.codec = codec, .wire = wire, .count = count, .units = units_of(count)};
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

/* How many of the 256 numbers of a unit the tensor has. */
static size_t unit_elems(const rival *r, size_t unit)
{
    size_t left = r->count - unit * RIVAL_UNIT_ELEMS;
    return left < RIVAL_UNIT_ELEMS ? left : RIVAL_UNIT_ELEMS;
}

static void encode_tensor(rival *r, const float *x)
{
    for (size_t u = 0; u < r->units; u++) {
        const float *from = x + u * RIVAL_UNIT_ELEMS;
        float last[RIVAL_UNIT_ELEMS] = {0};
        if (unit_elems(r, u) < RIVAL_UNIT_ELEMS) {
            memcpy(last, from, unit_elems(r, u) * sizeof *last);
            from = last;
        }
        r->codec->encode(from, r->codes + u * r->codec->unit_bytes);
    }
}

static void decode_tensor(const rival *r, float *x)
{
    for (size_t u = 0; u < r->units; u++) {
        const uint8_t *code = r->codes + u * r->codec->unit_bytes;
        float last[RIVAL_UNIT_ELEMS];
        if (unit_elems(r, u) == RIVAL_UNIT_ELEMS) {
            r->codec->decode(code, x + u * RIVAL_UNIT_ELEMS);
        } else {
            r->codec->decode(code, last);
            memcpy(x + u * RIVAL_UNIT_ELEMS, last, unit_elems(r, u) * sizeof *last);
        }
    }
}

/* The sum of all ranks' codes of this rank's part, in rank order, coded again, into codes. */
static void reduce_part(rival *r)
{
    size_t unit_bytes = r->codec->unit_bytes;
    size_t bytes = part_bytes(r, r->wire->rank);
    uint8_t *out = r->codes + part_start(r, r->wire->rank) * unit_bytes;
    for (size_t at = 0; at < bytes; at += unit_bytes) {
        float sum[RIVAL_UNIT_ELEMS], x[RIVAL_UNIT_ELEMS];
        r->codec->decode(r->received + at, sum);
        for (int rank = 1; rank < r->wire->size; rank++) {
            r->codec->decode(r->received + (size_t)rank * bytes + at, x);
            for (int i = 0; i < RIVAL_UNIT_ELEMS; i++) sum[i] += x[i];
        }
        r->codec->encode(sum, out + at);
    }
}

static hlq_status exchange(rival *r, double timeout_s, rival_cost *cost, char *error)
{
    for (int p = 0; p < r->wire->size; p++)
        cost->bytes_sent += p != r->wire->rank ? r->send[p].bytes : 0;
    hlq_status status = r->wire->start(r->wire->self, r->send, r->recv, error);
    return status == HLQ_OK ? r->wire->wait(r->wire->self, timeout_s, error) : status;
}

/* Parts to their owners: codes → received. */
static hlq_status scatter_parts(rival *r, double timeout_s, rival_cost *cost, char *error)
{
    int me = r->wire->rank;
    size_t bytes = part_bytes(r, me);
    for (int p = 0; p < r->wire->size; p++) {
        uint8_t *part = r->codes + part_start(r, p) * r->codec->unit_bytes;
        r->send[p] = (hlq_message){part, part_bytes(r, p)};
        r->recv[p] = (hlq_message){r->received + (size_t)p * bytes, bytes};
    }
    memcpy(r->recv[me].data, r->send[me].data, bytes);
    return exchange(r, timeout_s, cost, error);
}

/* Every owner's part to all: codes → codes. */
static hlq_status gather_parts(rival *r, double timeout_s, rival_cost *cost, char *error)
{
    hlq_message mine = r->send[r->wire->rank];
    for (int p = 0; p < r->wire->size; p++) {
        r->recv[p] = r->send[p];
        r->send[p] = mine;
    }
    return exchange(r, timeout_s, cost, error);
}

hlq_status rival_all_reduce(rival *r, const float *send, float *recv, double timeout_s,
                            rival_cost *cost, char *error)
{
    *cost = (rival_cost){0};
    double begin = tool_seconds();
    encode_tensor(r, send);
    double encoded = tool_seconds();
    hlq_status status = scatter_parts(r, timeout_s, cost, error);
    if (status != HLQ_OK) return status;
    double scattered = tool_seconds();
    reduce_part(r);
    double reduced = tool_seconds();
    status = gather_parts(r, timeout_s, cost, error);
    if (status != HLQ_OK) return status;
    double gathered = tool_seconds();
    decode_tensor(r, recv);
    cost->encode = encoded - begin;
    cost->exchange = (scattered - encoded) + (gathered - reduced);
    cost->reduce = reduced - scattered;
    cost->decode = tool_seconds() - gathered;
    return HLQ_OK;
}
