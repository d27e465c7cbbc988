/*
 * The kernels of cuda_lut.h: grids and streams around the walks of walk_lut.cuh.
 */
#include "../kernels.h"
#include "../lanes/cuda_i32.h"
#include "walk_lut.cuh"
#include "launch.h"

static_assert(sizeof(hlq_cuda_lut_dots) <= 4000, "a kernel has 4 KiB of parameters");

template <int dim, int wide> HLQ_KERNEL dot_kernel(HLQ_GIVEN hlq_cuda_lut_dots dots)
{
    add_products<dim, wide>(share_of_warp(), &dots);
}

template <int dim, int wide> HLQ_KERNEL rows_kernel(HLQ_GIVEN hlq_cuda_row_dots rows)
{
    add_rows<dim, wide>(share_of_warp(), &rows);
}

template <hlq_lattice lattice, int dim, int power>
HLQ_KERNEL table_kernel(HLQ_GIVEN hlq_cuda_one_sided build)
{
    build_table(lattice, dim, power, share_of_warp(), &build);
}

int hlq_cuda_dot(const hlq_cuda_lut_dots *dots, hlq_stream stream)
{
#define DOT(d, w)                                                                                  \
    IF_DIGIT(&dots->to, d, w) return launch_warps(dot_kernel<d, w>, dots->to.batch, stream, *dots);
    FOR_EACH_DIGIT(DOT)
    return cudaErrorInvalidValue;
}

int hlq_cuda_dot_in_rows(const hlq_cuda_row_dots *rows, hlq_stream stream)
{
#define ROWS(d, w)                                                                                 \
    IF_DIGIT(&rows->to, d, w) return launch_warps(rows_kernel<d, w>, rows->to.batch, stream, *rows);
    FOR_EACH_DIGIT(ROWS)
    return cudaErrorInvalidValue;
}

int hlq_cuda_build_one_sided(const hlq_cuda_one_sided *build, hlq_stream stream)
{
    const hlq_hnlq *code = &build->code;
#define BUILD(l, d, p)                                                                             \
    IF_CODE(l, d, p)                                                                               \
    return launch_warps(table_kernel<l, d, p>, pieces_of_table(build), stream, *build);
    FOR_EACH_CODE(BUILD)
    return cudaErrorInvalidValue;
}
