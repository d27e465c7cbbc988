/*
 * The kernels of cuda_hnlq.h: grids and streams around the walks of walk_hnlq.cuh.
 */
#include "../kernels.h"
#include "../lanes/cuda_i32.h"
#include "walk_hnlq.cuh"
#include "launch.h"

template <hlq_lattice lattice, int dim, int power>
HLQ_KERNEL encode_kernel(HLQ_GIVEN hlq_cuda_vectors vectors, const float *x, hlq_encoded *result)
{
    encode_vectors(lattice, dim, power, share_of_warp(), &vectors, x, result);
}

template <hlq_lattice lattice, int dim, int power>
HLQ_KERNEL decode_kernel(HLQ_GIVEN hlq_cuda_vectors vectors, int layers, float *x, uint64_t *bad)
{
    decode_vectors(lattice, dim, power, share_of_warp(), &vectors, layers, x, bad);
}

static size_t blocks_of(const hlq_cuda_vectors *vectors)
{
    size_t whole = (size_t)(HLQ_BLOCK_ELEMS / vectors->code.dim);
    return (vectors->vectors + whole - 1) / whole;
}

int hlq_cuda_hnlq_encode(const hlq_cuda_vectors *vectors, const float *x, hlq_encoded *result,
                         hlq_stream stream)
{
    const hlq_hnlq *code = &vectors->code;
#define ENCODE(l, d, b)                                                                            \
    IF_CODE(l, d, b)                                                                               \
    return launch_warps(encode_kernel<l, d, b>, blocks_of(vectors), stream, *vectors, x, result);
    FOR_EACH_CODE(ENCODE)
    return cudaErrorInvalidValue;
}

int hlq_cuda_hnlq_decode(const hlq_cuda_vectors *vectors, int layers, float *x, uint64_t *bad,
                         hlq_stream stream)
{
    const hlq_hnlq *code = &vectors->code;
#define DECODE(l, d, b)                                                                            \
    IF_CODE(l, d, b)                                                                               \
    return launch_warps(decode_kernel<l, d, b>, blocks_of(vectors), stream, *vectors, layers, x,   \
                        bad);
    FOR_EACH_CODE(DECODE)
    return cudaErrorInvalidValue;
}
