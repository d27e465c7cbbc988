/*
 * Any numbers can be coded, and what was coded can be read: NaN exactly where a block had NaN or
 * Inf, nothing where it was zero, and a residual that stays finite.
 *
 * Input: type, lattice and budget, then the bytes of a tensor.
 */
#include "../segments.h"
#include "fuzz.h"

#include <collective/partition.h>
#include <hlqcomm/transport.h>
#include <wire/codec.h>

#include <math.h>

enum { BLOCKS_MAX = 4, ELEMS_MAX = BLOCKS_MAX * HLQ_BLOCK_ELEMS };

static void check_blocks(const float *out, const int16_t *exponent, const hlq_run *run,
                         size_t elems)
{
    for (size_t i = 0; i < elems; i++) {
        size_t b = i / HLQ_BLOCK_ELEMS;
        if (exponent[b] == HLQ_EXPONENT_NONFINITE) MUST(isnan(out[i]));
        else if (exponent[b] == HLQ_EXPONENT_ZERO || !run->bits[b]) MUST(out[i] == 0);
        else MUST(!isnan(out[i]));
    }
}

static void check(const hlq_frame *frame, hlq_source *source, float *residual)
{
    const hlq_kernels *k = hlq_kernels_get();
    int16_t exponent[BLOCKS_MAX];
    uint8_t bits[BLOCKS_MAX];
    char error[HLQ_ERROR_BYTES];
    uint8_t *segment = exactly(frame->bytes);
    float *out = exactly(source->elems * sizeof *out);
    hlq_code_stats stats = {0};
    hlq_run run;
    int is_float64 = source->dtype == HLQ_FLOAT64;
    segment_encode(k, frame, source, (hlq_scratch){exponent, bits}, segment, &stats);
    MUST(segment_read(frame, segment, bits, &run, error) == HLQ_OK);
    k->decode(&run, 1, HLQ_FLOAT32, out, source->elems, NULL);
    if (!is_float64) check_blocks(out, exponent, &run, source->elems);
    for (size_t i = 0; i < source->elems && residual; i++) MUST(!isnan(residual[i]));
    free(segment);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    input in = {data, data + bytes};
    hlq_dtype dtype = (hlq_dtype)input_below(&in, HLQ_FLOAT64 + 1);
    hlq_lattice lattice = (hlq_lattice)input_below(&in, 3);
    int more = input_below(&in, 4), has_residual = more % 2 && dtype != HLQ_FLOAT64;
    double budget = (double)input_uint(&in, 2);
    uint64_t seed = input_uint(&in, 1);
    size_t width = hlq_dtype_bytes(dtype), each = width + (has_residual ? sizeof(float) : 0);
    size_t elems = input_left(&in) / each < ELEMS_MAX ? input_left(&in) / each : ELEMS_MAX;
    if (!elems) return 0;
    void *tensor = exactly(elems * width);
    float *residual = has_residual ? exactly(elems * sizeof *residual) : NULL;
    input_bytes(&in, tensor, elems * width);
    if (residual) input_bytes(&in, residual, elems * sizeof *residual);
    hlq_place place = hlq_place_all(elems, seed);
    hlq_frame frame = {.form = HLQ_FORM_RAMP,
                       .lattice = lattice,
                       .dtype = dtype,
                       .place = place,
                       .dithered = more / 2,
                       .bytes = hlq_segment_bytes(HLQ_FORM_RAMP, place.blocks, budget, 0)};
    hlq_source source = {.data = tensor, .dtype = dtype, .elems = elems, .residual = residual};
    check(&frame, &source, residual);
    free(tensor);
    free(residual);
    return 0;
}
