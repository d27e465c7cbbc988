/*
 * What launches of the block kernels share: the steps of a group, a kernel's copies for lattices.
 * Included after the walks.
 */
#ifndef HLQ_KERNELS_CUDA_LAUNCH_BLOCKS_H
#define HLQ_KERNELS_CUDA_LAUNCH_BLOCKS_H

#include "launch.h"

/* The steps of a run, found once for all warps of a group. */
static __device__ inline void fill_steps(hlq_steps steps[HLQ_BITS_MAX + 1], hlq_lattice lattice,
                                         int dithered, const hlq_run *run)
{
    int bits = (int)threadIdx.x;
    if (bits > dithered && bits <= HLQ_BITS_MAX) {
        steps_fill_bits(&steps[bits], lattice, bits, run->modular, run->spread, dithered);
    }
    __syncthreads();
}

/* Of a template, the kernel for a run, or a frame. */
#define KERNEL_OF_LATTICE(kernel, lattice, dithered)                                               \
    ((lattice) == HLQ_LATTICE_E8   ? kernel<HLQ_LATTICE_E8, dithered>                              \
     : (lattice) == HLQ_LATTICE_D4 ? kernel<HLQ_LATTICE_D4, dithered>                              \
                                   : kernel<HLQ_LATTICE_Z, dithered>)
#define KERNEL_FOR(run, kernel)                                                                    \
    ((run).dithered ? KERNEL_OF_LATTICE(kernel, (run).lattice, 1)                                  \
                    : KERNEL_OF_LATTICE(kernel, (run).lattice, 0))

#endif
