/*
 * Slices of runs, and threads for them.
 */
#include "team.h"

#include <stdatomic.h>

/* Fewer blocks than this are not worth a thread: to wake it takes as long as coding some. */
enum { SLICE_BLOCKS = 64 };

int hlq_team_threads(int wanted)
{
#ifdef _OPENMP
    return wanted;
#else
    (void)wanted;
    return 1;
#endif
}

int hlq_team_slices(const hlq_team *team, size_t blocks)
{
    size_t most = blocks / SLICE_BLOCKS;
    if (most > (size_t)team->threads) return team->threads;
    return most ? (int)most : 1;
}

size_t hlq_slice_start(size_t blocks, int slices, int i)
{
    size_t each = (blocks / (size_t)slices + 7) / 8 * 8, start = (size_t)i * each;
    return i == slices || start > blocks ? blocks : start;
}

void hlq_team_run(int slices, void (*work)(void *job, int i), void *job)
{
#ifdef _OPENMP
#pragma omp parallel for num_threads(slices) schedule(static, 1) if (slices > 1)
#endif
    for (int i = 0; i < slices; i++) work(job, i);
}

hlq_place hlq_place_slice(const hlq_place *place, size_t start, size_t end)
{
    hlq_place rest = *place;
    hlq_place_take(&rest, start);
    return hlq_place_take(&rest, end - start);
}

hlq_run hlq_run_slice(const hlq_run *run, size_t start, size_t end)
{
    hlq_run rest = *run;
    hlq_run_take(&rest, start);
    return hlq_run_take(&rest, end - start);
}

hlq_source hlq_source_from(const hlq_source *source, size_t start)
{
    hlq_source rest = *source;
    if (rest.rotated && !rest.room) rest.data = (const float *)rest.data + start * HLQ_BLOCK_ELEMS;
    return rest;
}

typedef struct job {
    const hlq_kernels *kernels;
    int slices;
    size_t blocks;
    const hlq_place *place;
    const hlq_run *run;
    const hlq_source *source;
    int16_t *exponent;
    _Atomic uint64_t count;
    float factor;
    hlq_dtype dtype;
    void *out;
    size_t elems;
    uint8_t *failed;
    const hlq_run *in;
} job;

static job job_of(const hlq_team *team, size_t blocks)
{
    return (job){
        .kernels = team->kernels, .slices = hlq_team_slices(team, blocks), .blocks = blocks};
}

static void exponents_slice(void *pointer, int i)
{
    job *j = pointer;
    size_t start = hlq_slice_start(j->blocks, j->slices, i);
    hlq_place place =
        hlq_place_slice(j->place, start, hlq_slice_start(j->blocks, j->slices, i + 1));
    hlq_source source = hlq_source_from(j->source, start);
    j->kernels->exponents(&place, &source, j->exponent + start);
}

void hlq_team_exponents(const hlq_team *team, const hlq_place *place, const hlq_source *source,
                        int16_t *exponent)
{
    job j = job_of(team, place->blocks);
    j.place = place;
    j.source = source;
    j.exponent = exponent;
    hlq_team_run(j.slices, exponents_slice, &j);
}

static void encode_slice(void *pointer, int i)
{
    job *j = pointer;
    size_t start = hlq_slice_start(j->blocks, j->slices, i);
    hlq_run run = hlq_run_slice(j->run, start, hlq_slice_start(j->blocks, j->slices, i + 1));
    hlq_source source = hlq_source_from(j->source, start);
    atomic_fetch_add(&j->count, j->kernels->encode(&run, &source));
}

uint64_t hlq_team_encode(const hlq_team *team, const hlq_run *run, const hlq_source *source)
{
    job j = job_of(team, run->place.blocks);
    j.run = run;
    j.source = source;
    hlq_team_run(j.slices, encode_slice, &j);
    return j.count;
}

static void decode_slice(void *pointer, int i)
{
    job *j = pointer;
    size_t start = hlq_slice_start(j->blocks, j->slices, i);
    hlq_run run = hlq_run_slice(j->run, start, hlq_slice_start(j->blocks, j->slices, i + 1));
    uint8_t *failed = j->failed ? j->failed + start / 8 : NULL;
    uint64_t count = j->kernels->decode(&run, j->factor, j->dtype, j->out, j->elems, failed);
    atomic_fetch_add(&j->count, count);
}

uint64_t hlq_team_decode(const hlq_team *team, const hlq_run *run, float factor, hlq_dtype dtype,
                         void *out, size_t elems, uint8_t *failed)
{
    job j = job_of(team, run->place.blocks);
    j.run = run;
    j.factor = factor;
    j.dtype = dtype;
    j.out = out;
    j.elems = elems;
    j.failed = failed;
    hlq_team_run(j.slices, decode_slice, &j);
    return j.count;
}

static void planes_add_slice(void *pointer, int i)
{
    job *j = pointer;
    size_t start = hlq_slice_start(j->blocks, j->slices, i);
    size_t end = hlq_slice_start(j->blocks, j->slices, i + 1);
    hlq_run acc = hlq_run_slice(j->run, start, end), in = hlq_run_slice(j->in, start, end);
    j->kernels->planes_add(&acc, &in);
}

void hlq_team_planes_add(const hlq_team *team, const hlq_run *acc, const hlq_run *in)
{
    job j = job_of(team, acc->place.blocks);
    j.run = acc;
    j.in = in;
    hlq_team_run(j.slices, planes_add_slice, &j);
}
