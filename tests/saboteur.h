/*
 * A transport that passes everything on to another one, but for one exchange of one collective, in
 * which it does a deed: it stops, loses or damages a message, fails, or runs out of memory.
 *
 * Programs with it are linked so that the library's allocations come here (hlq_fault_test in
 * CMakeLists.txt), which fail in a thread while no_memory is set.
 */
#ifndef HLQ_TEST_SABOTEUR_H
#define HLQ_TEST_SABOTEUR_H

#include "hlq_test.h"

#include <collective/agree.h>
#include <hlqcomm/transport.h>

/* Memory ----------------------------------------------------------------------------------- */

static _Thread_local int no_memory;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);

void *__wrap_malloc(size_t bytes) { return no_memory ? NULL : __real_malloc(bytes); }
void *__wrap_calloc(size_t n, size_t bytes) { return no_memory ? NULL : __real_calloc(n, bytes); }

void *__wrap_realloc(void *old, size_t bytes)
{
    return no_memory ? NULL : __real_realloc(old, bytes);
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    return no_memory ? NULL : __real_aligned_alloc(alignment, bytes);
}

/* Deeds ------------------------------------------------------------------------------------ */

typedef enum deed {
    NO_DEED,
    HALT_BEFORE,   /* before the exchange is started */
    HALT_AFTER,    /* when it is */
    HALT_MIDWAY,   /* when it is but for what goes to the victim */
    FLIP,          /* one bit of what goes to the victim */
    CUT,           /* its last byte */
    LENGTHEN,      /* by a byte */
    WITHHOLD,      /* it is not sent at all */
    MIX_UP,        /* it is the one for another rank */
    REPLAY,        /* it is the last collective's */
    OTHER_VERSION, /* terms of another version of the wire format, both ways */
    FAIL_START,
    FAIL_TEST,
    NO_MEMORY_BEFORE, /* from the exchange's start on */
    NO_MEMORY_AFTER,  /* from its end on */
} deed;

enum { SABOTEUR_RANKS = 4, COPY_MOST = 1 << 19, VICTIM = 0, NEIGHBOUR = 2 };

typedef struct saboteur {
    hlq_transport inner;
    deed deed;
    uint32_t channel, number;  /* which exchange */
    int victim;                /* whose message is damaged */
    int at;                    /* which byte is damaged; from the end if negative */
    void (*halt)(void *scene); /* returns when the others have ended */
    void *scene;
    int takes_less; /* whether messages may ride with terms */
    int committed;  /* how often the deed was done */
    hlq_message send[SABOTEUR_RANKS];
    hlq_terms terms[SABOTEUR_RANKS];
    uint8_t *copy, *last; /* COPY_MOST each: what the victim gets; what it got last time */
} saboteur;

static inline int saboteur_is_due(const saboteur *s, const hlq_exchange *x)
{
    return s->deed != NO_DEED && x->channel == s->channel && x->number == s->number;
}

/* What the victim is sent instead. */
static inline hlq_message damaged(saboteur *s, const hlq_exchange *x)
{
    hlq_message m = x->send[s->deed == MIX_UP ? NEIGHBOUR : s->victim];
    if (!CHECK(!x->sum && m.bytes > 0 && m.bytes < COPY_MOST)) return m;
    memcpy(s->copy, s->deed == REPLAY ? (const void *)s->last : m.data, m.bytes);
    s->copy[m.bytes] = 0;
    size_t at = s->at < 0 ? m.bytes - (size_t)-s->at : (size_t)s->at;
    if (s->deed == FLIP && CHECK(at < m.bytes)) s->copy[at] ^= 4;
    if (s->deed == CUT) m.bytes--;
    if (s->deed == LENGTHEN) m.bytes++;
    m.data = s->copy;
    return s->deed == WITHHOLD || s->deed == HALT_MIDWAY ? (hlq_message){NULL, 0} : m;
}

static inline void damage(saboteur *s, hlq_exchange *x)
{
    memcpy(s->send, x->send, sizeof s->send);
    s->send[s->victim] = damaged(s, x);
    x->send = s->send;
}

/* Others see a version more than theirs here, and this rank one less than its own there. */
static inline void change_version(hlq_terms *terms, uint32_t change)
{
    terms->wire_version += change;
    hlq_terms_seal(terms);
}

static inline void send_other_version(saboteur *s, hlq_exchange *x)
{
    for (int p = 0; p < SABOTEUR_RANKS; p++) {
        memcpy(&s->terms[p], x->send[p].data, sizeof s->terms[p]);
        change_version(&s->terms[p], 1);
        s->send[p] = (hlq_message){&s->terms[p], sizeof s->terms[p]};
    }
    x->send = s->send;
}

static inline void receive_other_version(const saboteur *s, const hlq_exchange *x)
{
    for (int p = 0; p < SABOTEUR_RANKS; p++) {
        if (p != s->inner.rank) change_version(x->recv[p].data, (uint32_t)-1);
    }
}

static inline hlq_status cut_cable(char *error)
{
    snprintf(error, HLQ_ERROR_BYTES, "the cable was cut");
    return HLQ_E_TRANSPORT;
}

static inline void prepare(saboteur *s, hlq_exchange *x)
{
    s->committed++;
    switch (s->deed) {
    case HALT_BEFORE: s->halt(s->scene); break;
    case NO_MEMORY_BEFORE: no_memory = 1; break;
    case OTHER_VERSION: send_other_version(s, x); break;
    case FLIP:
    case CUT:
    case LENGTHEN:
    case WITHHOLD:
    case HALT_MIDWAY:
    case MIX_UP:
    case REPLAY: damage(s, x); break;
    default: break;
    }
}

/* The table -------------------------------------------------------------------------------- */

static inline hlq_status saboteur_begin(saboteur *s, hlq_exchange *x, char *error)
{
    int is_due = saboteur_is_due(s, x);
    int is_last_time = x->channel + 1 == s->channel && x->number == s->number;
    if (s->deed == REPLAY && is_last_time && CHECK(x->send[s->victim].bytes < COPY_MOST)) {
        memcpy(s->last, x->send[s->victim].data, x->send[s->victim].bytes);
    }
    if (is_due) prepare(s, x);
    if (is_due && s->deed == FAIL_START) return cut_cable(error);
    hlq_status status = x->sum ? s->inner.start_sum(s->inner.self, x, error)
                               : s->inner.start(s->inner.self, x, error);
    if (is_due && (s->deed == HALT_AFTER || s->deed == HALT_MIDWAY)) s->halt(s->scene);
    return status;
}

static inline hlq_status saboteur_start(void *self, hlq_exchange *x, char *error)
{
    return saboteur_begin(self, x, error);
}

static inline hlq_status saboteur_test(void *self, hlq_exchange *x, int *done, char *error)
{
    saboteur *s = self;
    int is_due = saboteur_is_due(s, x);
    *done = 0;
    if (is_due && s->deed == FAIL_TEST) return cut_cable(error);
    hlq_status status = s->inner.test(s->inner.self, x, done, error);
    if (!is_due || !*done || status != HLQ_OK) return status;
    if (s->deed == OTHER_VERSION) receive_other_version(s, x);
    if (s->deed == NO_MEMORY_AFTER) no_memory = 1;
    return status;
}

static inline int saboteur_cancel(void *self, hlq_exchange *x, char *missing)
{
    saboteur *s = self;
    return s->inner.cancel(s->inner.self, x, missing);
}

static inline void saboteur_rest(void *self, double seconds)
{
    saboteur *s = self;
    s->inner.rest(s->inner.self, seconds);
}

static inline void saboteur_give_up(void *self, hlq_status status, const char *sentence)
{
    saboteur *s = self;
    s->inner.give_up(s->inner.self, status, sentence);
}

static inline void saboteur_destroy(void *self)
{
    saboteur *s = self;
    s->inner.destroy(s->inner.self);
}

static inline hlq_transport saboteur_table(saboteur *s)
{
    return (hlq_transport){
        .struct_bytes = sizeof(hlq_transport),
        .name = "saboteur",
        .self = s,
        .rank = s->inner.rank,
        .size = s->inner.size,
        .takes_less = s->takes_less,
        .start = saboteur_start,
        .test = saboteur_test,
        .cancel = saboteur_cancel,
        .rest = saboteur_rest,
        .give_up = saboteur_give_up,
        .start_sum = s->inner.start_sum ? saboteur_start : NULL,
        .destroy = saboteur_destroy,
    };
}

#endif
