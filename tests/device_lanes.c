/*
 * The collectives' kernels on a GPU, as a variant of kernels.h on memory of the host.
 */
#include "device.h"

static hlq_place place_on_device(const hlq_place *place)
{
    hlq_place there = *place;
    there.list = lent_to_device(place->list, place->blocks * sizeof *place->list);
    return there;
}

static hlq_source source_on_device(const hlq_place *place, const hlq_source *src)
{
    const size_t block = HLQ_BLOCK_ELEMS * sizeof(float);
    size_t bytes = src->elems * hlq_dtype_bytes(src->dtype);
    hlq_source there = *src;
    if (src->rotated) {
        bytes = src->room ? src->elems / HLQ_BLOCK_ELEMS * src->room : place->blocks * block;
        there.last = lent_to_device(src->last, block);
    }
    there.data = lent_to_device(src->data, bytes);
    there.residual = on_device(src->residual, src->elems * sizeof(float));
    return there;
}

/* Bytes of side words and planes, as bits say. */
static hlq_cuda_run run_on_device(const hlq_run *run)
{
    const size_t blocks = run->place.blocks;
    size_t coded = 0, planes = 0;
    hlq_cuda_run there = {.run = *run};
    hlq_start *start = malloc((blocks + 1) * sizeof *start);
    if (!start) exit(2);
    for (size_t b = 0; b < blocks; b++) {
        start[b] = (hlq_start){(uint32_t)coded, (uint32_t)planes};
        coded += run->bits[b] != 0;
        planes += run->bits[b];
    }
    there.run.place = place_on_device(&run->place);
    there.run.code = lent_to_device(run->code, blocks);
    there.run.bits = lent_to_device(run->bits, blocks);
    there.run.wide = on_device(run->wide, (blocks + 7) / 8);
    there.run.side = on_device(run->side, coded * (run->modular ? 1 : HLQ_RAMP_WORDS) * 4);
    there.run.planes = on_device(run->planes, planes * HLQ_PLANE_WORDS * 4);
    there.start = lent_to_device(start, blocks * sizeof *start);
    free(start);
    return there;
}

static void gpu_exponents(const hlq_place *place, const hlq_source *src, int16_t *exponent)
{
    device_open();
    const hlq_place at = place_on_device(place);
    const hlq_source from = source_on_device(place, src);
    int16_t *to = on_device(exponent, place->blocks * sizeof *exponent);
    device_capture();
    device_check(hlq_cuda_exponents(&at, &from, to, device.stream));
    device_close();
}

static uint64_t gpu_encode(const hlq_run *run, const hlq_source *src)
{
    uint64_t beyond = 0;
    device_open();
    const hlq_cuda_run to = run_on_device(run);
    const hlq_source from = source_on_device(&run->place, src);
    uint64_t *count = on_device(&beyond, sizeof beyond);
    device_capture();
    device_check(hlq_cuda_blocks_encode(&to, &from, count, device.stream));
    device_close();
    return beyond;
}

static uint64_t gpu_decode(const hlq_run *run, float factor, hlq_dtype dtype, void *out,
                           size_t elems, uint8_t *failed)
{
    uint64_t failures = 0;
    device_open();
    const hlq_cuda_run from = run_on_device(run);
    void *to = on_device(out, elems * hlq_dtype_bytes(dtype));
    uint8_t *bits = on_device(failed, (run->place.blocks + 7) / 8);
    uint64_t *count = on_device(&failures, sizeof failures);
    device_capture();
    device_check(
        hlq_cuda_blocks_decode(&from, factor, dtype, to, elems, bits, count, device.stream));
    device_close();
    return failures;
}

void hlq_gpu_sum_up(const hlq_cuda_sum *sum)
{
    const size_t blocks = sum->place.blocks;
    hlq_cuda_run *terms = malloc(((size_t)sum->count + 1) * sizeof *terms);
    hlq_source own;
    hlq_cuda_sum there = *sum;
    if (!terms) exit(2);
    device_open();
    there.place = place_on_device(&sum->place);
    for (int t = 0; t < sum->count; t++) terms[t] = run_on_device(&sum->terms[t].run);
    there.terms = terms;
    if (sum->own) own = source_on_device(&sum->place, sum->own), there.own = &own;
    there.acc = on_device(sum->acc, blocks * HLQ_BLOCK_ELEMS * sizeof(float));
    there.exponent = on_device(sum->exponent, blocks * sizeof(int16_t));
    device_capture();
    device_check(hlq_cuda_sum_up(&there, device.stream));
    device_close();
    free(terms);
}

static void gpu_decode_add(const hlq_run *run, int unit, float *acc)
{
    const hlq_cuda_run term = {.run = *run};
    hlq_gpu_sum_up(&(hlq_cuda_sum){
        .place = run->place, .terms = &term, .count = 1, .unit = unit, .more = 1, .acc = acc});
}

static void gpu_rotate_add(const hlq_place *place, const hlq_source *src, int unit, float *acc)
{
    hlq_gpu_sum_up(
        &(hlq_cuda_sum){.place = *place, .own = src, .unit = unit, .more = 1, .acc = acc});
}

static uint64_t gpu_unrotate(const hlq_place *place, const float *acc, int unit, float factor,
                             hlq_dtype dtype, void *out, size_t elems)
{
    uint64_t nonfinite = 0;
    device_open();
    const hlq_place at = place_on_device(place);
    const float *from = lent_to_device(acc, place->blocks * HLQ_BLOCK_ELEMS * sizeof *acc);
    void *to = on_device(out, elems * hlq_dtype_bytes(dtype));
    uint64_t *count = on_device(&nonfinite, sizeof nonfinite);
    device_capture();
    device_check(
        hlq_cuda_unrotate(&at, from, unit, factor, dtype, to, elems, count, device.stream));
    device_close();
    return nonfinite;
}

static void gpu_planes_add(const hlq_run *acc, const hlq_run *in)
{
    device_open();
    const hlq_cuda_run to = run_on_device(acc), from = run_on_device(in);
    device_capture();
    device_check(hlq_cuda_planes_add(&to, &from.run, device.stream));
    device_close();
}

void hlq_gpu_starts(const uint8_t *bits, size_t blocks, hlq_start *start)
{
    device_open();
    const uint8_t *from = lent_to_device(bits, blocks);
    hlq_start *to = on_device(start, blocks * sizeof *start);
    device_capture();
    device_check(hlq_cuda_starts(from, blocks, to, device.stream));
    device_close();
}

const hlq_kernels hlq_kernels_gpu = {
    .name = "gpu",
    .exponents = gpu_exponents,
    .encode = gpu_encode,
    .decode = gpu_decode,
    .decode_add = gpu_decode_add,
    .rotate_add = gpu_rotate_add,
    .unrotate = gpu_unrotate,
    .planes_add = gpu_planes_add,
};
