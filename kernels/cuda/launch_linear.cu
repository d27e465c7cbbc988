/*
 * The kernels of cuda_linear.h: grids and streams around the walks of walk_linear.cuh.
 */
#include "../kernels.h"
#include "../lanes/cuda.h"
#include "walk_linear.cuh"
#include "launch.h"

HLQ_KERNEL one_sided_kernel(HLQ_GIVEN hlq_one_sided of, const float *x, size_t rows, size_t columns,
                            float *z, hlq_look_up_row *row, uint64_t *invalid)
{
    one_sided_rows(share_of_warp(), &of, x, rows, columns, z, row, invalid);
}

HLQ_KERNEL two_sided_kernel(HLQ_GIVEN hlq_two_sided of, HLQ_GIVEN hlq_cuda_rows rows,
                            const float *point, hlq_look_up_row *row, uint64_t *invalid)
{
    two_sided_rows(share_of_warp(), &of, &rows, point, row, invalid);
}

template <int dim>
HLQ_KERNEL unpack_kernel(HLQ_GIVEN hlq_cuda_packed packed, size_t first, size_t rows, float *weight)
{
    unpack_rows(dim, share_of_warp(), &packed, first, rows, weight);
}

int hlq_cuda_rows_one_sided(const hlq_one_sided *of, const float *x, size_t rows, size_t columns,
                            float *z, hlq_look_up_row *row, uint64_t *invalid, hlq_stream stream)
{
    return launch_warps(one_sided_kernel, rows, stream, *of, x, rows, columns, z, row, invalid);
}

int hlq_cuda_rows_two_sided(const hlq_two_sided *of, const hlq_cuda_rows *rows, const float *point,
                            hlq_look_up_row *row, uint64_t *invalid, hlq_stream stream)
{
    return launch_warps(two_sided_kernel, rows->rows, stream, *of, *rows, point, row, invalid);
}

int hlq_cuda_rows_unpack(const hlq_cuda_packed *packed, size_t first, size_t rows, float *weight,
                         hlq_stream stream)
{
#define UNPACK(d)                                                                                  \
    if (packed->dim == (d)) {                                                                      \
        return launch_warps(unpack_kernel<d>, pieces_of_packed(packed, rows), stream, *packed,     \
                            first, rows, weight);                                                  \
    }
    UNPACK(1)
    UNPACK(2)
    UNPACK(4)
    UNPACK(8)
    return cudaErrorInvalidValue;
}
