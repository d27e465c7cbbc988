/* How wrong a result is; perf_check.h tells. */
#include "perf_check.h"

#include "tool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where slice p starts: slices are whole chunks, as equal as can be, the last one cut. */
static size_t slice_start(const perf_shape *shape, int p)
{
    size_t count = perf_shape_received(shape);
    size_t chunks = count / PERF_CHUNK_ELEMS + (count % PERF_CHUNK_ELEMS != 0);
    size_t n = (size_t)shape->ranks, at = (size_t)p;
    if (!perf_shape_same(shape)) return p == shape->rank ? 0 : count;
    size_t start = (chunks / n * at + chunks % n * at / n) * PERF_CHUNK_ELEMS;
    return start < count ? start : count;
}

size_t perf_exact_bytes(const perf_shape *shape)
{
    size_t elems = perf_shape_received(shape);
    if (perf_shape_same(shape)) elems = elems / (size_t)shape->ranks + PERF_CHUNK_ELEMS;
    return elems * sizeof(double);
}

/* Adds what rank `from` contributes to elements first … of recv; they lie in one chunk. */
static void add_contribution(const perf_exact *exact, const perf_input *input, hlq_dtype dtype,
                             int from, size_t first, size_t elems, double *result)
{
    const perf_shape *s = &exact->shape;
    float x[PERF_CHUNK_ELEMS];
    size_t at = first;
    if (!perf_shape_sums(s)) {
        if (first / s->count != (size_t)from) return;
        at = first % s->count;
    }
    if (s->op == HLQ_REDUCE_SCATTER || s->op == HLQ_ALL_TO_ALL) at += (size_t)s->rank * s->count;
    perf_input_read(input, from, at, elems, dtype, x);
    for (size_t i = 0; i < elems; i++) result[i] += (double)x[i];
}

int perf_exact_make(perf_exact *exact, const perf_shape *shape, const perf_input *input,
                    hlq_dtype dtype)
{
    size_t end =
        perf_shape_same(shape) ? slice_start(shape, shape->rank + 1) : perf_shape_received(shape);
    exact->shape = *shape;
    exact->first = slice_start(shape, shape->rank);
    exact->elems = end - exact->first;
    exact->result = calloc(exact->elems + 1, sizeof *exact->result);
    if (exact->result == NULL) return -1;
    for (size_t at = 0; at < exact->elems; at += PERF_CHUNK_ELEMS) {
        size_t left = exact->elems - at;
        size_t elems = left < PERF_CHUNK_ELEMS ? left : PERF_CHUNK_ELEMS;
        for (int rank = 0; rank < shape->ranks; rank++) {
            add_contribution(exact, input, dtype, rank, exact->first + at, elems,
                             exact->result + at);
        }
    }
    return 0;
}

void perf_exact_free(perf_exact *exact)
{
    free(exact->result);
    *exact = (perf_exact){0};
}

/* What one rank finds in its slice; and the hash of its whole result. */
typedef struct tally {
    double error_energy, exact_energy;
    double largest_error, largest_exact;
    uint64_t wrong, hash;
} tally;

/* One block of at most 256: its elements are judged for size only if all of it should be finite. */
static void judge_block(const double *exact, const double *result, size_t elems, tally *t)
{
    int finite = 1;
    for (size_t i = 0; i < elems; i++) finite = finite && isfinite(exact[i]);
    for (size_t i = 0; i < elems; i++) {
        double x = result[i];
        if (!finite || !isfinite(x)) {
            t->wrong += finite || (!isfinite(exact[i]) && isfinite(x));
            continue;
        }
        double error = fabs(x - exact[i]);
        t->error_energy += error * error;
        t->exact_energy += exact[i] * exact[i];
        t->largest_error = fmax(t->largest_error, error);
        t->largest_exact = fmax(t->largest_exact, fabs(exact[i]));
    }
}

/* How many elements of this rank's slice are not the same on all ranks. */
static uint64_t count_different(perf_world *world, const perf_exact *exact, const void *result,
                                size_t elem_bytes)
{
    size_t slice_bytes = exact->elems * elem_bytes;
    const unsigned char *mine = (const unsigned char *)result + exact->first * elem_bytes;
    unsigned char *theirs = malloc(slice_bytes * (size_t)world->size + 1);
    if (theirs == NULL) perf_world_die(world, "no memory to compare the results of the ranks");
    for (int p = 0; p < world->size; p++) {
        size_t start = slice_start(&exact->shape, p);
        size_t end = slice_start(&exact->shape, p + 1);
        world->send[p] =
            (hlq_message){(unsigned char *)result + start * elem_bytes, (end - start) * elem_bytes};
        world->recv[p] = (hlq_message){theirs + (size_t)p * slice_bytes, slice_bytes};
    }
    memcpy(world->recv[world->rank].data, mine, slice_bytes);
    perf_world_exchange(world);
    uint64_t different = 0;
    for (size_t at = 0; at < slice_bytes; at += elem_bytes) {
        int differs = 0;
        for (int p = 0; p < world->size; p++)
            differs |= memcmp(theirs + (size_t)p * slice_bytes + at, mine + at, elem_bytes) != 0;
        different += (uint64_t)differs;
    }
    free(theirs);
    return different;
}

/* Every rank's tally, in rank order. */
static tally *gather_tallies(perf_world *world, const tally *mine)
{
    tally *all = malloc((size_t)world->size * sizeof *all);
    if (all == NULL) perf_world_die(world, "no memory to compare the results of the ranks");
    perf_world_gather(world, mine, sizeof *mine, all);
    return all;
}

void perf_check(perf_world *world, const perf_exact *exact, const void *result, hlq_dtype dtype,
                perf_errors *errors)
{
    size_t elem_bytes = hlq_dtype_bytes(dtype);
    const unsigned char *bytes = result;
    int comparable = perf_shape_same(&exact->shape);
    tally mine = {.hash = tool_hash(result, perf_shape_received(&exact->shape) * elem_bytes)};
    for (size_t at = 0; at < exact->elems; at += PERF_CHUNK_ELEMS) {
        size_t left = exact->elems - at;
        size_t elems = left < PERF_CHUNK_ELEMS ? left : PERF_CHUNK_ELEMS;
        double x[PERF_CHUNK_ELEMS];
        perf_numbers_load(dtype, bytes + (exact->first + at) * elem_bytes, elems, x);
        judge_block(exact->result + at, x, elems, &mine);
    }
    tally *all = gather_tallies(world, &mine);
    tally total = all[0];
    errors->same = 1;
    for (int rank = 1; rank < world->size; rank++) {
        total.error_energy += all[rank].error_energy;
        total.exact_energy += all[rank].exact_energy;
        total.largest_error = fmax(total.largest_error, all[rank].largest_error);
        total.largest_exact = fmax(total.largest_exact, all[rank].largest_exact);
        total.wrong += all[rank].wrong;
        errors->same = errors->same && (!comparable || all[rank].hash == all[0].hash);
    }
    free(all);
    if (!errors->same) {
        tally different = {.wrong = count_different(world, exact, result, elem_bytes)};
        all = gather_tallies(world, &different);
        for (int rank = 0; rank < world->size; rank++) total.wrong += all[rank].wrong;
        free(all);
    }
    errors->wrong = total.wrong;
    errors->vnmse = total.error_energy > 0.0 ? total.error_energy / total.exact_energy : 0.0;
    errors->max_rel = total.largest_error > 0.0 ? total.largest_error / total.largest_exact : 0.0;
}
