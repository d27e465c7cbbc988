/*
 * Quantizers: parameters, their checks, what follows from them; and encode, decode, quantize over
 * the kernels of kernels/hnlq.h.
 */
#include "quantizer.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BASE_MAX = 32768,            /* digits fit int16_t */
    CODE_MAX = 65536,            /* q^depth: points of the code fit 2^18 in every coordinate */
    CENTRED_POINTS_MAX = 1 << 24 /* representatives are enumerated */
};

static _Thread_local char error[400];

const char *hlq_quantizer_error(void) { return error; }

hlq_status hlq_quantizer_fail(hlq_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, sizeof error, format, arguments);
    va_end(arguments);
    return status;
}

hlq_status hlq_check_finite(const char *what, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(x[i])) {
            return hlq_quantizer_fail(HLQ_E_INVALID, "%s[%zu] is %s", what, i,
                                      isnan(x[i]) ? "NaN" : "infinite");
        }
    }
    return HLQ_OK;
}

hlq_status hlq_check_base(int q)
{
    if (q >= 2 && q <= BASE_MAX && (q % 2 == 1 || (q & (q - 1)) == 0)) return HLQ_OK;
    return hlq_quantizer_fail(HLQ_E_INVALID, "q is %d; it can be odd or a power of two, 2 ... %d",
                              q, BASE_MAX);
}

/* Parameters --------------------------------------------------------------------------------- */

static hlq_status check_code_size(const hlq_quantizer_params *p)
{
    if (p->depth < 1 || p->depth > HLQ_DEPTH_MAX) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "depth is %d; it can be 1 ... %d", p->depth,
                                  HLQ_DEPTH_MAX);
    }
    double size = pow(p->q, p->depth);
    if (size > CODE_MAX) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "q^depth = %d^%d is more than %d", p->q, p->depth,
                                  CODE_MAX);
    }
    double points = pow(p->q, p->dim);
    if (p->centred && points > CENTRED_POINTS_MAX) {
        return hlq_quantizer_fail(HLQ_E_INVALID,
                                  "centred needs q^dim of at most %d; it is %d^%d = %.0f",
                                  CENTRED_POINTS_MAX, p->q, p->dim, points);
    }
    return HLQ_OK;
}

static hlq_status check_params(const hlq_quantizer_params *p)
{
    if (!p || p->struct_bytes < sizeof *p) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "params is NULL or its struct_bytes is not set");
    }
    hlq_lattice_info info = {.struct_bytes = sizeof info};
    HLQ_TRY(hlq_lattice_describe(p->lattice, p->dim, &info));
    HLQ_TRY(hlq_check_base(p->q));
    HLQ_TRY(check_code_size(p));
    if (p->max_retries < 0 || p->max_retries > 255) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "max_retries is %d; it can be 0 ... 255",
                                  p->max_retries);
    }
    if (!(p->alpha > 0) || !isfinite(p->alpha)) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "alpha is %g; it must be positive", p->alpha);
    }
    /* All scales and their reciprocals are normal fp32 numbers. */
    double last = p->beta * exp2(p->alpha * p->max_retries);
    if (!(p->beta >= 0x1p-100) || !(last <= 0x1p100)) {
        return hlq_quantizer_fail(HLQ_E_INVALID,
                                  "scales range from beta = %g to %g; they must lie in 2^-100 ... "
                                  "2^100",
                                  p->beta, last);
    }
    return HLQ_OK;
}

static int log2_of_power(int q)
{
    int log2 = 0;
    while (1 << log2 < q) log2++;
    return 1 << log2 == q ? log2 : -1;
}

static void set_scales(hlq_hnlq *code, const hlq_quantizer_params *p)
{
    for (int t = 0; t < code->tries; t++) {
        double beta = p->beta * exp2(p->alpha * t);
        code->scale[t] = (float)beta;
        code->inverse[t] = (float)(1 / beta);
    }
}

/* The finest layer's digits of indices first …, `wide` or not, one layer deep. */
static void spell_indices(const hlq_hnlq *code, uint64_t first, uint64_t count, void *digits)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t index = first + i;
        for (int j = 0; j < code->dim; j++, index /= (uint64_t)code->q) {
            unsigned digit = (unsigned)(index % (uint64_t)code->q);
            size_t at = i * (size_t)code->dim + (size_t)j;
            if (code->wide) ((uint16_t *)digits)[at] = (uint16_t)digit;
            else ((uint8_t *)digits)[at] = (uint8_t)digit;
        }
    }
}

void hlq_layer_representatives(const hlq_quantizer *quantizer, uint64_t first, uint64_t count,
                               float *points)
{
    enum { PIECE = 1024 };
    uint16_t digits[PIECE * HLQ_DIM_MAX];
    hlq_hnlq layer = quantizer->code;
    layer.depth = layer.tries = 1;
    layer.scale[0] = layer.inverse[0] = 1;
    memset(layer.centre, 0, sizeof layer.centre);
    for (uint64_t i = 0; i < count; i += PIECE) {
        size_t here = count - i < PIECE ? (size_t)(count - i) : PIECE;
        spell_indices(&layer, first + i, here, digits);
        quantizer->kernels->hnlq->decode(&layer, digits, NULL, here, (hlq_dither_at){NULL, 0}, 1,
                                         points + i * (uint64_t)layer.dim);
    }
}

/* Sums of halves below 2^40 are exact in double, so the mean does not depend on their order. */
static void set_mean(hlq_quantizer *quantizer)
{
    enum { PIECE = 1024 };
    float points[PIECE * HLQ_DIM_MAX];
    double sum[HLQ_DIM_MAX] = {0};
    size_t dim = (size_t)quantizer->params.dim;
    for (uint64_t first = 0; first < quantizer->layer_points; first += PIECE) {
        uint64_t left = quantizer->layer_points - first;
        size_t here = left < PIECE ? (size_t)left : PIECE;
        hlq_layer_representatives(quantizer, first, here, points);
        for (size_t i = 0; i < here * dim; i++) sum[i % dim] += points[i];
    }
    for (size_t j = 0; j < dim; j++) {
        quantizer->mean[j] = (float)(sum[j] / (double)quantizer->layer_points);
    }
}

/* Mean of the code formed by the coarsest `layers` layers: mean × Σ q^m. */
static void centre_of(const hlq_quantizer *quantizer, int layers, float centre[HLQ_DIM_MAX])
{
    int depth = quantizer->params.depth;
    double weight = 0;
    for (int m = depth - layers; m < depth; m++) weight += pow(quantizer->params.q, m);
    for (int j = 0; j < HLQ_DIM_MAX; j++) centre[j] = (float)(quantizer->mean[j] * weight);
}

hlq_status hlq_quantizer_create(const hlq_quantizer_params *params, hlq_quantizer **quantizer)
{
    if (!quantizer) return hlq_quantizer_fail(HLQ_E_INVALID, "quantizer is NULL");
    *quantizer = NULL;
    HLQ_TRY(check_params(params));
    const hlq_kernels *kernels = hlq_kernels_get();
    if (!kernels) {
        return hlq_quantizer_fail(HLQ_E_ISA, "HLQ_KERNELS names kernels that cannot run here");
    }
    hlq_quantizer *made = calloc(1, sizeof *made);
    if (!made) return hlq_quantizer_fail(HLQ_E_NOMEM, "no memory for a quantizer");
    made->params = *params;
    made->params.struct_bytes = sizeof made->params;
    made->kernels = kernels;
    double points = pow(params->q, params->dim); /* exact where it matters: below 2^53 */
    made->layer_points = points < 0x1p64 ? (uint64_t)points : UINT64_MAX;
    int wide = params->q > 256;
    made->digit_bytes = 1 + wide;
    made->code = (hlq_hnlq){.lattice = params->lattice,
                            .dim = params->dim,
                            .q = params->q,
                            .depth = params->depth,
                            .q_log2 = log2_of_power(params->q),
                            .wide = wide,
                            .tries = 1 + params->max_retries};
    set_scales(&made->code, params);
    if (params->centred) set_mean(made);
    centre_of(made, params->depth, made->code.centre);
    *quantizer = made;
    return HLQ_OK;
}

void hlq_quantizer_destroy(hlq_quantizer *quantizer) { free(quantizer); }

hlq_status hlq_quantizer_describe(const hlq_quantizer *quantizer, hlq_quantizer_info *info)
{
    if (!quantizer || !info || info->struct_bytes < sizeof *info) {
        return hlq_quantizer_fail(HLQ_E_INVALID,
                                  "quantizer or info is NULL, or info's struct_bytes is not set");
    }
    const hlq_quantizer_params *p = &quantizer->params;
    hlq_lattice_info lattice = {.struct_bytes = sizeof lattice};
    HLQ_TRY(hlq_lattice_describe(p->lattice, p->dim, &lattice));
    double reach = p->q * lattice.covering_radius;
    *info = (hlq_quantizer_info){.struct_bytes = sizeof *info,
                                 .params = *p,
                                 .digit_bytes = quantizer->digit_bytes,
                                 .bits_per_number = p->depth * log2(p->q),
                                 .layer_points = quantizer->layer_points,
                                 .max_norm2 = (int64_t)floor(reach * reach)};
    memcpy(info->mean, quantizer->mean, sizeof info->mean);
    return HLQ_OK;
}

/* Encode and decode -------------------------------------------------------------------------- */

hlq_status hlq_check_vectors(const hlq_quantizer *quantizer, size_t vectors, const void *a,
                             const void *b)
{
    if (!quantizer) return hlq_quantizer_fail(HLQ_E_INVALID, "quantizer is NULL");
    if (vectors && (!a || !b)) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "x, digits or the result is NULL");
    }
    return HLQ_OK;
}

hlq_status hlq_check_dither(const hlq_quantizer *quantizer, const hlq_dither *dither,
                            size_t vectors, hlq_dither_at *at)
{
    *at = (hlq_dither_at){NULL, 0};
    if (!dither || !vectors) return HLQ_OK;
    if (!dither->z || (dither->vectors != 1 && dither->vectors != vectors)) {
        return hlq_quantizer_fail(HLQ_E_INVALID,
                                  "dither has %zu vectors; it can have 1 or as many as x, %zu",
                                  dither->z ? dither->vectors : 0, vectors);
    }
    *at = (hlq_dither_at){dither->z, dither->vectors == 1 ? 0 : (size_t)quantizer->params.dim};
    return HLQ_OK;
}

hlq_status hlq_check_retries(const hlq_quantizer *quantizer, const uint8_t *retries, size_t vectors)
{
    if (retries || quantizer->code.tries == 1 || !vectors) return HLQ_OK;
    return hlq_quantizer_fail(HLQ_E_INVALID, "retries is NULL, but max_retries is %d",
                              quantizer->params.max_retries);
}

hlq_status hlq_check_layers(const hlq_quantizer *quantizer, int layers, hlq_hnlq *code)
{
    *code = quantizer->code;
    if (layers < 1 || layers > code->depth) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "layers is %d; it can be 1 ... %d", layers,
                                  code->depth);
    }
    if (layers < code->depth) centre_of(quantizer, layers, code->centre);
    return HLQ_OK;
}

static hlq_status check_host_dither(const hlq_quantizer *quantizer, const hlq_dither *dither,
                                    size_t vectors, hlq_dither_at *at)
{
    HLQ_TRY(hlq_check_dither(quantizer, dither, vectors, at));
    if (!at->z) return HLQ_OK;
    return hlq_check_finite("dither", at->z, dither->vectors * (size_t)quantizer->params.dim);
}

hlq_status hlq_encode(const hlq_quantizer *quantizer, const float *x, size_t vectors,
                      const hlq_dither *dither, void *digits, uint8_t *retries, uint8_t *overload,
                      uint64_t *overloads)
{
    hlq_dither_at at;
    HLQ_TRY(hlq_check_vectors(quantizer, vectors, x, digits));
    HLQ_TRY(check_host_dither(quantizer, dither, vectors, &at));
    if (!overloads) return hlq_quantizer_fail(HLQ_E_INVALID, "overloads is NULL");
    HLQ_TRY(hlq_check_retries(quantizer, retries, vectors));
    hlq_encoded done = quantizer->kernels->hnlq->encode(&quantizer->code, x, vectors, at, digits,
                                                        retries, overload);
    if (done.nonfinite) return hlq_check_finite("x", x, vectors * (size_t)quantizer->code.dim);
    if (retries && quantizer->code.tries == 1) memset(retries, 0, vectors);
    *overloads = done.overloads;
    return HLQ_OK;
}

hlq_status hlq_decode(const hlq_quantizer *quantizer, const void *digits, const uint8_t *retries,
                      size_t vectors, const hlq_dither *dither, int layers, float *x)
{
    hlq_dither_at at;
    hlq_hnlq code;
    HLQ_TRY(hlq_check_vectors(quantizer, vectors, x, digits));
    HLQ_TRY(check_host_dither(quantizer, dither, vectors, &at));
    HLQ_TRY(hlq_check_layers(quantizer, layers, &code));
    HLQ_TRY(hlq_check_retries(quantizer, retries, vectors));
    for (size_t v = 0; retries && v < vectors; v++) {
        if (retries[v] >= code.tries) {
            return hlq_quantizer_fail(HLQ_E_INVALID, "retries[%zu] is %d; max_retries is %d", v,
                                      retries[v], quantizer->params.max_retries);
        }
    }
    const uint8_t *steps = code.tries > 1 ? retries : NULL;
    if (quantizer->kernels->hnlq->decode(&code, digits, steps, vectors, at, layers, x)) {
        return hlq_check_digits(code.q, digits, vectors * (size_t)(code.depth * code.dim));
    }
    return HLQ_OK;
}

hlq_status hlq_quantize(const hlq_quantizer *quantizer, const float *x, size_t vectors,
                        const hlq_dither *dither, float *out, uint8_t *overload,
                        uint64_t *overloads)
{
    enum { PIECE = 256 };
    uint8_t retries[PIECE];
    uint16_t digits[PIECE * HLQ_DEPTH_MAX * HLQ_DIM_MAX];
    hlq_dither_at at;
    HLQ_TRY(hlq_check_vectors(quantizer, vectors, x, out));
    HLQ_TRY(check_host_dither(quantizer, dither, vectors, &at));
    if (!overloads) return hlq_quantizer_fail(HLQ_E_INVALID, "overloads is NULL");
    const hlq_hnlq *code = &quantizer->code;
    const hlq_hnlq_kernels *kernels = quantizer->kernels->hnlq;
    size_t dim = (size_t)code->dim;
    *overloads = 0;
    for (size_t v = 0; v < vectors; v += PIECE) {
        size_t here = vectors - v < PIECE ? vectors - v : PIECE;
        hlq_dither_at part = {at.stride ? at.z + v * dim : at.z, at.stride};
        hlq_encoded done = kernels->encode(code, x + v * dim, here, part, digits, retries,
                                           overload ? overload + v : NULL);
        if (done.nonfinite) return hlq_check_finite("x", x, vectors * dim);
        *overloads += done.overloads;
        kernels->decode(code, digits, code->tries > 1 ? retries : NULL, here, part, code->depth,
                        out + v * dim);
    }
    return HLQ_OK;
}
