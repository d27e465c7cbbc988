/*
 * The parser of messages: any bytes, taken as a segment of any form, are refused with a sentence or
 * decode without a step outside of what they were given. As a hostile sender would, the harness can
 * put the header right and the checksum, so that what is behind them is reached.
 *
 * Input: what the reader expects, then the message.
 */
#include "../segments.h"
#include "fuzz.h"

#include <collective/partition.h>
#include <hlqcomm/transport.h>
#include <wire/codec.h>
#include <wire/plan.h>

enum { BLOCKS_MAX = 40 };

typedef struct reader {
    const hlq_kernels *kernels;
    hlq_frame frame;
    size_t elems;
    uint8_t *segment, *codes, *bits;
} reader;

static const hlq_kernels *some_kernels(int index)
{
    int supported, count = 0;
    const hlq_kernels *k, *there[8] = {NULL};
    for (int i = 0; (k = hlq_kernels_at(i, &supported)) && count < 8; i++) {
        if (supported) there[count++] = k;
    }
    return there[index % count];
}

/* For modular forms, whose codes were agreed before: a plan for these. */
static hlq_plan agree(reader *r, input *in)
{
    size_t blocks = r->frame.place.blocks;
    size_t budget = (size_t)input_uint(in, 2);
    input_bytes(in, r->codes, blocks);
    return hlq_plan_bits(r->codes, blocks, 0, HLQ_BITS_MAX, 4, budget, r->bits);
}

static size_t bytes_of(const hlq_frame *frame, const hlq_plan *plan, size_t there)
{
    size_t overhead = hlq_segment_overhead(frame->form, frame->place.blocks);
    switch (frame->form) {
    case HLQ_FORM_BOUND: return there;
    case HLQ_FORM_RAMP: return there / 4 * 4 > overhead ? there / 4 * 4 : overhead;
    case HLQ_FORM_MODULAR: return overhead + 4 * plan->coded + plan->planes * HLQ_PLANE_BYTES;
    case HLQ_FORM_SUMS: return overhead + plan->planes * HLQ_PLANE_BYTES;
    case HLQ_FORM_EXPONENTS:
    case HLQ_FORM_FAILED: break;
    }
    return overhead;
}

static void decode(const reader *r, const hlq_run *run)
{
    size_t blocks = r->frame.place.blocks;
    uint8_t *out = exactly(r->elems * hlq_dtype_bytes(r->frame.dtype));
    float *acc = exactly(blocks * HLQ_BLOCK_ELEMS * sizeof *acc);
    uint8_t *failed = exactly((blocks + 7) / 8);
    hlq_code_stats stats = {0};
    memset(acc, 0, blocks * HLQ_BLOCK_ELEMS * sizeof *acc);
    memset(failed, 0, (blocks + 7) / 8);
    int is_checked = r->frame.form == HLQ_FORM_MODULAR;
    uint64_t failures =
        r->kernels->decode(run, 0.5f, r->frame.dtype, out, r->elems, is_checked ? failed : NULL);
    MUST(failures <= blocks);
    int limit = r->frame.dtype == HLQ_FLOAT64 ? HLQ_UNIT_LIMIT_FLOAT64 : HLQ_UNIT_LIMIT;
    int unit = run->base > limit ? limit : run->base < -limit ? -limit : run->base;
    r->kernels->decode_add(run, unit, acc);
    r->kernels->unrotate(&run->place, acc, unit, 0.5f, r->frame.dtype, out, r->elems);
    if (is_checked) r->kernels->planes_add(run, run);
    hlq_code_stats_add(&stats, run);
    MUST(stats.energy >= 0 && stats.error >= 0 && stats.largest_scale >= 0);
    MUST(hlq_run_nonfinite(run) <= blocks);
    free(out);
    free(acc);
    free(failed);
}

static void read_segment(reader *r, const hlq_plan *plan)
{
    char *error = exactly(HLQ_ERROR_BYTES);
    hlq_form form = r->frame.form;
    hlq_run run;
    int is_planned = form == HLQ_FORM_RAMP || form == HLQ_FORM_BOUND;
    hlq_status status = is_planned ? segment_read(&r->frame, r->segment, r->bits, &run, error)
                                   : hlq_segment_open(&r->frame, r->segment, &run, error);
    if (status != HLQ_OK) {
        MUST(status == HLQ_E_WIRE && is_sentence(error, HLQ_ERROR_BYTES));
    } else if (is_planned) {
        decode(r, &run);
    } else if (form == HLQ_FORM_MODULAR || form == HLQ_FORM_SUMS) {
        run.code = r->codes;
        run.bits = r->bits;
        hlq_segment_lay_out(&r->frame, &run, plan->coded, plan->planes, r->segment);
        decode(r, &run);
    }
    free(error);
}

static void fix_up(const reader *r, int how, int base)
{
    if (r->frame.bytes < HLQ_HEADER_BYTES) return;
    if (how & 1) hlq_segment_header(&r->frame, base, r->segment);
    if (how & 2) hlq_segment_seal(&r->frame, r->segment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    input in = {data, data + bytes};
    reader r = {.kernels = some_kernels(input_below(&in, 4))};
    int how = input_below(&in, 8);
    r.frame.form = (hlq_form)input_below(&in, HLQ_FORM_BOUND + 1);
    r.frame.dithered = r.frame.form == HLQ_FORM_RAMP && how & 4;
    r.frame.lattice = (hlq_lattice)input_below(&in, 3);
    r.frame.dtype = (hlq_dtype)input_below(&in, HLQ_FLOAT64 + 1);
    size_t blocks = (size_t)input_below(&in, BLOCKS_MAX), last = input_uint(&in, 1);
    r.elems = blocks ? blocks * HLQ_BLOCK_ELEMS - last : 0;
    r.frame.place = hlq_place_all(r.elems, input_uint(&in, 1));
    /* As wide as the longest of modq's codes, for 256 ranks. */
    if (r.frame.form == HLQ_FORM_MODULAR || r.frame.form == HLQ_FORM_SUMS) {
        r.frame.spread = input_below(&in, 65) - 3;
    }
    int base = (int16_t)input_uint(&in, 2);
    r.codes = exactly(blocks);
    r.bits = exactly(blocks);
    memset(r.bits, 0, blocks);
    hlq_plan plan = agree(&r, &in);
    r.frame.bytes = bytes_of(&r.frame, &plan, input_left(&in));
    r.segment = exactly(r.frame.bytes);
    input_bytes(&in, r.segment, r.frame.bytes);
    fix_up(&r, how, base);
    read_segment(&r, &plan);
    free(r.segment);
    free(r.codes);
    free(r.bits);
    return 0;
}
