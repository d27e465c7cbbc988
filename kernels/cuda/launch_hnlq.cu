/*
 * Encode, decode and quantize of cuda_hnlq.h: grids and streams around the walks of walk_hnlq.cuh.
 */
#include "../kernels.h"
#include "../lanes/cuda_i32.h"
#include "walk_hnlq.cuh"
#include "launch_vectors.h"

template <hlq_lattice lattice, int dim, int power>
HLQ_KERNEL encode_kernel(HLQ_GIVEN hlq_cuda_vectors vectors, const float *x)
{
    encode_vectors(lattice, dim, power, share_of_warp(), &vectors, x, NULL);
}

template <hlq_lattice lattice, int dim, int power>
HLQ_KERNEL quantize_kernel(HLQ_GIVEN hlq_cuda_vectors vectors, const float *x, float *out)
{
    encode_vectors(lattice, dim, power, share_of_warp(), &vectors, x, out);
}

template <hlq_lattice lattice, int dim, int power>
HLQ_KERNEL decode_kernel(HLQ_GIVEN hlq_cuda_vectors vectors, int layers, float *x)
{
    decode_vectors(lattice, dim, power, share_of_warp(), &vectors, layers, x);
}

int hlq_cuda_hnlq_encode(const hlq_cuda_vectors *vectors, const float *x, hlq_stream stream)
{
    const hlq_hnlq *code = &vectors->code;
#define ENCODE(l, d, b) LAUNCH_KERNEL_OF(l, d, b, encode_kernel, x)
    FOR_EACH_CODE(ENCODE)
    return cudaErrorInvalidValue;
}

int hlq_cuda_hnlq_quantize(const hlq_cuda_vectors *vectors, const float *x, float *out,
                           hlq_stream stream)
{
    const hlq_hnlq *code = &vectors->code;
#define QUANTIZE(l, d, b) LAUNCH_KERNEL_OF(l, d, b, quantize_kernel, x, out)
    FOR_EACH_CODE(QUANTIZE)
    return cudaErrorInvalidValue;
}

int hlq_cuda_hnlq_decode(const hlq_cuda_vectors *vectors, int layers, float *x, hlq_stream stream)
{
    const hlq_hnlq *code = &vectors->code;
#define DECODE(l, d, b) LAUNCH_KERNEL_OF(l, d, b, decode_kernel, layers, x)
    FOR_EACH_CODE(DECODE)
    return cudaErrorInvalidValue;
}
