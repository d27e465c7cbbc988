/*
 * The letters of riders.h.
 */
#include "riders.h"

#include <wire/checksum.h>

#include <stdlib.h>
#include <string.h>

/*
 * What may ride, in bytes of messages to all ranks together: longer ones gain little by leaving
 * earlier, and every letter that may come needs as much room. Letters stay below what MPIs send
 * without asking the receiver, with all of 2 ranks' to one of them.
 */
enum { ALL_BYTES = 1 << 16, SEAL_BYTES = sizeof(uint64_t), ALIGNMENT = 64 };

static size_t most_of(int ranks) { return ((size_t)ALL_BYTES + (size_t)ranks - 1) / (size_t)ranks; }

static const size_t before_rider = sizeof(hlq_terms) + SEAL_BYTES;

hlq_status hlq_riders_allocate(hlq_riders *r, const hlq_transport *t)
{
    size_t n = (size_t)t->size, letter = before_rider + most_of(t->size);
    *r = (hlq_riders){0};
    if (!t->takes_less || n < 2) return HLQ_OK;
    r->room = (letter + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    r->sent = calloc(n, r->room);
    r->came = calloc(n, r->room);
    r->got = calloc(n, sizeof *r->got);
    r->out = calloc(n, sizeof *r->out);
    r->in = calloc(n, sizeof *r->in);
    return r->sent && r->came && r->got && r->out && r->in ? HLQ_OK : HLQ_E_NOMEM;
}

void hlq_riders_free(hlq_riders *r)
{
    free(r->sent);
    free(r->came);
    free(r->got);
    free(r->out);
    free(r->in);
}

int hlq_riders_fit(const hlq_riders *r, const hlq_walk *w, const hlq_algorithm_entry *entry)
{
    if (!hlq_riders_can_travel(r, w) || !entry->first_bytes || !w->count) return 0;
    if (w->residual || w->has_counts || w->max_error > 0) return 0;
    return entry->first_bytes(w) <= most_of(w->size);
}

void hlq_riders_board(hlq_riders *r, hlq_walk *w)
{
    memcpy(r->out, w->out, (size_t)w->size * sizeof *r->out);
    memcpy(r->in, w->in, (size_t)w->size * sizeof *r->in);
    r->flow = w->flow;
    w->flow = (hlq_flow){0};
    r->is_aboard = 1;
}

static uint64_t seal_of(const hlq_walk *w, const void *message, size_t bytes)
{
    return hlq_checksum(message, bytes, w->call);
}

void hlq_riders_send(hlq_riders *r, const hlq_walk *w, const hlq_terms *terms)
{
    for (int p = 0; p < w->size; p++) {
        uint8_t *letter = r->sent + (size_t)p * r->room;
        size_t bytes = sizeof *terms;
        memcpy(letter, &terms[p], sizeof *terms);
        if (r->is_aboard && p != w->rank) {
            hlq_message rider = r->out[p];
            uint64_t seal = seal_of(w, rider.data, rider.bytes);
            memcpy(letter + bytes, &seal, sizeof seal);
            bytes = before_rider + rider.bytes;
            if (rider.bytes) memcpy(letter + before_rider, rider.data, rider.bytes);
        }
        w->out[p] = (hlq_message){letter, bytes};
        w->in[p] = (hlq_message){r->came + (size_t)p * r->room, r->room};
    }
}

void hlq_riders_read(const hlq_riders *r, const hlq_walk *w, hlq_terms *terms)
{
    for (int p = 0; p < w->size; p++) {
        if (p == w->rank) continue;
        if (r->got[p] < sizeof *terms) memset(&terms[p], 0, sizeof *terms);
        else memcpy(&terms[p], r->came + (size_t)p * r->room, sizeof *terms);
    }
}

static hlq_status take(const hlq_riders *r, const hlq_walk *w, int p)
{
    const uint8_t *letter = r->came + (size_t)p * r->room, *rider = letter + before_rider;
    hlq_message to = w->in[p];
    uint64_t seal;
    if (r->got[p] != before_rider + to.bytes) {
        return hlq_fail(w, HLQ_E_WIRE, "rank %d sent %zu bytes where %zu were expected", p,
                        r->got[p], before_rider + to.bytes);
    }
    memcpy(&seal, letter + sizeof(hlq_terms), sizeof seal);
    if (seal != seal_of(w, rider, to.bytes)) {
        return hlq_fail(w, HLQ_E_WIRE, "from rank %d: a message is damaged", p);
    }
    if (to.bytes) memcpy(to.data, rider, to.bytes);
    return HLQ_OK;
}

hlq_status hlq_riders_leave(hlq_riders *r, hlq_walk *w, int *all)
{
    *all = 1;
    memcpy(w->out, r->out, (size_t)w->size * sizeof *r->out);
    memcpy(w->in, r->in, (size_t)w->size * sizeof *r->in);
    w->flow = r->flow;
    for (int p = 0; p < w->size; p++) {
        *all &= p == w->rank || r->got[p] != sizeof(hlq_terms);
    }
    for (int p = 0; p < w->size && *all; p++) {
        if (p != w->rank) HLQ_TRY(take(r, w, p));
    }
    return HLQ_OK;
}
