/*
 * Committed bytes: what this version writes for fixed input, every other build, processor and
 * variant must write too. The files are in golden/ (README.md there): whole segments, and hashes of
 * what is too long to keep. HLQ_GOLDEN_WRITE=1 writes them anew, which is a change of the wire
 * version.
 *
 * Inputs are small integers times powers of two, so that no compiler's or library's mathematics
 * takes part.
 */
#include "hlq_test.h"
#include "segments.h"

#include <collective/partition.h>
#include <wire/codec.h>

#include <pthread.h>

enum { ELEMS = 1357, BLOCKS = 6, SEED = 42, BYTES_MAX = 16384, RANKS = 3, COUNT = 20011 };

static const char folder[] = HLQ_GOLDEN_FOLDER;
static int writing;

/* Files ---------------------------------------------------------------------------------------- */

static FILE *open_golden(const char *name, const char *mode)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, mode);
    if (!file) {
        fprintf(stderr, "test_golden: cannot open %s\n", path);
        exit(2);
    }
    return file;
}

static void check_file(const char *name, const void *bytes, size_t count)
{
    uint8_t golden[BYTES_MAX + 1];
    if (writing) {
        FILE *out = open_golden(name, "wb");
        CHECK_EQ(fwrite(bytes, 1, count, out), count);
        CHECK_EQ(fclose(out), 0);
    }
    FILE *in = open_golden(name, "rb");
    size_t found = fread(golden, 1, sizeof golden, in);
    fclose(in);
    if (CHECK_EQ(count, found)) {
        hlq_check_bytes(bytes, golden, count, __FILE__, __LINE__, name);
    }
}

/* FNV-1a, 64 bits. */
static uint64_t hash_of(const void *bytes, size_t count)
{
    const uint8_t *p = bytes;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < count; i++) hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

/* Lines of golden/hashes: a name and 16 hexadecimal digits. */
static void check_hash(const char *name, const void *bytes, size_t count)
{
    char line_name[128];
    uint64_t hash = hash_of(bytes, count), golden;
    if (writing) {
        FILE *out = open_golden("hashes", "a");
        fprintf(out, "%s %016" PRIx64 "\n", name, hash);
        CHECK_EQ(fclose(out), 0);
    }
    FILE *in = open_golden("hashes", "r");
    int found = 0;
    while (fscanf(in, "%127s %" SCNx64, line_name, &golden) == 2 && !found) {
        found = strcmp(line_name, name) == 0;
        if (found)
            hlq_check_eq((long long)hash, (long long)golden, __FILE__, __LINE__, name, "hash");
    }
    fclose(in);
    CHECK(found);
}

/* Inputs --------------------------------------------------------------------------------------- */

/* Bell-shaped integers of some ±1000, each block times its own power of two. */
static void fill_exact(uint64_t stream, float *x, size_t elems)
{
    hlq_rng rng = {stream};
    for (size_t i = 0; i < elems; i++) {
        int sum = 0;
        for (int j = 0; j < 4; j++) sum += hlq_rng_between(&rng, -500, 500);
        int octave = (int)(i / HLQ_BLOCK_ELEMS * 7 % 24) - 12;
        float power = octave < 0 ? 1.0f / (float)(1 << -octave) : (float)(1 << octave);
        x[i] = (float)sum * power;
    }
}

/* Blocks of numbers, zeros, one number, NaN, numbers, and part of a block of numbers. */
static void fill_input(float x[ELEMS])
{
    fill_exact(1, x, ELEMS);
    for (int i = HLQ_BLOCK_ELEMS; i < 3 * HLQ_BLOCK_ELEMS; i++) x[i] = 0;
    x[2 * HLQ_BLOCK_ELEMS + 77] = -3;
    x[3 * HLQ_BLOCK_ELEMS + 5] = NAN;
}

/* Segments ------------------------------------------------------------------------------------- */

static void check_decoded(const hlq_kernels *k, const hlq_run *run, const char *name)
{
    float out[ELEMS];
    uint16_t half[ELEMS];
    char full_name[128];
    k->decode(run, 1, HLQ_FLOAT32, out, ELEMS, NULL);
    snprintf(full_name, sizeof full_name, "%s.float32", name);
    check_hash(full_name, out, sizeof out);
    k->decode(run, 0.5f, HLQ_BFLOAT16, half, ELEMS, NULL);
    snprintf(full_name, sizeof full_name, "%s.bfloat16", name);
    check_hash(full_name, half, sizeof half);
}

static void check_segment_of(const hlq_kernels *k, hlq_frame frame, const char *name)
{
    float x[ELEMS];
    uint32_t segment[BYTES_MAX / 4];
    int16_t exponent[BLOCKS];
    uint8_t bits_of[BLOCKS];
    char error[256] = "";
    hlq_source source = {.data = x, .elems = ELEMS};
    hlq_code_stats stats = {0};
    hlq_run run;
    fill_input(x);
    hlq_test_case("%s by %s", name, k->name);
    frame.place = hlq_place_all(ELEMS, SEED);
    frame.call = 0x01020304;
    frame.bytes = segment_encode(k, &frame, &source, (hlq_scratch){exponent, bits_of},
                                 (uint8_t *)segment, &stats);
    check_file(name, segment, frame.bytes);
    CHECK_EQ(segment_read(&frame, (uint8_t *)segment, bits_of, &run, error), HLQ_OK);
    check_decoded(k, &run, name);
}

static void check_segment(const hlq_kernels *k, hlq_lattice lattice, double bits, int dithered)
{
    char name[64];
    hlq_frame frame = {.form = HLQ_FORM_RAMP,
                       .lattice = lattice,
                       .bytes = hlq_segment_bytes(HLQ_FORM_RAMP, BLOCKS, bits * ELEMS / 8, 0),
                       .dithered = dithered,
                       .sender = 5,
                       .leg = 1};
    snprintf(name, sizeof name, "%s.%gbits%s.segment", hlq_lattice_name(lattice), bits,
             dithered ? ".dithered" : "");
    check_segment_of(k, frame, name);
}

/* Few bits for the first block, more for the others, all of the last. */
static void check_bound_segment(const hlq_kernels *k, hlq_lattice lattice)
{
    char name[64];
    hlq_frame frame = {.form = HLQ_FORM_BOUND, .lattice = lattice, .allowed = 0.03125};
    snprintf(name, sizeof name, "%s.bound.segment", hlq_lattice_name(lattice));
    check_segment_of(k, frame, name);
}

/* One block of numbers, E8, in 148 bytes. */
static void check_block(const hlq_kernels *k, const float x[HLQ_BLOCK_ELEMS], const char *name)
{
    float out[HLQ_BLOCK_ELEMS];
    uint32_t segment[37];
    int16_t exponent[1];
    uint8_t bits[1];
    char error[256] = "", hash_name[64];
    hlq_frame frame = {.form = HLQ_FORM_RAMP,
                       .lattice = HLQ_LATTICE_E8,
                       .place = hlq_place_all(HLQ_BLOCK_ELEMS, SEED),
                       .call = 1,
                       .bytes = sizeof segment};
    hlq_source source = {.data = x, .elems = HLQ_BLOCK_ELEMS};
    hlq_code_stats stats = {0};
    hlq_run run;
    hlq_test_case("%s by %s", name, k->name);
    segment_encode(k, &frame, &source, (hlq_scratch){exponent, bits}, (uint8_t *)segment, &stats);
    check_file(name, segment, sizeof segment);
    CHECK_EQ(segment_read(&frame, (uint8_t *)segment, bits, &run, error), HLQ_OK);
    k->decode(&run, 1, HLQ_FLOAT32, out, HLQ_BLOCK_ELEMS, NULL);
    snprintf(hash_name, sizeof hash_name, "%s.float32", name);
    check_hash(hash_name, out, sizeof out);
}

/* A long segment, of two pieces; numbers in every 64th block and in the last, which is short. */
static void check_long(const hlq_kernels *k)
{
    enum { LONG_BLOCKS = HLQ_PIECE_BLOCKS + 5, LONG_ELEMS = LONG_BLOCKS * HLQ_BLOCK_ELEMS - 100 };
    static float x[LONG_ELEMS], out[LONG_ELEMS];
    static int16_t exponent[LONG_BLOCKS];
    static uint8_t bits[LONG_BLOCKS];
    static uint32_t segment[BYTES_MAX / 4];
    char error[256] = "";
    hlq_run run;
    hlq_code_stats stats = {0};
    hlq_source source = {.data = x, .elems = LONG_ELEMS};
    hlq_frame frame = {.form = HLQ_FORM_RAMP,
                       .lattice = HLQ_LATTICE_E8,
                       .place = hlq_place_all(LONG_ELEMS, SEED),
                       .call = 0x01020304,
                       .bytes = 4000};
    fill_exact(3, x, LONG_ELEMS);
    for (size_t b = 0; b < LONG_BLOCKS - 1; b++) {
        for (size_t i = 0; i < HLQ_BLOCK_ELEMS && b % 64; i++) x[b * HLQ_BLOCK_ELEMS + i] = 0;
    }
    hlq_test_case("long segment by %s", k->name);
    segment_encode(k, &frame, &source, (hlq_scratch){exponent, bits}, (uint8_t *)segment, &stats);
    check_hash("E8.long.segment", segment, frame.bytes);
    hlq_reader r;
    hlq_reader_begin(&r, &frame, (uint8_t *)segment, bits);
    CHECK_EQ(hlq_reader_open(&r, frame.bytes, error), HLQ_OK);
    while (!hlq_reader_is_done(&r)) {
        if (!CHECK_EQ(hlq_reader_next(&r, &run, error), HLQ_OK)) break;
        k->decode(&run, 1, HLQ_FLOAT32, out, LONG_ELEMS, NULL);
    }
    check_hash("E8.long.segment.float32", out, sizeof out);
}

/* The example of docs/wire-format.md: 0 … 255; and its own signs, whose energy the rotation puts
   into one number: a wide block. */
static void check_blocks(const hlq_kernels *k)
{
    float x[HLQ_BLOCK_ELEMS];
    hlq_rng rng = {SEED};
    uint64_t signs = 0;
    for (int i = 0; i < HLQ_BLOCK_ELEMS; i++) x[i] = (float)i;
    check_block(k, x, "example.segment");
    for (int i = 0; i < HLQ_BLOCK_ELEMS; i++) {
        if (i % 64 == 0) signs = hlq_rng_next(&rng);
        x[i] = signs >> i % 64 & 1 ? -1.0f : 1.0f;
    }
    check_block(k, x, "wide.segment");
}

/* Both ranks' exponents, the larger of each block: zero is the smallest, non-finite the largest. */
static int agree(const hlq_kernels *k, const hlq_place *place, float x[2][ELEMS], uint8_t *code)
{
    int16_t exponent[2][BLOCKS];
    for (int rank = 0; rank < 2; rank++) {
        hlq_source source = {.data = x[rank], .elems = ELEMS};
        k->exponents(place, &source, exponent[rank]);
    }
    for (int b = 0; b < BLOCKS; b++) {
        if (exponent[1][b] > exponent[0][b]) exponent[0][b] = exponent[1][b];
    }
    int base = hlq_base_of_exponents(HLQ_FLOAT32, exponent[0], BLOCKS);
    hlq_codes_from_exponents(exponent[0], BLOCKS, base, code);
    return base;
}

/* Side words and planes of a modular run of 5 bits, and of its sum with another rank's. */
static void check_modular(const hlq_kernels *k, hlq_lattice lattice)
{
    enum { BITS = 5, WORDS = BLOCKS * (1 + BITS * HLQ_PLANE_WORDS) };
    float x[2][ELEMS];
    uint32_t words[2][WORDS] = {{0}, {0}};
    uint8_t code[BLOCKS], bits[BLOCKS];
    char name[64];
    hlq_run run[2];
    hlq_place place = hlq_place_all(ELEMS, SEED);
    fill_input(x[0]);
    fill_exact(2, x[1], ELEMS);
    int base = agree(k, &place, x, code);
    for (int b = 0; b < BLOCKS; b++) bits[b] = code[b] % HLQ_CODE_NONFINITE ? BITS : 0;
    for (int rank = 0; rank < 2; rank++) {
        hlq_source source = {.data = x[rank], .elems = ELEMS};
        run[rank] = (hlq_run){.place = place,
                              .lattice = lattice,
                              .base = base,
                              .modular = 1,
                              .spread = 12,
                              .code = code,
                              .bits = bits,
                              .side = words[rank],
                              .planes = words[rank] + BLOCKS};
        k->encode(&run[rank], &source);
    }
    snprintf(name, sizeof name, "%s.5bits.modular", hlq_lattice_name(lattice));
    hlq_test_case("%s by %s", name, k->name);
    check_file(name, words[0], sizeof words[0]);
    k->planes_add(&run[0], &run[1]);
    snprintf(name, sizeof name, "%s.5bits.modular-sum", hlq_lattice_name(lattice));
    check_hash(name, words[0], sizeof words[0]);
    check_decoded(k, &run[0], name);
}

static void check_variant(const hlq_kernels *k)
{
    for (hlq_lattice lattice = HLQ_LATTICE_E8; lattice <= HLQ_LATTICE_Z; lattice++) {
        check_segment(k, lattice, 3, 0);
        check_segment(k, lattice, 4.5, 0);
        check_modular(k, lattice);
        check_bound_segment(k, lattice);
    }
    check_blocks(k);
    for (hlq_lattice lattice = HLQ_LATTICE_E8; lattice <= HLQ_LATTICE_Z; lattice++) {
        check_segment(k, lattice, 4.5, 1);
    }
    check_long(k);
}

/* All-reduce ----------------------------------------------------------------------------------- */

static hlq_thread_group *group;
static hlq_algorithm algorithm;
static float result[RANKS][COUNT];

static void *run_rank(void *arg)
{
    int rank = (int)(intptr_t)arg;
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_comm *comm = NULL;
    hlq_test_case("%s, rank %d", hlq_algorithm_name(algorithm), rank);
    options.algorithm = algorithm;
    options.seed = SEED;
    fill_exact((uint64_t)(10 + rank), result[rank], COUNT);
    if (CHECK_EQ(hlq_comm_create_threads(group, rank, &options, &comm), HLQ_OK)) {
        CHECK_EQ(hlq_all_reduce(comm, result[rank], result[rank], COUNT, HLQ_FLOAT32, HLQ_AVG, NULL,
                                NULL),
                 HLQ_OK);
    }
    hlq_comm_destroy(comm);
    return NULL;
}

static void check_all_reduce(void)
{
    for (algorithm = HLQ_ALG_TWOSHOT; algorithm <= HLQ_ALG_NATIVE; algorithm++) {
        pthread_t thread[RANKS];
        char name[64];
        CHECK_EQ(hlq_thread_group_create(RANKS, &group), HLQ_OK);
        for (intptr_t rank = 0; rank < RANKS; rank++) {
            CHECK_EQ(pthread_create(&thread[rank], NULL, run_rank, (void *)rank), 0);
        }
        for (int rank = 0; rank < RANKS; rank++) pthread_join(thread[rank], NULL);
        hlq_thread_group_destroy(group);
        snprintf(name, sizeof name, "all-reduce.3ranks.%s", hlq_algorithm_name(algorithm));
        hlq_test_case("%s", name);
        for (int rank = 1; rank < RANKS; rank++) {
            CHECK_BYTES(result[rank], result[0], sizeof result[0]);
        }
        check_hash(name, result[0], sizeof result[0]);
    }
}

int main(void)
{
    const char *write = getenv("HLQ_GOLDEN_WRITE");
    const hlq_kernels *k;
    int supported;
    hlq_test_start("test_golden");
    writing = write && strcmp(write, "1") == 0;
    if (writing) fclose(open_golden("hashes", "w"));
    check_all_reduce();
    check_variant(&hlq_kernels_scalar);
    writing = 0;
    for (int i = 0; (k = hlq_kernels_at(i, &supported)); i++) {
        if (supported) check_variant(k);
    }
    return hlq_test_end();
}
