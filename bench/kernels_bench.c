/* Memory and timing of hlq_kernels; kernels_bench.h tells. */
#include "kernels_bench.h"

#include "perf_input.h"
#include "tool.h"

#include "wire/plan.h"

#include <stdlib.h>
#include <string.h>

enum { REPEATS_MIN = 3, REPEATS_MAX = 1000, ALIGNMENT = 64 };

/* Rounded up to whole blocks; at least one. */
static size_t blocks_of(size_t size_bytes)
{
    size_t block_bytes = HLQ_BLOCK_ELEMS * sizeof(float);
    return (size_bytes + block_bytes - 1) / block_bytes;
}

size_t kernels_blocks_max(size_t size_bytes) { return size_bytes / HLQ_PLANE_BYTES + 1; }

static void *allocate(size_t bytes)
{
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void *data = aligned_alloc(ALIGNMENT, rounded);
    if (data != NULL) memset(data, 0, rounded);
    return data;
}

static int allocate_codes(kernels_codes *c, size_t size_bytes)
{
    size_t blocks = kernels_blocks_max(size_bytes);
    c->wide = allocate(blocks / 8 + 1);
    c->side = allocate(blocks * HLQ_RAMP_WORDS * sizeof *c->side);
    c->planes = allocate(size_bytes + HLQ_BITS_MAX * HLQ_PLANE_BYTES);
    return c->wide != NULL && c->side != NULL && c->planes != NULL;
}

static void free_codes(kernels_codes *c)
{
    free(c->wide);
    free(c->side);
    free(c->planes);
}

static int allocate_all(kernels_bench *b)
{
    size_t blocks = kernels_blocks_max(b->size_bytes);
    b->tensor = allocate(b->size_bytes);
    b->out = allocate(b->size_bytes);
    b->acc = allocate(b->size_bytes);
    b->exponent = allocate(blocks * sizeof *b->exponent);
    b->code = allocate(blocks);
    b->bits_of_block = allocate(blocks);
    b->failed = allocate(blocks / 8 + 1);
    int codes_made = allocate_codes(&b->mine, b->size_bytes);
    codes_made = allocate_codes(&b->other, b->size_bytes) && codes_made;
    return codes_made && b->tensor != NULL && b->out != NULL && b->acc != NULL &&
           b->exponent != NULL && b->code != NULL && b->bits_of_block != NULL && b->failed != NULL;
}

kernels_bench *kernels_bench_create(size_t size_bytes)
{
    kernels_bench *b = calloc(1, sizeof *b);
    if (b == NULL) return NULL;
    b->blocks = blocks_of(size_bytes);
    b->size_bytes = b->blocks * HLQ_BLOCK_ELEMS * sizeof(float);
    if (!allocate_all(b)) {
        kernels_bench_destroy(b);
        return NULL;
    }
    char error[TOOL_ERROR_BYTES];
    perf_input gauss;
    perf_input_open(&gauss, "gauss", 1, 0, error);
    perf_input_read(&gauss, 0, 0, b->blocks * HLQ_BLOCK_ELEMS, HLQ_FLOAT32, b->tensor);
    perf_input_close(&gauss);
    return b;
}

void kernels_bench_destroy(kernels_bench *b)
{
    if (b == NULL) return;
    free(b->tensor);
    free(b->out);
    free(b->acc);
    free(b->exponent);
    free(b->code);
    free(b->bits_of_block);
    free(b->failed);
    free_codes(&b->mine);
    free_codes(&b->other);
    free(b);
}

/* Nothing that an earlier case wrote may be left: hashes compare one call's work. */
static void clear(kernels_bench *b)
{
    size_t blocks = kernels_blocks_max(b->size_bytes);
    memset(b->out, 0, b->size_bytes);
    memset(b->acc, 0, b->size_bytes);
    memset(b->exponent, 0, blocks * sizeof *b->exponent);
    memset(b->code, 0, blocks);
    memset(b->failed, 0, blocks / 8 + 1);
    memset(b->mine.wide, 0, blocks / 8 + 1);
    memset(b->mine.side, 0, blocks * HLQ_RAMP_WORDS * sizeof *b->mine.side);
    memset(b->mine.planes, 0, b->size_bytes);
}

static uint64_t hash_written(const kernels_bench *b)
{
    size_t blocks = kernels_blocks_max(b->size_bytes);
    uint64_t hashes[] = {
        tool_hash(b->out, b->size_bytes),
        tool_hash(b->acc, b->size_bytes),
        tool_hash(b->exponent, blocks * sizeof *b->exponent),
        tool_hash(b->failed, blocks / 8 + 1),
        tool_hash(b->mine.wide, blocks / 8 + 1),
        tool_hash(b->mine.side, blocks * HLQ_RAMP_WORDS * sizeof *b->mine.side),
        tool_hash(b->mine.planes, b->size_bytes),
    };
    return tool_hash(hashes, sizeof hashes);
}

/* memcpy of as many bytes as the case is credited with, between buffers of its kind. */
static double time_memcpy(kernels_bench *b)
{
    double begun = tool_seconds();
    memcpy(b->other.planes, b->tensor, b->copied_bytes);
    return tool_seconds() - begun;
}

static double time_case(kernels_bench *b, const kernels_case *c)
{
    double begun = tool_seconds();
    c->run(b);
    return tool_seconds() - begun;
}

kernels_figure kernels_bench_run(kernels_bench *b, const kernels_case *c,
                                 const hlq_kernels *kernels, int bits, double seconds)
{
    static double mine[REPEATS_MAX], copy[REPEATS_MAX], ratio[REPEATS_MAX];
    kernels_figure figure = {0};
    b->kernels = kernels;
    b->bits = bits;
    clear(b);
    c->prepare(b);
    c->run(b);
    figure.hash = hash_written(b);
    size_t n = 0;
    double begun = tool_seconds();
    while (n < REPEATS_MIN || (n < REPEATS_MAX && tool_seconds() - begun < seconds)) {
        mine[n] = time_case(b, c);
        copy[n] = time_memcpy(b);
        ratio[n] = copy[n] / mine[n];
        n++;
    }
    figure.repeats = n;
    figure.gbps = (double)b->copied_bytes / tool_quantile(mine, n, 0.5) * 1e-9;
    figure.memcpy_gbps = (double)b->copied_bytes / tool_quantile(copy, n, 0.5) * 1e-9;
    figure.ratio = tool_quantile(ratio, n, 0.5);
    figure.spread = (tool_quantile(ratio, n, 0.9) - tool_quantile(ratio, n, 0.1)) / figure.ratio;
    return figure;
}
