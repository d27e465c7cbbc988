/*
 * Statistics as text and as JSON: every field is there, as it was, whatever it holds; short buffers
 * get the beginning; no locale shows.
 */
#include "hlq_test.h"
#include "ranks.h"

#include <hlqcomm/stats.h>

#include <locale.h>

/* A reader of one flat JSON object ----------------------------------------------------------- */

enum { MEMBERS_MAX = 32, TOKEN_BYTES = 48 };

typedef struct object {
    int members; /* -1: not JSON */
    char key[MEMBERS_MAX][TOKEN_BYTES], value[MEMBERS_MAX][TOKEN_BYTES];
} object;

static const char *skip_spaces(const char *at) { return at + strspn(at, " \t\n"); }

/* A text in quotes without escapes, quotes left out. */
static const char *read_text(const char *at, char *token)
{
    size_t length = *at == '"' ? strcspn(at + 1, "\"\\") : 0;
    if (*at != '"' || length >= TOKEN_BYTES || at[1 + length] != '"') return NULL;
    memcpy(token, at + 1, length);
    token[length] = '\0';
    return at + length + 2;
}

/* Whether it is -?digits(.digits)?([eE][+-]?digits)?, as JSON wants numbers. */
static int is_number(const char *t)
{
    static const char digits[] = "0123456789";
    t += *t == '-';
    if (!strspn(t, digits) || (t[0] == '0' && strspn(t, digits) > 1)) return 0;
    t += strspn(t, digits);
    if (*t == '.') {
        if (!strspn(++t, digits)) return 0;
        t += strspn(t, digits);
    }
    if (*t == 'e' || *t == 'E') {
        t += t[1] == '+' || t[1] == '-' ? 2 : 1;
        if (!strspn(t, digits)) return 0;
        t += strspn(t, digits);
    }
    return !*t;
}

static const char *read_value(const char *at, char *token)
{
    if (*at == '"') return read_text(at, token);
    size_t length = strcspn(at, ",}");
    if (!length || length >= TOKEN_BYTES) return NULL;
    memcpy(token, at, length);
    token[length] = '\0';
    return is_number(token) || !strcmp(token, "null") ? at + length : NULL;
}

static object read_object(const char *at)
{
    object o = {.members = 0}, bad = {.members = -1};
    at = skip_spaces(at);
    if (*at != '{') return bad;
    do {
        if (o.members == MEMBERS_MAX) return bad;
        at = read_text(skip_spaces(at + 1), o.key[o.members]);
        if (!at || *(at = skip_spaces(at)) != ':') return bad;
        at = read_value(skip_spaces(at + 1), o.value[o.members++]);
        if (!at) return bad;
        at = skip_spaces(at);
    } while (*at == ',');
    return *at == '}' && !*skip_spaces(at + 1) ? o : bad;
}

static const char *value_of(const object *o, const char *key)
{
    for (int i = 0; i < o->members; i++) {
        if (!strcmp(o->key[i], key)) return o->value[i];
    }
    return "(missing)";
}

/* JSON --------------------------------------------------------------------------------------- */

#define INTEGERS(X)                                                                                \
    X(calls)                                                                                       \
    X(count)                                                                                       \
    X(bytes_sent)                                                                                  \
    X(bytes_received)                                                                              \
    X(control_bytes)                                                                               \
    X(overloads)                                                                                   \
    X(retries)                                                                                     \
    X(nonfinite_blocks)

#define REALS(X)                                                                                   \
    X(bits)                                                                                        \
    X(bits_per_elem)                                                                               \
    X(seconds)                                                                                     \
    X(seconds_encode)                                                                              \
    X(seconds_exchange)                                                                            \
    X(seconds_reduce)                                                                              \
    X(seconds_decode)                                                                              \
    X(vnmse_estimate)                                                                              \
    X(largest_scale)

static double draw_real(hlq_rng *rng)
{
    static const double special[] = {0, -0.0, NAN, INFINITY, -INFINITY, 5e-324, 1e308, 1, 0.1};
    int drawn = hlq_rng_between(rng, 0, 17);
    return drawn < 9 ? special[drawn] : ldexp(hlq_rng_gauss(rng), hlq_rng_between(rng, -99, 99));
}

static hlq_stats draw_stats(hlq_rng *rng)
{
    hlq_stats s = {.struct_bytes = sizeof s};
    s.operation = (hlq_operation)hlq_rng_below(rng, 4);
    s.algorithm = (hlq_algorithm)hlq_rng_below(rng, 5);
#define DRAW(field) s.field = hlq_rng_next(rng) >> hlq_rng_below(rng, 64);
    INTEGERS(DRAW)
#undef DRAW
#define DRAW(field) s.field = draw_real(rng);
    REALS(DRAW)
#undef DRAW
    return s;
}

static void check_integer(const object *o, const char *key, uint64_t want)
{
    CHECK(strtoull(value_of(o, key), NULL, 10) == want && is_number(value_of(o, key)));
}

static void check_real(const object *o, const char *key, double want)
{
    const char *value = value_of(o, key);
    if (!isfinite(want)) CHECK_STR(value, "null");
    else CHECK(is_number(value) && strtod(value, NULL) == want);
}

static void json_holds_every_field(void)
{
    hlq_rng rng = hlq_rng_new(0);
    for (int i = 0; i < 2000; i++) {
        hlq_stats s = draw_stats(&rng);
        char text[HLQ_STATS_TEXT_BYTES];
        int length = hlq_stats_json(&s, text, sizeof text);
        hlq_test_case("%s", length > 0 ? text : "nothing");
        CHECK_EQ(length, strlen(text));
        object o = read_object(text);
        /* Three of 4 bytes and what aligns the rest, then 8 bytes each. */
        CHECK_EQ(16 + 8 * (o.members - 2), sizeof s);
        CHECK_STR(value_of(&o, "operation"), hlq_operation_name(s.operation));
        CHECK_STR(value_of(&o, "algorithm"), hlq_algorithm_name(s.algorithm));
#define LOOK(field) check_integer(&o, #field, s.field);
        INTEGERS(LOOK)
#undef LOOK
#define LOOK(field) check_real(&o, #field, s.field);
        REALS(LOOK)
#undef LOOK
    }
}

static void names_that_do_not_exist_are_null(void)
{
    hlq_stats s = {.struct_bytes = sizeof s};
    char text[HLQ_STATS_TEXT_BYTES];
    s.operation = (hlq_operation)77;
    s.algorithm = (hlq_algorithm)77;
    CHECK(hlq_stats_json(&s, text, sizeof text) > 0);
    object o = read_object(text);
    CHECK_STR(value_of(&o, "operation"), "null");
    CHECK_STR(value_of(&o, "algorithm"), "null");
    CHECK(hlq_stats_text(&s, text, sizeof text) > 0 && strstr(text, "unknown"));
}

/* Text --------------------------------------------------------------------------------------- */

static void text_has_units(void)
{
    const hlq_stats s = {
        .struct_bytes = sizeof s,
        .operation = HLQ_REDUCE_SCATTER,
        .algorithm = HLQ_ALG_MODQ,
        .calls = 7,
        .count = 1048576,
        .bytes_sent = 1536,
        .bytes_received = 3 << 20,
        .control_bytes = 480,
        .bits_per_elem = 3.96875,
        .seconds = 2,
        .seconds_encode = 0.0015,
        .seconds_exchange = 25e-6,
        .seconds_reduce = 0.25,
        .vnmse_estimate = 0.00125,
        .largest_scale = 0.5,
        .overloads = 11,
        .retries = 2,
        .nonfinite_blocks = 3,
    };
    char text[HLQ_STATS_TEXT_BYTES];
    CHECK(hlq_stats_text(&s, text, sizeof text) > 0);
    CHECK_STR(text, "reduce_scatter 7: modq, 1048576 elements, 2 s (encode 1.5 ms, exchange 25 us, "
                    "reduce 250 ms, decode 0 us), sent 1.5 KiB, received 3 MiB, control 480 B, "
                    "3.97 bits per element, vNMSE about 0.00125, largest scale 0.5, 11 overloads, "
                    "2 retries, 3 NaN blocks");
}

/* Both --------------------------------------------------------------------------------------- */

typedef int writer(const hlq_stats *stats, char *buffer, size_t bytes);
static writer *const writers[] = {hlq_stats_text, hlq_stats_json};

static void short_buffers_get_the_beginning(void)
{
    hlq_rng rng = hlq_rng_new(1);
    hlq_stats s = draw_stats(&rng);
    for (int i = 0; i < 2; i++) {
        char whole[HLQ_STATS_TEXT_BYTES];
        int length = writers[i](&s, whole, sizeof whole);
        CHECK_EQ(writers[i](&s, NULL, 0), length);
        for (size_t bytes = 0; bytes <= (size_t)length + 2; bytes++) {
            hlq_guarded g = hlq_guarded_new(bytes, GUARD_AFTER, -1);
            char *text = g.data;
            size_t fits = bytes > (size_t)length ? (size_t)length : bytes - 1;
            hlq_test_case("%zu bytes of %d", bytes, length);
            CHECK_EQ(writers[i](&s, text, bytes), length);
            if (bytes) CHECK_BYTES(text, whole, fits);
            if (bytes) CHECK_EQ(text[fits], 0);
            hlq_guarded_free(&g);
        }
    }
}

static void the_longest_fits(void)
{
    hlq_stats s = {.struct_bytes = sizeof s};
    s.operation = HLQ_REDUCE_SCATTER;
    s.algorithm = HLQ_ALG_TWOSHOT;
#define LONGEST(field) s.field = UINT64_MAX;
    INTEGERS(LONGEST)
#undef LONGEST
#define LONGEST(field) s.field = -2.2250738585072014e-308;
    REALS(LONGEST)
#undef LONGEST
    for (int i = 0; i < 2; i++) CHECK_AT_MOST(writers[i](&s, NULL, 0), HLQ_STATS_TEXT_BYTES - 1);
}

static void wrong_arguments_are_refused(void)
{
    hlq_stats s = {.struct_bytes = sizeof s - 1};
    for (int i = 0; i < 2; i++) {
        char text[8] = "before";
        CHECK(writers[i](NULL, text, sizeof text) < 0);
        CHECK_STR(text, "");
        CHECK(writers[i](&s, text, sizeof text) < 0);
        CHECK(writers[i](NULL, NULL, 0) < 0);
    }
}

static void no_locale_shows(void)
{
    static const char *const commas[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE.utf8", "de_DE"};
    hlq_rng rng = hlq_rng_new(2);
    hlq_stats s = draw_stats(&rng);
    s.seconds = 1.5;
    char plain[2][HLQ_STATS_TEXT_BYTES], other[HLQ_STATS_TEXT_BYTES];
    for (int i = 0; i < 2; i++) writers[i](&s, plain[i], sizeof plain[i]);
    const char *set = NULL;
    for (size_t i = 0; i < sizeof commas / sizeof *commas && !set; i++) {
        set = setlocale(LC_NUMERIC, commas[i]);
    }
    if (!set) printf("test_stats: there is no locale with a decimal comma here\n");
    for (int i = 0; i < 2; i++) {
        writers[i](&s, other, sizeof other);
        CHECK_STR(other, plain[i]);
    }
    setlocale(LC_NUMERIC, "C");
}

/* What a collective leaves is what is written. */
static void body(test_rank *me, void *argument)
{
    enum { COUNT = 5000 };
    static _Thread_local float x[COUNT];
    hlq_comm *comm;
    hlq_call call = HLQ_CALL_INIT;
    hlq_stats s = {.struct_bytes = sizeof s};
    char text[HLQ_STATS_TEXT_BYTES];
    (void)argument;
    hlq_test_case("rank %d", me->rank);
    call.algorithm = HLQ_ALG_ONESHOT;
    if (!CHECK_EQ(rank_create(me, NULL, &comm), HLQ_OK)) return;
    for (int i = 0; i < COUNT; i++) x[i] = (float)(i % 17 - me->rank);
    CHECK_EQ(hlq_all_reduce(comm, x, x, COUNT, HLQ_FLOAT32, HLQ_SUM, &call, NULL), HLQ_OK);
    CHECK_EQ(hlq_comm_stats(comm, &s), HLQ_OK);
    CHECK(hlq_stats_json(&s, text, sizeof text) > 0);
    object o = read_object(text);
    CHECK_STR(value_of(&o, "operation"), "all_reduce");
    CHECK_STR(value_of(&o, "algorithm"), "oneshot");
    check_integer(&o, "count", COUNT);
    CHECK(s.bytes_sent > 0);
    check_integer(&o, "bytes_sent", s.bytes_sent);
    check_real(&o, "seconds", s.seconds);
    CHECK(hlq_stats_text(&s, text, sizeof text) > 0);
    CHECK(strstr(text, "all_reduce 1: oneshot, 5000 elements, ") == text);
    rank_destroy(me, comm);
}

int main(void)
{
    hlq_test_start("test_stats");
    json_holds_every_field();
    names_that_do_not_exist_are_null();
    text_has_units();
    short_buffers_get_the_beginning();
    the_longest_fits();
    wrong_arguments_are_refused();
    no_locale_shows();
    ranks_as_threads(3, body, NULL);
    return hlq_test_end();
}
