/*
 * Exempt ranges: elements that are summed as they are, in the same call. They are taken out of the
 * tensor, so that they neither cost bits nor lend their size to other numbers' blocks.
 *
 *   send   ▒▒▒▒▒▒▒▒▒▒███▒▒▒▒▒▒▒▒▒▒▒▒▒█▒▒▒▒▒
 *                    │               │
 *   exempt        ███ + █            native sum ────────┐
 *   the rest   ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒…     coded sum ─────────┴──▶ back to their places in recv
 *
 * Two walks, one after the other, each on a copy.
 */
#include <collective/child.h>
#include <collective/choose.h>
#include <collective/target.h>

#include <string.h>

enum { EXACT, TARGET, CODED, ENDED };

typedef struct space {
    int phase;
    char *exact, *kept; /* copies, in and out */
    float *residual;    /* of the rest, or NULL */
    hlq_child child[ENDED];
} space;

static size_t exempt_elems(const hlq_walk *w)
{
    size_t elems = 0;
    for (size_t i = 0; i < w->exempt_ranges; i++) elems += w->exempt[i].count;
    return elems;
}

/* A walk over a copy, worked on in place. */
static hlq_walk walk_over(const hlq_walk *w, void *copy, size_t elems)
{
    hlq_walk child = hlq_child_walk(w, w->rank, w->size);
    child.send = child.recv = copy;
    child.count = elems;
    return child;
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* What the coded walk needs: for as many bits as target mode may find. */
static size_t coded_bytes(const hlq_walk *coded)
{
    hlq_walk most = *coded;
    if (!(most.target_nmse > 0)) return hlq_entry_of(coded)->workspace_bytes(coded);
    most.bits = HLQ_BITS_MAX;
    hlq_walk native = most;
    native.algorithm = HLQ_ALG_NATIVE;
    size_t bytes = larger(hlq_entry_of(&most)->workspace_bytes(&most),
                          hlq_entry_of(&native)->workspace_bytes(&native));
    return larger(bytes, hlq_target.workspace_bytes(coded));
}

static space lay_out(const hlq_walk *w, hlq_arena *arena)
{
    size_t width = hlq_dtype_bytes(w->dtype), exact = exempt_elems(w), kept = w->count - exact;
    hlq_arena_take(arena, sizeof(space)); /* itself */
    space s = {
        .exact = hlq_arena_take(arena, exact * width),
        .kept = hlq_arena_take(arena, kept * width),
        .residual = w->residual ? hlq_arena_take(arena, kept * sizeof(float)) : NULL,
    };
    hlq_walk native = walk_over(w, s.exact, exact), coded = walk_over(w, s.kept, kept);
    native.algorithm = HLQ_ALG_NATIVE;
    native.residual = NULL;
    coded.residual = s.residual ? s.residual : w->residual; /* while counting, any that is there */
    native.arena = hlq_child_arena(arena, hlq_entry_of(&native)->workspace_bytes(&native));
    coded.arena = hlq_child_arena(arena, coded_bytes(&coded));
    s.child[EXACT] = (hlq_child){.walk = native, .entry = hlq_entry_of(&native)};
    s.child[TARGET] = (hlq_child){.walk = coded, .entry = &hlq_target};
    s.child[CODED] = (hlq_child){.walk = coded};
    return s;
}

static size_t workspace_bytes(const hlq_walk *w)
{
    hlq_arena counting = {NULL, 0, 0};
    lay_out(w, &counting);
    return counting.used;
}

static uint64_t wire_bytes(const hlq_walk *w)
{
    hlq_arena counting = {NULL, 0, 0};
    space s = lay_out(w, &counting);
    const hlq_walk *coded = &s.child[CODED].walk;
    return s.child[EXACT].entry->wire_bytes(&s.child[EXACT].walk) +
           (coded->count ? hlq_entry_of(coded)->wire_bytes(coded) : 0);
}

static space *space_of(const hlq_walk *w) { return (space *)(void *)w->arena.base; }

/* Which way copies go. */
typedef enum { OUT, BACK } direction;

static char *move(direction way, char *tensor, char *copy, size_t bytes)
{
    if (way == OUT) memcpy(copy, tensor, bytes);
    else memcpy(tensor, copy, bytes);
    return copy + bytes;
}

/* Elements of `width` bytes: between a tensor and copies of its exempt ranges and of the rest.
   exact may be NULL. */
static void split(const hlq_walk *w, direction way, char *tensor, char *exact, char *kept,
                  size_t width)
{
    size_t at = 0;
    for (size_t i = 0; i < w->exempt_ranges; i++) {
        hlq_range range = w->exempt[i];
        kept = move(way, tensor + at * width, kept, (range.start - at) * width);
        at = range.start + range.count;
        if (exact) exact = move(way, tensor + range.start * width, exact, range.count * width);
    }
    move(way, tensor + at * width, kept, (w->count - at) * width);
}

static void finish(hlq_walk *w)
{
    space *s = space_of(w);
    split(w, BACK, w->recv, s->exact, s->kept, hlq_dtype_bytes(w->dtype));
    if (w->residual) {
        split(w, BACK, (char *)w->residual, NULL, (char *)s->residual, sizeof(float));
    }
    w->bits = s->child[CODED].walk.bits;
}

/* The phase after one that has ended; what target mode found is the coded walk's. */
static void next_phase(hlq_walk *w, space *s)
{
    hlq_walk *found = &s->child[TARGET].walk, *coded = &s->child[CODED].walk;
    s->phase++;
    if (s->phase == TARGET && !(w->target_nmse > 0)) s->phase = CODED;
    if (s->phase != CODED) return;
    coded->bits = found->bits;
    coded->algorithm = found->algorithm;
    s->child[CODED].entry = hlq_entry_of(coded);
}

enum { BEGIN, DRIVE, END };

/* A step of a child's, or several while no exchange is due; then here again, to the end. */
static hlq_status drive(hlq_walk *w)
{
    space *s = space_of(w);
    w->next = DRIVE;
    while (s->phase < ENDED) {
        hlq_child *child = &s->child[s->phase];
        int done = 1;
        if (child->walk.count) HLQ_TRY(hlq_child_step(w, child, &done));
        if (!done) return HLQ_OK;
        next_phase(w, s);
    }
    finish(w);
    w->next = END;
    return HLQ_OK;
}

static hlq_status begin(hlq_walk *w)
{
    hlq_arena arena = w->arena;
    space s = lay_out(w, &arena);
    *space_of(w) = s;
    split(w, OUT, (char *)(uintptr_t)w->send, s.exact, s.kept, hlq_dtype_bytes(w->dtype));
    if (w->residual) {
        split(w, OUT, (char *)w->residual, NULL, (char *)s.residual, sizeof(float));
    }
    return drive(w);
}

static hlq_step *const steps[] = {[BEGIN] = begin, [DRIVE] = drive, [END] = NULL};
const hlq_algorithm_entry hlq_exempt = {wire_bytes, workspace_bytes, steps, NULL};
