/*
 * The kernels of cuda_hnlq.h as work on the streams of stand_in.h, done by the emulated warp: a
 * call keeps its structures, as a kernel its parameters. And CUDA's runtime for hlqcomm/cuda.h.
 */
#include "quantizer_gpu.h"
#include "gpu_kernels.h"
#include "stand_in.h"
#include "stand_in_kernels.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static int current_device, is_next_to_fail;

static int fails(void)
{
    const int is_to_fail = is_next_to_fail;
    is_next_to_fail = 0;
    return is_to_fail;
}

typedef struct kernel {
    void (*run)(const void *argument);
    size_t bytes; /* of the argument, which follows */
} kernel;

typedef struct call {
    void (*run)(const struct call *c);
    hlq_cuda_vectors vectors;
    hlq_cuda_modq sum;
    const void *a, *b;
    void *out;
    int layers;
} call;

/* The emulated warp is one. */
static void run_kernel(void *work)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    kernel k;
    memcpy(&k, work, sizeof k);
    void *argument = malloc(k.bytes);
    MUST(argument != NULL);
    memcpy(argument, (char *)work + sizeof k, k.bytes);
    pthread_mutex_lock(&lock);
    k.run(argument);
    pthread_mutex_unlock(&lock);
    free(argument);
}

int stand_in_kernel(hlq_stream stream, void (*run)(const void *argument), const void *argument,
                    size_t bytes)
{
    const kernel k = {run, bytes};
    if (fails()) return HLQ_CUDA_NO_MEMORY;
    char *work = malloc(sizeof k + bytes);
    MUST(work != NULL);
    memcpy(work, &k, sizeof k);
    memcpy(work + sizeof k, argument, bytes);
    const int error = stand_in_put(stream, run_kernel, work, sizeof k + bytes);
    free(work);
    return error;
}

static void run_call(const void *argument)
{
    const call *c = argument;
    c->run(c);
}

static int put(const call *c, hlq_stream stream)
{
    return stand_in_kernel(stream, run_call, c, sizeof *c);
}

static void run_encode(const call *c) { hlq_gpu_hnlq_encode(&c->vectors, c->a); }
static void run_quantize(const call *c) { hlq_gpu_hnlq_quantize(&c->vectors, c->a, c->out); }
static void run_decode(const call *c) { hlq_gpu_hnlq_decode(&c->vectors, c->layers, c->out); }
static void run_add(const call *c) { hlq_gpu_hnlq_add(&c->vectors, c->a, c->b); }
static void run_flatten(const call *c) { hlq_gpu_hnlq_flatten(&c->vectors, c->out); }
static void run_unflatten(const call *c) { hlq_gpu_hnlq_unflatten(&c->vectors, c->a); }
static void run_add_modq(const call *c) { hlq_gpu_hnlq_add_modq(&c->sum); }

int hlq_cuda_hnlq_encode(const hlq_cuda_vectors *vectors, const float *x, hlq_stream stream)
{
    return put(&(call){.run = run_encode, .vectors = *vectors, .a = x}, stream);
}

int hlq_cuda_hnlq_quantize(const hlq_cuda_vectors *vectors, const float *x, float *out,
                           hlq_stream stream)
{
    return put(&(call){.run = run_quantize, .vectors = *vectors, .a = x, .out = out}, stream);
}

int hlq_cuda_hnlq_decode(const hlq_cuda_vectors *vectors, int layers, float *x, hlq_stream stream)
{
    return put(&(call){.run = run_decode, .vectors = *vectors, .layers = layers, .out = x}, stream);
}

int hlq_cuda_hnlq_add(const hlq_cuda_vectors *vectors, const void *a, const void *b,
                      hlq_stream stream)
{
    return put(&(call){.run = run_add, .vectors = *vectors, .a = a, .b = b}, stream);
}

int hlq_cuda_hnlq_flatten(const hlq_cuda_vectors *vectors, uint32_t *flat, hlq_stream stream)
{
    return put(&(call){.run = run_flatten, .vectors = *vectors, .out = flat}, stream);
}

int hlq_cuda_hnlq_unflatten(const hlq_cuda_vectors *vectors, const uint32_t *flat,
                            hlq_stream stream)
{
    return put(&(call){.run = run_unflatten, .vectors = *vectors, .a = flat}, stream);
}

int hlq_cuda_hnlq_add_modq(const hlq_cuda_modq *sum, hlq_stream stream)
{
    return put(&(call){.run = run_add_modq, .sum = *sum}, stream);
}

static const char *error_string(int error) { return stand_in_cuda.error_string(error); }

static int get_device(int *device)
{
    *device = current_device;
    return 0;
}

static int device_of(const void *p, int *device) { return stand_in_cuda.device_of(p, device); }

static int fill(void *to, int byte, size_t bytes, hlq_stream stream)
{
    return stand_in_cuda.fill(to, byte, bytes, stream);
}

static int copy(void *to, const void *from, size_t bytes, hlq_stream stream)
{
    return stand_in_cuda.copy(to, from, bytes, stream);
}

static int allocate(void **p, size_t bytes)
{
    return fails() ? HLQ_CUDA_NO_MEMORY : stand_in_cuda.allocate(p, bytes);
}

static int release(void *p) { return stand_in_cuda.release(p); }
static int stream_create(hlq_stream *stream) { return stand_in_cuda.stream_create(stream); }
static int stream_destroy(hlq_stream stream) { return stand_in_cuda.stream_destroy(stream); }
static int stream_synchronize(hlq_stream stream)
{
    return stand_in_cuda.stream_synchronize(stream);
}

const hlq_cuda_calls hlq_cuda_runtime = {.error_string = error_string,
                                         .get_device = get_device,
                                         .device_of = device_of,
                                         .allocate = allocate,
                                         .release = release,
                                         .copy = copy,
                                         .fill = fill,
                                         .stream_create = stream_create,
                                         .stream_destroy = stream_destroy,
                                         .stream_synchronize = stream_synchronize};

void gpu_open(pair *p)
{
    *p = (pair){0};
    MUST(stand_in_cuda.stream_create(&p->stream) == 0);
    MUST(stand_in_cuda.stream_create(&p->other) == 0);
}

void gpu_close(pair *p)
{
    stand_in_cuda.stream_destroy(p->stream);
    stand_in_cuda.stream_destroy(p->other);
}

int gpu_use_other(int other)
{
    current_device = other;
    return 1;
}

int gpu_fail_next(void)
{
    is_next_to_fail = 1;
    return 1;
}
