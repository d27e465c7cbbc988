/*
 * Segments on a device are those of the host, bit by bit: what hlq_wire_cuda does, kernel by
 * kernel, on an emulated warp (what is left then are the launches), and where there is one, on a
 * GPU.
 */
#include "wire_plain.h"
#include "wire_report.h"

#include <wire/cuda/notes.h>

/* What must have come up until the end. */
static uint64_t overloads_seen, nonfinite_seen;

static int is_fine(const hlq_device_report *report) { return CHECK_EQ(report->fault, 0); }

/* Written and read ----------------------------------------------------------------------------- */

typedef struct decoding {
    float factor;
    hlq_dtype dtype;
    void *out;
    size_t elems;
    uint64_t nonfinite;
} decoding;

static void decode_piece(const hlq_run *run, size_t before, void *to)
{
    decoding *d = to;
    (void)before;
    hlq_kernels_get()->decode(run, d->factor, d->dtype, d->out, d->elems, NULL);
    d->nonfinite += hlq_run_nonfinite(run);
}

static void check_decoded(const wire_case *c, const hlq_device_segment *s)
{
    size_t bytes = c->elems * hlq_dtype_bytes(c->frame.dtype);
    hlq_device_report *report = report_new();
    void *out = gpu_new(bytes);
    decoding want = {.factor = 1.0f / 3, c->frame.dtype, malloc(bytes + 1), c->elems, 0};
    memset(want.out, GUARD_PATTERN, bytes);
    host_read(&c->frame, s->segment, decode_piece, &want);
    CHECK_EQ(wire->open(s, report, NULL), 0);
    CHECK_EQ(wire->decode(s, want.factor, want.dtype, out, c->elems, report, NULL), 0);
    is_fine(report);
    CHECK_BYTES(out, want.out, bytes);
    CHECK_EQ(report->nonfinite, want.nonfinite);
    nonfinite_seen += want.nonfinite;
    free(want.out);
}

static void check_segment(hlq_rng *rng, const hlq_frame *frame, size_t elems)
{
    wire_case c = case_new(rng, frame, elems);
    hlq_device_segment s = segment_new(frame), arrived = segment_new(frame);
    hlq_device_report *report = report_new();
    uint64_t overloads;
    size_t bytes = c.residual ? elems * sizeof(float) : 0;
    float *residual = malloc(bytes + 1);
    if (bytes) memcpy(residual, c.residual, bytes);
    const hlq_source on_host = source_of(&c, residual), source = source_of(&c, c.residual);
    uint8_t *want = host_write(frame, &on_host, NULL, &overloads);
    CHECK_EQ(wire->write(&s, &source, NULL, report, NULL), 0);
    CHECK_BYTES(s.segment, want, frame->bytes);
    CHECK_BYTES(c.residual, residual, bytes);
    CHECK_EQ(report->overloads, overloads);
    overloads_seen += overloads;
    is_fine(report);
    memcpy(arrived.segment, want, frame->bytes);
    check_decoded(&c, &arrived);
    free(want), free(residual);
    gpu_check_and_free();
}

static void name_case(const hlq_frame *frame, size_t elems, double bits)
{
    hlq_test_case("%zu elements, %zu blocks, %s, %s, dither %d, %.1f bits", elems,
                  frame->place.blocks, hlq_lattice_name(frame->lattice),
                  hlq_dtype_name(frame->dtype), frame->dithered, bits);
}

static void test_segments_are_those_of_the_host(void)
{
    static const size_t sizes[] = {1, 255, 256, 257, 2000, 8 * 256, 9999, 31 * 256 + 7, 33 * 256};
    static const double budgets[] = {0.01, 0.3, 1, 2.4, 4, 12};
    hlq_rng rng = hlq_rng_new(1);
    for (int i = 0; i < 144; i += hlq_test_stride()) {
        size_t elems = sizes[i % 9];
        int most = hlq_block_count(elems) < 4 ? (int)hlq_block_count(elems) : 4;
        int n = hlq_rng_between(&rng, 1, most), p = hlq_rng_between(&rng, 0, n - 1);
        double bits = budgets[hlq_rng_below(&rng, 6)];
        hlq_frame frame = frame_new(&rng, elems, p, n, bits);
        frame.lattice = (hlq_lattice)(i % 3);
        frame.dtype = (hlq_dtype)(i / 3 % 4);
        frame.dithered &= bits >= HLQ_DITHER_BUDGET;
        name_case(&frame, elems, bits);
        check_segment(&rng, &frame, elems);
    }
}

/* Pieces: just not long, a piece and a block, whole pieces, a short last one of odd size. */
static void test_long_segments_are_those_of_the_host(void)
{
    static const size_t blocks[] = {1024, 1025, 2048, 3000};
    static const double budgets[] = {4, 1, 2.4, 0.5};
    hlq_rng rng = hlq_rng_new(2);
    for (int i = 0; i < 4; i += hlq_test_stride()) {
        int n = 1 + i % 2;
        size_t elems = blocks[i] * (size_t)n * HLQ_BLOCK_ELEMS - 3;
        hlq_frame frame = frame_new(&rng, elems, n - 1, n, budgets[i]);
        frame.dithered = i == 2;
        frame.lattice = (hlq_lattice)(i % 3);
        name_case(&frame, elems, budgets[i]);
        check_segment(&rng, &frame, elems);
    }
}

/* Plans ---------------------------------------------------------------------------------------- */

static void any_codes(hlq_rng *rng, size_t blocks, uint8_t *code)
{
    int kind = hlq_rng_between(rng, 0, 4), low = hlq_rng_between(rng, 0, 255);
    int high = kind == 0 ? 255 : low;
    if (kind >= 3) high = low + 20 < 255 ? low + 20 : 255;
    for (size_t b = 0; b < blocks; b++) {
        code[b] = (uint8_t)hlq_rng_between(rng, kind == 0 ? 0 : low, high);
        if (kind == 4 && hlq_rng_below(rng, 100) == 0) code[b] = (uint8_t)hlq_rng_next(rng);
    }
}

/* Bits of a segment that has nothing but codes: whatever the checks say of the rest, it is
   planned. */
static void check_plan(hlq_rng *rng, size_t blocks)
{
    double most = 12.5 * hlq_rng_uniform(rng), bits = hlq_rng_below(rng, 8) ? most : 0.02 * most;
    hlq_frame frame = frame_new(rng, blocks * HLQ_BLOCK_ELEMS, 0, 1, bits);
    /* A budget that ends anywhere, and may not pay for what dither demands. */
    frame.bytes = hlq_segment_bytes(HLQ_FORM_RAMP, blocks, bits * 32 * (double)blocks, 0) +
                  4 * hlq_rng_below(rng, 19);
    hlq_device_segment s = segment_new(&frame);
    uint8_t *want = malloc(blocks);
    hlq_notes notes = notes_at(s.scratch, blocks);
    any_codes(rng, blocks, s.segment + HLQ_HEADER_BYTES);
    hlq_plan plan = hlq_plan_segment(&frame, s.segment + HLQ_HEADER_BYTES, want);
    hlq_start total = {0, 0};
    name_case(&frame, blocks * HLQ_BLOCK_ELEMS, bits);
    CHECK_EQ(wire->open(&s, report_new(), NULL), 0);
    CHECK_BYTES(notes.bits, want, blocks);
    for (size_t p = 0; p < hlq_segment_pieces(HLQ_FORM_RAMP, blocks); p++) {
        total.coded += notes.total[p].coded;
        total.planes += notes.total[p].planes;
    }
    CHECK_EQ(total.coded, plan.coded);
    CHECK_EQ(total.planes, plan.planes);
    free(want);
    gpu_check_and_free();
}

static void test_plans_are_those_of_the_host(void)
{
    hlq_rng rng = hlq_rng_new(3);
    int stride = hlq_test_stride();
    for (int i = 0; i < 700; i += stride) check_plan(&rng, 1 + hlq_rng_below(&rng, 150));
    for (int i = 0; i < 60; i += stride) check_plan(&rng, 1 + hlq_rng_below(&rng, 4000));
}

/* Sums ----------------------------------------------------------------------------------------- */

/* Both to a tensor, and coded again. */
static void check_results(const wire_case *c, const hlq_device_sums *sums, const adding *want)
{
    const hlq_place *place = &c->frame.place;
    size_t bytes = c->elems * hlq_dtype_bytes(c->frame.dtype), residual_bytes = 0;
    void *out = gpu_new(bytes), *host_out = malloc(bytes + 1);
    hlq_device_report *report = report_new();
    hlq_frame frame = c->frame;
    uint64_t overloads;
    memset(host_out, GUARD_PATTERN, bytes);
    uint64_t nonfinite = hlq_kernels_get()->unrotate(place, want->acc, want->unit, 0.25f,
                                                     frame.dtype, host_out, c->elems);
    CHECK_EQ(wire->unrotate(place, sums, 0.25f, frame.dtype, out, c->elems, report, NULL), 0);
    CHECK_BYTES(out, host_out, bytes);
    CHECK_EQ(report->nonfinite, nonfinite);

    frame.leg = 1;
    hlq_device_segment s = segment_new(&frame);
    if (c->residual) residual_bytes = c->elems * sizeof(float);
    float *residual = malloc(residual_bytes + 1);
    if (residual_bytes) memcpy(residual, c->residual, residual_bytes);
    hlq_source source = source_of(c, c->residual), accumulator = source_of(c, residual);
    accumulator.data = want->acc;
    accumulator.dtype = HLQ_FLOAT32;
    accumulator.rotated = 1;
    accumulator.unit = want->unit;
    uint8_t *segment = host_write(&frame, &accumulator, sums->exponent, &overloads);
    CHECK_EQ(wire->write(&s, &source, sums, report, NULL), 0);
    CHECK_BYTES(s.segment, segment, frame.bytes);
    CHECK_BYTES(c->residual, residual, residual_bytes);
    CHECK_EQ(report->overloads, overloads);
    is_fine(report);
    free(segment), free(residual), free(host_out);
}

static void check_sum(hlq_rng *rng, const hlq_frame *frame, size_t elems, int count, int own_at)
{
    size_t blocks = frame->place.blocks, numbers = blocks * HLQ_BLOCK_ELEMS;
    hlq_device_segment *terms = malloc((size_t)count * sizeof *terms);
    hlq_device_report *report = report_new();
    wire_case c = case_new(rng, frame, elems);
    const hlq_source source = source_of(&c, c.residual), *own = own_at < 0 ? NULL : &source;
    if (own && frame->dtype == HLQ_FLOAT64 && hlq_rng_below(rng, 2) && !all_zero) {
        ((double *)c.tensor)[frame->place.first * HLQ_BLOCK_ELEMS] = 0x1p1020; /* beyond units */
    }
    for (int t = 0; t < count; t++) {
        hlq_frame sent = *frame;
        uint64_t overloads;
        sent.sender = t;
        wire_case from = case_new(rng, &sent, elems);
        const hlq_source term = source_of(&from, from.residual);
        uint8_t *segment = host_write(&sent, &term, NULL, &overloads);
        terms[t] = segment_new(&sent);
        memcpy(terms[t].segment, segment, sent.bytes);
        CHECK_EQ(wire->open(&terms[t], report, NULL), 0);
        free(segment);
    }
    is_fine(report);
    hlq_device_sums sums = {gpu_new(numbers * sizeof(float)), gpu_new(blocks * sizeof(int16_t)),
                            gpu_new(sizeof(int32_t))};
    adding want = host_sum(terms, count, own, own_at);
    CHECK_EQ(wire->sum(terms, count, own, own_at, &sums, NULL), 0);
    CHECK_EQ(*sums.unit, want.unit);
    for (size_t i = 0; i < numbers; i++) {
        if (isnan(want.acc[i]) && isnan(sums.acc[i])) sums.acc[i] = want.acc[i]; /* any NaN */
    }
    CHECK_BYTES(sums.acc, want.acc, numbers * sizeof(float));
    int16_t *exponent = malloc(blocks * sizeof *exponent);
    const hlq_source kept = {
        .data = want.acc, .dtype = HLQ_FLOAT32, .rotated = 1, .unit = want.unit};
    hlq_kernels_get()->exponents(&frame->place, &kept, exponent);
    CHECK_BYTES(sums.exponent, exponent, blocks * sizeof *exponent);
    check_results(&c, &sums, &want);
    free(exponent), free(want.acc), free(terms);
    gpu_check_and_free();
}

static void test_sums_are_those_of_the_host(void)
{
    static const int counts[] = {1, 2, 3, HLQ_CUDA_TERMS, HLQ_CUDA_TERMS + 1};
    hlq_rng rng = hlq_rng_new(4);
    for (int i = 0; i < 48; i += hlq_test_stride()) {
        int count = counts[i % 5], own_at = i % 3 ? hlq_rng_between(&rng, -1, count) : count;
        size_t elems = 1 + hlq_rng_below(&rng, 3000), all = elems;
        int n = 1 + (all > 3 * HLQ_BLOCK_ELEMS) * 2;
        hlq_frame frame = frame_new(&rng, elems, n - 1, n, 3);
        frame.lattice = (hlq_lattice)(i % 3);
        frame.dtype = (hlq_dtype)(i / 3 % 4);
        hlq_test_case("%d terms, own before term %d, %zu blocks, %s", count, own_at,
                      frame.place.blocks, hlq_dtype_name(frame.dtype));
        check_sum(&rng, &frame, elems, count, own_at);
    }
    all_zero = 1;
    for (int own_at = -1; own_at < 2; own_at++) {
        hlq_frame frame = frame_new(&rng, 600, 0, 1, 3);
        hlq_test_case("sums of nothing, %s", hlq_dtype_name(frame.dtype));
        check_sum(&rng, &frame, 600, 1, own_at);
    }
    all_zero = 0;
    hlq_frame frame = frame_new(&rng, 1300 * HLQ_BLOCK_ELEMS, 0, 1, 2.4);
    hlq_test_case("a long sum, %s", hlq_dtype_name(frame.dtype));
    check_sum(&rng, &frame, 1300 * HLQ_BLOCK_ELEMS, 2, 1);
}

/* Faults --------------------------------------------------------------------------------------- */

/* A segment that was written, ready to be damaged. */
static hlq_device_segment good_segment(hlq_rng *rng, size_t elems)
{
    hlq_frame frame = frame_new(rng, elems, 0, 1, 3);
    wire_case c = case_new(rng, &frame, elems);
    const hlq_source source = source_of(&c, c.residual);
    hlq_device_segment s = segment_new(&frame);
    uint64_t overloads;
    uint8_t *segment = host_write(&frame, &source, NULL, &overloads);
    memcpy(s.segment, segment, frame.bytes);
    free(segment);
    return s;
}

/* What open() says of it, with a bit flipped that is put right again. */
static hlq_device_report open_damaged(const hlq_device_segment *s, size_t byte, int bit,
                                      hlq_device_report *report)
{
    *report = (hlq_device_report){0};
    s->segment[byte] ^= (uint8_t)(1 << bit);
    CHECK_EQ(wire->open(s, report, NULL), 0);
    s->segment[byte] ^= (uint8_t)(1 << bit);
    return *report;
}

static void test_damaged_headers_are_told(void)
{
    static const struct {
        int at, bit;
        hlq_device_fault fault;
    } fields[] = {
        {0, 0, HLQ_DEVICE_MAGIC},     {3, 7, HLQ_DEVICE_MAGIC},     {4, 3, HLQ_DEVICE_VERSION},
        {5, 1, HLQ_DEVICE_FORM},      {6, 2, HLQ_DEVICE_LATTICE},   {7, 4, HLQ_DEVICE_DITHER},
        {9, 6, HLQ_DEVICE_BASE},      {10, 0, HLQ_DEVICE_SPREAD},   {11, 7, HLQ_DEVICE_SPREAD},
        {12, 0, HLQ_DEVICE_CALL},     {15, 7, HLQ_DEVICE_CALL},     {16, 0, HLQ_DEVICE_FIRST},
        {23, 7, HLQ_DEVICE_FIRST},    {24, 0, HLQ_DEVICE_BLOCKS},   {31, 7, HLQ_DEVICE_BLOCKS},
        {32, 0, HLQ_DEVICE_CHECKSUM}, {39, 7, HLQ_DEVICE_CHECKSUM},
    };
    hlq_rng rng = hlq_rng_new(5);
    hlq_device_segment s = good_segment(&rng, 1000);
    hlq_device_report *report = report_new();
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        hlq_device_report got = open_damaged(&s, (size_t)fields[i].at, fields[i].bit, report);
        hlq_test_case("bit %d of byte %d", fields[i].bit, fields[i].at);
        CHECK_EQ(got.fault, fields[i].fault);
        CHECK_EQ(got.sender, s.frame.sender);
        if (fields[i].fault < HLQ_DEVICE_BASE) CHECK(got.got != got.expected);
    }
    CHECK_EQ(open_damaged(&s, 12, 5, report).expected, s.frame.call);
    CHECK_EQ(open_damaged(&s, 12, 5, report).got, s.frame.call ^ 32);
    CHECK_EQ(open_damaged(&s, 10, 0, report).got, 1);
    CHECK_EQ(open_damaged(&s, 11, 7, report).got, -32768);
    CHECK_EQ(open_damaged(&s, 5, 1, report).got, HLQ_FORM_EXPONENTS);
    gpu_check_and_free();
}

/* A bit anywhere behind the header. */
static void test_damaged_bytes_are_told(void)
{
    hlq_rng rng = hlq_rng_new(6);
    hlq_test_case("short");
    hlq_device_segment s = good_segment(&rng, 700);
    hlq_device_report *report = report_new();
    for (size_t at = HLQ_HEADER_BYTES; at < s.frame.bytes; at += (size_t)hlq_test_stride()) {
        CHECK_EQ(open_damaged(&s, at, hlq_rng_between(&rng, 0, 7), report).fault,
                 HLQ_DEVICE_CHECKSUM);
    }
    gpu_check_and_free();
    s = good_segment(&rng, 2100 * HLQ_BLOCK_ELEMS);
    report = report_new();
    CHECK_EQ(wire->open(&s, report, NULL), 0);
    is_fine(report);
    const size_t *begin = notes_at(s.scratch, s.frame.place.blocks).at;
    size_t head = hlq_segment_head_bytes(&s.frame),
           piece[4] = {begin[0], begin[1], begin[2], s.frame.bytes};
    CHECK_EQ(piece[0], head);
    for (size_t p = 0; p < 3; p++) {
        size_t at[] = {piece[p], piece[p] + 7, piece[p] + 8, piece[p + 1] - 1};
        for (int i = 0; i < 4; i++) {
            hlq_device_report got = open_damaged(&s, at[i], i, report);
            hlq_test_case("piece %zu, byte %zu", p, at[i] - piece[p]);
            CHECK_EQ(got.fault, HLQ_DEVICE_PIECE_CHECKSUM);
            CHECK_EQ(got.got, p);
        }
    }
    hlq_test_case("head of a long segment"); /* and so its pieces, perhaps */
    CHECK_EQ(open_damaged(&s, head - 1, 0, report).fault, HLQ_DEVICE_CHECKSUM);
    CHECK_EQ(open_damaged(&s, HLQ_HEADER_BYTES + 9, 6, report).fault, HLQ_DEVICE_CHECKSUM);
    gpu_check_and_free();
}

static void test_the_first_fault_stays_and_is_told_to_all(void)
{
    hlq_rng rng = hlq_rng_new(7);
    hlq_device_segment s = good_segment(&rng, 3000), other = segment_new(&s.frame);
    hlq_device_report *report = report_new(), *told = report_new();
    float x[3000] = {1}, *data = gpu_copy(x, sizeof x);
    hlq_source source = {.data = data, .elems = 3000};
    hlq_test_case("first fault");
    s.segment[12] ^= 1;
    CHECK_EQ(wire->open(&s, report, NULL), 0);
    CHECK_EQ(report->fault, HLQ_DEVICE_CALL);
    s.segment[4] = 77;
    s.frame.sender++;
    CHECK_EQ(wire->open(&s, report, NULL), 0);
    CHECK_EQ(report->fault, HLQ_DEVICE_CALL);
    CHECK_EQ(report->sender, s.frame.sender - 1);
    other.frame.dtype = HLQ_FLOAT32;
    CHECK_EQ(wire->write(&other, &source, NULL, report, NULL), 0);
    for (int i = 0; i < HLQ_HEADER_BYTES; i++) CHECK_EQ(other.segment[i], 0);
    CHECK_EQ(wire->open(&other, told, NULL), 0);
    CHECK_EQ(told->fault, HLQ_DEVICE_MAGIC);
    CHECK_EQ(told->got, 0);
    gpu_check_and_free();
}

static void test_no_blocks_are_nothing(void)
{
    hlq_device_segment s = {.frame = {.form = HLQ_FORM_RAMP}};
    hlq_device_report *report = report_new();
    hlq_device_sums sums = {0};
    hlq_source source = {0};
    hlq_test_case("no blocks");
    CHECK_EQ(wire->write(&s, &source, NULL, report, NULL), 0);
    CHECK_EQ(wire->open(&s, report, NULL), 0);
    CHECK_EQ(wire->sum(&s, 1, NULL, 0, &sums, NULL), 0);
    CHECK_EQ(wire->decode(&s, 1, HLQ_FLOAT32, NULL, 0, report, NULL), 0);
    CHECK_EQ(wire->unrotate(&s.frame.place, &sums, 1, HLQ_FLOAT32, NULL, 0, report, NULL), 0);
    CHECK_EQ(wire->poison(report, HLQ_FLOAT32, NULL, 0, NULL), 0);
    is_fine(report);
    gpu_check_and_free();
}

int main(void)
{
    hlq_test_start("test_cuda_wire");
    hlq_skip_without_gpu();
    test_segments_are_those_of_the_host();
    test_long_segments_are_those_of_the_host();
    test_plans_are_those_of_the_host();
    test_sums_are_those_of_the_host();
    test_damaged_headers_are_told();
    test_damaged_bytes_are_told();
    test_the_first_fault_stays_and_is_told_to_all();
    test_terms_are_told_and_compared();
    test_a_fault_poisons_the_result();
    test_plain_numbers_are_added_as_on_the_host();
    test_no_blocks_are_nothing();
    hlq_test_case("all");
    CHECK((overloads_seen > 0 && nonfinite_seen > 0) || hlq_test_stride() > 1);
    return hlq_test_end();
}
