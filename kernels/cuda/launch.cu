/*
 * The kernels of cuda_kernels.h: grids and streams around the walks of walk.cuh.
 */
#include "../lanes/cuda_i16.h"
#include "walk.cuh"
#include "starts.cuh"
#include "launch_blocks.h"

/* Bytes of a graph's node are few: a sum's terms are its kernel's parameter. */
static_assert(sizeof(hlq_sum_terms<hlq_cuda_run>) <= 4000, "parameters of a kernel are 4 KB");

HLQ_KERNEL exponents_kernel(HLQ_GIVEN hlq_place place, HLQ_GIVEN hlq_source src, int16_t *exponent)
{
    exponents_of_blocks(share_of_warp(), &place, &src, exponent);
}

template <hlq_lattice lattice, int dithered>
HLQ_KERNEL encode_kernel(HLQ_GIVEN hlq_cuda_run run, HLQ_GIVEN hlq_source src, uint64_t *beyond)
{
    __shared__ hlq_steps steps[HLQ_BITS_MAX + 1];
    fill_steps(steps, lattice, dithered, &run.run);
    encode_blocks(lattice, dithered, share_of_warp(), steps, &run, &src, beyond);
}

template <hlq_lattice lattice, int dithered>
HLQ_KERNEL decode_kernel(HLQ_GIVEN hlq_cuda_run run, float factor, hlq_dtype dtype, void *out,
                         size_t elems, uint8_t *failed, uint64_t *failures)
{
    __shared__ hlq_steps steps[HLQ_BITS_MAX + 1];
    fill_steps(steps, lattice, dithered, &run.run);
    decode_blocks(lattice, dithered, share_of_warp(), steps, &run, factor, dtype, out, elems,
                  failed, failures);
}

template <hlq_lattice lattice, int dithered>
HLQ_KERNEL sum_kernel(HLQ_GIVEN hlq_sum_terms<hlq_cuda_run> terms)
{
    __shared__ hlq_steps steps[HLQ_BITS_MAX + 1];
    fill_steps(steps, lattice, dithered, &terms.term[0].run);
    sum_blocks(lattice, dithered, share_of_warp(), steps, &terms, terms.sum.unit);
}

HLQ_KERNEL unrotate_kernel(HLQ_GIVEN hlq_place place, const float *acc, int unit, float factor,
                           hlq_dtype dtype, void *out, size_t elems, uint64_t *nonfinite)
{
    unrotate_blocks(share_of_warp(), &place, acc, unit, factor, dtype, out, elems, nonfinite);
}

HLQ_KERNEL planes_add_kernel(HLQ_GIVEN hlq_cuda_run acc, HLQ_GIVEN hlq_run in)
{
    planes_add_rows(share_of_thread(), &acc, &in);
}

/* One group, whose warps each have a part. */
static __global__ void __launch_bounds__(STARTS_THREADS)
    starts_kernel(const uint8_t *bits, size_t blocks, hlq_start *start)
{
    enum { WARPS = STARTS_THREADS / 32 };
    __shared__ hlq_start total[WARPS];
    size_t warp = threadIdx.x / 32;
    hlq_part part = part_of(blocks, warp, WARPS);
    total[warp] = starts_total(bits, part);
    __syncthreads();
    starts_write(bits, part, total, warp, start);
}

int hlq_cuda_starts(const uint8_t *bits, size_t blocks, hlq_start *start, hlq_stream stream)
{
    if (!blocks) return cudaSuccess;
    return launch_groups(starts_kernel, 1, STARTS_THREADS, stream, bits, blocks, start);
}

int hlq_cuda_exponents(const hlq_place *place, const hlq_source *src, int16_t *exponent,
                       hlq_stream stream)
{
    return launch_warps(exponents_kernel, place->blocks, stream, *place, *src, exponent);
}

int hlq_cuda_blocks_encode(const hlq_cuda_run *run, const hlq_source *src, uint64_t *beyond,
                           hlq_stream stream)
{
    size_t blocks = run->run.place.blocks;
    if (run->run.wide && blocks) {
        cudaError_t error = cudaMemsetAsync(run->run.wide, 0, (blocks + 7) / 8, stream);
        if (error) return error;
    }
    return launch_warps(KERNEL_FOR(run->run, encode_kernel), blocks, stream, *run, *src, beyond);
}

int hlq_cuda_blocks_decode(const hlq_cuda_run *run, float factor, hlq_dtype dtype, void *out,
                           size_t elems, uint8_t *failed, uint64_t *failures, hlq_stream stream)
{
    return launch_warps(KERNEL_FOR(run->run, decode_kernel), run->run.place.blocks, stream, *run,
                        factor, dtype, out, elems, failed, failures);
}

int hlq_cuda_sum_up(const hlq_cuda_sum *sum, hlq_stream stream)
{
    int first = 0, error = cudaSuccess;
    do {
        auto terms = terms_from<hlq_cuda_run>(sum, sum->terms, first);
        error = launch_warps(KERNEL_FOR(terms.term[0].run, sum_kernel), sum->place.blocks, stream,
                             terms);
        first += HLQ_CUDA_TERMS;
    } while (!error && first < sum->count);
    return error;
}

int hlq_cuda_unrotate(const hlq_place *place, const float *acc, int unit, float factor,
                      hlq_dtype dtype, void *out, size_t elems, uint64_t *nonfinite,
                      hlq_stream stream)
{
    return launch_warps(unrotate_kernel, place->blocks, stream, *place, acc, unit, factor, dtype,
                        out, elems, nonfinite);
}

int hlq_cuda_planes_add(const hlq_cuda_run *acc, const hlq_run *in, hlq_stream stream)
{
    return launch_threads(planes_add_kernel, HLQ_ROWS * acc->run.place.blocks, stream, *acc, *in);
}
