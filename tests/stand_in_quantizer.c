/*
 * The kernels of cuda_hnlq.h as work on the streams of stand_in.h, done by the emulated warp: a
 * call keeps its structures, as a kernel its parameters. And CUDA's runtime for hlqcomm/cuda.h.
 */
#include "quantizer_gpu.h"
#include "gpu_kernels.h"
#include "stand_in.h"

#include <pthread.h>
#include <string.h>

static int current_device, is_next_to_fail;

typedef struct call {
    void (*run)(const struct call *c);
    hlq_cuda_vectors vectors;
    hlq_cuda_modq sum;
    const void *a, *b;
    void *out;
    int layers;
} call;

/* The emulated warp is one. */
static void run_call(void *argument)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    call c;
    memcpy(&c, argument, sizeof c);
    pthread_mutex_lock(&lock);
    c.run(&c);
    pthread_mutex_unlock(&lock);
}

static int put(const call *c, hlq_stream stream)
{
    const int is_to_fail = is_next_to_fail;
    is_next_to_fail = 0;
    return is_to_fail ? 2 : stand_in_put(stream, run_call, c, sizeof *c);
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

const hlq_cuda_calls hlq_cuda_runtime = {
    .error_string = error_string, .get_device = get_device, .device_of = device_of, .fill = fill};

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
