/*
 * Segments (wire/device.h) by the host's own writer and reader, at once: what the GPU's kernels
 * must give, byte by byte.
 */
#include "stand_in.h"

#include <collective/algorithms/elements.h>
#include <hlqcomm/transport.h>
#include <wire/codec.h>
#include <wire/reader.h>
#include <wire/writer.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of a segment's scratch, all that is used. */
typedef struct {
    int is_open;
} notes;

static void *room(size_t bytes)
{
    void *p = malloc(bytes + 1);
    if (!p) exit(2);
    return p;
}

static int tell(const void *data, size_t bytes, void *to, hlq_stream stream)
{
    (void)stream;
    memcpy(to, data, bytes);
    return 0;
}

static int compare(const void *told, size_t bytes, int count, int own, hlq_device_report *report,
                   hlq_stream stream)
{
    const char *all = told, *mine = all + (size_t)own * bytes;
    (void)stream;
    for (int p = 0; p < count && !report->fault; p++) {
        if (memcmp(all + (size_t)p * bytes, mine, bytes) == 0) continue;
        report->sender = p;
        report->fault = HLQ_DEVICE_TERMS;
    }
    return 0;
}

/* Writing and opening -------------------------------------------------------------------------- */

static int write_segment(const hlq_device_segment *s, const hlq_source *source,
                         const hlq_device_sums *sums, hlq_device_report *report, hlq_stream stream)
{
    size_t blocks = s->frame.place.blocks;
    int16_t *exponent = room(blocks * sizeof *exponent);
    uint8_t *bits = room(blocks);
    hlq_scratch scratch = {sums ? sums->exponent : exponent, bits};
    hlq_team team = {hlq_kernels_get(), 1};
    hlq_source src = *source;
    hlq_code_stats stats = {0};
    hlq_writer writer;
    (void)stream;
    if (sums) {
        src.data = sums->acc;
        src.dtype = HLQ_FLOAT32;
        src.rotated = 1;
        src.unit = *sums->unit;
    }
    hlq_writer_begin(&writer, &team, &s->frame, &src, scratch, s->segment, &stats);
    while (!hlq_writer_is_done(&writer)) hlq_writer_next(&writer);
    report->overloads += stats.overloads;
    if (report->fault) memset(s->segment, 0, HLQ_HEADER_BYTES);
    free(exponent), free(bits);
    return 0;
}

/* Which of the faults it is matters to tests of the kernels, not here. */
static void blame(hlq_device_report *report, const hlq_frame *frame, const char *error)
{
    if (report->fault) return;
    int is_magic = strstr(error, "magic") != NULL, is_piece = strstr(error, "piece") != NULL;
    report->fault = is_magic   ? HLQ_DEVICE_MAGIC
                    : is_piece ? HLQ_DEVICE_PIECE_CHECKSUM
                               : HLQ_DEVICE_CHECKSUM;
    report->sender = frame->sender;
}

/* visit(run, argument) for all pieces, as far as they are whole. */
static hlq_status read_all(const hlq_device_segment *s, void (*visit)(hlq_run *run, void *argument),
                           void *argument, char *error)
{
    uint8_t *bits = room(s->frame.place.blocks);
    hlq_reader reader;
    hlq_reader_begin(&reader, &s->frame, s->segment, bits);
    hlq_status status = hlq_reader_open(&reader, s->frame.bytes, error);
    while (status == HLQ_OK && !hlq_reader_is_done(&reader)) {
        hlq_run run;
        status = hlq_reader_next(&reader, &run, error);
        if (status == HLQ_OK && visit) visit(&run, argument);
    }
    free(bits);
    return status;
}

static int open_segment(const hlq_device_segment *s, hlq_device_report *report, hlq_stream stream)
{
    char error[HLQ_ERROR_BYTES] = "";
    notes *n = s->scratch;
    (void)stream;
    n->is_open = read_all(s, NULL, NULL, error) == HLQ_OK;
    if (!n->is_open) blame(report, &s->frame, error);
    return 0;
}

/* Those of a segment that is open; of others, none. */
static void read_opened(const hlq_device_segment *s, void (*visit)(hlq_run *run, void *argument),
                        void *argument)
{
    char error[HLQ_ERROR_BYTES];
    const notes *n = s->scratch;
    if (n->is_open) read_all(s, visit, argument, error);
}

/* Reading -------------------------------------------------------------------------------------- */

static void find_base(hlq_run *run, void *unit)
{
    int *largest = unit;
    if (run->base > *largest) *largest = run->base;
}

static int unit_of(const hlq_device_segment *terms, int count, const hlq_source *own,
                   const hlq_device_sums *sums)
{
    const hlq_frame *frame = &terms->frame;
    int limit = frame->dtype == HLQ_FLOAT64 ? HLQ_UNIT_LIMIT_FLOAT64 : HLQ_UNIT_LIMIT;
    int unit = -limit;
    for (int t = 0; t < count; t++) read_opened(&terms[t], find_base, &unit);
    if (own) {
        hlq_kernels_get()->exponents(&frame->place, own, sums->exponent);
        int base = hlq_base_of_exponents(frame->dtype, sums->exponent, frame->place.blocks);
        if (base > unit) unit = base;
    }
    return unit > limit ? limit : unit;
}

typedef struct {
    float *acc;
    int unit;
} accumulator;

static void add_run(hlq_run *run, void *argument)
{
    accumulator *to = argument;
    size_t elems = run->place.blocks * HLQ_BLOCK_ELEMS;
    hlq_kernels_get()->decode_add(run, to->unit, to->acc);
    to->acc += elems;
}

static int sum(const hlq_device_segment *terms, int count, const hlq_source *own, int own_at,
               const hlq_device_sums *sums, hlq_stream stream)
{
    const hlq_kernels *kernels = hlq_kernels_get();
    const hlq_place *place = &terms->frame.place;
    int unit = unit_of(terms, count, own, sums);
    (void)stream;
    *sums->unit = unit;
    memset(sums->acc, 0, place->blocks * HLQ_BLOCK_ELEMS * sizeof(float));
    for (int t = 0; t <= count; t++) {
        accumulator to = {sums->acc, unit};
        if (own && t == own_at) kernels->rotate_add(place, own, unit, to.acc);
        if (t < count) read_opened(&terms[t], add_run, &to);
    }
    hlq_source all = {.data = sums->acc, .dtype = HLQ_FLOAT32, .rotated = 1, .unit = unit};
    kernels->exponents(place, &all, sums->exponent);
    return 0;
}

typedef struct {
    float factor;
    hlq_dtype dtype;
    void *out;
    size_t elems;
    hlq_device_report *report;
} output;

static void decode_run(hlq_run *run, void *argument)
{
    const output *o = argument;
    hlq_kernels_get()->decode(run, o->factor, o->dtype, o->out, o->elems, NULL);
    o->report->nonfinite += hlq_run_nonfinite(run);
}

static int decode(const hlq_device_segment *s, float factor, hlq_dtype dtype, void *out,
                  size_t elems, hlq_device_report *report, hlq_stream stream)
{
    output to = {factor, dtype, out, elems, report};
    (void)stream;
    read_opened(s, decode_run, &to);
    return 0;
}

static int unrotate(const hlq_place *place, const hlq_device_sums *sums, float factor,
                    hlq_dtype dtype, void *out, size_t elems, hlq_device_report *report,
                    hlq_stream stream)
{
    (void)stream;
    report->nonfinite +=
        hlq_kernels_get()->unrotate(place, sums->acc, *sums->unit, factor, dtype, out, elems);
    return 0;
}

static int add_plain(const hlq_device_plain *s, void *sums, hlq_stream stream)
{
    size_t bytes = s->elems * hlq_dtype_bytes(s->dtype);
    (void)stream;
    for (int i = 0; i < s->count; i++) {
        const void *x = i == s->own_at ? s->own : (const char *)s->all + (size_t)i * bytes;
        if (i == 0) hlq_elements_load(sums, x, s->dtype, s->elems);
        else hlq_elements_combine(HLQ_SUM, sums, x, s->dtype, s->elems);
    }
    return 0;
}

static int round_plain(const float *sums, hlq_dtype dtype, size_t elems, void *out,
                       hlq_stream stream)
{
    (void)stream;
    hlq_elements_store(out, sums, dtype, elems, 1.0);
    return 0;
}

static int poison(const hlq_device_report *report, hlq_dtype dtype, void *out, size_t elems,
                  hlq_stream stream)
{
    const float single = (float)NAN;
    const double whole = (double)NAN;
    const uint16_t bfloat = 0x7fc0, half = 0x7e00;
    const void *nan = dtype == HLQ_FLOAT32    ? (const void *)&single
                      : dtype == HLQ_FLOAT64  ? (const void *)&whole
                      : dtype == HLQ_BFLOAT16 ? (const void *)&bfloat
                                              : (const void *)&half;
    size_t width = hlq_dtype_bytes(dtype);
    (void)stream;
    for (size_t i = 0; i < elems && report->fault; i++) memcpy((char *)out + i * width, nan, width);
    return 0;
}

const hlq_device_wire stand_in_host_wire = {
    .name = "host",
    .tell = tell,
    .compare = compare,
    .write = write_segment,
    .open = open_segment,
    .sum = sum,
    .decode = decode,
    .unrotate = unrotate,
    .add_plain = add_plain,
    .round_plain = round_plain,
    .poison = poison,
};
