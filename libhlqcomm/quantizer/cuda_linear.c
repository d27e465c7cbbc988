/*
 * Linear layers on a GPU: a copy of linear.h's, and linear.c as calls of kernels, for a few rows of
 * x at once:
 *
 *   one-sided  one_sided ─────────────────────┐
 *   two-sided  measure ─▶ round ─▶ two_sided ─┴▶ tables ─▶ sums, a strip at a time ─▶ finish
 *
 * Nothing of a row comes back to the host: what its tables and sums are multiplied with lies on the
 * device.
 */
#include <hlqcomm/cuda.h>

#include "cuda_room.h"
#include "linear.h"

#include <kernels/cuda/cuda_linear.h>
#include <kernels/cuda/cuda_look_up.h>
#include <transport/cuda_calls.h>

#include <stdlib.h>
#include <string.h>

enum { ROWS_AT_ONCE = 8 /* of x: tables of 128 bytes or more for each number */ };

struct hlq_cuda_linear {
    hlq_linear layer;        /* indices, scales and sums are on the device */
    hlq_quantizer quantizer; /* the layer's */
    int device;
    void *memory; /* of the device, with all that is there */
    const hlq_points *points, *centred_points;
};

/* Making and breaking ------------------------------------------------------------------------- */

/* What a layer has on the device. */
enum { INDICES, SCALES, SUMS, POINTS, CENTRED_POINTS, PARTS };

static void set_parts(const hlq_linear *linear, hlq_cuda_copy parts[PARTS])
{
    const size_t dim = (size_t)linear->quantizer->params.dim;
    const size_t sums = linear->sums ? linear->out * dim : 0;
    size_t bytes = 0;
    parts[INDICES] =
        (hlq_cuda_copy){linear->indices, linear->tiles * hlq_linear_tile_bytes(linear), 0};
    parts[SCALES] = (hlq_cuda_copy){linear->scales, linear->out * sizeof *linear->scales, 0};
    parts[SUMS] = (hlq_cuda_copy){linear->sums, sums * sizeof *linear->sums, 0};
    parts[POINTS] = (hlq_cuda_copy){&linear->points, sizeof linear->points, 0};
    parts[CENTRED_POINTS] =
        (hlq_cuda_copy){&linear->centred_points, sizeof linear->centred_points, 0};
    for (int i = 0; i < PARTS; i++) parts[i].at = hlq_cuda_part(&bytes, parts[i].bytes);
}

/* Waits until all is there. */
static hlq_status fill(hlq_cuda_linear *made, const hlq_linear *linear)
{
    hlq_cuda_copy parts[PARTS];
    set_parts(linear, parts);
    HLQ_TRY(hlq_cuda_launched(hlq_cuda_runtime.get_device(&made->device)));
    HLQ_TRY(hlq_cuda_copied("a layer", parts, PARTS, &made->memory));
    char *memory = made->memory;
    made->quantizer = *linear->quantizer;
    made->layer = *linear;
    made->layer.quantizer = &made->quantizer;
    made->layer.indices = (void *)(memory + parts[INDICES].at);
    made->layer.scales = (void *)(memory + parts[SCALES].at);
    if (linear->sums) made->layer.sums = (void *)(memory + parts[SUMS].at);
    made->points = (void *)(memory + parts[POINTS].at);
    made->centred_points = (void *)(memory + parts[CENTRED_POINTS].at);
    return HLQ_OK;
}

void hlq_cuda_linear_destroy(hlq_cuda_linear *linear)
{
    if (!linear) return;
    if (linear->memory) hlq_cuda_runtime.release(linear->memory);
    free(linear);
}

hlq_status hlq_cuda_linear_create(const hlq_linear *linear, hlq_cuda_linear **on_device)
{
    if (!linear || !on_device) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "linear or on_device is NULL");
    }
    *on_device = NULL;
    hlq_cuda_linear *made = calloc(1, sizeof *made);
    if (!made) return hlq_quantizer_fail(HLQ_E_NOMEM, "no memory for a linear layer");
    const hlq_status status = fill(made, linear);
    if (status == HLQ_OK) *on_device = made;
    else hlq_cuda_linear_destroy(made);
    return status;
}

/* What all calls check: the layer is where the work is to be done. */
static hlq_status check_layer(const hlq_cuda_linear *linear)
{
    int current = -1;
    if (!linear) return hlq_quantizer_fail(HLQ_E_INVALID, "linear is NULL");
    HLQ_TRY(hlq_cuda_launched(hlq_cuda_runtime.get_device(&current)));
    if (linear->device == current) return HLQ_OK;
    return hlq_quantizer_fail(HLQ_E_INVALID, "linear is on device %d; the current one is %d",
                              linear->device, current);
}

hlq_status hlq_cuda_linear_unpack(const hlq_cuda_linear *linear, size_t first_row, size_t rows,
                                  float *weight, hlq_stream stream)
{
    HLQ_TRY(check_layer(linear));
    const hlq_linear *layer = &linear->layer;
    const hlq_hnlq *code = &layer->quantizer->code;
    HLQ_TRY(hlq_linear_check_unpack(layer, first_row, rows, weight));
    if (!rows || !layer->in) return HLQ_OK;
    HLQ_TRY(hlq_cuda_check_numbers("weight", weight));
    hlq_cuda_packed packed = {.indices = layer->indices,
                              .strips = hlq_linear_strips(layer),
                              .dim = code->dim,
                              .q = code->q,
                              .points = linear->points,
                              .beta = code->scale[0],
                              .scales = layer->scales};
    memcpy(packed.centre, code->centre, sizeof packed.centre);
    return hlq_cuda_launched(hlq_cuda_rows_unpack(&packed, first_row, rows, weight, stream));
}

/* Forward ------------------------------------------------------------------------------------- */

/* Parts of the workspace, all of them for `rows` of x at once. */
typedef struct room {
    size_t rows, bytes;
    size_t z, row, look_up, total, tables; /* where they begin */
} room;

/* What is common to all rows of a call. */
typedef struct forward {
    const hlq_cuda_linear *linear;
    const hlq_quantizer *activation;
    hlq_hnlq code; /* of activations */
    int planes;
    int largest[HLQ_PLANES_MAX];
    room room;
    char *workspace;
    uint64_t *overloads, *invalid;
    hlq_stream stream;
} forward;

static room room_for(const hlq_linear *layer, int planes, size_t batch)
{
    const size_t table_bytes = HLQ_TABLE_ENTRIES * (size_t)planes;
    room r = {.rows = batch < ROWS_AT_ONCE ? batch : ROWS_AT_ONCE};
    if (!layer->out) r.rows = 0;
    r.z = hlq_cuda_part(&r.bytes, r.rows * layer->in * sizeof(float));
    r.row = hlq_cuda_part(&r.bytes, r.rows * sizeof(hlq_cuda_row));
    r.look_up = hlq_cuda_part(&r.bytes, r.rows * sizeof(hlq_look_up_row));
    r.total = hlq_cuda_part(&r.bytes, r.rows * layer->tiles * HLQ_TILE_ROWS * sizeof(int64_t));
    r.tables = hlq_cuda_part(&r.bytes, r.rows * layer->blocks * table_bytes);
    return r;
}

/* HLQ_E_INVALID if the activation does not fit. */
static hlq_status open_forward(forward *f, const hlq_cuda_linear *linear,
                               const hlq_quantizer *activation, size_t batch)
{
    long most;
    f->linear = linear;
    f->activation = activation;
    if (activation) {
        HLQ_TRY(hlq_linear_check_activation(&linear->layer, activation));
        hlq_rows_code(activation, &f->code);
    }
    HLQ_TRY(hlq_linear_most(activation, &most));
    f->planes = hlq_linear_planes(most, f->largest);
    f->room = room_for(&linear->layer, f->planes, batch);
    return HLQ_OK;
}

size_t hlq_cuda_linear_workspace(const hlq_cuda_linear *linear, const hlq_quantizer *activation,
                                 size_t batch)
{
    forward f = {0};
    if (!linear) return 0;
    return open_forward(&f, linear, activation, batch) == HLQ_OK ? f.room.bytes : 0;
}

static void *part_at(const forward *f, size_t at) { return f->workspace + at; }

/* Rows of x to what tables are made of, and what products are multiplied with. */
static hlq_status prepare(const forward *f, const float *x, size_t rows)
{
    const hlq_linear *layer = &f->linear->layer;
    float *z = part_at(f, f->room.z);
    hlq_look_up_row *look_up = part_at(f, f->room.look_up);
    if (!f->activation) {
        const hlq_one_sided of = hlq_linear_one_side(layer);
        return hlq_cuda_launched(
            hlq_cuda_rows_one_sided(&of, x, rows, layer->in, z, look_up, f->invalid, f->stream));
    }
    const hlq_two_sided of = hlq_linear_two_sides(layer, f->activation);
    const hlq_cuda_rows of_x = {x, rows, layer->in, part_at(f, f->room.row)};
    HLQ_TRY(hlq_cuda_launched(hlq_cuda_rows_measure(&of_x, 1, f->stream)));
    HLQ_TRY(hlq_cuda_launched(hlq_cuda_rows_round(&of_x, &f->code, 1, z, f->overloads, f->stream)));
    return hlq_cuda_launched(
        hlq_cuda_rows_two_sided(&of, &of_x, z, look_up, f->invalid, f->stream));
}

/* Totals of all rows of W, from 0 on. */
static hlq_status sum_up(const forward *f, size_t rows)
{
    const hlq_linear *layer = &f->linear->layer;
    const int q = layer->quantizer->params.q;
    const size_t totals = rows * layer->tiles * HLQ_TILE_ROWS;
    hlq_cuda_strips strips = {.tiles = layer->tiles,
                              .tile_bytes = hlq_linear_tile_bytes(layer),
                              .rows = rows,
                              .tables = part_at(f, f->room.tables),
                              .planes = f->planes,
                              .weight = 1,
                              .total = part_at(f, f->room.total)};
    memcpy(strips.largest, f->largest, sizeof strips.largest);
    HLQ_TRY(hlq_cuda_launched(
        hlq_cuda_runtime.fill(strips.total, 0, totals * sizeof *strips.total, f->stream)));
    for (int s = 0; s < layer->strips; s++) {
        const int pair = s < layer->pairs;
        strips.strip = (hlq_strip){.indices = layer->indices + hlq_linear_strip(layer, 0, s),
                                   .blocks = layer->blocks,
                                   .q = pair ? q : 0};
        HLQ_TRY(hlq_cuda_launched(hlq_cuda_sums(&strips, f->stream)));
        strips.weight *= pair ? q * q : q;
    }
    return HLQ_OK;
}

static hlq_status forward_rows(const forward *f, const float *x, size_t rows, float *y)
{
    const hlq_linear *layer = &f->linear->layer;
    const hlq_points *points = f->activation ? f->linear->points : f->linear->centred_points;
    const hlq_look_up_row *look_up = part_at(f, f->room.look_up);
    HLQ_TRY(prepare(f, x, rows));
    HLQ_TRY(hlq_cuda_launched(hlq_cuda_tables(points, layer->quantizer->params.dim,
                                              part_at(f, f->room.z), look_up, rows, layer->blocks,
                                              f->planes, part_at(f, f->room.tables), f->stream)));
    HLQ_TRY(sum_up(f, rows));
    const hlq_cuda_products products = {.finish = hlq_linear_finish(layer, f->activation),
                                        .row = look_up,
                                        .rows = rows,
                                        .out = layer->out,
                                        .total = part_at(f, f->room.total),
                                        .stride = layer->tiles * HLQ_TILE_ROWS,
                                        .y = y};
    return hlq_cuda_launched(hlq_cuda_finish(&products, f->stream));
}

static hlq_status check_tensors(const hlq_linear *layer, const float *x, size_t batch,
                                const float *y, const uint64_t *overloads, const uint64_t *invalid)
{
    if (batch && ((layer->in && !x) || (layer->out && !y))) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "x or y is NULL");
    }
    if (!batch || !layer->out) return HLQ_OK;
    HLQ_TRY(hlq_cuda_check_numbers("x", layer->in ? x : NULL));
    HLQ_TRY(hlq_cuda_check_numbers("y", y));
    HLQ_TRY(hlq_cuda_check_memory("overloads", overloads, sizeof *overloads));
    return hlq_cuda_check_memory("invalid", invalid, sizeof *invalid);
}

hlq_status hlq_cuda_linear_forward(const hlq_cuda_linear *linear, const hlq_quantizer *activation,
                                   const float *x, size_t batch, float *y, uint64_t *overloads,
                                   uint64_t *invalid, void *workspace, size_t bytes,
                                   hlq_stream stream)
{
    forward f = {
        .workspace = workspace, .overloads = overloads, .invalid = invalid, .stream = stream};
    HLQ_TRY(check_layer(linear));
    if (activation && !overloads) return hlq_quantizer_fail(HLQ_E_INVALID, "overloads is NULL");
    HLQ_TRY(open_forward(&f, linear, activation, batch));
    HLQ_TRY(check_tensors(&linear->layer, x, batch, y, overloads, invalid));
    HLQ_TRY(hlq_cuda_check_room(workspace, bytes, f.room.bytes));
    const size_t in = linear->layer.in, out = linear->layer.out;
    for (size_t first = 0; f.room.rows && first < batch; first += f.room.rows) {
        const size_t left = batch - first, rows = left < f.room.rows ? left : f.room.rows;
        HLQ_TRY(forward_rows(&f, x + first * in, rows, y + first * out));
    }
    return HLQ_OK;
}
