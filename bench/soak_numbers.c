/*
 * Numbers of a job: what every rank has, known to all of them without a message, since they follow
 * from the job's stream and the place. soak.h tells.
 */
#include "soak.h"

#include <model.h>

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

/* The low bytes of a word are the integer; its sign goes up to the top. */
uint64_t soak_widened(hlq_dtype dtype, uint64_t word)
{
    int rest = 64 - 8 * (int)hlq_dtype_bytes(dtype);
    if (dtype == HLQ_UINT8) return word & 255;
    return (uint64_t)((int64_t)(word << rest) >> rest);
}

void soak_numbers(const soak_job *j, int p, int q, size_t start, size_t count, double *x)
{
    for (size_t at = start; at < start + count;) {
        block b = block_of(j, p, q, at / MODEL_BLOCK);
        size_t first = at % MODEL_BLOCK, end = at - first + MODEL_BLOCK;
        if (end > start + count) end = start + count;
        for (size_t k = 0; k < first; k++) hlq_rng_next(&b.rng);
        for (; at < end; at++) {
            double u = (double)(int64_t)hlq_rng_next(&b.rng) * 0x1p-63;
            double drawn = u * b.size * ((int)(at % MODEL_BLOCK) == b.peak ? 64 : 1);
            if (j->op == HLQ_PRODUCT) drawn = copysign(1 + fabs(u) / 2, u);
            x[at - start] = dtype_round(j->dtype, drawn);
        }
    }
}

void soak_kept_numbers(const soak_job *j, int p, int q, size_t start, size_t count, double *x)
{
    soak_job kept = *j;
    kept.stream = ~j->stream;
    kept.size = j->residual_size;
    kept.dtype = HLQ_FLOAT32;
    kept.op = HLQ_SUM;
    soak_numbers(&kept, p, q, start, count, x);
}

void soak_words(const soak_job *j, int p, int q, size_t start, size_t count, uint64_t *x)
{
    for (size_t i = 0; i < count; i += MODEL_BLOCK) {
        block b = block_of(j, p, q, (start + i) / MODEL_BLOCK);
        for (size_t k = i; k < count && k < i + MODEL_BLOCK; k++) {
            x[k] = soak_widened(j->dtype, hlq_rng_next(&b.rng));
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

void soak_load_words(hlq_dtype dtype, const char *from, size_t count, uint64_t *x)
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
        x[i] = soak_widened(dtype, (uint64_t)i64);
    }
}

void soak_store(soak_run *run, const soak_job *j, int p, int q, size_t start, size_t count,
                char *to)
{
    if (hlq_dtype_is_float(j->dtype)) {
        soak_numbers(j, p, q, start, count, run->x);
        dtype_store(j->dtype, run->x, count, to);
    } else {
        soak_words(j, p, q, start, count, run->words);
        store_words(j->dtype, run->words, count, to);
    }
}

size_t soak_slice(size_t count, size_t start)
{
    return count - start < SOAK_SLICE ? count - start : SOAK_SLICE;
}

static void fill_residual(soak_run *run, const soak_job *j, int q, size_t count, float *to)
{
    for (size_t start = 0; start < count; start += SOAK_SLICE) {
        size_t here = soak_slice(count, start);
        soak_kept_numbers(j, run->group.rank, q, start, here, run->x);
        dtype_store(HLQ_FLOAT32, run->x, here, to + start);
    }
}

void soak_fill(soak_run *run, soak_job *j)
{
    const soak_group *g = &run->group;
    size_t width = hlq_dtype_bytes(j->dtype), at = 0;
    for (int q = 0; q < (soak_deals_out(j) ? g->size : 1); q++) {
        size_t count = soak_deals_out(j) ? j->to[q] : j->count;
        for (size_t start = 0; start < count; start += SOAK_SLICE) {
            size_t here = soak_slice(count, start);
            soak_store(run, j, g->rank, q, start, here, j->send + (at + start) * width);
        }
        if (j->residual) fill_residual(run, j, q, count, j->residual + at);
        at += count;
    }
}

/* Views -------------------------------------------------------------------------------------- */

soak_view soak_view_of(const soak_job *j, size_t count, int exempt)
{
    soak_view v = {.spans = 0};
    size_t at = 0;
    for (int i = 0; i < j->ranges; i++) {
        hlq_range range = j->exempt[i];
        v.span[v.spans++] = exempt ? range : (hlq_range){at, range.start - at};
        at = range.start + range.count;
    }
    if (!exempt) v.span[v.spans++] = (hlq_range){at, count - at};
    for (int i = 0; i < v.spans; i++) v.elems += v.span[i].count;
    return v;
}

size_t soak_view_piece(const soak_view *v, size_t at, size_t most, size_t *start)
{
    int i = 0;
    while (at >= v->span[i].count) at -= v->span[i++].count;
    size_t left = v->span[i].count - at;
    *start = v->span[i].start + at;
    return left < most ? left : most;
}
