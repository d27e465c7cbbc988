/*
 * Stands in for libhlqcomm_cuda on the device of stand_in_device.cpp: the host's functions do the
 * work, and it is noted on which device and stream.
 */
#include <hlqcomm/cuda.h>

#include <quantizer/linear.h>

#include <stdlib.h>
#include <string.h>

static char last[64];
static int last_device, copies;
static hlq_stream last_stream;
static int (*current)(void);
static int tables; /* made so far */

HLQ_API void stand_in_use(int (*device)(void)) { current = device; }
HLQ_API const char *stand_in_last(void) { return last; }
HLQ_API int stand_in_last_device(void) { return last_device; }
HLQ_API int stand_in_tables(void) { return tables; }
HLQ_API int stand_in_copies(void) { return copies; } /* of layers, so far */
HLQ_API long stand_in_last_stream(void) { return (long)(intptr_t)last_stream; }

/* Digits lie where kernels want them, or it is no status of the library's. */
static hlq_status note(const char *name, const void *digits, hlq_stream stream)
{
    strcpy(last, name);
    last_device = current();
    last_stream = stream;
    return (uintptr_t)digits % 4 ? HLQ_E_WIRE : HLQ_OK;
}

#define TRY(call)                                                                                  \
    do {                                                                                           \
        hlq_status status = (call);                                                                \
        if (status != HLQ_OK) return status;                                                       \
    } while (0)

hlq_status hlq_cuda_encode(const hlq_quantizer *quantizer, const float *x, size_t vectors,
                           const hlq_dither *dither, void *digits, uint8_t *retries,
                           uint8_t *overload, uint64_t *overloads, uint64_t *invalid,
                           hlq_stream stream)
{
    uint64_t count;
    TRY(note("encode", digits, stream));
    if (overloads || invalid) return HLQ_E_PENDING;
    return hlq_encode(quantizer, x, vectors, dither, digits, retries, overload, &count);
}

hlq_status hlq_cuda_decode(const hlq_quantizer *quantizer, const void *digits,
                           const uint8_t *retries, size_t vectors, const hlq_dither *dither,
                           int layers, float *x, uint64_t *invalid, hlq_stream stream)
{
    TRY(note("decode", digits, stream));
    if (invalid) return HLQ_E_PENDING;
    return hlq_decode(quantizer, digits, retries, vectors, dither, layers, x);
}

hlq_status hlq_cuda_quantize(const hlq_quantizer *quantizer, const float *x, size_t vectors,
                             const hlq_dither *dither, float *out, uint8_t *overload,
                             uint64_t *overloads, uint64_t *invalid, hlq_stream stream)
{
    uint64_t count;
    TRY(note("quantize", NULL, stream));
    if (overloads || invalid) return HLQ_E_PENDING;
    return hlq_quantize(quantizer, x, vectors, dither, out, overload, &count);
}

hlq_status hlq_cuda_digits_add_modq(int q, const void *a, const void *b, size_t count, void *out,
                                    uint64_t *invalid, hlq_stream stream)
{
    TRY(note("digits_add_modq", b, stream));
    TRY(note("digits_add_modq", a, stream));
    if (invalid) return HLQ_E_PENDING;
    return hlq_digits_add_modq(q, a, b, count, out);
}

hlq_status hlq_cuda_digits_add(const hlq_quantizer *quantizer, const void *a, const void *b,
                               size_t vectors, void *out, uint8_t *overload, uint64_t *overloads,
                               uint64_t *invalid, hlq_stream stream)
{
    uint64_t count;
    TRY(note("digits_add", b, stream));
    TRY(note("digits_add", a, stream));
    if (overloads || invalid) return HLQ_E_PENDING;
    return hlq_digits_add(quantizer, a, b, vectors, out, overload, &count);
}

hlq_status hlq_cuda_digits_to_flat(const hlq_quantizer *quantizer, const void *digits,
                                   size_t vectors, uint32_t *flat, uint64_t *invalid,
                                   hlq_stream stream)
{
    TRY(note("digits_to_flat", digits, stream));
    if (invalid) return HLQ_E_PENDING;
    return hlq_digits_to_flat(quantizer, digits, vectors, flat);
}

hlq_status hlq_cuda_flat_to_digits(const hlq_quantizer *quantizer, const uint32_t *flat,
                                   size_t vectors, void *digits, uint64_t *invalid,
                                   hlq_stream stream)
{
    TRY(note("flat_to_digits", digits, stream));
    if (invalid) return HLQ_E_PENDING;
    return hlq_flat_to_digits(quantizer, flat, vectors, digits);
}

hlq_status hlq_cuda_nearest(hlq_lattice lattice, int dim, const float *x, size_t vectors,
                            float *point, uint64_t *invalid, hlq_stream stream)
{
    TRY(note("nearest", NULL, stream));
    if (invalid) return HLQ_E_PENDING;
    return hlq_lattice_nearest(lattice, dim, x, vectors, point);
}

/* Words are aligned to 8 bytes. What the host refuses is counted here. */
hlq_status hlq_cuda_digits_pack(int q, const void *digits, size_t count, void *packed,
                                uint64_t *invalid, hlq_stream stream)
{
    TRY(note("digits_pack", digits, stream));
    if ((uintptr_t)packed % 8 || !invalid) return HLQ_E_PENDING;
    hlq_status status = hlq_digits_pack(q, digits, count, packed);
    *invalid += status == HLQ_E_INVALID;
    return status == HLQ_E_INVALID ? HLQ_OK : status;
}

hlq_status hlq_cuda_digits_unpack(int q, const void *packed, size_t count, void *digits,
                                  uint64_t *invalid, hlq_stream stream)
{
    TRY(note("digits_unpack", digits, stream));
    if ((uintptr_t)packed % 8 || invalid) return HLQ_E_PENDING;
    return hlq_digits_unpack(q, packed, count, digits);
}

/* A table works on the device where it was made. The host's lives on: there are few. */
struct hlq_cuda_lut {
    const hlq_lut *lut;
    int device;
};

hlq_status hlq_cuda_lut_create(const hlq_lut *lut, hlq_cuda_lut **cuda_lut)
{
    *cuda_lut = malloc(sizeof **cuda_lut);
    if (!*cuda_lut) return HLQ_E_NOMEM;
    **cuda_lut = (hlq_cuda_lut){lut, current()};
    tables++;
    return HLQ_OK;
}

/* The digits and T of product i. */
static hlq_code code_at(const hlq_code *code, size_t vectors, size_t i)
{
    hlq_quantizer_info info = {.struct_bytes = sizeof info};
    if (hlq_quantizer_describe(code->quantizer, &info) != HLQ_OK) abort();
    const size_t bytes = (size_t)(info.params.depth * info.params.dim * info.digit_bytes);
    return (hlq_code){code->quantizer, (const char *)code->digits + i * vectors * bytes,
                      code->retries ? code->retries + i * vectors : NULL};
}

hlq_status hlq_cuda_lut_dot(const hlq_cuda_lut *lut, const hlq_code *a, const hlq_code *b,
                            size_t batch, size_t vectors, double *dot, uint64_t *invalid,
                            hlq_stream stream)
{
    TRY(note("lut_dot", b->digits, stream));
    TRY(note("lut_dot", a->digits, stream));
    if (invalid || lut->device != current()) return HLQ_E_PENDING;
    for (size_t i = 0; i < batch; i++) {
        const hlq_code left = code_at(a, vectors, i), right = code_at(b, vectors, i);
        TRY(hlq_lut_dot(lut->lut, &left, &right, vectors, &dot[i]));
    }
    return HLQ_OK;
}

hlq_status hlq_cuda_lut_build_one_sided(const hlq_quantizer *quantizer, const float *y,
                                        size_t vectors, float *table, uint64_t *invalid,
                                        hlq_stream stream)
{
    TRY(note("lut_build_one_sided", NULL, stream));
    if (invalid) return HLQ_E_PENDING;
    return hlq_lut_build_one_sided(quantizer, y, vectors, table);
}

hlq_status hlq_cuda_lut_dot_one_sided(const float *table, const hlq_code *b, size_t batch,
                                      size_t vectors, double *dot, uint64_t *invalid,
                                      hlq_stream stream)
{
    hlq_quantizer_info info = {.struct_bytes = sizeof info};
    TRY(note("lut_dot_one_sided", b->digits, stream));
    TRY(hlq_quantizer_describe(b->quantizer, &info));
    if (invalid) return HLQ_E_PENDING;
    for (size_t i = 0; i < batch; i++) {
        const hlq_code code = code_at(b, vectors, i);
        TRY(hlq_lut_dot_one_sided(table + i * vectors * info.layer_points, &code, vectors,
                                  &dot[i]));
    }
    return HLQ_OK;
}

/* Linear layers -------------------------------------------------------------------------------- */

enum { ROOM = 1024 /* of any workspace */ };

struct hlq_cuda_linear {
    hlq_linear *copy;
    int device;
};

/* As note(), of a call with a workspace, and with a layer or none. */
static hlq_status note_room(const char *name, const hlq_cuda_linear *linear, size_t bytes,
                            const uint64_t *invalid, hlq_stream stream)
{
    TRY(note(name, NULL, stream));
    const int is_here = !linear || linear->device == current();
    return is_here && bytes == ROOM && !invalid ? HLQ_OK : HLQ_E_PENDING;
}

size_t hlq_cuda_rows_workspace(size_t rows, size_t columns, int fit)
{
    (void)rows, (void)columns, (void)fit;
    return ROOM;
}

hlq_status hlq_cuda_rows_quantize(const hlq_quantizer *quantizer, const float *x, size_t rows,
                                  size_t columns, int fit, float *out, uint64_t *shrunk,
                                  uint64_t *invalid, void *workspace, size_t bytes,
                                  hlq_stream stream)
{
    uint64_t here;
    TRY(note_room("rows_quantize", NULL, bytes, invalid, stream));
    memset(workspace, 0x55, bytes);
    TRY(hlq_rows_quantize(quantizer, x, rows, columns, fit, out, &here));
    *shrunk += here;
    return HLQ_OK;
}

static hlq_status copy_layer(const hlq_linear *linear, hlq_linear **copy)
{
    const size_t layers = linear->blocks * (size_t)linear->quantizer->params.depth;
    uint8_t *indices = malloc(linear->out * layers + 1);
    float *scales = malloc(linear->out * sizeof *scales + 1);
    hlq_status status = indices && scales ? HLQ_OK : HLQ_E_NOMEM;
    if (status == HLQ_OK) status = hlq_linear_save(linear, indices, scales);
    if (status == HLQ_OK) {
        status = hlq_linear_load(linear->quantizer, indices, scales, linear->out, linear->in, copy);
    }
    free(indices);
    free(scales);
    return status;
}

hlq_status hlq_cuda_linear_create(const hlq_linear *linear, hlq_cuda_linear **on_device)
{
    hlq_cuda_linear *made = calloc(1, sizeof *made);
    if (!made) return HLQ_E_NOMEM;
    made->device = current();
    copies++;
    *on_device = made;
    return copy_layer(linear, &made->copy);
}

void hlq_cuda_linear_destroy(hlq_cuda_linear *linear)
{
    hlq_linear_destroy(linear->copy);
    free(linear);
}

hlq_status hlq_cuda_linear_unpack(const hlq_cuda_linear *linear, size_t first_row, size_t rows,
                                  float *weight, hlq_stream stream)
{
    TRY(note_room("linear_unpack", linear, ROOM, NULL, stream));
    return hlq_linear_unpack(linear->copy, first_row, rows, weight);
}

size_t hlq_cuda_linear_workspace(const hlq_cuda_linear *linear, const hlq_quantizer *activation,
                                 size_t batch)
{
    (void)linear, (void)activation, (void)batch;
    return ROOM;
}

hlq_status hlq_cuda_linear_forward(const hlq_cuda_linear *linear, const hlq_quantizer *activation,
                                   const float *x, size_t batch, float *y, uint64_t *overloads,
                                   uint64_t *invalid, void *workspace, size_t bytes,
                                   hlq_stream stream)
{
    uint64_t here;
    TRY(note_room("linear_forward", linear, bytes, invalid, stream));
    memset(workspace, 0x55, bytes);
    TRY(hlq_linear_forward(linear->copy, activation, x, batch, y, &here, 1));
    *overloads += here;
    return HLQ_OK;
}
