/*
 * Packed digits: the bytes that the header promises, back again, and nothing else accepted.
 */
#include "quantizer_test.h"

static const int packed_bases[] = {
    2,   3,   4,   5,   7,   8,    9,    15,   16,   27,   63,   64,   81,    127,   128,   243,
    255, 256, 257, 511, 512, 1023, 1024, 4095, 4096, 6561, 8191, 8192, 16383, 16384, 32767, 32768};
enum { PACKED_BASES = sizeof packed_bases / sizeof *packed_bases, DIGITS_MAX = 1000 };

/* The largest k with q^k ≤ 2^64. */
static size_t word_digits(int q) { return (size_t)floor(64 / log2(q)); }

static size_t words_of(int q, size_t digits)
{
    return (digits + word_digits(q) - 1) / word_digits(q);
}

/* Word by word, Σ digit × q^i as 8 little-endian bytes. */
static void pack_by_definition(int q, const void *digits, size_t count, uint8_t *packed)
{
    const size_t k = word_digits(q);
    for (size_t w = 0; w < words_of(q, count); w++) {
        uint64_t word = 0, weight = 1;
        for (size_t i = w * k; i < count && i < (w + 1) * k; i++, weight *= (uint64_t)q) {
            word += weight * (uint64_t)digit_at(q, digits, i);
        }
        for (int i = 0; i < 8; i++) packed[8 * w + (size_t)i] = (uint8_t)(word >> 8 * i);
    }
}

static void check_round_trip(hlq_rng *rng, int q, size_t count, int largest_only)
{
    static uint8_t want[16 * DIGITS_MAX];
    const size_t bytes = count * digit_bytes_of(q), packed_bytes = 8 * words_of(q, count);
    const int side = count % 2 ? GUARD_BEFORE : GUARD_AFTER;
    hlq_guarded digits = hlq_guarded_new(bytes, side, -1), back = hlq_guarded_new(bytes, side, -1);
    hlq_guarded packed = hlq_guarded_new(packed_bytes, side, -1);
    hlq_test_case("q %d, %zu digits", q, count);

    random_digits(rng, q, digits.data, count);
    for (size_t i = 0; largest_only && i < count; i++) set_digit(q, digits.data, i, q - 1);
    CHECK_EQ(hlq_packed_bytes(q, count), packed_bytes);
    CHECK_EQ(hlq_digits_pack(q, digits.data, count, packed.data), HLQ_OK);
    pack_by_definition(q, digits.data, count, want);
    CHECK_BYTES(packed.data, want, packed_bytes);
    CHECK_EQ(hlq_digits_unpack(q, packed.data, count, back.data), HLQ_OK);
    CHECK_BYTES(back.data, digits.data, bytes);
    CHECK(hlq_guarded_intact(&packed) && hlq_guarded_intact(&back));

    hlq_guarded_free(&digits);
    hlq_guarded_free(&back);
    hlq_guarded_free(&packed);
}

static void test_digits_come_back_from_the_words_of_the_definition(void)
{
    hlq_rng rng = hlq_rng_new(1);
    for (int b = 0; b < PACKED_BASES; b++) {
        const size_t k = word_digits(packed_bases[b]);
        const size_t counts[] = {0, 1, 2, k - 1, k, k + 1, 2 * k, 3 * k + 1, 997, DIGITS_MAX};
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            check_round_trip(&rng, packed_bases[b], counts[c], 0);
            check_round_trip(&rng, packed_bases[b], counts[c], 1);
        }
    }
}

static void test_committed_bytes(void)
{
    static const uint8_t two_bits[9] = {0, 1, 2, 3, 3, 2, 1, 0, 1}, ternary[4] = {1, 2, 0, 2};
    static const uint8_t two_bits_packed[8] = {0xe4, 0x1b, 0x01}; /* 3 2 1 0 | 0 1 2 3 | 1 */
    static const uint8_t ternary_packed[8] = {1 + 2 * 3 + 0 * 9 + 2 * 27};
    static const int16_t wide[2] = {300, 1};
    static const uint8_t wide_packed[8] = {0x2c, 0x03}; /* 300 + 512 */
    uint8_t packed[8];
    CHECK_EQ(hlq_digits_pack(4, two_bits, 9, packed), HLQ_OK);
    CHECK_BYTES(packed, two_bits_packed, 8);
    CHECK_EQ(hlq_digits_pack(3, ternary, 4, packed), HLQ_OK);
    CHECK_BYTES(packed, ternary_packed, 8);
    CHECK_EQ(hlq_digits_pack(512, wide, 2, packed), HLQ_OK);
    CHECK_BYTES(packed, wide_packed, 8);
}

static void test_the_rate_is_the_promised_one(void)
{
    CHECK_EQ(hlq_packed_bytes(4, 1 << 20) * 8, 2 << 20);   /* 2 bits a digit */
    CHECK_EQ(hlq_packed_bytes(3, 40 << 10) * 8, 64 << 10); /* 1.6 */
    for (int b = 0; b < PACKED_BASES; b++) {
        const size_t k = word_digits(packed_bases[b]);
        const double bits =
            8 * (double)hlq_packed_bytes(packed_bases[b], 1000 * k) / (1000 * (double)k);
        hlq_test_case("q %d", packed_bases[b]);
        CHECK_WITHIN(bits, log2(packed_bases[b]),
                     log2(packed_bases[b]) * ((double)k + 1) / (double)k);
    }
}

static void test_bases_that_do_not_exist_are_refused(void)
{
    static const int wrong[] = {-3, 0, 1, 6, 10, 12, 254, 258, 32766, 32769, 65536, INT32_MAX};
    uint8_t digits[8] = {0}, packed[8] = {0};
    char number[16];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(number, sizeof number, "q is %d", wrong[i]);
        CHECK_EQ(hlq_packed_bytes(wrong[i], 1), 0);
        CHECK_REFUSED(hlq_digits_pack(wrong[i], digits, 1, packed), HLQ_E_INVALID, number);
        CHECK_REFUSED(hlq_digits_unpack(wrong[i], packed, 1, digits), HLQ_E_INVALID, number);
    }
}

static void test_digits_and_words_out_of_range_are_refused(void)
{
    uint8_t narrow[41] = {0}, packed[16] = {0};
    int16_t wide[3] = {0, 511, -1};
    narrow[7] = 3;
    CHECK_REFUSED(hlq_digits_pack(3, narrow, 8, packed), HLQ_E_INVALID, "digit 7 is 3");
    CHECK_EQ(hlq_digits_pack(512, wide, 2, packed), HLQ_OK);
    CHECK_REFUSED(hlq_digits_pack(512, wide, 3, packed), HLQ_E_INVALID, "digit 2 is -1");

    /* 3^40 - 1 = 0xa8b8b452291fe820 is the largest word; 3 the first of one digit too many. */
    static const uint8_t largest[8] = {0x20, 0xe8, 0x1f, 0x29, 0x52, 0xb4, 0xb8, 0xa8};
    memcpy(packed, largest, 8);
    CHECK_EQ(hlq_digits_unpack(3, packed, 40, narrow), HLQ_OK);
    for (int i = 0; i < 40; i++) CHECK_EQ(narrow[i], 2);
    packed[0]++;
    CHECK_REFUSED(hlq_digits_unpack(3, packed, 40, narrow), HLQ_E_INVALID,
                  "word 0 is 12157665459056928801");
    memset(packed, 0, sizeof packed);
    packed[8] = 3;
    CHECK_REFUSED(hlq_digits_unpack(3, packed, 41, narrow), HLQ_E_INVALID, "word 1 is 3");
}

static void test_null_is_refused_unless_there_is_nothing_to_do(void)
{
    uint8_t bytes[8] = {0};
    CHECK_REFUSED(hlq_digits_pack(4, NULL, 1, bytes), HLQ_E_INVALID, "digits is NULL");
    CHECK_REFUSED(hlq_digits_pack(4, bytes, 1, NULL), HLQ_E_INVALID, "packed is NULL");
    CHECK_REFUSED(hlq_digits_unpack(4, NULL, 1, bytes), HLQ_E_INVALID, "packed is NULL");
    CHECK_REFUSED(hlq_digits_unpack(4, bytes, 1, NULL), HLQ_E_INVALID, "digits is NULL");
    CHECK_EQ(hlq_digits_pack(4, NULL, 0, NULL), HLQ_OK);
    CHECK_EQ(hlq_digits_unpack(4, NULL, 0, NULL), HLQ_OK);
}

int main(void)
{
    hlq_test_start("test_packing");
    test_digits_come_back_from_the_words_of_the_definition();
    test_committed_bytes();
    test_the_rate_is_the_promised_one();
    test_bases_that_do_not_exist_are_refused();
    test_digits_and_words_out_of_range_are_refused();
    test_null_is_refused_unless_there_is_nothing_to_do();
    return hlq_test_end();
}
