/*
 * Look-up tables are built: all inner products of one layer's representatives with each other
 * (two-sided), or with the blocks of a given y (one-sided). lut_dot.c uses them.
 *
 * Products are added in double. Those of representatives that are not centred are exact, multiples
 * of 1/4 that turn out to be integers; the others are rounded once, to fp32.
 */
#include "lut.h"

#include <kernels/body/one_sided.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIECE = 256,           /* representatives at a time, in the first-level cache */
    ENTRIES_MAX = 1 << 26, /* of a two-sided table */
    POINTS_MAX = 1 << 26,  /* of a one-sided table: 256 MiB for each block of y */
};

/* Representatives ---------------------------------------------------------------------------- */

/* Coordinates of representatives, centred if the quantizer is: at[j][i] of the i-th. */
typedef struct columns {
    double at[HLQ_DIM_MAX][PIECE];
} columns;

/* Those of the indices first … first + count - 1; count ≤ PIECE. */
static void load_columns(const hlq_quantizer *quantizer, uint64_t first, size_t count, columns *c)
{
    float points[PIECE * HLQ_DIM_MAX];
    size_t dim = (size_t)quantizer->params.dim;
    hlq_layer_representatives(quantizer, first, count, points);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < dim; j++) {
            c->at[j][i] = (double)points[i * dim + j] - (double)quantizer->mean[j];
        }
    }
}

/* product[i] = ⟨y, column i⟩, added in the order of the coordinates. */
static void multiply_columns(const double *y, int dim, const columns *c, size_t count,
                             double product[PIECE])
{
    memset(product, 0, count * sizeof *product);
    for (int j = 0; j < dim; j++) {
        for (size_t i = 0; i < count; i++) product[i] += y[j] * c->at[j][i];
    }
}

/* Two-sided tables --------------------------------------------------------------------------- */

static size_t entry_bytes(hlq_lut_type type)
{
    return type == HLQ_LUT_INT8 ? 1 : type == HLQ_LUT_INT16 ? 2 : 4;
}

static hlq_status choose_type(const hlq_quantizer *quantizer, hlq_lut *lut)
{
    hlq_quantizer_info info = {.struct_bytes = sizeof info};
    HLQ_TRY(hlq_quantizer_describe(quantizer, &info));
    const char *name = hlq_lattice_name(lut->lattice);
    double side = pow(lut->q, lut->dim);
    if (side * side > ENTRIES_MAX) {
        const char *instead = side > POINTS_MAX ? "decode (hlq_decode) and multiply"
                                                : "use one-sided tables (hlq_lut_build_one_sided)";
        return hlq_quantizer_fail(
            HLQ_E_UNSUPPORTED,
            "a two-sided table of %s with q = %d would have %.0f x %.0f entries, more than %d; %s",
            name, lut->q, side, side, ENTRIES_MAX, instead);
    }
    /* No inner product is larger than the largest squared norm. */
    if (!lut->centred && info.max_norm2 > INT16_MAX) {
        return hlq_quantizer_fail(
            HLQ_E_UNSUPPORTED,
            "entries of a table of %s with q = %d would reach %lld, more than "
            "16 bits hold; decode (hlq_decode) and multiply",
            name, lut->q, (long long)info.max_norm2);
    }
    lut->side = (size_t)side;
    lut->type = lut->centred                 ? HLQ_LUT_FLOAT32
                : info.max_norm2 <= INT8_MAX ? HLQ_LUT_INT8
                                             : HLQ_LUT_INT16;
    return HLQ_OK;
}

/* Entries at, at + 1 …; integers are exact as they are. */
static void store_entries(hlq_lut *lut, size_t at, const double *product, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (product[i] < lut->least) lut->least = product[i];
        if (product[i] > lut->most) lut->most = product[i];
    }
    switch (lut->type) {
    case HLQ_LUT_INT8:
        for (size_t i = 0; i < count; i++) lut->entries.int8[at + i] = (int8_t)product[i];
        return;
    case HLQ_LUT_INT16:
        for (size_t i = 0; i < count; i++) lut->entries.int16[at + i] = (int16_t)product[i];
        return;
    case HLQ_LUT_FLOAT32:
        for (size_t i = 0; i < count; i++) lut->entries.float32[at + i] = (float)product[i];
        return;
    }
}

/* Columns first … first + count - 1 of the table, in all rows. */
static void fill_columns(hlq_lut *lut, const hlq_quantizer *quantizer, size_t first, size_t count)
{
    columns left, right;
    double product[PIECE];
    load_columns(quantizer, first, count, &right);
    for (size_t a = 0; a < lut->side; a++) {
        double y[HLQ_DIM_MAX];
        size_t row = a % PIECE, here = lut->side - a < PIECE ? lut->side - a : PIECE;
        if (!row) load_columns(quantizer, a, here, &left);
        for (int j = 0; j < lut->dim; j++) y[j] = left.at[j][row];
        multiply_columns(y, lut->dim, &right, count, product);
        store_entries(lut, a * lut->side + first, product, count);
    }
}

hlq_status hlq_lut_build_two_sided(const hlq_quantizer *quantizer, hlq_lut **lut)
{
    if (!lut) return hlq_quantizer_fail(HLQ_E_INVALID, "lut is NULL");
    *lut = NULL;
    if (!quantizer) return hlq_quantizer_fail(HLQ_E_INVALID, "quantizer is NULL");
    const hlq_quantizer_params *p = &quantizer->params;
    hlq_lut plan = {.lattice = p->lattice,
                    .dim = p->dim,
                    .q = p->q,
                    .centred = p->centred != 0,
                    .least = HUGE_VAL,
                    .most = -HUGE_VAL};
    HLQ_TRY(choose_type(quantizer, &plan));
    size_t bytes = plan.side * plan.side * entry_bytes(plan.type);
    hlq_lut *made = malloc(sizeof *made);
    plan.entries.any = malloc(bytes);
    if (!made || !plan.entries.any) {
        free(plan.entries.any);
        free(made);
        return hlq_quantizer_fail(HLQ_E_NOMEM, "no memory for a table of %zu bytes", bytes);
    }
    *made = plan;
    for (size_t first = 0; first < made->side; first += PIECE) {
        size_t left = made->side - first;
        fill_columns(made, quantizer, first, left < PIECE ? left : PIECE);
    }
    if (made->type == HLQ_LUT_FLOAT32) { /* as the entries are: rounded */
        made->least = (float)made->least;
        made->most = (float)made->most;
    }
    *lut = made;
    return HLQ_OK;
}

void hlq_lut_destroy(hlq_lut *lut)
{
    if (!lut) return;
    free(lut->entries.any);
    free(lut);
}

hlq_status hlq_lut_describe(const hlq_lut *lut, hlq_lut_info *info)
{
    if (!lut || !info || info->struct_bytes < sizeof *info) {
        return hlq_quantizer_fail(HLQ_E_INVALID,
                                  "lut or info is NULL, or info's struct_bytes is not set");
    }
    *info = (hlq_lut_info){.struct_bytes = sizeof *info,
                           .type = lut->type,
                           .side = lut->side,
                           .bytes = lut->side * lut->side * entry_bytes(lut->type),
                           .least = lut->least,
                           .most = lut->most,
                           .entries = lut->entries.any};
    return HLQ_OK;
}

/* One-sided tables --------------------------------------------------------------------------- */

static hlq_status check_range(const float *y, size_t vectors, int dim, double longest)
{
    for (size_t v = 0; v < vectors; v++) {
        const float *vector = y + v * (size_t)dim;
        if (fits_table(vector, dim, longest)) continue;
        return hlq_quantizer_fail(HLQ_E_INVALID,
                                  "vector %zu of y has norm %g; times a representative's of up to "
                                  "%g, it does not fit fp32",
                                  v, norm_of(vector, dim), longest);
    }
    return HLQ_OK;
}

hlq_status hlq_lut_check_points(const hlq_quantizer *quantizer)
{
    const hlq_quantizer_params *p = &quantizer->params;
    const double points = pow(p->q, p->dim);
    if (points <= POINTS_MAX) return HLQ_OK;
    return hlq_quantizer_fail(HLQ_E_UNSUPPORTED,
                              "a one-sided table of %s with q = %d would have %.0f entries for "
                              "each vector, more than %d; decode (hlq_decode) and multiply",
                              hlq_lattice_name(p->lattice), p->q, points, POINTS_MAX);
}

hlq_status hlq_lut_longest(const hlq_quantizer *quantizer, double *longest)
{
    hlq_quantizer_info info = {.struct_bytes = sizeof info};
    double mean2 = 0;
    HLQ_TRY(hlq_quantizer_describe(quantizer, &info));
    for (int j = 0; j < info.params.dim; j++) mean2 += (double)info.mean[j] * (double)info.mean[j];
    *longest = sqrt((double)info.max_norm2) + sqrt(mean2);
    return HLQ_OK;
}

static hlq_status check_one_sided(const hlq_quantizer *quantizer, const float *y, size_t vectors)
{
    const int dim = quantizer->params.dim;
    double longest;
    HLQ_TRY(hlq_lut_check_points(quantizer));
    HLQ_TRY(hlq_lut_longest(quantizer, &longest));
    HLQ_TRY(hlq_check_finite("y", y, vectors * (size_t)dim));
    return check_range(y, vectors, dim, longest);
}

hlq_status hlq_lut_build_one_sided(const hlq_quantizer *quantizer, const float *y, size_t vectors,
                                   float *table)
{
    if (!quantizer) return hlq_quantizer_fail(HLQ_E_INVALID, "quantizer is NULL");
    if (!vectors) return HLQ_OK;
    if (!y || !table) return hlq_quantizer_fail(HLQ_E_INVALID, "%s is NULL", y ? "table" : "y");
    HLQ_TRY(check_one_sided(quantizer, y, vectors));
    const size_t dim = (size_t)quantizer->params.dim, side = (size_t)quantizer->layer_points;
    for (size_t first = 0; first < side; first += PIECE) {
        columns c;
        const size_t count = side - first < PIECE ? side - first : PIECE;
        load_columns(quantizer, first, count, &c);
        for (size_t v = 0; v < vectors; v++) {
            double block[HLQ_DIM_MAX], product[PIECE];
            for (size_t j = 0; j < dim; j++) block[j] = y[v * dim + j];
            multiply_columns(block, (int)dim, &c, count, product);
            float *row = table + v * side + first;
            for (size_t i = 0; i < count; i++) row[i] = (float)product[i];
        }
    }
    return HLQ_OK;
}
