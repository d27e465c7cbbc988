/*
 * The layout of messages and the one parser of foreign bytes: headers say what was meant, any
 * change of one is refused with a sentence, sizes keep the budget, and whatever arrives, nothing
 * outside the segment and the output is touched.
 */
#include "hlq_test.h"
#include "segments.h"

#include <collective/partition.h>
#include <hlqcomm/transport.h>
#include <wire/checksum.h>
#include <wire/codec.h>

enum { SEED = 7 };

static const hlq_form forms[] = {HLQ_FORM_RAMP, HLQ_FORM_MODULAR, HLQ_FORM_EXPONENTS,
                                 HLQ_FORM_SUMS, HLQ_FORM_FAILED,  HLQ_FORM_BOUND};
enum { FORMS = sizeof forms / sizeof *forms };

static hlq_frame frame_of(hlq_form form, hlq_lattice lattice, size_t elems, double bits)
{
    hlq_frame frame = {.form = form,
                       .lattice = lattice,
                       .place = hlq_place_all(elems, SEED),
                       .allowed = exp2(-bits)};
    frame.bytes = hlq_segment_bytes(form, frame.place.blocks, bits * (double)elems / 8, 0);
    return frame;
}

/* A segment where it lies on the way: any bytes before it is written, guards at both ends. */
static hlq_guarded segment_new(hlq_rng *rng, size_t bytes)
{
    hlq_guarded g = hlq_guarded_new(bytes, GUARD_AFTER, -1);
    hlq_rng_bytes(rng, g.data, bytes);
    return g;
}

/* Headers -------------------------------------------------------------------------------------- */

static hlq_frame random_frame(hlq_rng *rng, hlq_form form)
{
    hlq_frame frame = frame_of(form, (hlq_lattice)hlq_rng_below(rng, 3), 3000, 4);
    frame.place.first = hlq_rng_next(rng) >> hlq_rng_between(rng, 1, 63);
    frame.call = (uint32_t)hlq_rng_next(rng);
    frame.spread = hlq_rng_between(rng, -50, 50);
    frame.dithered = form == HLQ_FORM_RAMP && hlq_rng_below(rng, 2);
    return frame;
}

static void test_headers_say_what_was_meant(void)
{
    hlq_rng rng = hlq_rng_new(1);
    char error[HLQ_ERROR_BYTES];
    for (int round = 0; round < 500; round++) {
        hlq_frame frame = random_frame(&rng, forms[round % FORMS]);
        hlq_guarded g = segment_new(&rng, frame.bytes);
        int base = hlq_rng_between(&rng, -HLQ_BASE_LIMIT, HLQ_BASE_LIMIT);
        int sums = frame.form == HLQ_FORM_MODULAR || frame.form == HLQ_FORM_SUMS;
        hlq_run run;
        hlq_test_case("form %d, base %d", frame.form, base);
        hlq_segment_begin(&frame, base, g.data);
        hlq_segment_seal(&frame, g.data);
        if (CHECK_EQ(hlq_segment_open(&frame, g.data, &run, error), HLQ_OK)) {
            CHECK_EQ(run.base, base);
            CHECK_EQ(run.lattice, frame.lattice);
            CHECK_EQ(run.spread, frame.spread);
            CHECK_EQ(run.modular, sums);
            CHECK_EQ(run.dithered, frame.dithered);
            CHECK_EQ(run.place.blocks, frame.place.blocks);
            CHECK_EQ(run.place.first, frame.place.first);
            CHECK(run.code == (sums ? NULL : (uint8_t *)g.data + HLQ_HEADER_BYTES));
        }
        hlq_guarded_free(&g);
    }
}

static void test_every_changed_byte_is_refused(void)
{
    hlq_rng rng = hlq_rng_new(2);
    for (int i = 0; i < FORMS; i++) {
        hlq_frame frame = random_frame(&rng, forms[i]);
        hlq_guarded g = segment_new(&rng, frame.bytes);
        uint8_t *segment = g.data;
        hlq_segment_begin(&frame, hlq_rng_between(&rng, -100, 100), segment);
        hlq_segment_seal(&frame, segment);
        for (size_t at = 0; at < frame.bytes; at += at < HLQ_HEADER_BYTES ? 1 : 1 + at / 8) {
            for (int change = 1; change < 256; change++) {
                char error[HLQ_ERROR_BYTES] = "";
                hlq_run run;
                segment[at] ^= (uint8_t)change;
                hlq_test_case("form %d, byte %zu changed by 0x%02x", frame.form, at, change);
                CHECK_EQ(hlq_segment_open(&frame, segment, &run, error), HLQ_E_WIRE);
                CHECK(*error != 0);
                segment[at] ^= (uint8_t)change;
            }
        }
        hlq_guarded_free(&g);
    }
}

/* Whatever tells two messages apart gives them dither of their own; the same ends have the same. */
static void test_dither_is_keyed_by_all_that_tells_messages_apart(void)
{
    enum { SEEDS = 3, CALLS = 7, SENDERS = 7, LEGS = 2, ALL = SEEDS * CALLS * SENDERS * LEGS };
    uint64_t key[ALL], segment[64];
    for (int i = 0; i < ALL; i++) {
        hlq_frame frame = frame_of(HLQ_FORM_RAMP, HLQ_LATTICE_E8, 256, 4);
        frame.dithered = 1;
        frame.place.seed = (uint64_t)(i % SEEDS);
        frame.call = (uint32_t)(i / SEEDS % CALLS);
        frame.sender = i / (SEEDS * CALLS) % SENDERS;
        frame.leg = i / (SEEDS * CALLS * SENDERS);
        hlq_run sent = hlq_segment_begin(&frame, 0, (uint8_t *)segment);
        key[i] = hlq_segment_view(&frame, (uint8_t *)segment).dither_key;
        CHECK(sent.dither_key == key[i]);
        for (int j = 0; j < i; j++) CHECK(key[i] != key[j]);
    }
}

/* XXH64: what its reference implementation gives. */
static void test_checksum_is_xxh64(void)
{
    uint8_t bytes[101];
    for (int i = 0; i < 101; i++) bytes[i] = (uint8_t)(i * 7 + 3);
    CHECK(hlq_checksum(NULL, 0, 0) == UINT64_C(0xef46db3751d8e999));
    CHECK(hlq_checksum(bytes, 1, 0) == UINT64_C(0x1f25c8d0bc1f4bb6));
    CHECK(hlq_checksum(bytes, 14, 0) == UINT64_C(0xc7f1d4d0acfa5a14));
    CHECK(hlq_checksum(bytes, 31, 1) == UINT64_C(0xaaca4e41ffcae21c));
    CHECK(hlq_checksum(bytes, 32, 1) == UINT64_C(0x7421b79a02b42132));
    CHECK(hlq_checksum(bytes, 101, UINT64_C(0x9e3779b185ebca8d)) == UINT64_C(0x3d09c9e61bb4c3c5));
}

/* Sizes ---------------------------------------------------------------------------------------- */

/* As large as the budget, between what the least and the most bits of every block take. */
static void test_sizes_keep_the_budget(void)
{
    static const size_t side[] = {[HLQ_FORM_RAMP] = 8, [HLQ_FORM_MODULAR] = 4};
    hlq_rng rng = hlq_rng_new(4);
    for (int round = 0; round < 20000; round++) {
        hlq_form form = round & 1 ? HLQ_FORM_RAMP : HLQ_FORM_MODULAR;
        size_t blocks = hlq_rng_below(&rng, UINT64_C(1) << hlq_rng_between(&rng, 0, 28));
        int least_bits = hlq_rng_between(&rng, 0, 4);
        double budget = 400 * (double)blocks * hlq_rng_uniform(&rng);
        size_t overhead = hlq_segment_overhead(form, blocks);
        size_t least =
            overhead + (least_bits ? blocks * (side[form] + 32 * (size_t)least_bits) : 0);
        size_t most = overhead + blocks * (side[form] + 32 * HLQ_BITS_MAX);
        size_t bytes = hlq_segment_bytes(form, blocks, budget, least_bits);
        hlq_test_case("form %d, %zu blocks, %.17g bytes", form, blocks, budget);
        if (budget < (double)least + 4) CHECK_EQ(bytes, least);
        else if (budget >= (double)most) CHECK_EQ(bytes, most);
        else CHECK_WITHIN(bytes, budget - 4, budget);
        CHECK_EQ(bytes % 4, 0);
    }
}

/* Any bytes ------------------------------------------------------------------------------------ */

typedef struct target {
    hlq_guarded segment, out, acc, bits;
} target;

static target target_new(hlq_rng *rng, const hlq_frame *frame, size_t elems)
{
    size_t blocks = frame->place.blocks;
    return (target){
        .segment = segment_new(rng, frame->bytes),
        .out = hlq_guarded_new(elems * sizeof(float), GUARD_AFTER, -1),
        .acc = hlq_guarded_new(blocks * HLQ_BLOCK_ELEMS * sizeof(float), GUARD_AFTER, -1),
        .bits = hlq_guarded_new(blocks, GUARD_AFTER, -1),
    };
}

static void target_free(target *t)
{
    hlq_guarded_free(&t->segment);
    hlq_guarded_free(&t->out);
    hlq_guarded_free(&t->acc);
    hlq_guarded_free(&t->bits);
}

/* Reads a segment as a collective does, under the guards' eyes; returns whether it was taken. */
static int read_whatever(const hlq_kernels *k, const hlq_frame *frame, size_t elems, target *t)
{
    char error[HLQ_ERROR_BYTES] = "";
    hlq_run run;
    hlq_status status = segment_read(frame, t->segment.data, t->bits.data, &run, error);
    if (status != HLQ_OK) {
        CHECK_EQ(status, HLQ_E_WIRE);
        CHECK(*error != 0);
        return 0;
    }
    hlq_code_stats stats = {0};
    memset(t->acc.data, 0, t->acc.bytes);
    k->decode(&run, 1, HLQ_FLOAT32, t->out.data, elems, NULL);
    k->decode(&run, 0.5f, HLQ_BFLOAT16, t->out.data, elems, NULL);
    k->decode_add(&run, run.base, t->acc.data);
    hlq_code_stats_add(&stats, &run);
    CHECK(stats.energy >= 0 && stats.error >= 0 && stats.largest_scale >= 0);
    CHECK(hlq_run_nonfinite(&run) <= frame->place.blocks);
    return 1;
}

/* Returns the segment's size. */
static size_t encode(const hlq_kernels *k, const hlq_frame *frame, const float *x, size_t elems,
                     uint8_t *segment)
{
    int16_t exponent[64];
    uint8_t bits[64];
    hlq_source source = {.data = x, .elems = elems};
    hlq_code_stats stats = {0};
    return segment_encode(k, frame, &source, (hlq_scratch){exponent, bits}, segment, &stats);
}

/* Damages some bytes; with a whole header, half of the time, so that the rest is read. */
static void damage(hlq_rng *rng, uint8_t *segment, size_t bytes)
{
    size_t spare = hlq_rng_below(rng, 2) ? HLQ_HEADER_BYTES : 0;
    if (spare >= bytes) return;
    for (int n = hlq_rng_between(rng, 1, 40); n; n--) {
        segment[spare + hlq_rng_below(rng, bytes - spare)] = (uint8_t)hlq_rng_next(rng);
    }
}

static void test_any_bytes_are_read_or_refused(void)
{
    hlq_rng rng = hlq_rng_new(5);
    const hlq_kernels *k = hlq_kernels_get();
    size_t taken = 0, refused = 0;
    for (int round = 0; round < 3000; round++) {
        size_t elems = 1 + hlq_rng_below(&rng, 5000);
        float x[5000];
        hlq_form form = round & 8 ? HLQ_FORM_BOUND : HLQ_FORM_RAMP;
        hlq_frame frame =
            frame_of(form, (hlq_lattice)(round % 3), elems, 1 + 11 * hlq_rng_uniform(&rng));
        frame.dithered = form == HLQ_FORM_RAMP && round / 16 % 2;
        target t = target_new(&rng, &frame, elems);
        hlq_test_case("round %d: %zu elements, %zu bytes", round, elems, frame.bytes);
        hlq_rng_fill(&rng, hlq_rng_lognormal, x, elems);
        if (round & 1) {
            frame.bytes = encode(k, &frame, x, elems, t.segment.data);
            damage(&rng, t.segment.data, frame.bytes);
        } else if (round & 2) {
            hlq_segment_header(&frame, hlq_rng_between(&rng, -HLQ_BASE_LIMIT, HLQ_BASE_LIMIT),
                               t.segment.data);
        }
        /* As a hostile sender would. */
        if (round & 6) hlq_segment_seal(&frame, t.segment.data);
        if (read_whatever(k, &frame, elems, &t)) taken++;
        else refused++;
        CHECK(hlq_guarded_intact(&t.out));
        target_free(&t);
    }
    CHECK(taken > 100 && refused > 100);
}

/* Also where the reader's and the sender's idea of the message differ in length. */
static void test_segments_of_other_frames_are_refused(void)
{
    hlq_rng rng = hlq_rng_new(6);
    for (int round = 0; round < 500; round++) {
        size_t elems = 1 + hlq_rng_below(&rng, 3000), others = 1 + hlq_rng_below(&rng, 3000);
        hlq_frame sent = frame_of(HLQ_FORM_RAMP, HLQ_LATTICE_E8, others, 4);
        hlq_frame asked = frame_of(HLQ_FORM_RAMP, HLQ_LATTICE_E8, elems, 4);
        target t = target_new(&rng, &asked, elems);
        hlq_test_case("%zu blocks sent, %zu asked for", sent.place.blocks, asked.place.blocks);
        hlq_segment_header(&sent, 0, t.segment.data);
        hlq_segment_seal(&asked, t.segment.data); /* over all that the reader has */
        int taken = read_whatever(hlq_kernels_get(), &asked, elems, &t);
        CHECK_EQ(taken, sent.place.blocks == asked.place.blocks);
        target_free(&t);
    }
}

/* All bases a reader lets in, on the smallest and the largest code: the same numbers times 2^base,
   as far as float32 goes. */
static void test_every_base_means_a_power_of_two(void)
{
    enum { ELEMS = 2 * HLQ_BLOCK_ELEMS };
    static const uint8_t code[] = {1, HLQ_CODE_TOP}, bits[] = {5, 5};
    uint8_t wide = 2;
    uint32_t side[2 * HLQ_RAMP_WORDS], planes[2 * 5 * HLQ_PLANE_WORDS];
    float at_zero[ELEMS], out[ELEMS];
    hlq_rng rng = hlq_rng_new(7);
    hlq_rng_bytes(&rng, side, sizeof side);
    hlq_rng_bytes(&rng, planes, sizeof planes);
    hlq_run run = {.place = hlq_place_all(ELEMS, SEED),
                   .code = code,
                   .bits = bits,
                   .wide = &wide,
                   .side = side,
                   .planes = planes};
    hlq_kernels_scalar.decode(&run, 1, HLQ_FLOAT32, at_zero, ELEMS, NULL);
    for (run.base = -HLQ_BASE_LIMIT; run.base <= HLQ_BASE_LIMIT; run.base++) {
        int wrong = 0;
        hlq_test_case("base %d", run.base);
        hlq_kernels_scalar.decode(&run, 1, HLQ_FLOAT32, out, ELEMS, NULL);
        for (int i = 0; i < ELEMS; i++) {
            float want = ldexpf(at_zero[i], run.base); /* denormals may round twice */
            wrong += !(out[i] == want || fabsf(out[i] - want) <= 0x1p-148f);
        }
        CHECK_EQ(wrong, 0);
    }
}

int main(void)
{
    hlq_test_start("test_segment");
    test_headers_say_what_was_meant();
    test_every_changed_byte_is_refused();
    test_dither_is_keyed_by_all_that_tells_messages_apart();
    test_checksum_is_xxh64();
    test_sizes_keep_the_budget();
    test_any_bytes_are_read_or_refused();
    test_segments_of_other_frames_are_refused();
    test_every_base_means_a_power_of_two();
    return hlq_test_end();
}
