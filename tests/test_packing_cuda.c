/*
 * Packed digits and nearest points on tensors of a GPU: the host's, bit by bit; what is invalid
 * stays so, and is counted. On stand-ins and the emulated warp, and on a GPU.
 */
#include "quantizer_test.h"
#include "gpu_kernels.h"
#include "quantizer_gpu.h"

#include <hlqcomm/cuda.h>

enum { DIGITS_MAX = 5000, VECTORS_MAX = 300 };

static pair gpu;

/* Packed digits -------------------------------------------------------------------------------- */

/* Of one base and length, here and there; one place more shows that nobody writes there. */
typedef struct packing {
    int q;
    size_t count, bytes, packed_bytes;
    uint16_t digits[DIGITS_MAX + 1];
    uint64_t words[DIGITS_MAX + 1];
    void *digits_there;
    void *words_there;
    uint64_t *invalid;
} packing;

static size_t word_digits(int q) { return (size_t)floor(64 / log2(q)); }

static void packing_open(packing *p, hlq_rng *rng, int q, size_t count)
{
    p->q = q;
    p->count = count;
    p->bytes = count * digit_bytes_of(q);
    p->packed_bytes = hlq_packed_bytes(q, count);
    memset(p->digits, 0x55, sizeof p->digits);
    memset(p->words, 0x55, sizeof p->words);
    random_digits(rng, q, p->digits, count);
    CHECK_EQ(hlq_digits_pack(q, p->digits, count, p->words), HLQ_OK);
    p->digits_there = filled(0x55, p->bytes + 2);
    p->words_there = filled(0x55, p->packed_bytes + 8);
    p->invalid = filled(0, sizeof *p->invalid);
}

static void packing_close(packing *p)
{
    pair_free(p->digits_there);
    pair_free(p->words_there);
    pair_free(p->invalid);
}

static void check_packed(packing *p, uint64_t invalid)
{
    pair_put(p->digits_there, p->digits, p->bytes);
    CHECK_EQ(hlq_cuda_digits_pack(p->q, p->digits_there, p->count, p->words_there, p->invalid,
                                  gpu.stream),
             HLQ_OK);
    pair_synchronize(&gpu);
    check_device(p->words_there, p->words, p->packed_bytes + 8, "packed digits");
    check_counter(p->invalid, invalid);
}

static void check_unpacked(packing *p, uint64_t invalid)
{
    pair_put(p->words_there, p->words, p->packed_bytes);
    CHECK_EQ(hlq_cuda_digits_unpack(p->q, p->words_there, p->count, p->digits_there, p->invalid,
                                    gpu.stream),
             HLQ_OK);
    pair_synchronize(&gpu);
    check_device(p->digits_there, p->digits, p->bytes + 2, "digits");
    check_counter(p->invalid, invalid);
}

static const int packed_bases[] = {2,   3,   4,   5,   7,   8,    9,    15,   16,   63,    128,
                                   255, 256, 257, 511, 512, 1024, 4095, 6561, 8192, 32767, 32768};
enum { PACKED_BASES = sizeof packed_bases / sizeof *packed_bases };

static void for_each_packing(void (*check)(hlq_rng *rng, packing *p))
{
    static packing p;
    hlq_rng rng = hlq_rng_new(1);
    for (int b = 0; b < PACKED_BASES; b++) {
        const size_t k = word_digits(packed_bases[b]);
        const size_t counts[] = {0, 1, k - 1, k, k + 1, 31 * k, 32 * k, 32 * k + 1, 97 * k - 1};
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            const size_t count = counts[c] < DIGITS_MAX ? counts[c] : DIGITS_MAX;
            hlq_test_case("q %d, %zu digits", packed_bases[b], count);
            packing_open(&p, &rng, packed_bases[b], count);
            check(&rng, &p);
            packing_close(&p);
        }
    }
}

static void check_both_ways(hlq_rng *rng, packing *p)
{
    (void)rng;
    check_packed(p, 0);
    pair_free(p->digits_there);
    p->digits_there = filled(0x55, p->bytes + 2);
    check_unpacked(p, 0);
}

/* A word in which all bits are one, for a digit that is none. */
static void check_wrong_digits(hlq_rng *rng, packing *p)
{
    const size_t k = word_digits(p->q);
    if (!p->count || p->q == 256) return;
    for (int i = 0; i < 2; i++) {
        const size_t at = hlq_rng_below(rng, p->count);
        set_digit(p->q, p->digits, at, hlq_rng_between(rng, 0, 1) && p->q < 32768 ? p->q : -1);
        p->words[at / k] = UINT64_MAX;
    }
    uint64_t wrong = 0;
    for (size_t w = 0; w < p->packed_bytes / 8; w++) {
        int is_wrong = 0;
        for (size_t i = w * k; i < p->count && i < (w + 1) * k; i++) {
            const int digit = digit_at(p->q, p->digits, i);
            is_wrong |= digit < 0 || digit >= p->q;
        }
        wrong += (uint64_t)is_wrong;
    }
    check_packed(p, wrong);
}

/* Digits in which all bits are one, for a word that is none: the last one always can be. */
static void check_wrong_words(hlq_rng *rng, packing *p)
{
    const size_t k = word_digits(p->q), words = p->packed_bytes / 8;
    uint64_t wrong = 0;
    (void)rng;
    for (size_t w = 0; w < words; w++) {
        const size_t n = p->count - w * k < k ? p->count - w * k : k;
        uint64_t weight = 1; /* q^n, or 0 for 2^64 */
        for (size_t i = 0; i < n; i++) weight *= (uint64_t)p->q;
        if (w % 3 == 1 || !weight) continue;
        p->words[w] = w % 3 ? UINT64_MAX : weight;
        for (size_t i = 0; i < n; i++) set_digit(p->q, p->digits, w * k + i, -1);
        wrong++;
    }
    check_unpacked(p, wrong);
}

static void test_words_are_the_hosts(void) { for_each_packing(check_both_ways); }
static void test_digits_that_are_none_are_counted(void) { for_each_packing(check_wrong_digits); }
static void test_words_that_are_none_become_no_digits(void) { for_each_packing(check_wrong_words); }

/* Nearest points ------------------------------------------------------------------------------- */

/* Of vectors of all sizes, ties among them; every now and then one that has none. */
static uint64_t fill(hlq_rng *rng, int dim, size_t vectors, float *x, float *known, int *lost)
{
    const float beyond[] = {NAN, INFINITY, -0x1p20f, 3e38f};
    uint64_t count = 0;
    for (size_t i = 0; i < vectors * (size_t)dim; i++) {
        x[i] = (float)(hlq_rng_gauss(rng) * exp2(hlq_rng_between(rng, -3, 16)));
        if (hlq_rng_between(rng, 0, 2) == 0) x[i] = (float)(rint(2 * x[i]) / 2);
        if (hlq_rng_between(rng, 0, 99) == 0) x[i] = 0x1.fffffep19f;
    }
    memcpy(known, x, vectors * (size_t)dim * sizeof *x);
    for (size_t v = 0; v < vectors; v++) {
        lost[v] = hlq_rng_below(rng, 30) == 0;
        count += (uint64_t)lost[v];
        if (!lost[v]) continue;
        x[v * (size_t)dim + hlq_rng_below(rng, (uint64_t)dim)] = beyond[hlq_rng_below(rng, 4)];
        memset(known + v * (size_t)dim, 0, (size_t)dim * sizeof *known);
    }
    return count;
}

static void check_nearest(hlq_rng *rng, hlq_lattice lattice, int dim, size_t vectors)
{
    static float x[VECTORS_MAX * D], known[VECTORS_MAX * D], want[VECTORS_MAX * D + 1];
    static int lost[VECTORS_MAX];
    const size_t numbers = vectors * (size_t)dim, bytes = numbers * sizeof *x;
    const uint64_t count = fill(rng, dim, vectors, x, known, lost);
    hlq_test_case("%s, dim %d, %zu vectors", hlq_lattice_name(lattice), dim, vectors);
    CHECK_EQ(hlq_lattice_nearest(lattice, dim, known, vectors, want), HLQ_OK);
    for (size_t i = 0; i < numbers; i++) {
        if (lost[i / (size_t)dim]) want[i] = NAN;
    }
    memset(want + numbers, 0x55, sizeof *want);
    float *from = copied(x, bytes), *point = filled(0x55, bytes + sizeof *want);
    uint64_t *invalid = filled(0, sizeof *invalid);
    CHECK_EQ(hlq_cuda_nearest(lattice, dim, from, vectors, point, invalid, gpu.stream), HLQ_OK);
    pair_synchronize(&gpu);
    check_device(point, want, bytes + sizeof *want, "nearest points");
    check_counter(invalid, count);
    pair_capture(&gpu);
    CHECK_EQ(hlq_cuda_nearest(lattice, dim, from, vectors, from, NULL, gpu.stream), HLQ_OK);
    void *graph = pair_captured(&gpu);
    pair_launch(&gpu, graph);
    pair_synchronize(&gpu);
    pair_graph_free(graph);
    check_device(from, want, bytes, "nearest points, in place");
    pair_free(from);
    pair_free(point);
    pair_free(invalid);
}

static void test_nearest_points_are_the_hosts(void)
{
    static const size_t counts[] = {0, 1, 31, 32, 33, 64, 255, 257, VECTORS_MAX};
    hlq_rng rng = hlq_rng_new(2);
    for (int l = 0; l < LATTICES; l++) {
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            check_nearest(&rng, lattice_of[l].lattice, lattice_of[l].dim, counts[c]);
        }
    }
}

int main(void)
{
    hlq_test_start("test_packing_cuda");
    hlq_skip_without_gpu();
    gpu_open(&gpu);
    test_words_are_the_hosts();
    test_digits_that_are_none_are_counted();
    test_words_that_are_none_become_no_digits();
    test_nearest_points_are_the_hosts();
    gpu_close(&gpu);
    return hlq_test_end();
}
