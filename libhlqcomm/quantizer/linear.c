/*
 * y = x Ŵᵀ by table look-ups. For each row of x:
 *
 *   one-sided  x / max |x| ─────────────────────────────▶ tables of fixed point, two planes
 *   two-sided  x / rms ─ encode ─▶ points Σ q^i x_i ────▶ tables of integers, one plane if they fit
 *   both       tables ─ look-ups, a strip and a plane at a time ─▶ Σ 256^p q^m sums, exact
 *              ─▶ × scale of the row of W × unit of the row of x, in double ─▶ y
 *
 * All that is added is an integer, so neither threads nor variants can change y.
 */
#include "linear.h"

#include <kernels/body/finish.h>
#include <kernels/cpu/fp_env.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

enum {
    ROWS_AT_ONCE = 4,   /* of x, while a tile of W is in the cache */
    PIECE = 64,         /* blocks whose tables a thread makes at once */
    WORK_MIN = 1 << 18, /* look-ups that are worth a thread */
};

typedef struct table_row {
    hlq_linear_row ready;
    int8_t *tables; /* [blocks, planes, 256] */
} table_row;

/* What is common to all rows of a call. */
typedef struct forward {
    const hlq_linear *linear;
    const hlq_points *points;
    hlq_finish finish;
    int planes;
    int largest[HLQ_PLANES_MAX]; /* entry of each plane */
    size_t rows;
    table_row row[ROWS_AT_ONCE];
} forward;

int hlq_linear_planes(long most, int largest[HLQ_PLANES_MAX])
{
    int planes = 0;
    for (; most > 127; most = (most + 128) >> 8) largest[planes++] = 128;
    largest[planes++] = most ? (int)most : 1;
    return planes;
}

/* Entries of two sides are exact integers of at most q² R² (q^M - 1) / (q - 1) in size. */
hlq_status hlq_linear_most(const hlq_quantizer *activation, long *most)
{
    hlq_quantizer_info info = {.struct_bytes = sizeof info};
    *most = HLQ_ONE_SIDED_MOST;
    if (!activation) return HLQ_OK;
    HLQ_TRY(hlq_quantizer_describe(activation, &info));
    *most = 0;
    for (int m = 0; m < info.params.depth; m++) *most = *most * info.params.q + info.max_norm2;
    return HLQ_OK;
}

/* Rows of x --------------------------------------------------------------------------------- */

hlq_one_sided hlq_linear_one_side(const hlq_linear *linear)
{
    return (hlq_one_sided){.dim = linear->quantizer->params.dim,
                           .beta = linear->quantizer->code.scale[0],
                           .longest = linear->longest};
}

hlq_two_sided hlq_linear_two_sides(const hlq_linear *linear, const hlq_quantizer *activation)
{
    const hlq_hnlq *w = &linear->quantizer->code, *x = &activation->code;
    hlq_two_sided of = {
        .dim = w->dim, .centred = linear->sums != NULL, .beta = (double)w->scale[0] * x->scale[0]};
    memcpy(of.centre, w->centre, sizeof of.centre);
    memcpy(of.other, x->centre, sizeof of.other);
    return of;
}

hlq_finish hlq_linear_finish(const hlq_linear *linear, const hlq_quantizer *activation)
{
    hlq_finish finish = {.scales = linear->scales, .dim = linear->quantizer->params.dim};
    if (!activation) return finish; /* tables of centred points */
    finish.sums = linear->sums;
    for (int j = 0; j < finish.dim; j++) finish.minus[j] = activation->code.centre[j];
    return finish;
}

void hlq_linear_one_sided(const hlq_linear *linear, const float *x, hlq_linear_row *row)
{
    const hlq_one_sided of = hlq_linear_one_side(linear);
    fp_env saved = fp_env_enter();
    row->look_up = one_sided_row(&of, x, linear->in, row->x);
    fp_env_leave(saved);
}

hlq_status hlq_linear_two_sided(const hlq_linear *linear, hlq_rows *rows, const float *x,
                                hlq_linear_row *row, uint64_t *overloads)
{
    const hlq_two_sided of = hlq_linear_two_sides(linear, rows->quantizer);
    const float scale = hlq_row_rms(x, linear->in);
    uint64_t shrunk;
    HLQ_TRY(hlq_row_encode(rows, x, scale, &shrunk));
    hlq_row_points(rows, row->x);
    *overloads += shrunk;
    fp_env saved = fp_env_enter();
    row->look_up = two_sided_row(&of, row->x, linear->in, scale);
    fp_env_leave(saved);
    return HLQ_OK;
}

/* Look-ups ----------------------------------------------------------------------------------- */

static void make_tables(const forward *f, const table_row *row, size_t piece)
{
    const size_t dim = (size_t)f->points->dim, first = piece * PIECE;
    const size_t left = f->linear->blocks - first, here = left < PIECE ? left : PIECE;
    const size_t table_bytes = HLQ_TABLE_ENTRIES * (size_t)f->planes;
    f->linear->quantizer->kernels->look_up->tables(f->points, row->ready.x + first * dim, here,
                                                   row->ready.look_up.factor, f->planes,
                                                   row->tables + first * table_bytes);
}

/*
 * total[r] = Σ over the blocks of ⟨W, entry⟩. No partial sum leaves 64 bits: blocks × 2^23 ×
 * Σ q^m < 2^19+23+17.
 */
static void sum_tile(const forward *f, const table_row *row, size_t tile,
                     int64_t total[HLQ_TILE_ROWS])
{
    const hlq_linear *linear = f->linear;
    const int q = linear->quantizer->params.q;
    int64_t weight = 1;
    memset(total, 0, HLQ_TILE_ROWS * sizeof *total);
    for (int s = 0; s < linear->strips; s++) {
        const int pair = s < linear->pairs;
        const hlq_strip strip = {.indices = linear->indices + hlq_linear_strip(linear, tile, s),
                                 .blocks = linear->blocks,
                                 .q = pair ? q : 0};
        for (int p = 0; p < f->planes; p++) {
            int32_t sum[HLQ_TILE_ROWS];
            linear->quantizer->kernels->look_up->sums(&strip, row->tables + HLQ_TABLE_ENTRIES * p,
                                                      HLQ_TABLE_ENTRIES * (size_t)f->planes,
                                                      f->largest[p], sum);
            for (int r = 0; r < HLQ_TILE_ROWS; r++) total[r] += weight * sum[r] * (1 << 8 * p);
        }
        weight *= pair ? q * q : q;
    }
}

/* y of the rows of W in a tile. */
static void finish_tile(const forward *f, const table_row *row, size_t tile, float *y)
{
    const hlq_linear *linear = f->linear;
    const size_t first = tile * HLQ_TILE_ROWS;
    int64_t total[HLQ_TILE_ROWS];
    sum_tile(f, row, tile, total);
    fp_env saved = fp_env_enter();
    for (size_t r = first; r < linear->out && r < first + HLQ_TILE_ROWS; r++) {
        y[r] = finish_row(&f->finish, &row->ready.look_up, total[r - first], r);
    }
    fp_env_leave(saved);
}

static int threads_for(const forward *f, int threads)
{
#ifdef _OPENMP
    const double look_ups = (double)(f->linear->tiles * HLQ_TILE_ROWS * f->linear->blocks) *
                            f->linear->quantizer->params.depth * f->planes * (double)f->rows;
    const double worth = 1 + look_ups / WORK_MIN;
    if (!threads) threads = omp_get_max_threads();
    return worth < threads ? (int)worth : threads;
#else
    (void)f;
    (void)threads;
    return 1;
#endif
}

/* y of the rows of x that are ready: a tile of W is used for all of them while in the cache. */
static void look_up_rows(const forward *f, int threads, float *y)
{
    const hlq_linear *linear = f->linear;
    const size_t pieces = linear->blocks / PIECE + (linear->blocks % PIECE != 0);
    const int used = threads_for(f, threads);
    (void)used;
#ifdef _OPENMP
#pragma omp parallel num_threads(used) if (used > 1)
#endif
    {
#ifdef _OPENMP
#pragma omp for
#endif
        for (size_t i = 0; i < f->rows * pieces; i++) {
            make_tables(f, &f->row[i / pieces], i % pieces);
        }
#ifdef _OPENMP
#pragma omp for
#endif
        for (size_t tile = 0; tile < linear->tiles; tile++) {
            for (size_t r = 0; r < f->rows; r++) {
                finish_tile(f, &f->row[r], tile, y + r * linear->out);
            }
        }
    }
}

/* The call ----------------------------------------------------------------------------------- */

hlq_status hlq_linear_check_activation(const hlq_linear *linear, const hlq_quantizer *activation)
{
    const hlq_quantizer_params *w = &linear->quantizer->params, *a = &activation->params;
    if (w->lattice == a->lattice && w->dim == a->dim && w->q == a->q &&
        !w->centred == !a->centred) {
        return HLQ_OK;
    }
    return hlq_quantizer_fail(HLQ_E_INVALID,
                              "activation is of %s in %d dimensions, q = %d, %scentred; the layer "
                              "is of %s in %d, q = %d, %scentred",
                              hlq_lattice_name(a->lattice), a->dim, a->q, a->centred ? "" : "not ",
                              hlq_lattice_name(w->lattice), w->dim, w->q, w->centred ? "" : "not ");
}

static hlq_status check_arguments(const hlq_linear *linear, const hlq_quantizer *activation,
                                  const float *x, size_t batch, const float *y,
                                  const uint64_t *overloads, int threads)
{
    if (!linear) return hlq_quantizer_fail(HLQ_E_INVALID, "linear is NULL");
    if (threads < 0) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "threads is %d; it can be 0 or more", threads);
    }
    if (batch && ((linear->in && !x) || (linear->out && !y))) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "x or y is NULL");
    }
    if (activation) {
        if (!overloads) return hlq_quantizer_fail(HLQ_E_INVALID, "overloads is NULL");
        HLQ_TRY(hlq_linear_check_activation(linear, activation));
    }
    return hlq_check_finite("x", x, batch * linear->in);
}

static hlq_status open_forward(forward *f, const hlq_linear *linear,
                               const hlq_quantizer *activation, size_t batch)
{
    long most;
    f->linear = linear;
    f->points = activation ? &linear->points : &linear->centred_points;
    f->finish = hlq_linear_finish(linear, activation);
    HLQ_TRY(hlq_linear_most(activation, &most));
    f->planes = hlq_linear_planes(most, f->largest);
    const size_t table_bytes = linear->blocks * HLQ_TABLE_ENTRIES * (size_t)f->planes;
    for (size_t r = 0; r < ROWS_AT_ONCE && r < batch; r++) {
        f->row[r].ready.x = malloc(linear->in * sizeof *f->row[r].ready.x + 1);
        f->row[r].tables = aligned_alloc(64, table_bytes + 64);
        if (f->row[r].ready.x && f->row[r].tables) continue;
        return hlq_quantizer_fail(HLQ_E_NOMEM, "no memory for tables of %zu bytes", table_bytes);
    }
    return HLQ_OK;
}

static hlq_status run_forward(forward *f, hlq_rows *rows, const float *x, size_t batch, float *y,
                              uint64_t *overloads, int threads)
{
    const size_t in = f->linear->in, out = f->linear->out;
    for (size_t first = 0; first < batch; first += ROWS_AT_ONCE) {
        f->rows = batch - first < ROWS_AT_ONCE ? batch - first : ROWS_AT_ONCE;
        for (size_t r = 0; r < f->rows; r++) {
            const float *from = x + (first + r) * in;
            hlq_linear_row *row = &f->row[r].ready;
            if (rows) HLQ_TRY(hlq_linear_two_sided(f->linear, rows, from, row, overloads));
            else hlq_linear_one_sided(f->linear, from, row);
        }
        look_up_rows(f, threads, y + first * out);
    }
    return HLQ_OK;
}

hlq_status hlq_linear_forward(const hlq_linear *linear, const hlq_quantizer *activation,
                              const float *x, size_t batch, float *y, uint64_t *overloads,
                              int threads)
{
    HLQ_TRY(check_arguments(linear, activation, x, batch, y, overloads, threads));
    forward f = {0};
    hlq_rows rows = {0};
    if (overloads) *overloads = 0;
    hlq_status status = open_forward(&f, linear, activation, batch);
    if (status == HLQ_OK && activation) {
        status = hlq_rows_open(&rows, "x", activation, linear->in);
    }
    if (status == HLQ_OK) {
        status = run_forward(&f, activation ? &rows : NULL, x, batch, y, overloads, threads);
    }
    hlq_rows_close(&rows);
    for (int r = 0; r < ROWS_AT_ONCE; r++) {
        free(f.row[r].ready.x);
        free(f.row[r].tables);
    }
    return status;
}
