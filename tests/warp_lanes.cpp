/*
 * The GPU's kernels on the emulated warp of warp.h, as a variant of kernels.h: the same bodies that
 * kernels/cuda/launch.cu launches, with a few warps one after the other in place of a grid.
 */
#include "warp.h"

#include <kernels/kernels.h>
#include <kernels/lanes/cuda_i16.h>
#include <kernels/body/rows.h>
#include <kernels/cuda/walk.cuh>
#include <kernels/cuda/starts.cuh>

#include "gpu_kernels.h"
#include "warps.h"

void hlq_gpu_starts(const uint8_t *bits, size_t blocks, hlq_start *start)
{
    hlq_start total[WARPS];
    on_warps(
        [&](hlq_share s) { total[s.first] = starts_total(bits, part_of(blocks, s.first, WARPS)); });
    on_warps([&](hlq_share s) {
        starts_write(bits, part_of(blocks, s.first, WARPS), total, s.first, start);
    });
}

float hlq_warp_sum_lanes(const float x[32])
{
    const gpu_arithmetic arithmetic;
    float sum[32];
    on_warps([&](hlq_share) { f_store(sum, f_sum_lanes(f_load(x))); });
    for (int i = 1; i < 32; i++) {
        if (memcmp(&sum[i], sum, sizeof *sum) != 0) abort();
    }
    return sum[0];
}

double hlq_warp_squared_distance(const float *x, const float *y, size_t count)
{
    const gpu_arithmetic arithmetic;
    double sum[32];
    on_warps([&](hlq_share) { sum[lane()] = squared_distance(x, y, count); });
    for (int i = 1; i < 32; i++) {
        if (memcmp(&sum[i], sum, sizeof *sum) != 0) abort();
    }
    return sum[0];
}

static hlq_start *starts_of(const uint8_t *bits, size_t blocks)
{
    hlq_start *start = (hlq_start *)malloc((blocks + 1) * sizeof *start);
    if (!start) abort();
    hlq_gpu_starts(bits, blocks, start);
    return start;
}

/* A run with its starts and steps. */
struct coded_run {
    hlq_cuda_run run;
    hlq_start *start;
    hlq_steps steps[HLQ_BITS_MAX + 1];

    explicit coded_run(const hlq_run *from) : start(starts_of(from->bits, from->place.blocks))
    {
        run.run = *from;
        run.start = start;
        steps_fill(steps, from->lattice, from->modular, from->spread, from->dithered);
    }
    ~coded_run() { free(start); }
    coded_run(const coded_run &) = delete;
    coded_run &operator=(const coded_run &) = delete;
};

static void warp_exponents(const hlq_place *place, const hlq_source *src, int16_t *exponent)
{
    const gpu_arithmetic arithmetic;
    on_warps([=](hlq_share s) { exponents_of_blocks(s, place, src, exponent); });
}

static uint64_t warp_encode(const hlq_run *run, const hlq_source *src)
{
    const gpu_arithmetic arithmetic;
    coded_run coded(run);
    uint64_t beyond = 0;
    if (run->wide) memset(run->wide, 0, (run->place.blocks + 7) / 8);
#define CALL(lattice)                                                                              \
    on_warps([&](hlq_share s) {                                                                    \
        encode_blocks(lattice, run->dithered, s, coded.steps, &coded.run, src, &beyond);           \
    })
    FOR_LATTICE(run->lattice, CALL)
#undef CALL
    return beyond;
}

static uint64_t warp_decode(const hlq_run *run, float factor, hlq_dtype dtype, void *out,
                            size_t elems, uint8_t *failed)
{
    const gpu_arithmetic arithmetic;
    coded_run coded(run);
    uint64_t failures = 0;
#define CALL(lattice)                                                                              \
    on_warps([&](hlq_share s) {                                                                    \
        decode_blocks(lattice, run->dithered, s, coded.steps, &coded.run, factor, dtype, out,      \
                      elems, failed, &failures);                                                   \
    })
    FOR_LATTICE(run->lattice, CALL)
#undef CALL
    return failures;
}

void hlq_gpu_sum_up(const hlq_cuda_sum *sum)
{
    const gpu_arithmetic arithmetic;
    hlq_steps steps[HLQ_BITS_MAX + 1];
    int first = 0;
    do {
        const auto terms = terms_from<hlq_cuda_run>(sum, sum->terms, first);
        const hlq_run *run = &terms.term[0].run;
        steps_fill(steps, run->lattice, run->modular, run->spread, run->dithered);
#define CALL(lattice)                                                                              \
    on_warps([&](hlq_share s) { sum_blocks(lattice, run->dithered, s, steps, &terms, sum->unit); })
        FOR_LATTICE(run->lattice, CALL)
#undef CALL
        first += HLQ_CUDA_TERMS;
    } while (first < sum->count);
}

static void warp_decode_add(const hlq_run *run, int unit, float *acc)
{
    const gpu_arithmetic arithmetic;
    coded_run coded(run);
    hlq_cuda_sum sum = {};
    sum.place = run->place;
    sum.terms = &coded.run;
    sum.count = 1;
    sum.unit = unit;
    sum.more = 1;
    sum.acc = acc;
    hlq_gpu_sum_up(&sum);
}

static void warp_rotate_add(const hlq_place *place, const hlq_source *src, int unit, float *acc)
{
    hlq_cuda_sum sum = {};
    sum.place = *place;
    sum.own = src;
    sum.unit = unit;
    sum.more = 1;
    sum.acc = acc;
    hlq_gpu_sum_up(&sum);
}

static uint64_t warp_unrotate(const hlq_place *place, const float *acc, int unit, float factor,
                              hlq_dtype dtype, void *out, size_t elems)
{
    const gpu_arithmetic arithmetic;
    uint64_t nonfinite = 0;
    on_warps([&](hlq_share s) {
        unrotate_blocks(s, place, acc, unit, factor, dtype, out, elems, &nonfinite);
    });
    return nonfinite;
}

/* Threads by themselves: no word here crosses lanes. */
static void warp_planes_add(const hlq_run *acc, const hlq_run *in)
{
    const gpu_arithmetic arithmetic;
    enum { THREADS = 20 };
    coded_run coded(acc);
    for (size_t t = THREADS; t-- > 0;) planes_add_rows({t, THREADS}, &coded.run, in);
}

const hlq_kernels hlq_kernels_gpu = {
    "warp",
    NULL,
    NULL, /* the quantizer's are not here */
    warp_exponents,
    warp_encode,
    NULL, /* encode_within: blocks follow from those before */
    warp_decode,
    warp_decode_add,
    warp_rotate_add,
    warp_unrotate,
    warp_planes_add,
};
