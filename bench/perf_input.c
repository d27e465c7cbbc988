/*
 * Distributions of hlq_perf. Every chunk of 256 numbers has a generator of its own, keyed by seed,
 * rank and position; that makes any part of any rank's tensor available anywhere.
 */
#include "perf_input.h"

#include <collective/algorithms/elements.h>

#include <math.h>
#include <string.h>

/* Sebastiano Vigna's SplitMix64. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Uniform in (0, 1), neither end. */
static float next_uniform(uint64_t *state)
{
    return ((float)(next_random(state) >> 41) + 0.5f) * 0x1p-23f;
}

static uint64_t chunk_state(uint64_t seed, uint64_t rank, uint64_t chunk)
{
    uint64_t state = seed;
    state = next_random(&state) ^ rank;
    state = next_random(&state) ^ chunk;
    return next_random(&state);
}

/* Two independent normal numbers (Box and Muller). */
static void next_normals(uint64_t *state, float *out)
{
    float radius = sqrtf(-2.0f * logf(next_uniform(state)));
    float angle = 6.2831853f * next_uniform(state);
    out[0] = radius * cosf(angle);
    out[1] = radius * sinf(angle);
}

static void draw_gauss(uint64_t seed, int rank, uint64_t chunk, float *out)
{
    uint64_t state = chunk_state(seed, (uint64_t)rank, chunk);
    for (int i = 0; i < PERF_CHUNK_ELEMS; i += 2) next_normals(&state, out + i);
}

/* Of variance 1, like draw_gauss. */
static void draw_laplace(uint64_t seed, int rank, uint64_t chunk, float *out)
{
    uint64_t state = chunk_state(seed, (uint64_t)rank, chunk);
    for (int i = 0; i < PERF_CHUNK_ELEMS; i++) {
        float u = 2.0f * next_uniform(&state) - 1.0f;
        out[i] = copysignf(0.70710678f * logf(1.0f - fabsf(u)), u);
    }
}

/*
 * Gradients of language models as DynamiQ (arXiv 2602.08923) models them: the norm of a chunk is
 * log-normal, of one of two kinds. The ranks share the norm; their numbers are independent.
 */
static void draw_lognormal(uint64_t seed, int rank, uint64_t chunk, float *out)
{
    uint64_t shared = chunk_state(~seed, 0, chunk);
    int large = next_uniform(&shared) < 0.79f;
    float normal[2];
    next_normals(&shared, normal);
    float norm = expf(large ? -3.99f + 1.22f * normal[0] : -16.41f + 4.63f * normal[0]);
    draw_gauss(seed, rank, chunk, out);
    for (int i = 0; i < PERF_CHUNK_ELEMS; i++)
        out[i] *= norm / 16.0f; /* 16: the norm of 256 normal numbers */
}

static const struct {
    const char *name;
    void (*draw)(uint64_t seed, int rank, uint64_t chunk, float *out);
} distributions[] = {
    {"gauss", draw_gauss},
    {"laplace", draw_laplace},
    {"lognormal", draw_lognormal},
};

int perf_input_open(perf_input *input, const char *name, int ranks, uint64_t seed, char *error)
{
    *input = (perf_input){.seed = seed};
    for (size_t i = 0; i < sizeof distributions / sizeof *distributions; i++) {
        if (strcmp(name, distributions[i].name) == 0) {
            input->draw = distributions[i].draw;
            return 0;
        }
    }
    return perf_file_open(&input->file, name, ranks, error);
}

void perf_input_close(perf_input *input) { perf_file_close(&input->file); }

size_t perf_input_count(const perf_input *input)
{
    return input->draw != NULL ? SIZE_MAX : input->file.count;
}

void perf_numbers_store(hlq_dtype dtype, const float *x, size_t elems, void *tensor)
{
    double *wide = tensor;
    if (dtype != HLQ_FLOAT64) hlq_elements_store(tensor, x, dtype, elems, 1.0);
    for (size_t i = 0; dtype == HLQ_FLOAT64 && i < elems; i++) wide[i] = (double)x[i];
}

void perf_numbers_load(hlq_dtype dtype, const void *tensor, size_t elems, double *x)
{
    float chunk[PERF_CHUNK_ELEMS];
    const char *from = tensor;
    if (dtype == HLQ_FLOAT64) {
        memcpy(x, tensor, elems * sizeof *x);
        return;
    }
    for (size_t at = 0; at < elems; at += PERF_CHUNK_ELEMS) {
        size_t here = elems - at < PERF_CHUNK_ELEMS ? elems - at : PERF_CHUNK_ELEMS;
        hlq_elements_load(chunk, from + at * hlq_dtype_bytes(dtype), dtype, here);
        for (size_t i = 0; i < here; i++) x[at + i] = (double)chunk[i];
    }
}

static void read_chunk(const perf_input *input, int rank, size_t first, size_t elems, float *out)
{
    if (input->draw == NULL) {
        const perf_file *file = &input->file;
        size_t at = (size_t)rank * file->count + first;
        memcpy(out, file->data + at * sizeof(float), elems * sizeof(float));
        return;
    }
    float chunk[PERF_CHUNK_ELEMS];
    input->draw(input->seed, rank, first / PERF_CHUNK_ELEMS, chunk);
    memcpy(out, chunk, elems * sizeof(float));
}

void perf_input_read(const perf_input *input, int rank, size_t first, size_t elems, hlq_dtype dtype,
                     float *out)
{
    for (size_t i = 0; i < elems; i += PERF_CHUNK_ELEMS) {
        size_t left = elems - i;
        read_chunk(input, rank, first + i, left < PERF_CHUNK_ELEMS ? left : PERF_CHUNK_ELEMS,
                   out + i);
    }
    for (size_t i = 0; dtype != HLQ_FLOAT32 && i < elems; i += PERF_CHUNK_ELEMS) {
        double tensor[PERF_CHUNK_ELEMS], x[PERF_CHUNK_ELEMS];
        size_t here = elems - i < PERF_CHUNK_ELEMS ? elems - i : PERF_CHUNK_ELEMS;
        perf_numbers_store(dtype, out + i, here, tensor);
        perf_numbers_load(dtype, tensor, here, x);
        for (size_t k = 0; k < here; k++) out[i + k] = (float)x[k];
    }
}
