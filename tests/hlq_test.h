/*
 * What every C test is written with: checks that tell what they saw, random numbers that can be
 * replayed, memory that ends where its owner said. Header only: a test is one .c file and
 *
 *     int main(void)
 *     {
 *         hlq_test_start("test_plan");
 *         hlq_rng rng = hlq_rng_new(0);
 *         ...
 *         hlq_test_case("bits %d, %s", bits, name);      printed with the checks that fail in it
 *         if (!CHECK(plan.coded <= blocks)) return;
 *         CHECK_EQ(plan.planes, sum);
 *         ...
 *         return hlq_test_end();
 *     }
 *
 * Checks stay on in every build type, may run in any thread, and tell by their value if they held.
 * A test goes on after a failure, up to FAILURES_SHOWN of them. The seed is 1 unless the
 * environment variable HLQ_SEED holds another number: a run can be replayed, and others tried.
 */
#ifndef HLQ_TEST_H
#define HLQ_TEST_H

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FAILURES_SHOWN = 20, CASE_BYTES = 320 };

static const char *test_name = "test";
static uint64_t test_seed = 1;
static atomic_ullong test_checks, test_failures;
static _Thread_local char test_case[CASE_BYTES];

#define HLQ_PRINTF(text, first) __attribute__((format(printf, text, first)))

/* Life of a test ------------------------------------------------------------------------------- */

static inline void hlq_test_start(const char *name)
{
    const char *seed = getenv("HLQ_SEED");
    char *end = NULL;
    test_name = name;
    setenv("HLQ_PROBE", "off", 0); /* or the algorithm of AUTO would depend on the machine */
    if (!seed) return;
    test_seed = strtoull(seed, &end, 0);
    if (end == seed || *end) {
        fprintf(stderr, "%s: HLQ_SEED is \"%s\"; it must be a whole number\n", name, seed);
        exit(2);
    }
}

/* The exit status of main. */
static inline int hlq_test_end(void)
{
    printf("%s: %llu checks, %llu failed, HLQ_SEED=%" PRIu64 "\n", test_name, test_checks,
           test_failures, test_seed);
    if (!test_checks) fprintf(stderr, "%s: nothing was checked\n", test_name);
    return test_failures || !test_checks;
}

/* Sanitizers look at memory and at how ranks meet, not at numbers, and take ten to fifty times as
   long: under them, tests of many cases do with fewer. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { FEWER_CASES = 1 };
#else
enum { FEWER_CASES = 0 };
#endif

/* From one of many cases to the next that is tried: 1; or 16 where HLQ_FEWER is in the environment,
   for compute-sanitizer, which is slow. */
static inline int hlq_test_stride(void) { return getenv("HLQ_FEWER") ? 16 : 1; }

/* What this thread is testing from now on. */
HLQ_PRINTF(1, 2) static inline void hlq_test_case(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(test_case, sizeof test_case, format, args);
    va_end(args);
}

HLQ_PRINTF(3, 4)
static inline void hlq_test_fail(const char *file, int line, const char *format, ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    unsigned long long failures = ++test_failures;
    fprintf(stderr, "%s:%d: %s%s%s%s\n", file, line, what, *test_case ? " [" : "", test_case,
            *test_case ? "]" : "");
    if (failures >= FAILURES_SHOWN) {
        fprintf(stderr, "%s: %d checks failed, stopping; HLQ_SEED=%" PRIu64 "\n", test_name,
                FAILURES_SHOWN, test_seed);
        _Exit(1);
    }
}

/* Checks --------------------------------------------------------------------------------------- */

static inline int hlq_check(int ok, const char *file, int line, const char *text)
{
    test_checks++;
    if (!ok) hlq_test_fail(file, line, "%s does not hold", text);
    return ok;
}

static inline int hlq_check_eq(long long got, long long want, const char *file, int line,
                               const char *got_text, const char *want_text)
{
    test_checks++;
    if (got != want) {
        hlq_test_fail(file, line, "%s is %lld (0x%llx), not %s = %lld (0x%llx)", got_text, got,
                      (unsigned long long)got, want_text, want, (unsigned long long)want);
    }
    return got == want;
}

static inline int hlq_check_within(double got, double low, double high, const char *file, int line,
                                   const char *text)
{
    int ok = got >= low && got <= high; /* NaN is nowhere */
    test_checks++;
    if (!ok) hlq_test_fail(file, line, "%s is %.9g, outside %.9g … %.9g", text, got, low, high);
    return ok;
}

static inline int hlq_check_str(const char *got, const char *want, const char *file, int line,
                                const char *text)
{
    int ok = got && want ? strcmp(got, want) == 0 : got == want;
    test_checks++;
    if (!ok) {
        hlq_test_fail(file, line, "%s is \"%s\", not \"%s\"", text, got ? got : "(NULL)",
                      want ? want : "(NULL)");
    }
    return ok;
}

static inline int hlq_check_bytes(const void *got, const void *want, size_t bytes, const char *file,
                                  int line, const char *text)
{
    const unsigned char *g = got, *w = want;
    test_checks++;
    if (!bytes || memcmp(g, w, bytes) == 0) return 1;
    size_t i = 0, differ = 0;
    while (g[i] == w[i]) i++;
    for (size_t j = i; j < bytes; j++) differ += g[j] != w[j];
    hlq_test_fail(file, line, "%s: %zu of %zu bytes differ, first byte %zu: 0x%02x, not 0x%02x",
                  text, differ, bytes, i, g[i], w[i]);
    return 0;
}

#define CHECK(condition) hlq_check((condition) != 0, __FILE__, __LINE__, #condition)
/* Integers. */
#define CHECK_EQ(got, want)                                                                        \
    hlq_check_eq((long long)(got), (long long)(want), __FILE__, __LINE__, #got, #want)
/* low ≤ got ≤ high, as doubles. */
#define CHECK_WITHIN(got, low, high)                                                               \
    hlq_check_within((double)(got), (double)(low), (double)(high), __FILE__, __LINE__, #got)
#define CHECK_AT_MOST(got, high) CHECK_WITHIN(got, -HUGE_VAL, high)
/* Strings; NULL equals NULL alone. */
#define CHECK_STR(got, want) hlq_check_str(got, want, __FILE__, __LINE__, #got)
#define CHECK_BYTES(got, want, bytes)                                                              \
    hlq_check_bytes(got, want, bytes, __FILE__, __LINE__, #got " against " #want)

/* Random numbers: splitmix64 ------------------------------------------------------------------- */

typedef struct hlq_rng {
    uint64_t state;
} hlq_rng;

/* Streams of one seed are independent: give every rank or part of a test its own. */
static inline hlq_rng hlq_rng_new(uint64_t stream)
{
    return (hlq_rng){test_seed * 0xd1342543de82ef95u + stream * 0xaef17502108ef2d9u};
}

static inline uint64_t hlq_rng_next(hlq_rng *rng)
{
    uint64_t z = rng->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* 0 … n-1; n at least 1 and small against 2^64. */
static inline uint64_t hlq_rng_below(hlq_rng *rng, uint64_t n) { return hlq_rng_next(rng) % n; }

static inline int hlq_rng_between(hlq_rng *rng, int low, int high)
{
    return low + (int)hlq_rng_below(rng, (uint64_t)(high - low + 1));
}

static inline void hlq_rng_shuffle(hlq_rng *rng, int *a, int n)
{
    for (int i = n - 1; i > 0; i--) {
        int j = hlq_rng_between(rng, 0, i), t = a[i];
        a[i] = a[j], a[j] = t;
    }
}

/* Uniform in (0, 1). */
static inline double hlq_rng_uniform(hlq_rng *rng)
{
    return ((double)(hlq_rng_next(rng) >> 12) + 0.5) / 4503599627370496.0;
}

static inline double hlq_rng_gauss(hlq_rng *rng)
{
    double radius = sqrt(-2 * log(hlq_rng_uniform(rng)));
    return radius * cos(6.283185307179586 * hlq_rng_uniform(rng));
}

static inline double hlq_rng_laplace(hlq_rng *rng)
{
    double u = hlq_rng_uniform(rng) - 0.5;
    return u < 0 ? log(1 + 2 * u) : -log(1 - 2 * u);
}

/* Gaussian numbers whose size varies over e^±2 from one to the next, as gradients' do. */
static inline double hlq_rng_lognormal(hlq_rng *rng)
{
    double size = exp(2 * hlq_rng_gauss(rng));
    return size * hlq_rng_gauss(rng);
}

static inline void hlq_rng_bytes(hlq_rng *rng, void *p, size_t bytes)
{
    unsigned char *at = p;
    for (size_t i = 0; i < bytes; i++) at[i] = (unsigned char)hlq_rng_next(rng);
}

typedef double hlq_distribution(hlq_rng *rng);

static inline void hlq_rng_fill(hlq_rng *rng, hlq_distribution *distribution, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = (float)distribution(rng);
}

/* bfloat16 ------------------------------------------------------------------------------------- */

static inline float hlq_float_of_bfloat16(uint16_t b)
{
    uint32_t u = (uint32_t)b << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* To nearest, ties to even; any NaN becomes 0x7fc0. */
static inline uint16_t hlq_bfloat16_of_float(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    if (isnan(f)) return 0x7fc0;
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* Guarded memory ------------------------------------------------------------------------------- */

/*
 * Memory between two pages that nobody may touch: a read or write beyond is a crash. Where
 * alignment leaves a few bytes between the data and a page, they hold a pattern that
 * hlq_guarded_intact checks.
 */
typedef struct hlq_guarded {
    void *data;
    size_t bytes;
    unsigned char *map;
    size_t map_bytes;
} hlq_guarded;

enum { GUARD_PATTERN = 0xa5, GUARD_AFTER = 1, GUARD_BEFORE = 2 };

/* `side`: which guard the data touches: GUARD_BEFORE or GUARD_AFTER, but for the fewest bytes that
   make its address `misalign` modulo 16; with misalign < 0 not even these. */
static inline hlq_guarded hlq_guarded_new(size_t bytes, int side, int misalign)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t inner = (bytes + 16 + page - 1) / page * page;
    hlq_guarded g = {.bytes = bytes, .map_bytes = inner + 2 * page};
    void *map = mmap(NULL, g.map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect((char *)map + page, inner, PROT_READ | PROT_WRITE) != 0) {
        fprintf(stderr, "%s: no memory for a guarded buffer of %zu bytes\n", test_name, bytes);
        exit(2);
    }
    g.map = map;
    memset(g.map + page, GUARD_PATTERN, inner);
    size_t start = side == GUARD_BEFORE ? 0 : inner - bytes, want = (size_t)misalign & 15;
    if (misalign >= 0) {
        while (start % 16 != want) start += side == GUARD_BEFORE ? 1 : (size_t)-1;
    }
    g.data = g.map + page + start;
    return g;
}

/* Whether nothing was written between the data and the guards. */
static inline int hlq_guarded_intact(const hlq_guarded *g)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const unsigned char *data = g->data;
    for (const unsigned char *p = g->map + page; p < data; p++) {
        if (*p != GUARD_PATTERN) return 0;
    }
    for (const unsigned char *p = data + g->bytes; p < g->map + g->map_bytes - page; p++) {
        if (*p != GUARD_PATTERN) return 0;
    }
    return 1;
}

static inline void hlq_guarded_free(hlq_guarded *g)
{
    munmap(g->map, g->map_bytes);
    *g = (hlq_guarded){0};
}

#endif
