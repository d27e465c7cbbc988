/*
 * The probe: all-reduces of made-up numbers, plain and coded, small and large, a few times each;
 * then ranks exchange their best times, and every one takes the slowest of each.
 */
#include "probe.h"
#include "child.h"
#include "choose.h"

#include <transport/transport_internal.h>
#include <wire/checksum.h>

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { PLAIN, CODED, KINDS, SIZES = 2, REPEATS = 3, RUNS = SIZES * KINDS * REPEATS };
static const size_t elems_of[SIZES] = {1 << 16, 1 << 19};

/* Codes must be predicted to be faster by this. */
static const double margin = 0.95;

typedef struct times {
    double best[SIZES][KINDS];
    uint64_t checksum; /* of all before it */
} times;

typedef struct space {
    int run; /* 0 … RUNS-1: which is under way */
    double begin;
    hlq_child child[SIZES][KINDS];
    hlq_stats ignored;
    float *x;
    times mine, *theirs;
} space;

static hlq_walk walk_of(const hlq_walk *w, int size, int kind, float *x)
{
    hlq_walk child = hlq_child_walk(w, w->rank, w->size);
    child.operation = HLQ_ALL_REDUCE;
    child.send = child.recv = x;
    child.count = elems_of[size];
    child.has_counts = 0;
    child.dtype = HLQ_FLOAT32;
    child.op = HLQ_AVG; /* which keeps numbers in range from run to run */
    child.algorithm = kind == PLAIN ? HLQ_ALG_NATIVE : hlq_coded_default(w);
    child.bits = w->comm->options.bits;
    child.target_nmse = child.max_error = 0;
    child.residual = NULL;
    return child;
}

static space lay_out(const hlq_walk *w, hlq_arena *arena)
{
    hlq_arena_take(arena, sizeof(space)); /* itself */
    space s = {
        .x = hlq_arena_take(arena, elems_of[SIZES - 1] * sizeof(float)),
        .theirs = hlq_arena_take(arena, (size_t)w->size * sizeof(times)),
    };
    for (int size = 0; size < SIZES; size++) {
        for (int kind = 0; kind < KINDS; kind++) {
            hlq_walk child = walk_of(w, size, kind, s.x);
            const hlq_algorithm_entry *entry = hlq_entry_of(&child);
            child.arena = hlq_child_arena(arena, entry->workspace_bytes(&child));
            s.child[size][kind] = (hlq_child){.walk = child, .entry = entry};
        }
    }
    return s;
}

static size_t workspace_bytes(const hlq_walk *w)
{
    hlq_arena counting = {NULL, 0, 0};
    lay_out(w, &counting);
    return counting.used;
}

static space *space_of(const hlq_walk *w) { return (space *)(void *)w->arena.base; }

static uint64_t checksum_of(const times *t)
{
    return hlq_checksum(t, offsetof(times, checksum), 0);
}

static void share(hlq_walk *w, space *s)
{
    s->mine.checksum = checksum_of(&s->mine);
    s->theirs[w->rank] = s->mine;
    hlq_send_to_all(w, &s->mine, sizeof s->mine);
    for (int p = 0; p < w->size; p++) w->in[p] = (hlq_message){&s->theirs[p], sizeof *s->theirs};
}

enum { BEGIN, DRIVE, DECIDE };

/* Steps of one run after the other, until one has an exchange to make. */
static hlq_status drive(hlq_walk *w)
{
    space *s = space_of(w);
    for (; s->run < RUNS; s->run++) {
        int size = s->run / (KINDS * REPEATS), kind = s->run % KINDS, done;
        hlq_child *child = &s->child[size][kind];
        if (!s->begin) {
            child->walk.next = 0;
            child->walk.stats = &s->ignored;
            s->begin = hlq_now();
        }
        w->next = DRIVE;
        HLQ_TRY(hlq_child_step(w, child, &done));
        if (!done) return HLQ_OK;
        double *best = &s->mine.best[size][kind];
        *best = fmin(*best, hlq_now() - s->begin);
        s->begin = 0;
    }
    share(w, s);
    w->next = DECIDE;
    return HLQ_OK;
}

static hlq_status begin(hlq_walk *w)
{
    hlq_arena arena = w->arena;
    space s = lay_out(w, &arena);
    uint32_t state = 1 + (uint32_t)w->rank;
    for (int size = 0; size < SIZES; size++) {
        for (int kind = 0; kind < KINDS; kind++) s.mine.best[size][kind] = HUGE_VAL;
    }
    for (size_t i = 0; i < elems_of[SIZES - 1]; i++) {
        state = state * 1664525u + 1013904223u;
        s.x[i] = (float)(int32_t)state * 0x1p-31f;
    }
    *space_of(w) = s;
    return drive(w);
}

/* Through the slowest ranks' times of both sizes; deterministic, since all have the same. */
static hlq_line line_of(const hlq_walk *w, const space *s, int kind)
{
    double slowest[SIZES] = {0};
    for (int p = 0; p < w->size; p++) {
        for (int size = 0; size < SIZES; size++) {
            slowest[size] = fmax(slowest[size], s->theirs[p].best[size][kind]);
        }
    }
    double each = (slowest[1] - slowest[0]) / (double)(elems_of[1] - elems_of[0]);
    each = fmax(each, 0);
    return (hlq_line){fmax(slowest[0] - each * (double)elems_of[0], 0), each};
}

static hlq_status decide(hlq_walk *w)
{
    space *s = space_of(w);
    hlq_probe *probe = &w->comm->probe;
    for (int p = 0; p < w->size; p++) {
        if (s->theirs[p].checksum != checksum_of(&s->theirs[p])) {
            return hlq_fail(w, HLQ_E_WIRE, "from rank %d: its times are damaged", p);
        }
    }
    probe->plain = line_of(w, s, PLAIN);
    probe->coded = line_of(w, s, CODED);
    probe->is_done = 1;
    hlq_log(w->comm, HLQ_LOG_INFO,
            "probe: float32 sums take %.0f us + %.2f ns per number plain, %.0f us + %.2f ns coded",
            1e6 * probe->plain.start, 1e9 * probe->plain.each, 1e6 * probe->coded.start,
            1e9 * probe->coded.each);
    return HLQ_OK;
}

int hlq_probe_says_coded(const hlq_probe *probe, size_t elems, size_t width)
{
    if (!probe->is_done) return 1;
    double numbers = (double)elems, plain_numbers = numbers * (double)width / sizeof(float);
    double plain = probe->plain.start + probe->plain.each * plain_numbers;
    return probe->coded.start + probe->coded.each * numbers < margin * plain;
}

static uint64_t wire_bytes(const hlq_walk *w)
{
    (void)w;
    return 0; /* nobody asks: it is not the caller's traffic */
}

static hlq_step *const steps[] = {[BEGIN] = begin, [DRIVE] = drive, [DECIDE] = decide, NULL};
const hlq_algorithm_entry hlq_probe_walk = {wire_bytes, workspace_bytes, steps};
