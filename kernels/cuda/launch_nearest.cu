/*
 * Nearest points of cuda_hnlq.h: grids and streams around the walk of walk_hnlq.cuh.
 */
#include "../kernels.h"
#include "../lanes/cuda_i32.h"
#include "walk_hnlq.cuh"
#include "launch_vectors.h"

template <hlq_lattice lattice, int dim> HLQ_KERNEL nearest_kernel(HLQ_GIVEN hlq_cuda_nearest_of of)
{
    nearest_vectors(lattice, dim, share_of_warp(), &of);
}

int hlq_cuda_hnlq_nearest(const hlq_cuda_nearest_of *of, hlq_stream stream)
{
#define NEAREST(l, d, unused)                                                                      \
    if (of->lattice == (l) && of->dim == (d)) {                                                    \
        return launch_warps(nearest_kernel<l, d>, blocks_of(d, of->vectors), stream, *of);         \
    }
    FOR_EACH_LATTICE(NEAREST, 0)
    return cudaErrorInvalidValue;
}
