/*
 * Linear layers are made here: weights to digits, digits to the order that look-ups want, and back.
 *
 *   W [out, in] ─ rows.c ─▶ digits [in / dim, depth, dim] of a row, scale
 *     ─▶ an index Σ b[j] q^j for each layer of a block ─▶ strips of 64 rows (kernels/body/strips.h)
 */
#include "linear.h"

#include "rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Making and breaking ------------------------------------------------------------------------ */

static hlq_status check_shape(const hlq_quantizer *quantizer, size_t out, size_t in)
{
    const hlq_quantizer_params *p = &quantizer->params;
    const size_t dim = (size_t)p->dim;
    if (quantizer->layer_points > HLQ_TABLE_ENTRIES) {
        return hlq_quantizer_fail(
            HLQ_E_UNSUPPORTED,
            "a linear layer needs q^dim of at most %d; that of %s with q = %d "
            "is %llu",
            HLQ_TABLE_ENTRIES, hlq_lattice_name(p->lattice), p->q,
            (unsigned long long)quantizer->layer_points);
    }
    if (in % dim) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "in_features is %zu, not a multiple of dim = %zu",
                                  in, dim);
    }
    if (in / dim > HLQ_BLOCKS_MAX) {
        return hlq_quantizer_fail(HLQ_E_UNSUPPORTED,
                                  "in_features is %zu; sums of more than %zu could overflow", in,
                                  HLQ_BLOCKS_MAX * dim);
    }
    if (in && out > SIZE_MAX / 64 / HLQ_DEPTH_MAX / in) {
        return hlq_quantizer_fail(HLQ_E_NOMEM, "no memory for %zu x %zu weights", out, in);
    }
    return HLQ_OK;
}

static void set_points(hlq_linear *linear)
{
    const hlq_quantizer *quantizer = linear->quantizer;
    const size_t dim = (size_t)quantizer->params.dim;
    float point[HLQ_TABLE_ENTRIES * HLQ_DIM_MAX];
    hlq_layer_representatives(quantizer, 0, quantizer->layer_points, point);
    linear->points.dim = linear->centred_points.dim = (int)dim;
    for (size_t i = 0; i < quantizer->layer_points; i++) {
        double norm2 = 0;
        for (size_t j = 0; j < dim; j++) {
            const float whole = point[i * dim + j], centred = whole - quantizer->mean[j];
            linear->points.at[j][i] = whole;
            linear->centred_points.at[j][i] = centred;
            norm2 += (double)centred * centred;
        }
        linear->longest = fmax(linear->longest, sqrt(norm2));
    }
}

static hlq_status allocate(hlq_linear *linear)
{
    const size_t dim = (size_t)linear->quantizer->params.dim;
    const size_t bytes = linear->tiles * hlq_linear_tile_bytes(linear);
    linear->indices = aligned_alloc(64, bytes ? bytes : 64);
    linear->scales = calloc(linear->out + 1, sizeof *linear->scales);
    if (linear->quantizer->params.centred)
        linear->sums = calloc(linear->out * dim + 1, sizeof *linear->sums);
    if (!linear->indices || !linear->scales ||
        (linear->quantizer->params.centred && !linear->sums)) {
        return hlq_quantizer_fail(HLQ_E_NOMEM, "no memory for %zu x %zu weights of %zu bytes",
                                  linear->out, linear->in, bytes);
    }
    memset(linear->indices, 0, bytes);
    return HLQ_OK;
}

void hlq_linear_destroy(hlq_linear *linear)
{
    if (!linear) return;
    hlq_quantizer_destroy(linear->quantizer);
    free(linear->indices);
    free(linear->scales);
    free(linear->sums);
    free(linear);
}

/* Destroys the layer unless status is HLQ_OK, and returns status. */
static hlq_status keep_if(hlq_status status, hlq_linear **linear)
{
    if (status == HLQ_OK) return status;
    hlq_linear_destroy(*linear);
    *linear = NULL;
    return status;
}

/* A layer of zeros. */
static hlq_status create(const hlq_quantizer *quantizer, size_t out, size_t in, hlq_linear **made)
{
    *made = NULL;
    if (!quantizer) return hlq_quantizer_fail(HLQ_E_INVALID, "quantizer is NULL");
    HLQ_TRY(check_shape(quantizer, out, in));
    hlq_linear *linear = calloc(1, sizeof *linear);
    if (!linear) return hlq_quantizer_fail(HLQ_E_NOMEM, "no memory for a linear layer");
    hlq_quantizer_params params = quantizer->params;
    params.max_retries = 0;
    hlq_status status = hlq_quantizer_create(&params, &linear->quantizer);
    if (status == HLQ_OK) {
        linear->quantizer->kernels = quantizer->kernels;
        linear->out = out;
        linear->in = in;
        linear->blocks = in / (size_t)params.dim;
        linear->tiles = out / HLQ_TILE_ROWS + (out % HLQ_TILE_ROWS != 0);
        linear->pairs = params.q <= HLQ_PAIR_Q_MAX ? params.depth / 2 : 0;
        linear->strips = params.depth - linear->pairs;
        set_points(linear);
        status = allocate(linear);
    }
    *made = linear;
    return keep_if(status, made);
}

/* Pack, load, save, unpack ------------------------------------------------------------------- */

static hlq_status pack_rows(hlq_linear *linear, hlq_rows *rows, const float *weight, float *decoded)
{
    const hlq_quantizer_params *p = &linear->quantizer->params;
    const size_t layers = linear->blocks * (size_t)p->depth;
    double error = 0, norm2 = 0;
    for (size_t r = 0; r < linear->out; r++, weight += linear->in) {
        uint64_t shrunk;
        float scale;
        HLQ_TRY(hlq_row_fit(rows, r, weight, &scale, &shrunk, decoded));
        for (size_t i = 0; i < linear->in; i++) {
            const double w = weight[i], difference = w - decoded[i];
            norm2 += w * w;
            error += difference * difference;
        }
        linear->shrunk += shrunk;
        hlq_indices_of_digits(rows->digits, p->dim, p->q, layers, rows->digits);
        hlq_linear_set_row(linear, r, rows->digits, scale);
    }
    linear->relative_error = norm2 > 0 ? error / norm2 : 0;
    return HLQ_OK;
}

static hlq_status pack(hlq_linear *linear, const float *weight)
{
    if (linear->out && linear->in && !weight) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "weight is NULL");
    }
    HLQ_TRY(hlq_check_finite("weight", weight, linear->out * linear->in));
    float *decoded = malloc(linear->in * sizeof *decoded + 1);
    if (!decoded) {
        return hlq_quantizer_fail(HLQ_E_NOMEM, "no memory for %zu weights", linear->in);
    }
    hlq_rows rows;
    hlq_status status = hlq_rows_open(&rows, "weight", linear->quantizer, linear->in);
    if (status == HLQ_OK) status = pack_rows(linear, &rows, weight, decoded);
    hlq_rows_close(&rows);
    free(decoded);
    return status;
}

hlq_status hlq_linear_pack(const hlq_quantizer *quantizer, const float *weight, size_t out_features,
                           size_t in_features, hlq_linear **linear)
{
    if (!linear) return hlq_quantizer_fail(HLQ_E_INVALID, "linear is NULL");
    HLQ_TRY(create(quantizer, out_features, in_features, linear));
    return keep_if(pack(*linear, weight), linear);
}

static hlq_status load(hlq_linear *linear, const uint8_t *indices, const float *scales)
{
    const uint64_t points = linear->quantizer->layer_points;
    const size_t layers = linear->blocks * (size_t)linear->quantizer->params.depth;
    if (linear->out && ((layers && !indices) || !scales)) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "indices or scales is NULL");
    }
    HLQ_TRY(hlq_check_finite("scales", scales, linear->out));
    for (size_t i = 0; i < linear->out * layers; i++) {
        if (indices[i] < points) continue;
        return hlq_quantizer_fail(HLQ_E_INVALID, "indices[%zu] is %d; q^dim is %llu", i, indices[i],
                                  (unsigned long long)points);
    }
    for (size_t r = 0; r < linear->out; r++) {
        hlq_linear_set_row(linear, r, indices + r * layers, scales[r]);
    }
    linear->relative_error = NAN; /* W is not known */
    return HLQ_OK;
}

hlq_status hlq_linear_load(const hlq_quantizer *quantizer, const uint8_t *indices,
                           const float *scales, size_t out_features, size_t in_features,
                           hlq_linear **linear)
{
    if (!linear) return hlq_quantizer_fail(HLQ_E_INVALID, "linear is NULL");
    HLQ_TRY(create(quantizer, out_features, in_features, linear));
    return keep_if(load(*linear, indices, scales), linear);
}

hlq_status hlq_linear_save(const hlq_linear *linear, uint8_t *indices, float *scales)
{
    if (!linear) return hlq_quantizer_fail(HLQ_E_INVALID, "linear is NULL");
    const size_t layers = linear->blocks * (size_t)linear->quantizer->params.depth;
    if (linear->out && ((layers && !indices) || !scales)) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "indices or scales is NULL");
    }
    for (size_t r = 0; r < linear->out; r++) {
        hlq_linear_get_row(linear, r, indices + r * layers);
        scales[r] = linear->scales[r];
    }
    return HLQ_OK;
}

hlq_status hlq_linear_describe(const hlq_linear *linear, hlq_linear_info *info)
{
    if (!linear || !info || info->struct_bytes < sizeof *info) {
        return hlq_quantizer_fail(HLQ_E_INVALID,
                                  "linear or info is NULL, or info's struct_bytes is not set");
    }
    const size_t layers = linear->blocks * (size_t)linear->quantizer->params.depth;
    const size_t weights = linear->out * linear->in;
    const uint64_t bytes = linear->out * (layers + sizeof *linear->scales);
    *info =
        (hlq_linear_info){.struct_bytes = sizeof *info,
                          .out_features = linear->out,
                          .in_features = linear->in,
                          .bytes = bytes,
                          .bits_per_weight = weights ? 8.0 * (double)bytes / (double)weights : 0,
                          .relative_error = linear->relative_error,
                          .shrunk_vectors = linear->shrunk};
    return HLQ_OK;
}

hlq_status hlq_linear_check_unpack(const hlq_linear *linear, size_t first_row, size_t rows,
                                   const float *weight)
{
    if (first_row > linear->out || rows > linear->out - first_row) {
        return hlq_quantizer_fail(HLQ_E_INVALID,
                                  "rows %zu ... are %zu in number; the layer has %zu rows",
                                  first_row, rows, linear->out);
    }
    if (rows && linear->in && !weight) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "weight is NULL");
    }
    return HLQ_OK;
}

hlq_status hlq_linear_unpack(const hlq_linear *linear, size_t first_row, size_t rows, float *weight)
{
    if (!linear) return hlq_quantizer_fail(HLQ_E_INVALID, "linear is NULL");
    HLQ_TRY(hlq_linear_check_unpack(linear, first_row, rows, weight));
    if (!rows || !linear->in) return HLQ_OK;
    const hlq_quantizer_params *p = &linear->quantizer->params;
    const size_t layers = linear->blocks * (size_t)p->depth;
    hlq_rows row;
    uint8_t *index = malloc(layers);
    hlq_status status = hlq_rows_open(&row, "weight", linear->quantizer, linear->in);
    if (!index) status = hlq_quantizer_fail(HLQ_E_NOMEM, "no memory for a row of %zu", layers);
    for (size_t r = first_row; status == HLQ_OK && r < first_row + rows; r++) {
        hlq_linear_get_row(linear, r, index);
        hlq_digits_of_indices(index, p->dim, p->q, layers, row.digits);
        hlq_row_decode(&row, linear->scales[r], weight);
        weight += linear->in;
    }
    free(index);
    hlq_rows_close(&row);
    return status;
}
