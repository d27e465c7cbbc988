/*
 * Arithmetic on digits of cuda_hnlq.h: grids and streams around the walks of walk_digits.cuh.
 */
#include "../kernels.h"
#include "../lanes/cuda_i32.h"
#include "walk_digits.cuh"
#include "launch_vectors.h"

template <hlq_lattice lattice, int dim, int power>
HLQ_KERNEL add_kernel(HLQ_GIVEN hlq_cuda_vectors vectors, const void *a, const void *b)
{
    add_vectors(lattice, dim, power, share_of_warp(), &vectors, a, b);
}

template <hlq_lattice lattice, int dim, int power>
HLQ_KERNEL flatten_kernel(HLQ_GIVEN hlq_cuda_vectors vectors, uint32_t *flat)
{
    flatten_vectors(lattice, dim, power, share_of_warp(), &vectors, flat);
}

template <hlq_lattice lattice, int dim, int power>
HLQ_KERNEL unflatten_kernel(HLQ_GIVEN hlq_cuda_vectors vectors, const uint32_t *flat)
{
    unflatten_vectors(lattice, dim, power, share_of_warp(), &vectors, flat);
}

HLQ_KERNEL add_modq_kernel(HLQ_GIVEN hlq_cuda_modq sum) { add_modq_of_all(share_of_warp(), &sum); }

int hlq_cuda_hnlq_add(const hlq_cuda_vectors *vectors, const void *a, const void *b,
                      hlq_stream stream)
{
    const hlq_hnlq *code = &vectors->code;
#define ADD(l, d, p) LAUNCH_KERNEL_OF(l, d, p, add_kernel, a, b)
    FOR_EACH_CODE(ADD)
    return cudaErrorInvalidValue;
}

int hlq_cuda_hnlq_flatten(const hlq_cuda_vectors *vectors, uint32_t *flat, hlq_stream stream)
{
    const hlq_hnlq *code = &vectors->code;
#define FLATTEN(l, d, p) LAUNCH_KERNEL_OF(l, d, p, flatten_kernel, flat)
    FOR_EACH_CODE(FLATTEN)
    return cudaErrorInvalidValue;
}

int hlq_cuda_hnlq_unflatten(const hlq_cuda_vectors *vectors, const uint32_t *flat,
                            hlq_stream stream)
{
    const hlq_hnlq *code = &vectors->code;
#define UNFLATTEN(l, d, p) LAUNCH_KERNEL_OF(l, d, p, unflatten_kernel, flat)
    FOR_EACH_CODE(UNFLATTEN)
    return cudaErrorInvalidValue;
}

int hlq_cuda_hnlq_add_modq(const hlq_cuda_modq *sum, hlq_stream stream)
{
    return launch_warps(add_modq_kernel, pieces_of_sum(sum), stream, *sum);
}
