/*
 * Rows with a scale of their own, quantized without T. The decoder does not know how much a vector
 * was shrunk: it is encoded at a larger β and decoded at the usual one.
 */
#include "rows.h"

#include <kernels/body/rows.h>
#include <kernels/cpu/fp_env.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = HLQ_ROW_STEPS /* per octave, of shrinking and of a row's scale */ };

static const double first_octave = -0.25; /* of a row's scale around the root mean square */

/* β 2^(t/8) for t = 0 …, as far as fp32 holds them and their reciprocals. */
void hlq_rows_code(const hlq_quantizer *quantizer, hlq_hnlq *code)
{
    const double beta = quantizer->params.beta;
    double step[STEPS];
    int tries = 0;
    for (int t = 0; t < STEPS; t++) step[t] = exp2((double)t / STEPS);
    *code = quantizer->code;
    while (tries < HLQ_TRIES_MAX) {
        double scale = ldexp(beta * step[tries % STEPS], tries / STEPS);
        if (scale > 0x1p100) break;
        code->scale[tries] = (float)scale;
        code->inverse[tries++] = (float)(1 / scale);
    }
    code->tries = tries;
}

void hlq_row_steps(double step[HLQ_ROW_STEPS])
{
    for (int k = 0; k < STEPS; k++) step[k] = exp2((double)k / STEPS + first_octave);
}

hlq_status hlq_check_columns(const char *what, const hlq_quantizer *quantizer, size_t columns)
{
    const size_t dim = (size_t)quantizer->params.dim;
    if (columns % dim == 0) return HLQ_OK;
    return hlq_quantizer_fail(HLQ_E_INVALID,
                              "%s has rows of %zu numbers, not a multiple of dim = %zu", what,
                              columns, dim);
}

hlq_status hlq_rows_open(hlq_rows *rows, const char *what, const hlq_quantizer *quantizer,
                         size_t columns)
{
    rows->z = NULL;
    rows->shrinks = NULL;
    rows->digits = NULL;
    HLQ_TRY(hlq_check_columns(what, quantizer, columns));
    rows->quantizer = quantizer;
    rows->columns = columns;
    rows->vectors = columns / (size_t)quantizer->params.dim;
    hlq_rows_code(quantizer, &rows->code);
    const size_t row_bytes = columns * (size_t)(quantizer->params.depth * quantizer->digit_bytes);
    rows->z = malloc(columns * sizeof *rows->z + 1);
    rows->shrinks = calloc(rows->vectors + 1, 1); /* which stays so where there is but one scale */
    rows->digits = malloc(row_bytes + 1);
    if (!rows->z || !rows->shrinks || !rows->digits) {
        return hlq_quantizer_fail(HLQ_E_NOMEM, "no memory for a row of %zu numbers", columns);
    }
    return HLQ_OK;
}

void hlq_rows_close(hlq_rows *rows)
{
    free(rows->z);
    free(rows->shrinks);
    free(rows->digits);
}

float hlq_row_rms(const float *x, size_t columns)
{
    fp_env saved = fp_env_enter();
    float rms = root_mean_square(x, columns);
    fp_env_leave(saved);
    return rms;
}

static void divide(const float *x, float scale, size_t count, float *z)
{
    fp_env saved = fp_env_enter();
    for (size_t i = 0; i < count; i++) z[i] = divided(x[i], scale);
    fp_env_leave(saved);
}

hlq_status hlq_row_encode(hlq_rows *rows, const float *x, float scale, uint64_t *shrunk)
{
    divide(x, scale, rows->columns, rows->z);
    hlq_encoded done = rows->quantizer->kernels->hnlq->encode(&rows->code, rows->z, rows->vectors,
                                                              (hlq_dither_at){NULL, 0},
                                                              rows->digits, rows->shrinks, NULL);
    if (done.overloads || done.nonfinite) {
        return hlq_quantizer_fail(HLQ_E_INVALID,
                                  "%llu of %zu vectors of a row do not fit the code even when "
                                  "shrunk by %g; beta is %g, in units of the row's scale",
                                  (unsigned long long)(done.overloads + done.nonfinite),
                                  rows->vectors, exp2((rows->code.tries - 1.0) / STEPS),
                                  rows->quantizer->params.beta);
    }
    *shrunk = 0;
    for (size_t v = 0; v < rows->vectors; v++) *shrunk += rows->shrinks[v] != 0;
    return HLQ_OK;
}

/* NaN or Inf where quantized numbers do not fit fp32. */
static double error_of(const float *x, const float *quantized, size_t columns)
{
    fp_env saved = fp_env_enter();
    double error = squared_distance(x, quantized, columns);
    fp_env_leave(saved);
    return error;
}

static void decode(const hlq_rows *rows, const hlq_hnlq *code, float *out)
{
    rows->quantizer->kernels->hnlq->decode(code, rows->digits, NULL, rows->vectors,
                                           (hlq_dither_at){NULL, 0}, code->depth, out);
}

void hlq_row_decode(const hlq_rows *rows, float scale, float *out)
{
    decode(rows, &rows->quantizer->code, out);
    fp_env saved = fp_env_enter();
    for (size_t i = 0; i < rows->columns; i++) out[i] *= scale;
    fp_env_leave(saved);
}

void hlq_row_points(const hlq_rows *rows, float *points)
{
    hlq_hnlq code = rows->quantizer->code;
    code.scale[0] = code.inverse[0] = 1;
    memset(code.centre, 0, sizeof code.centre);
    decode(rows, &code, points);
}

hlq_status hlq_row_fit(hlq_rows *rows, size_t row, const float *x, float *scale, uint64_t *shrunk,
                       float *out)
{
    const float rms = hlq_row_rms(x, rows->columns);
    double least = HUGE_VAL, step[HLQ_ROW_STEPS];
    hlq_row_steps(step);
    *scale = 0;
    for (int k = 0; k < STEPS && rms > 0; k++) {
        float candidate = scale_at_step(rms, step[k]);
        if (!is_size(candidate)) break;
        HLQ_TRY(hlq_row_encode(rows, x, candidate, shrunk));
        hlq_row_decode(rows, candidate, out);
        double error = error_of(x, out, rows->columns);
        if (!(error < least)) continue;
        least = error;
        *scale = candidate;
    }
    if (rms > 0 && !isfinite(least)) {
        return hlq_quantizer_fail(HLQ_E_INVALID,
                                  "row %zu has a root mean square of %g: its quantized numbers do "
                                  "not fit fp32",
                                  row, rms);
    }
    HLQ_TRY(hlq_row_encode(rows, x, *scale, shrunk));
    hlq_row_decode(rows, *scale, out);
    return HLQ_OK;
}

/* `decoded` has room for a row: out may be x, which is read until the best scale is found. */
static hlq_status quantize_rows(hlq_rows *code, const float *x, size_t rows, int fit,
                                float *decoded, float *out, uint64_t *shrunk)
{
    const size_t columns = code->columns;
    for (size_t r = 0; r < rows; r++, x += columns, out += columns) {
        uint64_t here;
        float scale = hlq_row_rms(x, columns);
        if (fit) HLQ_TRY(hlq_row_fit(code, r, x, &scale, &here, decoded));
        else HLQ_TRY(hlq_row_encode(code, x, scale, &here));
        hlq_row_decode(code, scale, out);
        *shrunk += here;
    }
    return HLQ_OK;
}

hlq_status hlq_rows_quantize(const hlq_quantizer *quantizer, const float *x, size_t rows,
                             size_t columns, int fit, float *out, uint64_t *shrunk)
{
    if (!quantizer || !shrunk || (rows && columns && (!x || !out))) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "quantizer, x, out or shrunk is NULL");
    }
    *shrunk = 0;
    HLQ_TRY(hlq_check_finite("x", x, rows * columns));
    float *decoded = malloc(columns * sizeof *decoded + 1);
    if (!decoded) {
        return hlq_quantizer_fail(HLQ_E_NOMEM, "no memory for a row of %zu numbers", columns);
    }
    hlq_rows code;
    hlq_status status = hlq_rows_open(&code, "x", quantizer, columns);
    if (status == HLQ_OK) status = quantize_rows(&code, x, rows, fit, decoded, out, shrunk);
    hlq_rows_close(&code);
    free(decoded);
    return status;
}
