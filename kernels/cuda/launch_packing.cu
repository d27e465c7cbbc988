/*
 * The kernels of cuda_packing.h: grids and streams around the walks of walk_packing.cuh.
 */
#include "../kernels.h"
#include "../lanes/cuda_i32.h"
#include "walk_packing.cuh"
#include "launch.h"

HLQ_KERNEL pack_kernel(HLQ_GIVEN hlq_cuda_packing packing)
{
    pack_words(share_of_warp(), &packing);
}

HLQ_KERNEL unpack_kernel(HLQ_GIVEN hlq_cuda_packing packing)
{
    unpack_words(share_of_warp(), &packing);
}

int hlq_cuda_pack(const hlq_cuda_packing *packing, hlq_stream stream)
{
    return launch_warps(pack_kernel, pieces_of_packing(packing), stream, *packing);
}

int hlq_cuda_unpack(const hlq_cuda_packing *packing, hlq_stream stream)
{
    return launch_warps(unpack_kernel, pieces_of_packing(packing), stream, *packing);
}
