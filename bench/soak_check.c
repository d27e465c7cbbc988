/*
 * Numbers of a job, and whether what came out is what they say; soak.h tells. The bound on errors
 * is that of tests/model.h. What is equal on all ranks is checked by all of them, each a share.
 */
#include "soak.h"
#include "tool.h"

#include <model.h>

/* Numbers ------------------------------------------------------------------------------------ */

static uint64_t mixed(uint64_t a, uint64_t b)
{
    hlq_rng rng = {a ^ b * 0xd1342543de82ef95u};
    return hlq_rng_next(&rng);
}

/* Of a block of rank p for rank q. Some blocks are zero everywhere, or on one rank; sizes vary;
   some have a number that sticks out. */
typedef struct block {
    double size;
    int peak; /* position of that number; -1: none */
    hlq_rng rng;
} block;

static block block_of(const soak_job *j, int p, int q, size_t number)
{
    uint64_t part = soak_deals_out(j) ? (uint64_t)q : SOAK_RANKS_MAX;
    uint64_t common = mixed(j->stream + part, number), own = mixed(common, (uint64_t)p + 1);
    int octaves = (int)(own >> 8 & 7) - 4 - (own >> 16 & 15 ? 0 : 20);
    return (block){
        .size = common % 32 && own % 32 ? ldexp(j->size, octaves) : 0,
        .peak = own >> 24 & 15 ? -1 : (int)(own >> 32 & 255),
        .rng = {own},
    };
}

void soak_numbers(const soak_job *j, int p, int q, size_t start, size_t count, double *x)
{
    for (size_t i = 0; i < count; i += MODEL_BLOCK) {
        block b = block_of(j, p, q, (start + i) / MODEL_BLOCK);
        for (int k = 0; k < MODEL_BLOCK && i + (size_t)k < count; k++) {
            double u = (double)(int64_t)hlq_rng_next(&b.rng) * 0x1p-63;
            double drawn = u * b.size * (k == b.peak ? 64 : 1);
            if (j->op == HLQ_PRODUCT) drawn = copysign(1 + fabs(u) / 2, u);
            x[i + (size_t)k] = dtype_round(j->dtype, drawn);
        }
    }
}

/* The low bytes of a word are the integer; its sign goes up to the top. */
static uint64_t widened(hlq_dtype dtype, uint64_t word)
{
    int rest = 64 - 8 * (int)hlq_dtype_bytes(dtype);
    if (dtype == HLQ_UINT8) return word & 255;
    return (uint64_t)((int64_t)(word << rest) >> rest);
}

void soak_words(const soak_job *j, int p, int q, size_t start, size_t count, uint64_t *x)
{
    for (size_t i = 0; i < count; i += MODEL_BLOCK) {
        block b = block_of(j, p, q, (start + i) / MODEL_BLOCK);
        for (size_t k = i; k < count && k < i + MODEL_BLOCK; k++) {
            x[k] = widened(j->dtype, hlq_rng_next(&b.rng));
        }
    }
}

static void store_words(hlq_dtype dtype, const uint64_t *x, size_t count, char *to)
{
    size_t width = hlq_dtype_bytes(dtype);
    for (size_t i = 0; i < count; i++) {
        int8_t i8 = (int8_t)x[i];
        int16_t i16 = (int16_t)x[i];
        int32_t i32 = (int32_t)x[i];
        const void *from = width == 1   ? (const void *)&i8
                           : width == 2 ? (const void *)&i16
                           : width == 4 ? (const void *)&i32
                                        : (const void *)&x[i];
        memcpy(to + i * width, from, width);
    }
}

static void load_words(hlq_dtype dtype, const char *from, size_t count, uint64_t *x)
{
    size_t width = hlq_dtype_bytes(dtype);
    for (size_t i = 0; i < count; i++) {
        int8_t i8;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        if (width == 1) memcpy(&i8, from + i, width), i64 = i8;
        else if (width == 2) memcpy(&i16, from + i * width, width), i64 = i16;
        else if (width == 4) memcpy(&i32, from + i * width, width), i64 = i32;
        else memcpy(&i64, from + i * width, width);
        x[i] = widened(dtype, (uint64_t)i64);
    }
}

/* A slice of what rank p has for rank q, as bytes. */
static void store_numbers(soak_run *run, const soak_job *j, int p, int q, size_t start,
                          size_t count, char *to)
{
    if (hlq_dtype_is_float(j->dtype)) {
        soak_numbers(j, p, q, start, count, run->x);
        dtype_store(j->dtype, run->x, count, to);
    } else {
        soak_words(j, p, q, start, count, run->words);
        store_words(j->dtype, run->words, count, to);
    }
}

static size_t slice_of(size_t count, size_t start)
{
    return count - start < SOAK_SLICE ? count - start : SOAK_SLICE;
}

void soak_fill(soak_run *run, soak_job *j)
{
    const soak_group *g = &run->group;
    size_t width = hlq_dtype_bytes(j->dtype);
    char *to = j->send;
    for (int q = 0; q < (soak_deals_out(j) ? g->size : 1); q++) {
        size_t count = soak_deals_out(j) ? j->to[q] : j->count;
        for (size_t start = 0; start < count; start += SOAK_SLICE) {
            size_t here = slice_of(count, start);
            store_numbers(run, j, g->rank, q, start, here, to);
            to += here * width;
        }
    }
}

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
    case HLQ_PRODUCT: return widened(j->dtype, a * b);
    case HLQ_SUM:
    case HLQ_AVG: break;
    }
    return widened(j->dtype, a + b);
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
    load_words(j->dtype, result, count, run->words);
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

/* Sums of what ranks first … last - 1 have, against the model. What is zero on all of them must be
   zero. */
static void check_model(soak_run *run, const soak_job *j, int first, int last, size_t start,
                        size_t count, double scales)
{
    model m = model_new(count, last - first, j->op);
    model_bound bound = {run->group.options.lattice, j->dtype, scales};
    size_t not_zero = 0;
    for (int p = first; p < last; p++) {
        soak_numbers(j, p, run->group.rank, start, count, run->x);
        model_add_wide(&m, run->x);
    }
    double worst = model_worst_wide(&m, &bound, run->got);
    for (size_t i = 0; i < count; i++) {
        not_zero += m.sizes[i / MODEL_BLOCK] == 0 && run->got[i] != 0;
    }
    model_free(&m);
    if (!(worst <= 1))
        soak_wrong(run, j, "off by %g times the bound from element %zu on", worst, start);
    if (not_zero) soak_wrong(run, j, "%zu numbers that are zero on all ranks are not", not_zero);
}

static void check_reduction(soak_run *run, const soak_job *j, const double *scales)
{
    const soak_group *g = &run->group;
    int is_sum = j->op == HLQ_SUM || j->op == HLQ_AVG, is_float = hlq_dtype_is_float(j->dtype);
    /* Equal everywhere: a slice of it for each rank. */
    size_t share = j->operation == HLQ_ALL_REDUCE ? (size_t)g->size : 1;
    size_t width = hlq_dtype_bytes(j->dtype), wrong = 0;
    size_t start = j->operation == HLQ_ALL_REDUCE ? (size_t)g->rank * SOAK_SLICE : 0;
    for (; start < j->count; start += share * SOAK_SLICE) {
        size_t count = slice_of(j->count, start);
        const char *result = j->recv + start * width;
        if (is_float) dtype_load(j->dtype, result, count, run->got);
        if (!is_float) wrong += wrong_words(run, j, start, count, result);
        else if (!is_sum) wrong += wrong_picks(run, j, start, count);
        else
            check_model(run, j, 0, g->size, start, count,
                        model_scales(j->stats.algorithm, scales, g->size));
    }
    if (wrong) soak_wrong(run, j, "%zu numbers are not exactly what they should be", wrong);
}

/* Results: what came from others ------------------------------------------------------------- */

/* From rank p; quantized once unless nothing was. */
static void check_from(soak_run *run, const soak_job *j, int p, const char *part, double scale)
{
    const soak_group *g = &run->group;
    size_t width = hlq_dtype_bytes(j->dtype), wrong = 0;
    int is_kept = p == g->rank && j->operation == HLQ_ALL_TO_ALL;
    int is_exact = j->stats.algorithm == HLQ_ALG_NATIVE || is_kept || g->size == 1;
    int is_shared = j->operation == HLQ_ALL_GATHER;
    size_t step = SOAK_SLICE * (is_shared ? (size_t)g->size : 1);
    for (size_t start = is_shared ? (size_t)g->rank * SOAK_SLICE : 0; start < j->from[p];
         start += step) {
        size_t count = slice_of(j->from[p], start);
        const char *result = part + start * width;
        if (!is_exact) {
            dtype_load(j->dtype, result, count, run->got);
            check_model(run, j, p, p + 1, start, count, scale);
        } else {
            store_numbers(run, j, p, g->rank, start, count, (char *)run->sum);
            wrong += memcmp(run->sum, result, count * width) != 0;
        }
    }
    if (wrong) soak_wrong(run, j, "what came from rank %d is not what it sent", p);
}

static void check_parts(soak_run *run, const soak_job *j, const double *scales)
{
    const char *part = j->recv;
    for (int p = 0; p < run->group.size; p++) {
        check_from(run, j, p, part, scales[p]);
        part += j->from[p] * hlq_dtype_bytes(j->dtype);
    }
}

/* All of a job ------------------------------------------------------------------------------- */

static void check_sides(soak_run *run, const soak_job *j)
{
    size_t wrong = 0;
    int is_native = j->stats.algorithm == HLQ_ALG_NATIVE;
    for (size_t i = 0; j->residual && i < j->send_elems; i++) {
        wrong += !isfinite(j->residual[i]) || (is_native && j->residual[i] != 0);
    }
    if (wrong) soak_wrong(run, j, "%zu numbers of the residual are wrong", wrong);
    if (!j->in_place && tool_hash(j->send, j->send_elems * hlq_dtype_bytes(j->dtype)) != j->sent) {
        soak_wrong(run, j, "send was written to");
    }
    if (j->stats.nonfinite_blocks) soak_wrong(run, j, "blocks of the result are NaN");
    if (*j->error) soak_wrong(run, j, "a sentence without an error: %s", j->error);
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
