/*
 * hlqcomm/cuda.h: look-up tables in GPU memory and inner products from them, by the kernels of
 * kernels/cuda/cuda_lut.h.
 */
#include <hlqcomm/cuda.h>

#include "cuda_room.h"
#include "lut.h"

#include <kernels/cuda/cuda_lut.h>
#include <transport/cuda_calls.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Tables ------------------------------------------------------------------------------------- */

struct hlq_cuda_lut {
    hlq_lut table; /* whose entries are on the device */
};

hlq_status hlq_cuda_lut_create(const hlq_lut *lut, hlq_cuda_lut **cuda_lut)
{
    hlq_lut_info info = {.struct_bytes = sizeof info};
    if (!cuda_lut) return hlq_quantizer_fail(HLQ_E_INVALID, "cuda_lut is NULL");
    *cuda_lut = NULL;
    if (!lut) return hlq_quantizer_fail(HLQ_E_INVALID, "lut is NULL");
    HLQ_TRY(hlq_lut_describe(lut, &info));
    const hlq_cuda_copy entries = {info.entries, info.bytes, 0};
    hlq_cuda_lut *made = malloc(sizeof *made);
    if (!made) return hlq_quantizer_fail(HLQ_E_NOMEM, "no memory for a table's handle");
    made->table = *lut;
    const hlq_status status = hlq_cuda_copied("a table", &entries, 1, &made->table.entries.any);
    if (status == HLQ_OK) *cuda_lut = made;
    else free(made);
    return status;
}

void hlq_cuda_lut_destroy(hlq_cuda_lut *cuda_lut)
{
    if (!cuda_lut) return;
    if (cuda_lut->table.entries.any) hlq_cuda_runtime.release(cuda_lut->table.entries.any);
    free(cuda_lut);
}

/* Inner products ------------------------------------------------------------------------------ */

static hlq_status open_side(const char *name, const hlq_code *code, hlq_cuda_lut_side *side)
{
    const hlq_hnlq *c = &code->quantizer->code;
    char what[32];
    snprintf(what, sizeof what, "%s.digits", name);
    HLQ_TRY(hlq_cuda_check_digits(what, code->digits));
    snprintf(what, sizeof what, "%s.retries", name);
    HLQ_TRY(hlq_cuda_check_memory(what, code->retries, 1));
    side->digits = code->digits;
    side->retries = code->retries;
    side->depth = c->depth;
    side->tries = c->tries;
    memcpy(side->scale, c->scale, sizeof side->scale);
    return HLQ_OK;
}

/* There are products. */
static hlq_status open_products(const hlq_quantizer *quantizer, size_t batch, size_t vectors,
                                double *dot, uint64_t *invalid, hlq_cuda_lut_products *to)
{
    const hlq_hnlq *c = &quantizer->code;
    if (!dot) return hlq_quantizer_fail(HLQ_E_INVALID, "dot is NULL");
    HLQ_TRY(hlq_cuda_check_memory("dot", dot, sizeof *dot));
    HLQ_TRY(hlq_cuda_check_memory("invalid", invalid, sizeof *invalid));
    *to = (hlq_cuda_lut_products){.dim = c->dim,
                                  .q = c->q,
                                  .wide = c->wide,
                                  .batch = batch,
                                  .vectors = vectors,
                                  .dot = dot,
                                  .bad = invalid};
    return HLQ_OK;
}

hlq_status hlq_cuda_lut_dot(const hlq_cuda_lut *lut, const hlq_code *a, const hlq_code *b,
                            size_t batch, size_t vectors, double *dot, uint64_t *invalid,
                            hlq_stream stream)
{
    hlq_cuda_lut_dots dots;
    if (!lut) return hlq_quantizer_fail(HLQ_E_INVALID, "lut is NULL");
    const size_t there = batch ? vectors : 0;
    HLQ_TRY(hlq_lut_check_code("a", a, there));
    HLQ_TRY(hlq_lut_check_code("b", b, there));
    HLQ_TRY(hlq_lut_check_side(&lut->table, "a", a->quantizer));
    HLQ_TRY(hlq_lut_check_side(&lut->table, "b", b->quantizer));
    if (!batch) return HLQ_OK;
    HLQ_TRY(hlq_cuda_check_memory("lut", lut->table.entries.any, 1));
    HLQ_TRY(open_products(a->quantizer, batch, vectors, dot, invalid, &dots.to));
    HLQ_TRY(open_side("a", a, &dots.a));
    HLQ_TRY(open_side("b", b, &dots.b));
    hlq_lut_pairs(&lut->table, dots.a.depth, dots.b.depth, &dots.pairs);
    dots.is_exact = hlq_lut_adds_exactly(&lut->table, a, b);
    return hlq_cuda_launched(hlq_cuda_dot(&dots, stream));
}

hlq_status hlq_cuda_lut_dot_one_sided(const float *table, const hlq_code *b, size_t batch,
                                      size_t vectors, double *dot, uint64_t *invalid,
                                      hlq_stream stream)
{
    hlq_cuda_row_dots rows = {.table = table};
    const size_t there = batch ? vectors : 0;
    HLQ_TRY(hlq_lut_check_code("b", b, there));
    HLQ_TRY(hlq_lut_check_points(b->quantizer));
    if (there && !table) return hlq_quantizer_fail(HLQ_E_INVALID, "table is NULL");
    if (!batch) return HLQ_OK;
    HLQ_TRY(hlq_cuda_check_numbers("table", table));
    HLQ_TRY(open_products(b->quantizer, batch, vectors, dot, invalid, &rows.to));
    HLQ_TRY(open_side("b", b, &rows.b));
    rows.side = (size_t)b->quantizer->layer_points;
    return hlq_cuda_launched(hlq_cuda_dot_in_rows(&rows, stream));
}

/* One-sided tables --------------------------------------------------------------------------- */

hlq_status hlq_cuda_lut_build_one_sided(const hlq_quantizer *quantizer, const float *y,
                                        size_t vectors, float *table, uint64_t *invalid,
                                        hlq_stream stream)
{
    if (!quantizer) return hlq_quantizer_fail(HLQ_E_INVALID, "quantizer is NULL");
    HLQ_TRY(hlq_lut_check_points(quantizer));
    if (!vectors) return HLQ_OK;
    if (!y || !table) return hlq_quantizer_fail(HLQ_E_INVALID, "%s is NULL", y ? "table" : "y");
    HLQ_TRY(hlq_cuda_check_numbers("y", y));
    HLQ_TRY(hlq_cuda_check_numbers("table", table));
    HLQ_TRY(hlq_cuda_check_memory("invalid", invalid, sizeof *invalid));
    hlq_cuda_one_sided build = {.code = quantizer->code,
                                .y = y,
                                .vectors = vectors,
                                .side = (size_t)quantizer->layer_points,
                                .table = table,
                                .bad = invalid};
    HLQ_TRY(hlq_lut_longest(quantizer, &build.longest));
    memcpy(build.mean, quantizer->mean, sizeof build.mean);
    return hlq_cuda_launched(hlq_cuda_build_one_sided(&build, stream));
}
