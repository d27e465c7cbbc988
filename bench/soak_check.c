/*
 * Whether what came out is what the numbers say; soak.h tells. The bound on errors is that of
 * tests/model.h. What is equal on all ranks is checked by all of them, each a share.
 */
#include "soak.h"
#include "tool.h"

#include <model.h>

/* Results: sums and other reductions --------------------------------------------------------- */

static double combined(hlq_op op, double a, double b)
{
    switch (op) {
    case HLQ_MIN: return a < b ? a : b;
    case HLQ_MAX: return a > b ? a : b;
    case HLQ_PRODUCT: return a * b;
    case HLQ_SUM:
    case HLQ_AVG: break;
    }
    return a + b;
}

static uint64_t combined_words(const soak_job *j, uint64_t a, uint64_t b)
{
    int64_t x = (int64_t)a, y = (int64_t)b;
    switch (j->op) {
    case HLQ_MIN: return x < y ? a : b;
    case HLQ_MAX: return x > y ? a : b;
    case HLQ_PRODUCT: return soak_widened(j->dtype, a * b);
    case HLQ_SUM:
    case HLQ_AVG: break;
    }
    return soak_widened(j->dtype, a + b);
}

/* Integers: bit by bit. Returns how many are wrong. */
static size_t wrong_words(soak_run *run, const soak_job *j, size_t start, size_t count,
                          const char *result)
{
    const soak_group *g = &run->group;
    size_t wrong = 0;
    for (int p = 0; p < g->size; p++) {
        soak_words(j, p, g->rank, start, count, run->words);
        for (size_t i = 0; i < count; i++) {
            run->sum[i] = p ? combined_words(j, run->sum[i], run->words[i]) : run->words[i];
        }
    }
    soak_load_words(j->dtype, result, count, run->words);
    for (size_t i = 0; i < count; i++) wrong += run->words[i] != run->sum[i];
    return wrong;
}

/* Minimum and maximum: exactly; products: to a rounding of fp32 for each rank, and one to the
   type. */
static size_t wrong_picks(soak_run *run, const soak_job *j, size_t start, size_t count)
{
    const soak_group *g = &run->group;
    double *want = (double *)run->sum, allowed = 0;
    size_t wrong = 0;
    for (int p = 0; p < g->size; p++) {
        soak_numbers(j, p, g->rank, start, count, run->x);
        for (size_t i = 0; i < count; i++) {
            want[i] = p ? combined(j->op, want[i], run->x[i]) : run->x[i];
        }
    }
    if (j->op == HLQ_PRODUCT) allowed = g->size * 0x1p-23;
    if (allowed > 0 && j->dtype == HLQ_BFLOAT16) allowed += 0x1p-8;
    if (allowed > 0 && j->dtype == HLQ_FLOAT16) allowed += 0x1p-11;
    for (size_t i = 0; i < count; i++) {
        wrong += !(fabs(run->got[i] - want[i]) <= allowed * fabs(want[i]));
    }
    return wrong;
}

/* Elements at … at + count - 1 of a view of a result; `base`, and `kept` where there is one: where
   the result, and what residuals keep of it, begin. */
typedef struct slice {
    const soak_view *view;
    const char *base;
    const float *kept;
    size_t at, count;
} slice;

/* Numbers of rank p in that slice; with what its residual held before the call. */
static void read_numbers(soak_run *run, const soak_job *j, const slice *s, int p, double *x)
{
    int q = run->group.rank;
    for (size_t done = 0, start; done < s->count;) {
        size_t n = soak_view_piece(s->view, s->at + done, s->count - done, &start);
        soak_numbers(j, p, q, start, n, x + done);
        if (s->kept) soak_kept_numbers(j, p, q, start, n, run->y);
        for (size_t i = 0; i < n && s->kept; i++) x[done + i] += run->y[i];
        done += n;
    }
}

static void read_result(const soak_job *j, const slice *s, double *got)
{
    for (size_t done = 0, start; done < s->count;) {
        size_t n = soak_view_piece(s->view, s->at + done, s->count - done, &start);
        dtype_load(j->dtype, s->base + start * hlq_dtype_bytes(j->dtype), n, got + done);
        done += n;
    }
}

/* The result and what residuals keep of it are together what was added up: no code's error is left
   in that, only rounding, and there is no term for a residual's in the model: hence twice. */
static void check_identity(soak_run *run, const soak_job *j, const slice *s, const model *m)
{
    model_bound bound = {run->group.options.lattice, j->dtype, 0};
    for (size_t done = 0, start; done < s->count;) {
        size_t n = soak_view_piece(s->view, s->at + done, s->count - done, &start);
        for (size_t i = 0; i < n; i++) run->got[done + i] += m->factor * (double)s->kept[start + i];
        done += n;
    }
    double worst = model_worst_wide(m, &bound, run->got) / 2;
    if (!(worst <= 1))
        soak_wrong(run, j, "with residuals off by %g times rounding from element %zu on", worst,
                   s->at);
}

/* For soak_settle(): in units of the numbers' size, whose squares a double can hold. */
static void note_error(soak_run *run, const soak_job *j, const model *m)
{
    soak_account *a = &run->account[j - run->job];
    for (size_t i = 0; i < m->count; i++) {
        double exact = model_exact(m, i), off = run->got[i] - exact;
        a->error += off / j->size * (off / j->size);
        a->energy += exact / j->size * (exact / j->size);
    }
}

/* Bound mode: no number is off by more, but for rounding: in a block, a millionth of its numbers,
   and to the type. */
static void check_within(soak_run *run, const soak_job *j, const slice *s, const model *m)
{
    double digits = j->dtype == HLQ_BFLOAT16 ? 0x1p-8 : j->dtype == HLQ_FLOAT16 ? 0x1p-11 : 0;
    double step = j->dtype == HLQ_FLOAT16 ? 0x1p-25 : 0, worst = 0;
    for (size_t i = 0; i < m->count; i++) {
        double exact = model_exact(m, i), off = fabs(run->got[i] - exact);
        double sizes = m->factor * m->sizes[i / MODEL_BLOCK];
        double rounding = step + digits * fabs(run->got[i]) + 1e-6 * sizes;
        worst = fmax(worst, off / (j->bound + rounding));
    }
    if (!(worst <= 1))
        soak_wrong(run, j, "off by %g times max_error %g from element %zu on", worst, j->bound,
                   s->at);
}

/* Sums of what ranks first … last - 1 have, against the model. What is zero on all of them must be
   zero. Without scales nothing is quantized, and residuals are not looked at. */
static void check_model(soak_run *run, const soak_job *j, slice s, int first, int last,
                        double scales)
{
    model m = model_new(s.count, last - first, j->op);
    model_bound bound = {run->group.options.lattice, j->dtype, scales};
    size_t not_zero = 0;
    if (j->stats.algorithm == HLQ_ALG_NATIVE) s.kept = NULL;
    for (int p = first; p < last; p++) {
        read_numbers(run, j, &s, p, run->x);
        model_add_wide(&m, run->x);
    }
    read_result(j, &s, run->got);
    double worst = model_worst_wide(&m, &bound, run->got);
    for (size_t i = 0; i < s.count; i++) {
        not_zero += m.sizes[i / MODEL_BLOCK] == 0 && run->got[i] != 0;
    }
    if (!(worst <= 1))
        soak_wrong(run, j, "off by %g times the bound from element %zu on", worst, s.at);
    if (not_zero) soak_wrong(run, j, "%zu numbers that are zero on all ranks are not", not_zero);
    if (scales > 0) note_error(run, j, &m);
    if (scales > 0 && j->bound > 0) check_within(run, j, &s, &m);
    if (s.kept) check_identity(run, j, &s, &m);
    model_free(&m);
}

/* All of a view of a sum, or where it is equal everywhere a share of it. */
static void check_sum(soak_run *run, const soak_job *j, const soak_view *view, double scales)
{
    const soak_group *g = &run->group;
    int is_shared = j->operation == HLQ_ALL_REDUCE, is_coded = scales > 0;
    size_t step = SOAK_SLICE * (is_shared ? (size_t)g->size : 1);
    for (size_t at = is_shared ? (size_t)g->rank * SOAK_SLICE : 0; at < view->elems; at += step) {
        slice s = {view, j->recv, is_coded ? j->kept : NULL, at, soak_slice(view->elems, at)};
        check_model(run, j, s, 0, g->size, scales);
    }
}

/* Integers, and what is not a sum. */
static void check_picks(soak_run *run, const soak_job *j)
{
    const soak_group *g = &run->group;
    int is_shared = j->operation == HLQ_ALL_REDUCE;
    size_t step = SOAK_SLICE * (is_shared ? (size_t)g->size : 1);
    size_t width = hlq_dtype_bytes(j->dtype), wrong = 0;
    for (size_t at = is_shared ? (size_t)g->rank * SOAK_SLICE : 0; at < j->count; at += step) {
        size_t count = soak_slice(j->count, at);
        const char *result = j->recv + at * width;
        if (hlq_dtype_is_float(j->dtype)) dtype_load(j->dtype, result, count, run->got);
        wrong += hlq_dtype_is_float(j->dtype) ? wrong_picks(run, j, at, count)
                                              : wrong_words(run, j, at, count, result);
    }
    if (wrong) soak_wrong(run, j, "%zu numbers are not exactly what they should be", wrong);
}

static void check_reduction(soak_run *run, const soak_job *j, const double *scales)
{
    int is_sum = j->op == HLQ_SUM || j->op == HLQ_AVG;
    if (!is_sum || !hlq_dtype_is_float(j->dtype)) {
        check_picks(run, j);
        return;
    }
    soak_view coded = soak_view_of(j, j->count, 0), exempt = soak_view_of(j, j->count, 1);
    check_sum(run, j, &coded, model_scales(j->stats.algorithm, scales, run->group.size));
    check_sum(run, j, &exempt, 0);
}

/* Results: what came from others ------------------------------------------------------------- */

/* From rank p; quantized once unless nothing was. kept: of the part, or NULL. */
static void check_from(soak_run *run, const soak_job *j, int p, const char *part, const float *kept,
                       double scale)
{
    const soak_group *g = &run->group;
    size_t width = hlq_dtype_bytes(j->dtype), wrong = 0;
    int is_own = p == g->rank && j->operation == HLQ_ALL_TO_ALL;
    int is_exact = j->stats.algorithm == HLQ_ALG_NATIVE || is_own || g->size == 1;
    int is_shared = j->operation == HLQ_ALL_GATHER;
    size_t step = SOAK_SLICE * (is_shared ? (size_t)g->size : 1);
    soak_view all = soak_view_of(j, j->from[p], 0);
    for (size_t at = is_shared ? (size_t)g->rank * SOAK_SLICE : 0; at < j->from[p]; at += step) {
        size_t count = soak_slice(j->from[p], at);
        if (!is_exact) {
            check_model(run, j, (slice){&all, part, kept, at, count}, p, p + 1, scale);
        } else {
            soak_store(run, j, p, g->rank, at, count, (char *)run->sum);
            wrong += memcmp(run->sum, part + at * width, count * width) != 0;
        }
    }
    if (wrong) soak_wrong(run, j, "what came from rank %d is not what it sent", p);
}

static void check_parts(soak_run *run, const soak_job *j, const double *scales)
{
    size_t at = 0;
    for (int p = 0; p < run->group.size; p++) {
        const char *part = j->recv + at * hlq_dtype_bytes(j->dtype);
        check_from(run, j, p, part, j->kept ? j->kept + at : NULL, scales[p]);
        at += j->from[p];
    }
}

/* All of a job ------------------------------------------------------------------------------- */

/* What was planned is what happened: hlq_comm_plan() tells the bytes of codes exactly, of modq
   without repeats; of a target or a bound, the most there can be. */
static void check_plan(soak_run *run, const soak_job *j)
{
    const hlq_stats *s = &j->stats;
    const hlq_plan_info *plan = &j->plan;
    int is_known = s->algorithm == HLQ_ALG_TWOSHOT || s->algorithm == HLQ_ALG_ONESHOT ||
                   (s->algorithm == HLQ_ALG_MODQ && !s->retries);
    int is_exact =
        is_known && s->algorithm != HLQ_ALG_MODQ && !j->ranges && j->aim == 0 && j->bound == 0;
    if (j->has_counts) return; /* it is not asked for there */
    if (s->algorithm != plan->algorithm && !(j->aim > 0 && s->algorithm == HLQ_ALG_NATIVE))
        soak_wrong(run, j, "%s was planned", hlq_algorithm_name(plan->algorithm));
    else if (is_exact && s->bytes_sent != plan->wire_bytes)
        soak_wrong(run, j, "%llu bytes were planned, %llu sent",
                   (unsigned long long)plan->wire_bytes, (unsigned long long)s->bytes_sent);
    else if (is_known && !j->ranges && s->bytes_sent > plan->wire_bytes)
        soak_wrong(run, j, "at most %llu bytes were planned, %llu sent",
                   (unsigned long long)plan->wire_bytes, (unsigned long long)s->bytes_sent);
}

static void check_sides(soak_run *run, const soak_job *j)
{
    size_t wrong = 0;
    for (size_t i = 0; j->residual && i < j->send_elems; i++) wrong += !isfinite(j->residual[i]);
    if (wrong) soak_wrong(run, j, "%zu numbers of the residual are wrong", wrong);
    if (j->residual && j->stats.algorithm == HLQ_ALG_NATIVE &&
        tool_hash(j->residual, j->send_elems * sizeof(float)) != j->residual_before) {
        soak_wrong(run, j, "the residual was written to");
    }
    if (!j->in_place && tool_hash(j->send, j->send_elems * hlq_dtype_bytes(j->dtype)) != j->sent) {
        soak_wrong(run, j, "send was written to");
    }
    if (j->stats.nonfinite_blocks) soak_wrong(run, j, "blocks of the result are NaN");
    if (*j->error) soak_wrong(run, j, "a sentence without an error: %s", j->error);
    check_plan(run, j);
}

static void check_job(soak_run *run, int i)
{
    const soak_group *g = &run->group;
    const soak_job *j = &run->job[i];
    double scales[SOAK_RANKS_MAX];
    int differ = 0;
    if (j->status != HLQ_OK) {
        soak_wrong(run, j, "%s: %s", hlq_status_string(j->status), j->error);
        return;
    }
    for (int p = 0; p < g->size; p++) {
        scales[p] = run->all[g->member[p]].scale[i];
        differ |= run->all[g->member[p]].digest[i] != run->mine.digest[i];
    }
    int is_shared = j->operation == HLQ_ALL_REDUCE || j->operation == HLQ_ALL_GATHER;
    if (is_shared && differ) soak_wrong(run, j, "ranks ended with different bits");
    if (soak_collects(j)) check_parts(run, j, scales);
    else check_reduction(run, j, scales);
    check_sides(run, j);
}

void soak_check(soak_run *run)
{
    for (int i = 0; i < run->jobs; i++) check_job(run, i);
    for (int i = 0; i < run->gaps; i++) {
        const soak_gap *gap = &run->gap[i];
        int intact = 1;
        for (size_t b = 0; b < gap->bytes; b++) {
            intact &= (unsigned char)gap->at[b] == SOAK_GAP_BYTE;
        }
        if (!intact) soak_wrong(run, run->job, "bytes between buffers were written to");
    }
}

/* Error of blocks of one size, coded twice, relative to their energy: 4 × 4^-bits each is more than
   any lattice has (wire/plan.c). Of oneshot's sums every code has 2/n of the bits. */
static double even_error(const soak_job *j, int ranks)
{
    int is_short = j->operation == HLQ_ALL_REDUCE && j->stats.algorithm == HLQ_ALG_ONESHOT;
    return 8 * exp2(-2 * j->stats.bits * (is_short ? 2.0 / ranks : 1));
}

/* Targets are for the whole tensor: its error is that of all ranks' shares together. */
void soak_settle(soak_run *run)
{
    const soak_group *g = &run->group;
    perf_world_gather(run->world, run->account, sizeof run->account, run->accounts);
    for (int i = 0; i < run->jobs && g->rank == 0; i++) {
        soak_account all = {0};
        const soak_job *j = &run->job[i];
        for (int p = 0; p < g->size; p++) {
            const soak_account *a = run->accounts + (size_t)g->member[p] * SOAK_JOBS_MAX + i;
            all.error += a->error;
            all.energy += a->energy;
        }
        if (j->status != HLQ_OK || !(j->aim > 0) || !(all.energy > 0)) continue;
        double missed = all.error / all.energy / j->aim;
        if (missed > run->mine.missed) run->mine.missed = missed;
        run->mine.tally.aimed++;
        run->mine.tally.met += missed <= 1.25;
        if (missed > fmax(SOAK_MISSED_MOST, even_error(j, g->size) / j->aim))
            soak_wrong(run, j, "the error is %g times the target of %g", missed, j->aim);
    }
    memset(run->account, 0, sizeof run->account);
}
