/*
 * Kernels on several threads (OpenMP): runs are cut into slices, a thread takes one. Slices begin
 * at multiples of 8 blocks, where bits of blocks begin new bytes; blocks know nothing of each
 * other, so bytes are the same for any number of threads.
 */
#ifndef HLQ_WIRE_TEAM_H
#define HLQ_WIRE_TEAM_H

#include <kernels/kernels.h>

/* Most threads that hlq_options asks for. A macro, for sentences to have it. */
#define HLQ_THREADS_MOST 256

typedef struct hlq_team {
    const hlq_kernels *kernels;
    int threads; /* at most; 1 without OpenMP */
} hlq_team;

/* How many threads such a wish can have here. */
int hlq_team_threads(int wanted);

/* Into how many slices that many blocks are cut; where slice i begins (i = slices: ends). */
int hlq_team_slices(const hlq_team *team, size_t blocks);
size_t hlq_slice_start(size_t blocks, int slices, int i);

/* work(job, i) for every slice i, each on a thread of its own. */
void hlq_team_run(int slices, void (*work)(void *job, int i), void *job);

/* Blocks start … end-1 of a place or run; what a source has from block `start` of its place on:
   accumulators without room lie in that order, all else where positions say. */
hlq_place hlq_place_slice(const hlq_place *place, size_t start, size_t end);
hlq_run hlq_run_slice(const hlq_run *run, size_t start, size_t end);
hlq_source hlq_source_from(const hlq_source *source, size_t start);

/* As the kernels of these names. */
void hlq_team_exponents(const hlq_team *team, const hlq_place *place, const hlq_source *source,
                        int16_t *exponent);
uint64_t hlq_team_encode(const hlq_team *team, const hlq_run *run, const hlq_source *source);
uint64_t hlq_team_decode(const hlq_team *team, const hlq_run *run, float factor, hlq_dtype dtype,
                         void *out, size_t elems, uint8_t *failed);
void hlq_team_planes_add(const hlq_team *team, const hlq_run *acc, const hlq_run *in);

#endif
