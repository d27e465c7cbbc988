/*
 * Target mode: from a relative error to bits. Before a call with a target, ranks exchange what
 * their tensors would cost, and all come to the same budget:
 *
 *   error    For budgets of 1, 1.5, … 12 bits, the squared error that this rank's codes would make:
 *            the plan's own arithmetic, on a histogram of its blocks' exponents.
 *   sketch   The error is relative to the sum, of which no rank knows the size before it is made.
 *            So each adds its blocks up, rotated (with every block's own signs), into a single
 *            block. That is linear: the sketches' sum is the sum's sketch, and its energy is the
 *            sum's, give or take 9 % (a standard deviation: √(2 / 256)).
 *
 *   rank 0   error(bits), sketch ─┐
 *   rank 1   error(bits), sketch ─┼──▶ all: least bits with  Σ error / ‖Σ sketch‖²  ≤  target
 *   rank 2   error(bits), sketch ─┘
 *
 * What follows is decided in double precision by operations that round alike everywhere.
 */
#include "target.h"
#include "algorithms/legs.h"

#include <wire/checksum.h>
#include <wire/plan.h>

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { GRID = 23, HALVINGS = 5 };

static double grid_bits(int i) { return 1 + 0.5 * i; }

typedef struct cost {
    double energy;
    double error[GRID]; /* squared, of coding that, by bits */
} cost;

/* What a rank tells the others. */
typedef struct account {
    cost coded; /* of what it quantizes */
    cost kept; /* of the part that it adds up itself: a sum is spread over its blocks as both are */
    int32_t unit; /* the sketch is in units of 2^unit, squares of 4^unit */
    float sketch[HLQ_BLOCK_ELEMS];
    uint64_t checksum; /* of all before it */
} account;

typedef struct space {
    account *mine, *theirs; /* theirs: one per rank */
    int16_t *exponent;      /* of the blocks of send, or of a part */
    uint8_t *code;
} space;

static space lay_out(const hlq_walk *w, hlq_arena *arena)
{
    size_t blocks = hlq_block_count(hlq_send_elems(w)) + 1;
    return (space){
        .mine = hlq_arena_take(arena, sizeof(account)),
        .theirs = hlq_arena_take(arena, (size_t)w->size * sizeof(account)),
        .exponent = hlq_arena_take(arena, blocks * sizeof(int16_t)),
        .code = hlq_arena_take(arena, blocks),
    };
}

static size_t workspace_bytes(const hlq_walk *w)
{
    hlq_arena counting = {NULL, 0, 0};
    lay_out(w, &counting);
    return counting.used;
}

static space space_of(const hlq_walk *w)
{
    hlq_arena arena = w->arena;
    return lay_out(w, &arena);
}

static uint64_t checksum_of(const account *a)
{
    return hlq_checksum(a, offsetof(account, checksum), 0);
}

/* This rank's account ------------------------------------------------------------------------ */

/* Whether a rank quantizes the part that it has for rank p. */
static int is_quantized(const hlq_walk *w, int p)
{
    int is_whole = w->operation == HLQ_ALL_GATHER ||
                   (w->operation == HLQ_ALL_REDUCE && w->algorithm == HLQ_ALG_ONESHOT);
    return is_whole ? p == w->rank : p != w->rank;
}

static size_t budget_at(const hlq_walk *w, const hlq_part *part, double bits)
{
    hlq_walk trial = *w;
    trial.bits = bits;
    size_t overhead = hlq_segment_overhead(HLQ_FORM_RAMP, part->place.blocks);
    return hlq_part_frame(&trial, part, w->rank, HLQ_LEG_PARTS).bytes - overhead;
}

/* Adds what coding a part would cost. */
static void account_for(const hlq_walk *w, const space *s, const hlq_part *part, cost *c)
{
    hlq_histogram histogram = {{0}};
    hlq_source source = hlq_source_of(w, part);
    size_t blocks = part->place.blocks;
    if (!blocks) return;
    hlq_team_exponents(&w->comm->team, &part->place, &source, s->exponent);
    int base = hlq_base_of_exponents(w->dtype, s->exponent, blocks);
    hlq_codes_from_exponents(s->exponent, blocks, base, s->code);
    for (size_t b = 0; b < blocks; b++) histogram.blocks[s->code[b]]++;
    double scale = ldexp(HLQ_BLOCK_ELEMS, 2 * (base - s->mine->unit));
    c->energy += scale * hlq_histogram_energy(&histogram);
    for (int i = 0; i < GRID; i++) {
        double error =
            hlq_plan_error(&histogram, w->comm->options.lattice, w->comm->options.dither,
                           HLQ_BITS_MAX, HLQ_RAMP_WORDS * 4, budget_at(w, part, grid_bits(i)));
        c->error[i] += scale * error;
    }
}

/* All of send; its unit is the size of its largest block, so that squares of any numbers fit. */
static hlq_source all_of_send(const hlq_walk *w, const space *s, hlq_place *all)
{
    size_t elems = hlq_send_elems(w);
    hlq_source source = {
        .data = w->send, .dtype = w->dtype, .elems = elems, .residual = w->residual};
    int limit = w->dtype == HLQ_FLOAT64 ? HLQ_UNIT_LIMIT_FLOAT64 : HLQ_UNIT_LIMIT;
    *all = hlq_place_all(elems, w->comm->options.seed);
    hlq_team_exponents(&w->comm->team, all, &source, s->exponent);
    int unit = hlq_base_of_exponents(w->dtype, s->exponent, all->blocks);
    s->mine->unit = unit > limit ? limit : unit < -limit ? -limit : unit;
    return source;
}

/* s->exponent holds those of all blocks. */
static void sketch(const hlq_walk *w, const space *s, const hlq_source *source,
                   const hlq_place *all)
{
    hlq_place one = *all;
    one.blocks = 1;
    for (size_t b = 0; b < all->blocks; b++) {
        if (s->exponent[b] == HLQ_EXPONENT_NONFINITE) continue;
        one.first = b;
        w->comm->team.kernels->rotate_add(&one, source, s->mine->unit, s->mine->sketch);
    }
}

static hlq_status tell(hlq_walk *w)
{
    space s = space_of(w);
    hlq_place all;
    memset(s.mine, 0, sizeof *s.mine);
    hlq_source source = all_of_send(w, &s, &all);
    if (hlq_is_sum(w->operation)) sketch(w, &s, &source, &all);
    for (int p = 0; p < w->size; p++) {
        hlq_part part = hlq_part_to(w, p);
        if (is_quantized(w, p)) account_for(w, &s, &part, &s.mine->coded);
        else if (hlq_is_coded_twice(w)) account_for(w, &s, &part, &s.mine->kept);
    }
    s.mine->checksum = checksum_of(s.mine);
    memcpy(&s.theirs[w->rank], s.mine, sizeof *s.mine); /* padding too */
    hlq_send_to_all(w, s.mine, sizeof *s.mine);
    for (int p = 0; p < w->size; p++) w->in[p] = (hlq_message){&s.theirs[p], sizeof *s.theirs};
    return HLQ_OK;
}

/* Everybody's decision ----------------------------------------------------------------------- */

static void scale_cost(cost *c, int octaves)
{
    c->energy = ldexp(c->energy, 2 * octaves);
    for (int i = 0; i < GRID; i++) c->error[i] = ldexp(c->error[i], 2 * octaves);
}

/* All accounts in units of the largest; what is far below it does not count. */
static void make_common(const hlq_walk *w, const space *s)
{
    enum { NOTHING = -4000 };
    int64_t largest = s->theirs[0].unit;
    for (int p = 1; p < w->size; p++) {
        if (s->theirs[p].unit > largest) largest = s->theirs[p].unit;
    }
    for (int p = 0; p < w->size; p++) {
        account *a = &s->theirs[p];
        int64_t below = a->unit - largest;
        int octaves = below < NOTHING ? NOTHING : (int)below;
        scale_cost(&a->coded, octaves);
        scale_cost(&a->kept, octaves);
        for (int i = 0; i < HLQ_BLOCK_ELEMS; i++) a->sketch[i] = ldexpf(a->sketch[i], octaves);
    }
}

static double energy_of_sum(const hlq_walk *w, const space *s)
{
    double energy = 0;
    for (int i = 0; i < HLQ_BLOCK_ELEMS; i++) {
        double sum = 0;
        for (int p = 0; p < w->size; p++) sum += s->theirs[p].sketch[i];
        energy += sum * sum;
    }
    return energy;
}

static void add_cost(cost *sum, const cost *c)
{
    sum->energy += c->energy;
    for (int i = 0; i < GRID; i++) sum->error[i] += c->error[i];
}

/* Relative errors by bits. */
static void predict(const hlq_walk *w, const space *s, double vnmse[GRID])
{
    cost coded = {0}, all = {0};
    for (int p = 0; p < w->size; p++) {
        add_cost(&coded, &s->theirs[p].coded);
        add_cost(&all, &s->theirs[p].coded);
        add_cost(&all, &s->theirs[p].kept);
    }
    double energy = hlq_is_sum(w->operation) ? energy_of_sum(w, s) : coded.energy;
    for (int i = 0; i < GRID; i++) {
        vnmse[i] = energy > 0 ? coded.error[i] / energy : 0;
        /* The sum's blocks are taken to be spread as the contributions' are. */
        if (hlq_is_coded_twice(w) && all.energy > 0) vnmse[i] += all.error[i] / all.energy;
    }
}

/* The least bits for a target, between two of the grid by halving; more than 12 if none will do. */
static double bits_for(const double vnmse[GRID], double target)
{
    int i = 0;
    while (i < GRID && !(vnmse[i] <= target)) i++;
    if (i == 0) return grid_bits(0);
    if (i == GRID) return HLQ_BITS_MAX + 1;
    double low = grid_bits(i - 1), high = grid_bits(i), above = vnmse[i - 1], below = vnmse[i];
    for (int h = 0; h < HALVINGS; h++) {
        double middle = (low + high) / 2, error = sqrt(above * below);
        if (error <= target) high = middle, below = error;
        else low = middle, above = error;
    }
    return high;
}

static hlq_status decide(hlq_walk *w)
{
    space s = space_of(w);
    double vnmse[GRID];
    for (int p = 0; p < w->size; p++) {
        if (s.theirs[p].checksum != checksum_of(&s.theirs[p])) {
            return hlq_fail(w, HLQ_E_WIRE, "from rank %d: its account of errors is damaged",
                            hlq_rank_of(w, p));
        }
    }
    make_common(w, &s);
    predict(w, &s, vnmse);
    w->bits = fmax(bits_for(vnmse, w->target_nmse), hlq_dither_budget(w));
    if (w->bits > HLQ_BITS_MAX) w->algorithm = HLQ_ALG_NATIVE;
    return HLQ_OK;
}

static uint64_t wire_bytes(const hlq_walk *w) { return (uint64_t)(w->size - 1) * sizeof(account); }

static hlq_step *const steps[] = {tell, decide, NULL};
const hlq_algorithm_entry hlq_target = {wire_bytes, workspace_bytes, steps, NULL};
