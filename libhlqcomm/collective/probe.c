/*
 * The probe: all-reduces of made-up numbers, plain and coded, small and large, in turns:
 *
 *   turn    small plain, small coded, large plain, large coded; then ranks exchange their times,
 *           and of each run that of the slowest rank counts
 *   again   until there are enough turns for their time, which all ranks know alike
 *   then    a line through the best of both sizes, for each kind
 *
 * Machines and networks are shared, and what disturbs a run only adds to its time; so the more
 * turns there are, the nearer is the best of them to what the run itself takes.
 */
#include "probe.h"
#include "child.h"
#include "choose.h"

#include <transport/transport_internal.h>
#include <wire/checksum.h>

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { PLAIN, CODED, KINDS, SIZES = 2, RUNS = SIZES * KINDS, TURNS_LEAST = 3, TURNS_MOST = 15 };
static const size_t elems_of[SIZES] = {1 << 16, 1 << 19};

/* Seconds after which there is no further turn than the least. */
static const double enough = 0.5;

/* Codes must be predicted to be faster by this. */
static const double margin = 0.95;

/* What the runs of a turn took on one rank. */
typedef struct times {
    double taken[SIZES][KINDS];
    uint64_t checksum; /* of all before it */
} times;

typedef struct space {
    int turn, run;             /* 0 … TURNS_MOST-1, 0 … RUNS-1: which is under way */
    double begin, spent;       /* of the run; all of them so far */
    double best[SIZES][KINDS]; /* of the turns so far; of each, the slowest rank's */
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

enum { BEGIN, DRIVE, HEAR, END };

/* Steps of one run after the other, until one has an exchange to make; then the turn is over. */
static hlq_status drive(hlq_walk *w)
{
    space *s = space_of(w);
    for (; s->run < RUNS; s->run++) {
        int size = s->run / KINDS, kind = s->run % KINDS, done;
        hlq_child *child = &s->child[size][kind];
        if (!s->begin) {
            child->walk.next = 0;
            child->walk.stats = &s->ignored;
            s->begin = hlq_now();
        }
        w->next = DRIVE;
        HLQ_TRY(hlq_child_step(w, child, &done));
        if (!done) return HLQ_OK;
        s->mine.taken[size][kind] = hlq_now() - s->begin;
        s->begin = 0;
    }
    share(w, s);
    w->next = HEAR;
    return HLQ_OK;
}

static hlq_status begin(hlq_walk *w)
{
    hlq_arena arena = w->arena;
    space s = lay_out(w, &arena);
    uint32_t state = 1 + (uint32_t)w->rank;
    for (size_t i = 0; i < elems_of[SIZES - 1]; i++) {
        state = state * 1664525u + 1013904223u;
        s.x[i] = (float)(int32_t)state * 0x1p-31f;
    }
    *space_of(w) = s;
    return drive(w);
}

/* Deterministic, since all have the same times. */
static hlq_line line_of(const space *s, int kind)
{
    double small = s->best[0][kind], large = s->best[1][kind];
    double each = fmax((large - small) / (double)(elems_of[1] - elems_of[0]), 0);
    return (hlq_line){fmax(small - each * (double)elems_of[0], 0), each};
}

static void decide(const hlq_walk *w, const space *s)
{
    hlq_probe *probe = &w->comm->probe;
    probe->plain = line_of(s, PLAIN);
    probe->coded = line_of(s, CODED);
    probe->is_done = 1;
    hlq_log(w->comm, HLQ_LOG_INFO,
            "probe: float32 sums take %.0f us + %.2f ns per number plain, %.0f us + %.2f ns coded",
            1e6 * probe->plain.start, 1e9 * probe->plain.each, 1e6 * probe->coded.start,
            1e9 * probe->coded.each);
}

/* All ranks' times of a turn. */
static hlq_status hear(hlq_walk *w)
{
    space *s = space_of(w);
    for (int p = 0; p < w->size; p++) {
        if (s->theirs[p].checksum == checksum_of(&s->theirs[p])) continue;
        return hlq_fail(w, HLQ_E_WIRE, "from rank %d: its times are damaged", p);
    }
    for (int run = 0; run < RUNS; run++) {
        int size = run / KINDS, kind = run % KINDS;
        double slowest = 0, *best = &s->best[size][kind];
        for (int p = 0; p < w->size; p++) slowest = fmax(slowest, s->theirs[p].taken[size][kind]);
        if (s->turn == 0 || slowest < *best) *best = slowest;
        s->spent += slowest;
    }
    s->turn++;
    s->run = 0;
    if (s->turn < TURNS_LEAST || (s->turn < TURNS_MOST && s->spent < enough)) return drive(w);
    decide(w, s);
    w->next = END;
    return HLQ_OK;
}

/* Beyond the large size times grow as sizes do: the slope between two times is less certain than
   either of them, and what a start costs is little there. */
static double predicted(const hlq_line *line, double numbers)
{
    double large = (double)elems_of[SIZES - 1];
    if (numbers <= large) return line->start + line->each * numbers;
    return (line->start + line->each * large) * numbers / large;
}

int hlq_probe_says_coded(const hlq_probe *probe, size_t elems, size_t width)
{
    if (!probe->is_done) return 1;
    double numbers = (double)elems, plain_numbers = numbers * (double)width / sizeof(float);
    return predicted(&probe->coded, numbers) < margin * predicted(&probe->plain, plain_numbers);
}

static uint64_t wire_bytes(const hlq_walk *w)
{
    (void)w;
    return 0; /* nobody asks: it is not the caller's traffic */
}

static hlq_step *const steps[] = {[BEGIN] = begin, [DRIVE] = drive, [HEAR] = hear, [END] = NULL};
const hlq_algorithm_entry hlq_probe_walk = {wire_bytes, workspace_bytes, steps};
