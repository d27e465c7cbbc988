/* How wrong a result is; perf_check.h tells. */
#include "perf_check.h"

#include "tool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where slice p starts: slices are whole chunks, as equal as can be, the last one cut. */
static size_t slice_start(int ranks, size_t count, int p)
{
    size_t chunks = count / PERF_CHUNK_ELEMS + (count % PERF_CHUNK_ELEMS != 0);
    size_t n = (size_t)ranks, at = (size_t)p;
    size_t start = (chunks / n * at + chunks % n * at / n) * PERF_CHUNK_ELEMS;
    return start < count ? start : count;
}

size_t perf_exact_bytes(int ranks, size_t count)
{
    return (count / (size_t)ranks + PERF_CHUNK_ELEMS) * sizeof(double);
}

int perf_exact_make(perf_exact *exact, const perf_world *world, const perf_input *input,
                    size_t count, hlq_dtype dtype)
{
    exact->count = count;
    exact->first = slice_start(world->size, count, world->rank);
    exact->elems = slice_start(world->size, count, world->rank + 1) - exact->first;
    exact->sum = calloc(exact->elems + 1, sizeof *exact->sum);
    if (exact->sum == NULL) return -1;
    for (size_t at = 0; at < exact->elems; at += PERF_CHUNK_ELEMS) {
        size_t left = exact->elems - at;
        size_t elems = left < PERF_CHUNK_ELEMS ? left : PERF_CHUNK_ELEMS;
        for (int rank = 0; rank < world->size; rank++) {
            float x[PERF_CHUNK_ELEMS];
            perf_input_read(input, rank, exact->first + at, elems, dtype, x);
            for (size_t i = 0; i < elems; i++) exact->sum[at + i] += (double)x[i];
        }
    }
    return 0;
}

void perf_exact_free(perf_exact *exact)
{
    free(exact->sum);
    *exact = (perf_exact){0};
}

/* What one rank finds in its slice; and the hash of its whole result. */
typedef struct tally {
    double error_energy, exact_energy;
    double largest_error, largest_exact;
    uint64_t wrong, hash;
} tally;

static float element(const void *result, hlq_dtype dtype, size_t i)
{
    if (dtype == HLQ_FLOAT32) return ((const float *)result)[i];
    return perf_float_from_bfloat16(((const uint16_t *)result)[i]);
}

/* One block of at most 256: its elements are judged for size only if all its sums are finite. */
static void judge_block(const double *exact, const void *result, hlq_dtype dtype, size_t first,
                        size_t elems, tally *t)
{
    int finite = 1;
    for (size_t i = 0; i < elems; i++) finite = finite && isfinite(exact[i]);
    for (size_t i = 0; i < elems; i++) {
        double x = (double)element(result, dtype, first + i);
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
        size_t start = slice_start(world->size, exact->count, p);
        size_t end = slice_start(world->size, exact->count, p + 1);
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
    tally mine = {.hash = tool_hash(result, exact->count * elem_bytes)};
    for (size_t at = 0; at < exact->elems; at += PERF_CHUNK_ELEMS) {
        size_t left = exact->elems - at;
        judge_block(exact->sum + at, result, dtype, exact->first + at,
                    left < PERF_CHUNK_ELEMS ? left : PERF_CHUNK_ELEMS, &mine);
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
        errors->same = errors->same && all[rank].hash == all[0].hash;
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
