/*
 * hlq_wire_cuda: segments on a GPU, by kernels around the walks of this folder and kernels/cuda/.
 */
#include <kernels/lanes/cuda_i16.h>
#include "walk.cuh"
#include "plain.cuh"
#include "flow.h"

#include <kernels/cuda/launch_blocks.h>

enum { PLAN_THREADS = 1024 };

static_assert(sizeof(hlq_sum_terms<hlq_runs>) <= 4000, "parameters of a kernel are 4 KB at most");

/* Of groups that are one warp. */
static __device__ inline hlq_share share_of_group(void)
{
    hlq_share share = {blockIdx.x, gridDim.x};
    return share;
}

static __global__ void __launch_bounds__(PLAN_THREADS)
    plan_kernel(HLQ_GIVEN hlq_segment_job job, const int16_t *exponent)
{
    __shared__ hlq_board board;
    const hlq_share warps = {threadIdx.x / 32, PLAN_THREADS / 32};
    for (int phase = 0; phase < PLAN_PHASES; phase++) {
        plan_phase(phase, warps, &job, exponent, &board);
        __syncthreads();
    }
}

template <hlq_lattice lattice, int dithered>
HLQ_KERNEL encode_kernel(hlq_runs runs, HLQ_GIVEN hlq_source source, const int32_t *unit,
                         uint64_t *beyond)
{
    __shared__ hlq_steps steps[HLQ_BITS_MAX + 1];
    const hlq_source src = source_in_unit(&source, unit);
    fill_steps(steps, lattice, dithered, any_run(&runs));
    encode_blocks(lattice, dithered, share_of_warp(), steps, &runs, &src, beyond);
}

template <hlq_lattice lattice, int dithered>
HLQ_KERNEL decode_kernel(hlq_runs runs, float factor, hlq_dtype dtype, void *out, size_t elems,
                         const hlq_found *found, hlq_device_report *report)
{
    __shared__ hlq_steps steps[HLQ_BITS_MAX + 1];
    fill_steps(steps, lattice, dithered, any_run(&runs));
    decode_blocks(lattice, dithered, share_of_warp(), steps, &runs, factor, dtype, out, elems, NULL,
                  NULL);
    report_nonfinite(share_of_warp(), found, report);
}

template <hlq_lattice lattice, int dithered>
HLQ_KERNEL sum_kernel(HLQ_GIVEN hlq_sum_terms<hlq_runs> terms, const int32_t *unit)
{
    __shared__ hlq_steps steps[HLQ_BITS_MAX + 1];
    fill_steps(steps, lattice, dithered, any_run(&terms.term[0]));
    sum_blocks(lattice, dithered, share_of_warp(), steps, &terms, *unit);
}

HLQ_KERNEL seal_kernel(HLQ_GIVEN hlq_segment_job job, size_t first, size_t last,
                       const hlq_device_report *report)
{
    seal_parts(share_of_group(), &job, first, last, report);
}

HLQ_KERNEL check_kernel(HLQ_GIVEN hlq_segment_job job) { check_parts(share_of_group(), &job); }

HLQ_KERNEL verdict_kernel(HLQ_GIVEN hlq_segment_job job, hlq_device_report *report)
{
    give_verdict(&job, report);
}

HLQ_KERNEL unit_of_terms_kernel(HLQ_GIVEN hlq_sum_terms<hlq_runs> terms, int limit, int32_t *unit)
{
    unit_of_terms(&terms, limit, unit);
}

HLQ_KERNEL unit_of_exponents_kernel(const int16_t *exponent, size_t blocks, int limit,
                                    int32_t *unit)
{
    unit_of_exponents(share_of_warp(), exponent, blocks, limit, unit);
}

HLQ_KERNEL unrotate_kernel(HLQ_GIVEN hlq_place place, const float *acc, const int32_t *unit,
                           float factor, hlq_dtype dtype, void *out, size_t elems,
                           uint64_t *nonfinite)
{
    unrotate_blocks(share_of_warp(), &place, acc, *unit, factor, dtype, out, elems, nonfinite);
}

HLQ_KERNEL tell_kernel(HLQ_GIVEN hlq_told told, uint64_t *to) { write_told(&told, to); }

HLQ_KERNEL compare_kernel(const uint64_t *told, size_t words, int count, int own,
                          hlq_device_report *report)
{
    compare_told(told, words, count, own, report);
}

HLQ_KERNEL poison_kernel(const hlq_device_report *report, hlq_dtype dtype, void *out, size_t elems)
{
    poison_blocks(share_of_warp(), report, dtype, out, elems);
}

HLQ_KERNEL add_plain_kernel(HLQ_GIVEN hlq_device_plain stretches, void *sums)
{
    add_plain_blocks(share_of_warp(), &stretches, sums);
}

HLQ_KERNEL round_plain_kernel(const float *sums, hlq_dtype dtype, size_t elems, void *out)
{
    round_plain_blocks(share_of_warp(), sums, dtype, elems, out);
}

static size_t blocks_of(size_t elems) { return (elems + HLQ_BLOCK_ELEMS - 1) / HLQ_BLOCK_ELEMS; }

/* Launches on a stream. */
struct cuda_queue {
    hlq_stream stream;
    int error;

    explicit cuda_queue(hlq_stream on) : stream(on), error(cudaSuccess) {}

    void keep(int next) { error = error ? error : next; }

    void tell(const hlq_told &told, uint64_t *to)
    {
        keep(launch_groups(tell_kernel, 1, 32, stream, told, to));
    }
    void compare(const uint64_t *told, size_t words, int count, int own, hlq_device_report *report)
    {
        keep(launch_groups(compare_kernel, 1, 32, stream, told, words, count, own, report));
    }
    void clear(void *p, size_t bytes) { keep(cudaMemsetAsync(p, 0, bytes, stream)); }
    void exponents(const hlq_place *place, const hlq_source *src, int16_t *exponent)
    {
        keep(hlq_cuda_exponents(place, src, exponent, stream));
    }
    void plan(const hlq_segment_job *job, const int16_t *exponent)
    {
        keep(launch_groups(plan_kernel, 1, PLAN_THREADS, stream, *job, exponent));
    }
    void encode(const hlq_device_segment *s, const hlq_source *src, const int32_t *unit,
                hlq_device_report *report)
    {
        keep(launch_warps(KERNEL_FOR(s->frame, encode_kernel), s->frame.place.blocks, stream,
                          runs_of(s), *src, unit, &report->overloads));
    }
    /* Every part on a processor of its own. */
    void seal(const hlq_segment_job *job, size_t first, size_t last,
              const hlq_device_report *report)
    {
        keep(launch_groups(seal_kernel, (unsigned)(last - first), 32, stream, *job, first, last,
                           report));
    }
    void check(const hlq_segment_job *job)
    {
        keep(launch_groups(check_kernel, (unsigned)job->parts, 32, stream, *job));
    }
    void verdict(const hlq_segment_job *job, hlq_device_report *report)
    {
        keep(launch_groups(verdict_kernel, 1, 1, stream, *job, report));
    }
    void unit_of_terms(const hlq_sum_terms<hlq_runs> &terms, int limit, int32_t *unit)
    {
        keep(launch_groups(unit_of_terms_kernel, 1, 1, stream, terms, limit, unit));
    }
    void unit_of_exponents(const int16_t *exponent, size_t blocks, int limit, int32_t *unit)
    {
        keep(launch_threads(unit_of_exponents_kernel, blocks, stream, exponent, blocks, limit,
                            unit));
    }
    void sum(const hlq_frame *frame, const hlq_sum_terms<hlq_runs> &terms, const int32_t *unit)
    {
        keep(
            launch_warps(KERNEL_FOR(*frame, sum_kernel), frame->place.blocks, stream, terms, unit));
    }
    void decode(const hlq_device_segment *s, float factor, hlq_dtype dtype, void *out, size_t elems,
                hlq_device_report *report)
    {
        const hlq_found *found = notes_at(s->scratch, s->frame.place.blocks).found;
        keep(launch_warps(KERNEL_FOR(s->frame, decode_kernel), s->frame.place.blocks, stream,
                          runs_of(s), factor, dtype, out, elems, found, report));
    }
    void unrotate(const hlq_place *place, const hlq_device_sums *sums, float factor,
                  hlq_dtype dtype, void *out, size_t elems, hlq_device_report *report)
    {
        keep(launch_warps(unrotate_kernel, place->blocks, stream, *place, sums->acc, sums->unit,
                          factor, dtype, out, elems, &report->nonfinite));
    }
    void add_plain(const hlq_device_plain *stretches, void *sums)
    {
        keep(launch_warps(add_plain_kernel, blocks_of(stretches->elems), stream, *stretches, sums));
    }
    void round_plain(const float *sums, hlq_dtype dtype, size_t elems, void *out)
    {
        keep(launch_warps(round_plain_kernel, blocks_of(elems), stream, sums, dtype, elems, out));
    }
    void poison(const hlq_device_report *report, hlq_dtype dtype, void *out, size_t elems)
    {
        keep(launch_warps(poison_kernel, blocks_of(elems), stream, report, dtype, out, elems));
    }
};

const hlq_device_wire hlq_wire_cuda = wire_of<cuda_queue>("cuda");
