/* Collectives drawn at random, and their buffers; soak.h tells. */
#include "soak.h"
#include "tool.h"

enum { GAP = 64 };

/* Geometry ----------------------------------------------------------------------------------- */

int soak_deals_out(const soak_job *j)
{
    return j->operation == HLQ_REDUCE_SCATTER || j->operation == HLQ_ALL_TO_ALL;
}

int soak_collects(const soak_job *j)
{
    return j->operation == HLQ_ALL_GATHER || j->operation == HLQ_ALL_TO_ALL;
}

size_t soak_count_between(const soak_job *j, int p, int q)
{
    hlq_rng rng = {j->stream + (uint64_t)(p * SOAK_RANKS_MAX + q)};
    return j->has_counts ? hlq_rng_below(&rng, j->count + 1) : j->count;
}

static void measure(soak_job *j, const soak_group *g)
{
    j->send_elems = soak_deals_out(j) ? 0 : j->count;
    j->recv_elems = soak_collects(j) ? 0 : j->count;
    for (int p = 0; p < g->size; p++) {
        j->to[p] = soak_count_between(j, g->rank, p);
        j->from[p] = soak_count_between(j, p, g->rank);
        if (soak_deals_out(j)) j->send_elems += j->to[p];
        if (soak_collects(j)) j->recv_elems += j->from[p];
    }
}

/* Drawing ------------------------------------------------------------------------------------ */

static hlq_dtype draw_dtype(hlq_rng *rng)
{
    if (hlq_rng_below(rng, 2)) return HLQ_FLOAT32;
    return (hlq_dtype)hlq_rng_below(rng, DTYPES);
}

static hlq_op draw_op(hlq_rng *rng, const soak_job *j)
{
    if (soak_collects(j)) return HLQ_SUM; /* nobody asks */
    hlq_op op = hlq_rng_below(rng, 4) ? HLQ_SUM : (hlq_op)hlq_rng_below(rng, 5);
    if (op == HLQ_SUM && hlq_rng_below(rng, 2)) op = HLQ_AVG;
    return op == HLQ_AVG && !hlq_dtype_is_float(j->dtype) ? HLQ_SUM : op;
}

static hlq_algorithm draw_algorithm(hlq_rng *rng, const soak_job *j, const soak_group *g)
{
    hlq_algorithm drawn = (hlq_algorithm)hlq_rng_below(rng, HLQ_ALG_HIERARCHICAL + 1);
    int is_sum = j->op == HLQ_SUM || j->op == HLQ_AVG;
    if (drawn == HLQ_ALG_AUTO) return drawn;
    if (!is_sum || !hlq_dtype_is_float(j->dtype)) return HLQ_ALG_NATIVE;
    if (drawn == HLQ_ALG_HIERARCHICAL && !g->has_nodes) return HLQ_ALG_TWOSHOT;
    int has_modq = !soak_collects(j) && !g->options.dither;
    return drawn == HLQ_ALG_MODQ && !has_modq ? HLQ_ALG_ONESHOT : drawn;
}

/* Bits of the call's own, or a target, or a bound, or what the communicator has. modq takes neither
   target nor bound, and dither no bound. */
static void draw_budget(soak_job *j, const soak_group *g, hlq_rng *rng)
{
    int way = hlq_rng_between(rng, 0, 4);
    int tenths = hlq_rng_between(rng, 10, 120), octaves = hlq_rng_between(rng, 2, 16);
    hlq_algorithm wanted = j->algorithm == HLQ_ALG_AUTO ? g->options.algorithm : j->algorithm;
    if (way == 0 && wanted != HLQ_ALG_MODQ) j->target = exp2(-octaves);
    else if (way == 1 && wanted != HLQ_ALG_MODQ && !g->options.dither)
        j->bound = j->size * exp2(4 - octaves);
    else if (way < 4 || wanted == HLQ_ALG_MODQ) j->bits = fmax(tenths / 10.0, soak_least_bits(g));
    if (j->bits == 0 && j->bound == 0) j->aim = j->target > 0 ? j->target : g->options.target_nmse;
}

/* Ranges that are not coded, of any length down to none, for an all-reduce. */
static void draw_ranges(soak_job *j, hlq_rng *rng)
{
    size_t at = 0;
    if (j->operation != HLQ_ALL_REDUCE || hlq_rng_below(rng, 3)) return;
    j->ranges = hlq_rng_between(rng, 1, SOAK_RANGES_MAX);
    for (int i = 0; i < j->ranges; i++) {
        size_t start = at + hlq_rng_below(rng, (j->count - at) / 2 + 1);
        size_t count = hlq_rng_below(rng, (j->count - start) / 4 + 2);
        if (count > j->count - start) count = j->count - start;
        j->exempt[i] = (hlq_range){start, count};
        at = start + count;
    }
}

/* As many small tensors as large ones, and some of every awkward size. */
static size_t draw_count(hlq_rng *rng, size_t most)
{
    static const size_t awkward[] = {0, 1, 2, 3, 255, 256, 257, 511, 16383, 16384, 16385};
    size_t count = (size_t)exp2(hlq_rng_uniform(rng) * log2((double)most));
    if (hlq_rng_below(rng, 6) == 0) {
        count = awkward[hlq_rng_below(rng, sizeof awkward / sizeof *awkward)];
    } else if (hlq_rng_below(rng, 40) == 0) {
        count = most;
    } else if (hlq_rng_below(rng, 2)) {
        count |= 1;
    }
    return count < most ? count : most;
}

static void draw_job(soak_job *j, const soak_group *g, hlq_rng *rng, size_t most)
{
    *j = (soak_job){.operation = (hlq_operation)hlq_rng_below(rng, 4)};
    int range = 40; /* octaves */
    j->stream = hlq_rng_next(rng);
    j->dtype = draw_dtype(rng);
    j->op = draw_op(rng, j);
    j->algorithm = draw_algorithm(rng, j, g);
    j->has_counts = j->operation == HLQ_ALL_TO_ALL && hlq_rng_below(rng, 2);
    if (j->operation != HLQ_ALL_REDUCE) most /= (size_t)g->size;
    j->count = draw_count(rng, most);
    if (j->dtype == HLQ_FLOAT64) range = 900;
    j->size = exp2(j->dtype == HLQ_FLOAT16 ? hlq_rng_between(rng, -10, -4)
                                           : hlq_rng_between(rng, -range, range));
    draw_budget(j, g, rng);
    draw_ranges(j, rng);
    j->has_residual = j->dtype != HLQ_FLOAT64 && hlq_rng_below(rng, 3) == 0;
    /* Left by calls before; on two levels a rank's counts in its own stretch only: none, then. */
    if (hlq_rng_below(rng, 2) && !g->has_nodes) j->residual_size = j->size / 8;
    j->in_place = !j->has_counts && hlq_rng_below(rng, 2);
    measure(j, g);
}

/* Buffers ------------------------------------------------------------------------------------ */

/* The widest of a job: two buffers of 8 bytes an element, a residual and the sum of residuals. */
size_t soak_arena_bytes(const soak_options *options)
{
    return 24 * options->most + SOAK_GAPS_MAX * (GAP + 16);
}

/* `bytes` behind a gap, at any address. */
static char *carve(soak_run *run, size_t bytes, size_t misalign)
{
    soak_gap *gap = &run->gap[run->gaps++];
    size_t up = (misalign - (size_t)(uintptr_t)(run->free + GAP)) & 15;
    *gap = (soak_gap){run->free, GAP + up};
    memset(gap->at, SOAK_GAP_BYTE, gap->bytes);
    run->free += gap->bytes + bytes;
    if (run->free > run->arena + soak_arena_bytes(run->options)) abort();
    return gap->at + gap->bytes;
}

static void lay_out(soak_run *run, soak_job *j, hlq_rng *rng)
{
    const soak_group *g = &run->group;
    size_t width = hlq_dtype_bytes(j->dtype);
    size_t send_bytes = j->send_elems * width, recv_bytes = j->recv_elems * width;
    size_t own = (size_t)g->rank * j->count * width;
    size_t larger = send_bytes > recv_bytes ? send_bytes : recv_bytes;
    size_t misalign = hlq_rng_below(rng, 2) ? 0 : hlq_rng_below(rng, 16);
    if (j->in_place) {
        char *both = carve(run, larger, misalign);
        j->send = j->operation == HLQ_ALL_GATHER ? both + own : both;
        j->recv = j->operation == HLQ_REDUCE_SCATTER ? both + own : both;
    } else {
        j->send = carve(run, send_bytes, misalign);
        j->recv = carve(run, recv_bytes, hlq_rng_below(rng, 16));
    }
    if (j->has_residual) {
        j->residual = (float *)(void *)carve(run, j->send_elems * sizeof(float), 0);
        j->kept = (float *)(void *)carve(run, j->recv_elems * sizeof(float), 0);
    }
}

void soak_draw(soak_run *run, hlq_rng *rng)
{
    run->free = run->arena;
    run->gaps = 0;
    run->jobs = hlq_rng_below(rng, 2) ? 1 : hlq_rng_between(rng, 2, SOAK_JOBS_MAX);
    for (int i = 0; i < run->jobs; i++) {
        soak_job *j = &run->job[i];
        draw_job(j, &run->group, rng, run->options->most / (size_t)run->jobs);
        lay_out(run, j, rng);
        soak_fill(run, j);
        j->sent = tool_hash(j->send, j->send_elems * hlq_dtype_bytes(j->dtype));
        if (j->residual) j->residual_before = tool_hash(j->residual, j->send_elems * sizeof(float));
    }
    carve(run, 0, 0); /* the gap behind the last */
}
