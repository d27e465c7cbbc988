/*
 * The GPU's kernels on the emulated warp of warp.h, as a variant of kernels.h: the same bodies that
 * kernels/cuda/launch.cu launches, with a few warps one after the other in place of a grid.
 */
#include "warp.h"

#include <kernels/kernels.h>
#include <kernels/cpu/fp_env.h>
#include <kernels/lanes/cuda_i16.h>
#include <kernels/cuda/walk.cuh>
#include <kernels/cuda/starts.cuh>

#include "warp_kernels.h"

enum { WARPS = 3 };

/* A GPU's arithmetic has no modes, and leaves no flags. */
struct gpu_arithmetic {
    const fp_env saved = fp_env_enter();
    gpu_arithmetic() = default;
    ~gpu_arithmetic() { fp_env_leave(saved); }
    gpu_arithmetic(const gpu_arithmetic &) = delete;
    gpu_arithmetic &operator=(const gpu_arithmetic &) = delete;
};

/* work(share) by every warp, the last one first: nothing may depend on their order. */
template <typename Work> static void on_warps(Work work)
{
    struct job {
        Work *work;
        hlq_share share;
    };
    for (size_t w = WARPS; w-- > 0;) {
        job one = {&work, {w, WARPS}};
        warp_run(
            [](void *p) {
                job *j = static_cast<job *>(p);
                (*j->work)(j->share);
            },
            &one);
    }
}

void hlq_warp_starts(const uint8_t *bits, size_t blocks, hlq_start *start)
{
    hlq_start total[WARPS];
    size_t part = (blocks + WARPS - 1) / WARPS;
    auto end_of = [=](size_t w) { return (w + 1) * part < blocks ? (w + 1) * part : blocks; };
    auto first_of = [=](size_t w) { return w * part < blocks ? w * part : blocks; };
    on_warps([&](hlq_share s) {
        total[s.first] = starts_total(bits, first_of(s.first), end_of(s.first));
    });
    on_warps([&](hlq_share s) {
        hlq_start at = {0, 0};
        for (size_t w = 0; w < s.first; w++) {
            at.coded += total[w].coded;
            at.planes += total[w].planes;
        }
        starts_write(bits, first_of(s.first), end_of(s.first), at, start);
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

static hlq_start *starts_of(const uint8_t *bits, size_t blocks)
{
    hlq_start *start = (hlq_start *)malloc((blocks + 1) * sizeof *start);
    if (!start) abort();
    hlq_warp_starts(bits, blocks, start);
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

/* Terms that are coded like one run; NULL where there is none. */
static void sum_up(const hlq_run *like, const hlq_sum_terms *terms)
{
    hlq_steps steps[HLQ_BITS_MAX + 1];
    int dithered = like && like->dithered;
    hlq_lattice lattice = like ? like->lattice : HLQ_LATTICE_E8;
    if (like) steps_fill(steps, lattice, like->modular, like->spread, dithered);
#define CALL(lattice) on_warps([&](hlq_share s) { sum_blocks(lattice, dithered, s, steps, terms); })
    FOR_LATTICE(lattice, CALL)
#undef CALL
}

static void warp_decode_add(const hlq_run *run, int unit, float *acc)
{
    const gpu_arithmetic arithmetic;
    coded_run coded(run);
    static hlq_sum_terms terms;
    terms = hlq_sum_terms();
    terms.sum.place = run->place;
    terms.sum.count = 1;
    terms.sum.unit = unit;
    terms.sum.more = 1;
    terms.sum.acc = acc;
    terms.term[0] = coded.run;
    sum_up(run, &terms);
}

static void warp_rotate_add(const hlq_place *place, const hlq_source *src, int unit, float *acc)
{
    const gpu_arithmetic arithmetic;
    static hlq_sum_terms terms;
    terms = hlq_sum_terms();
    terms.sum.place = *place;
    terms.sum.unit = unit;
    terms.sum.more = 1;
    terms.sum.acc = acc;
    terms.has_own = 1;
    terms.own = *src;
    sum_up(NULL, &terms);
}

void hlq_warp_sum(const hlq_place *place, const hlq_run *run, int count, const hlq_source *own,
                  int own_at, int unit, float *acc, int16_t *exponent)
{
    const gpu_arithmetic arithmetic;
    static hlq_sum_terms terms;
    hlq_start *start[HLQ_CUDA_TERMS];
    terms = hlq_sum_terms();
    terms.sum.place = *place;
    terms.sum.count = count;
    terms.sum.own_at = own_at;
    terms.sum.unit = unit;
    terms.sum.acc = acc;
    terms.sum.exponent = exponent;
    terms.has_own = own != NULL;
    if (own) terms.own = *own;
    for (int t = 0; t < count; t++) {
        start[t] = starts_of(run[t].bits, place->blocks);
        terms.term[t].run = run[t];
        terms.term[t].start = start[t];
    }
    sum_up(run, &terms);
    for (int t = 0; t < count; t++) free(start[t]);
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

const hlq_kernels hlq_kernels_warp = {
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
