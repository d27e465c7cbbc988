/* Memory and timing of hlq_gpu; gpu_bench.h tells. */
#include "gpu_bench.h"

#include "perf_input.h"
#include "tool.h"

#include <cuda_runtime_api.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_ELEMS = 1 << 16, WARM_UP_CALLS = 3 };

static _Noreturn void fail(const char *sentence)
{
    fprintf(stderr, "hlq_gpu: %s\n", sentence);
    exit(GPU_EXIT_WRONG);
}

void gpu_check(int error)
{
    if (error) fail(cudaGetErrorString((cudaError_t)error));
}

/* Memory --------------------------------------------------------------------------------------- */

static void *allocate(size_t bytes)
{
    void *p;
    gpu_check(cudaMalloc(&p, bytes));
    gpu_check(cudaMemset(p, 0, bytes));
    return p;
}

void *gpu_new(gpu_bench *b, size_t bytes)
{
    if (b->used == GPU_MEMORIES_MAX) fail("a case takes more pieces of memory than there is room");
    return b->memory[b->used++] = allocate(bytes);
}

static void free_case(gpu_bench *b)
{
    while (b->used > 0) gpu_check(cudaFree(b->memory[--b->used]));
}

static void *host_memory(size_t bytes)
{
    void *p = malloc(bytes);
    if (p == NULL) fail("no memory");
    return p;
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static void fill_tensor(gpu_bench *b)
{
    char error[TOOL_ERROR_BYTES];
    perf_input gauss;
    size_t each = hlq_dtype_bytes(b->dtype);
    float *x = host_memory(CHUNK_ELEMS * sizeof *x);
    char *chunk = host_memory(CHUNK_ELEMS * each);
    perf_input_open(&gauss, "gauss", 1, 0, error);
    for (size_t at = 0; at < b->elems; at += CHUNK_ELEMS) {
        size_t n = smaller(CHUNK_ELEMS, b->elems - at);
        perf_input_read(&gauss, 0, at, n, b->dtype, x);
        perf_numbers_store(b->dtype, x, n, chunk);
        gpu_check(
            cudaMemcpy((char *)b->tensor + at * each, chunk, n * each, cudaMemcpyHostToDevice));
    }
    perf_input_close(&gauss);
    free(x);
    free(chunk);
}

void gpu_bench_create(gpu_bench *b, size_t bytes)
{
    size_t each = hlq_dtype_bytes(b->dtype), block = HLQ_BLOCK_ELEMS * each;
    b->bytes = (bytes + block - 1) / block * block;
    b->elems = b->bytes / each;
    gpu_check(cudaStreamCreate(&b->stream)); /* in order with cudaMemset() and cudaMemcpy() */
    b->tensor = allocate(b->bytes);
    b->out = allocate(b->bytes);
    b->report = allocate(sizeof *b->report);
    b->source = (hlq_source){.data = b->tensor, .dtype = b->dtype, .elems = b->elems};
    fill_tensor(b);
}

void gpu_bench_destroy(gpu_bench *b)
{
    gpu_check(cudaFree(b->tensor));
    gpu_check(cudaFree(b->out));
    gpu_check(cudaFree(b->report));
    gpu_check(cudaStreamDestroy(b->stream));
}

/* What was written ----------------------------------------------------------------------------- */

/* Some numbers of a tensor of the GPU. */
static void load(const gpu_bench *b, const void *tensor, size_t at, size_t n, void *raw, double *x)
{
    size_t each = hlq_dtype_bytes(b->dtype);
    gpu_check(cudaMemcpy(raw, (const char *)tensor + at * each, n * each, cudaMemcpyDeviceToHost));
    perf_numbers_load(b->dtype, raw, n, x);
}

static double error_of_out(const gpu_bench *b)
{
    double *want = host_memory(CHUNK_ELEMS * sizeof *want), energy = 0;
    double *got = host_memory(CHUNK_ELEMS * sizeof *got), error = 0;
    void *raw = host_memory(CHUNK_ELEMS * sizeof(double));
    for (size_t at = 0; at < b->elems; at += CHUNK_ELEMS) {
        size_t n = smaller(CHUNK_ELEMS, b->elems - at);
        load(b, b->tensor, at, n, raw, want);
        load(b, b->out, at, n, raw, got);
        for (size_t i = 0; i < n; i++) {
            error += (got[i] - want[i]) * (got[i] - want[i]);
            energy += want[i] * want[i];
        }
    }
    free(want);
    free(got);
    free(raw);
    return error / energy;
}

static uint8_t *written(gpu_bench *b, const hlq_frame *frame)
{
    uint8_t *segment = gpu_new(b, frame->bytes), *copy = host_memory(frame->bytes);
    void *scratch = gpu_new(b, hlq_device_scratch_bytes(frame->place.blocks));
    hlq_device_segment s = {*frame, segment, scratch};
    gpu_check(hlq_wire_cuda.write(&s, &b->source, NULL, b->report, b->stream));
    gpu_check(cudaStreamSynchronize(b->stream));
    gpu_check(cudaMemcpy(copy, segment, frame->bytes, cudaMemcpyDeviceToHost));
    return copy;
}

int gpu_writes_alike(gpu_bench *b)
{
    hlq_frame frame = gpu_frame(b, 0, 1, 0, 0);
    uint8_t *first = written(b, &frame), *second = written(b, &frame);
    int alike = memcmp(first, second, frame.bytes) == 0;
    free(first);
    free(second);
    free_case(b);
    return alike;
}

/* Time ----------------------------------------------------------------------------------------- */

static double seconds_between(cudaEvent_t begun, cudaEvent_t ended)
{
    float milliseconds;
    gpu_check(cudaEventElapsedTime(&milliseconds, begun, ended));
    return 1e-3 * (double)milliseconds;
}

/* Calls of the case and copies in turn, all queued before the first is waited for, so that the GPU
   never waits for the host: a copy ends at events 1, 3, 5, … and a call at the event after. */
static void queue_calls(gpu_bench *b, const gpu_case *c, int calls, cudaEvent_t *event)
{
    gpu_check(cudaEventRecord(event[0], b->stream));
    for (int i = 0; i < calls; i++) {
        gpu_check(
            cudaMemcpyAsync(b->out, b->tensor, b->bytes, cudaMemcpyDeviceToDevice, b->stream));
        gpu_check(cudaEventRecord(event[2 * i + 1], b->stream));
        gpu_check(c->run(b));
        gpu_check(cudaEventRecord(event[2 * i + 2], b->stream));
    }
    gpu_check(cudaStreamSynchronize(b->stream));
}

static void check_report(const gpu_bench *b, const gpu_case *c)
{
    hlq_device_report report;
    gpu_check(cudaMemcpy(&report, b->report, sizeof report, cudaMemcpyDeviceToHost));
    if (report.fault == HLQ_DEVICE_FINE) return;
    fprintf(stderr, "hlq_gpu: %s of %d: fault %u in the message of rank %d\n", c->name, c->ranks,
            (unsigned)report.fault, (int)report.sender);
    exit(GPU_EXIT_WRONG);
}

gpu_figure gpu_bench_run(gpu_bench *b, const gpu_case *c, int calls)
{
    static double mine[GPU_CALLS_MAX], copy[GPU_CALLS_MAX], ratio[GPU_CALLS_MAX];
    static cudaEvent_t event[2 * GPU_CALLS_MAX + 1];
    gpu_figure figure = {0};
    size_t n = (size_t)calls;
    b->ranks = c->ranks;
    c->prepare(b);
    gpu_check(cudaStreamSynchronize(b->stream));
    int events = 2 * (calls > WARM_UP_CALLS ? calls : WARM_UP_CALLS) + 1;
    for (int i = 0; i < events; i++) gpu_check(cudaEventCreate(&event[i]));
    queue_calls(b, c, WARM_UP_CALLS, event);
    queue_calls(b, c, calls, event);
    check_report(b, c);
    for (int i = 0; i < calls; i++) {
        copy[i] = seconds_between(event[2 * i], event[2 * i + 1]);
        mine[i] = seconds_between(event[2 * i + 1], event[2 * i + 2]);
        ratio[i] = copy[i] / mine[i];
    }
    for (int i = 0; i < events; i++) gpu_check(cudaEventDestroy(event[i]));
    if (c->decodes) figure.error = error_of_out(b);
    free_case(b);
    figure.seconds = tool_quantile(mine, n, 0.5);
    figure.gbps = (double)b->bytes / figure.seconds * 1e-9;
    figure.copy_gbps = (double)b->bytes / tool_quantile(copy, n, 0.5) * 1e-9;
    figure.ratio = tool_quantile(ratio, n, 0.5);
    figure.spread = (tool_quantile(ratio, n, 0.9) - tool_quantile(ratio, n, 0.1)) / figure.ratio;
    return figure;
}
