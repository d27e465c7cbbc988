/*
 * What launches of the quantizer's kernels share: how many blocks vectors make, and the choice of a
 * kernel's copy for a code. Included after the walks.
 */
#ifndef HLQ_KERNELS_CUDA_LAUNCH_VECTORS_H
#define HLQ_KERNELS_CUDA_LAUNCH_VECTORS_H

#include "launch.h"

static inline size_t blocks_of(int dim, size_t vectors)
{
    size_t whole = (size_t)(HLQ_BLOCK_ELEMS / dim);
    return vectors / whole + (vectors % whole != 0);
}

static_assert(sizeof(hlq_cuda_vectors) <= 4000, "a kernel has 4 KiB of parameters");

/* Returns from a launch of kernel<lattice, dim, power> with `vectors` and what follows. */
#define LAUNCH_KERNEL_OF(lattice, dim, power, kernel, ...)                                         \
    IF_CODE(lattice, dim, power)                                                                   \
    return launch_warps(kernel<lattice, dim, power>, blocks_of(dim, vectors->vectors), stream,     \
                        *vectors, __VA_ARGS__);

#endif
