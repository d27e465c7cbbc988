/*
 * The kernels of cuda_lut.h, cuda_packing.h, and nearest points, as work on stand-in streams.
 */
#include "warp.h"

#include <kernels/kernels.h>
#include <kernels/lanes/cuda_i32.h>
#include <kernels/cuda/walk_lut.cuh>
#include <kernels/cuda/walk_packing.cuh>

#include "gpu_kernels.h"
#include "warps.h"
#include "stand_in_kernels.h"

int hlq_cuda_dot(const hlq_cuda_lut_dots *dots, hlq_stream stream)
{
    const hlq_cuda_lut_dots all = *dots;
#define DOT(d, w)                                                                                  \
    IF_DIGIT(&all.to, d, w)                                                                        \
    return put_walk(stream, [=](hlq_share s) { add_products<d, w>(s, &all); });
    FOR_EACH_DIGIT(DOT)
    return 1;
}

int hlq_cuda_dot_in_rows(const hlq_cuda_row_dots *rows, hlq_stream stream)
{
    const hlq_cuda_row_dots all = *rows;
#define ROWS(d, w)                                                                                 \
    IF_DIGIT(&all.to, d, w)                                                                        \
    return put_walk(stream, [=](hlq_share s) { add_rows<d, w>(s, &all); });
    FOR_EACH_DIGIT(ROWS)
    return 1;
}

int hlq_cuda_build_one_sided(const hlq_cuda_one_sided *build, hlq_stream stream)
{
    const hlq_cuda_one_sided all = *build;
    const hlq_hnlq *code = &build->code;
#define BUILD(l, d, p)                                                                             \
    IF_CODE(l, d, p)                                                                               \
    return put_walk(stream, [=](hlq_share s) { build_table(l, d, p, s, &all); });
    FOR_EACH_CODE(BUILD)
    return 1;
}

int hlq_cuda_pack(const hlq_cuda_packing *packing, hlq_stream stream)
{
    const hlq_cuda_packing all = *packing;
    return put_walk(stream, [=](hlq_share s) { pack_words(s, &all); });
}

int hlq_cuda_unpack(const hlq_cuda_packing *packing, hlq_stream stream)
{
    const hlq_cuda_packing all = *packing;
    return put_walk(stream, [=](hlq_share s) { unpack_words(s, &all); });
}

int hlq_cuda_hnlq_nearest(const hlq_cuda_nearest_of *of, hlq_stream stream)
{
    const hlq_cuda_nearest_of all = *of;
#define NEAREST(l, d, unused)                                                                      \
    if (of->lattice == (l) && of->dim == (d)) {                                                    \
        return put_walk(stream, [=](hlq_share s) { nearest_vectors(l, d, s, &all); });             \
    }
    FOR_EACH_LATTICE(NEAREST, 0)
    return 1;
}
