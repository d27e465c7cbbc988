/*
 * The lattices: constants and nearest points. Generators are those that kernels/body/codes.h codes
 * by; second moments and radii after Conway and Sloane, Sphere Packings, Lattices and Groups.
 */
#include "quantizer.h"

#include <math.h>
#include <string.h>

static void set_matrices_z(hlq_lattice_info *info)
{
    for (int i = 0; i < info->dim; i++) {
        info->generator[i * info->dim + i] = 1;
        info->inverse[i * info->dim + i] = 1;
    }
}

static void set_matrices_d4(hlq_lattice_info *info)
{
    static const double generator[16] = {-1, 1, 0, 0, -1, -1, 1, 0, 0, 0, -1, 1, 0, 0, 0, -1};
    static const double inverse[16] = {-.5, -.5, -.5, -.5, .5, -.5, -.5, -.5,
                                       0,   0,   -1,  -1,  0,  0,   0,   -1};
    memcpy(info->generator, generator, sizeof generator);
    memcpy(info->inverse, inverse, sizeof inverse);
}

/* Columns (2,0…), (-1,1,0…), (0,-1,1,0…) … (0…-1,1,0), (½…½). */
static void set_matrices_e8(hlq_lattice_info *info)
{
    double *g = info->generator, *inverse = info->inverse;
    g[0] = 2;
    for (int k = 1; k < 7; k++) {
        g[8 * (k - 1) + k] = -1;
        g[8 * k + k] = 1;
    }
    for (int i = 0; i < 8; i++) g[8 * i + 7] = 0.5;
    for (int i = 0; i < 7; i++) {
        for (int j = i; j < 7; j++) inverse[8 * i + j] = i ? 1 : 0.5;
        inverse[8 * i + 7] = i ? -(7.0 - i) : -3.5;
    }
    inverse[63] = 2;
}

static int exists(hlq_lattice lattice, int dim)
{
    switch (lattice) {
    case HLQ_LATTICE_E8: return dim == 8;
    case HLQ_LATTICE_D4: return dim == 4;
    case HLQ_LATTICE_Z: return dim == 1 || dim == 2 || dim == 4 || dim == 8;
    }
    return 0;
}

hlq_status hlq_lattice_describe(hlq_lattice lattice, int dim, hlq_lattice_info *info)
{
    if (!info || info->struct_bytes < sizeof *info) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "info is NULL or its struct_bytes is not set");
    }
    if (!exists(lattice, dim)) {
        const char *name = hlq_lattice_name(lattice);
        return hlq_quantizer_fail(HLQ_E_INVALID,
                                  "there is no lattice %s (%d) in %d dimensions; there is Z in 1, "
                                  "2, 4 and 8, D4 in 4 and E8 in 8",
                                  name ? name : "?", (int)lattice, dim);
    }
    *info = (hlq_lattice_info){.struct_bytes = sizeof *info, .dim = dim};
    if (lattice == HLQ_LATTICE_Z) {
        info->volume = 1;
        info->second_moment = 1.0 / 12;
        info->covering_radius = sqrt(dim) / 2;
        info->packing_radius = 0.5;
        set_matrices_z(info);
    } else {
        int d4 = lattice == HLQ_LATTICE_D4;
        info->volume = d4 ? 2 : 1;
        info->second_moment = d4 ? 13.0 / 120 : 929.0 / 12960;
        info->covering_radius = 1;
        info->packing_radius = sqrt(0.5);
        if (d4) set_matrices_d4(info);
        else set_matrices_e8(info);
    }
    return HLQ_OK;
}

hlq_status hlq_lattice_nearest(hlq_lattice lattice, int dim, const float *x, size_t vectors,
                               float *point)
{
    hlq_lattice_info info = {.struct_bytes = sizeof info};
    HLQ_TRY(hlq_lattice_describe(lattice, dim, &info));
    const hlq_kernels *kernels = hlq_kernels_get();
    if (!kernels) {
        return hlq_quantizer_fail(HLQ_E_ISA, "HLQ_KERNELS names kernels that cannot run here");
    }
    if (!vectors) return HLQ_OK;
    if (!x || !point) return hlq_quantizer_fail(HLQ_E_INVALID, "x or point is NULL");
    hlq_hnlq code = {.lattice = lattice, .dim = dim};
    if (kernels->hnlq->nearest(&code, x, vectors, point)) {
        HLQ_TRY(hlq_check_finite("x", x, vectors * (size_t)dim));
        return hlq_quantizer_fail(HLQ_E_INVALID, "x holds numbers of %d or more in size",
                                  HLQ_HNLQ_LIMIT);
    }
    return HLQ_OK;
}
