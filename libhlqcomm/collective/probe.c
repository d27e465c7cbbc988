/*
 * The probe: all-reduces of made-up numbers, plain and coded, of several sizes, in turns:
 *
 *   turn    of each size, from small to large, plain, then coded; before each run ranks meet, so
 *           that none counts what others still had to do for the last; then they exchange their
 *           times, and of each run that of the slowest rank counts
 *   again   until there are enough turns for their time, which all ranks know alike
 *   then    lines from size to size through the best of them, for each kind
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

enum { PLAIN, CODED, KINDS, SIZES = HLQ_PROBE_SIZES, RUNS = SIZES * KINDS };
enum { TURNS_LEAST = 3, TURNS_MOST = 15 };
static const size_t elems_of[SIZES] = {1 << 12, 1 << 14, 1 << 16, 1 << 19};

/* Seconds after which there is no further turn than the least. */
static const double enough = 0.5;

/* Codes must be predicted to be faster by this. */
static const double margin = 0.95;

/* An exchange of a flow is to take so many times as long as the sum of 64 KiB, which is long beside
   what it costs to begin one. Chunks of messages are that long. */
static const double exchange_length = 16;
enum { SHORT_SUM = 1 };
enum { CHUNK_LEAST = 1 << 16, CHUNK_MOST = 1 << 20 };

/* What the runs of a turn took on one rank. */
typedef struct times {
    double taken[SIZES][KINDS];
    uint64_t checksum; /* of all before it */
} times;

typedef struct space {
    int turn, run;             /* 0 … TURNS_MOST-1, 0 … RUNS-1: which is under way */
    int has_met;               /* for that run */
    uint64_t here, *there;     /* number of a run that a rank is about to begin; all ranks' */
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
        .there = hlq_arena_take(arena, (size_t)w->size * sizeof(uint64_t)),
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

/* Ranks tell each other which run comes next; and heard the same. */
static void meet(hlq_walk *w, space *s)
{
    s->here = (uint64_t)(s->turn * RUNS + s->run);
    s->has_met = 1;
    hlq_send_to_all(w, &s->here, sizeof s->here);
    for (int p = 0; p < w->size; p++) w->in[p] = (hlq_message){&s->there[p], sizeof *s->there};
}

static hlq_status check_meeting(const hlq_walk *w, const space *s)
{
    for (int p = 0; p < w->size; p++) {
        if (p == w->rank || s->there[p] == s->here) continue;
        return hlq_fail(w, HLQ_E_WIRE, "from rank %d: the number of a run is damaged", p);
    }
    return HLQ_OK;
}

/* Steps of one run after the other, until one has an exchange to make; then the turn is over. */
static hlq_status drive(hlq_walk *w)
{
    space *s = space_of(w);
    for (; s->run < RUNS; s->run++) {
        int size = s->run / KINDS, kind = s->run % KINDS, done;
        hlq_child *child = &s->child[size][kind];
        if (!s->has_met) {
            meet(w, s);
            w->next = DRIVE;
            return HLQ_OK;
        }
        if (!s->begin) {
            HLQ_TRY(check_meeting(w, s));
            child->walk.next = 0;
            child->walk.stats = &s->ignored;
            s->begin = hlq_now();
        }
        w->next = DRIVE;
        HLQ_TRY(hlq_child_step(w, child, &done));
        if (!done) return HLQ_OK;
        s->mine.taken[size][kind] = hlq_now() - s->begin;
        s->begin = 0;
        s->has_met = 0;
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

static size_t find_chunk(const hlq_walk *w, const hlq_curve *coded)
{
    const double *seconds = coded->seconds;
    double bytes_per_elem = 2.0 / w->size * w->comm->options.bits / 8; /* in each message */
    double bytes = bytes_per_elem * (double)(elems_of[SIZES - 1] - elems_of[SIZES - 2]);
    double rate = bytes / fmax(seconds[SIZES - 1] - seconds[SIZES - 2], 1e-9);
    double chunk = exchange_length * seconds[SHORT_SUM] * rate;
    return (size_t)fmin(fmax(chunk, CHUNK_LEAST), CHUNK_MOST);
}

/* Deterministic, since all have the same times. */
static void decide(const hlq_walk *w, const space *s)
{
    hlq_probe *probe = &w->comm->probe;
    for (int size = 0; size < SIZES; size++) {
        probe->plain.seconds[size] = s->best[size][PLAIN];
        probe->coded.seconds[size] = s->best[size][CODED];
    }
    probe->chunk_bytes = find_chunk(w, &probe->coded);
    probe->is_done = 1;
    const double *plain = probe->plain.seconds, *coded = probe->coded.seconds;
    hlq_log(w->comm, HLQ_LOG_INFO,
            "probe: sums of 16, 64, 256 and 2048 KiB of float32 take %.0f, %.0f, %.0f and %.0f us "
            "plain, %.0f, %.0f, %.0f and %.0f us coded; chunks of %zu bytes",
            1e6 * plain[0], 1e6 * plain[1], 1e6 * plain[2], 1e6 * plain[3], 1e6 * coded[0],
            1e6 * coded[1], 1e6 * coded[2], 1e6 * coded[3], probe->chunk_bytes);
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

static double predicted(const hlq_curve *curve, double numbers)
{
    const double *seconds = curve->seconds;
    if (numbers <= (double)elems_of[0]) return seconds[0];
    for (int i = 1; i < SIZES; i++) {
        double low = (double)elems_of[i - 1], high = (double)elems_of[i];
        if (numbers > high) continue;
        return seconds[i - 1] + (seconds[i] - seconds[i - 1]) * (numbers - low) / (high - low);
    }
    return seconds[SIZES - 1] * numbers / (double)elems_of[SIZES - 1];
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
const hlq_algorithm_entry hlq_probe_walk = {wire_bytes, workspace_bytes, steps, NULL};
