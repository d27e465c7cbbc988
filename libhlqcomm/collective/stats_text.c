/*
 * Statistics for readers: a line of text, and JSON. Both are written piece by piece into a buffer
 * that may be too short, as snprintf() would.
 */
#include <hlqcomm/stats.h>

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef struct hlq_writer {
    char *buffer;
    size_t bytes;
    size_t used; /* of the whole text, whatever fits */
} hlq_writer;

static void put(hlq_writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(hlq_writer *w, const char *format, ...)
{
    size_t left = w->used < w->bytes ? w->bytes - w->used : 0;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(left ? w->buffer + w->used : NULL, left, format, arguments);
    va_end(arguments);
    if (length > 0) w->used += (size_t)length;
}

/* A program may have set a locale with another decimal point, of one byte or several. */
static void put_real(hlq_writer *w, int digits, double x)
{
    char text[48];
    snprintf(text, sizeof text, "%.*g", digits, x);
    size_t before = strspn(text, "+-0123456789"), end = strlen(text);
    size_t after = before;
    while (after < end && !strchr("0123456789e", text[after])) after++;
    if (!isfinite(x) || after == before) put(w, "%s", text);
    else put(w, "%.*s.%s", (int)before, text, text + after);
}

/* Text --------------------------------------------------------------------------------------- */

static void put_scaled(hlq_writer *w, const char *before, double x, const char *unit)
{
    put(w, "%s", before);
    put_real(w, 3, x);
    put(w, " %s", unit);
}

static void put_seconds(hlq_writer *w, const char *before, double seconds)
{
    if (seconds >= 1) put_scaled(w, before, seconds, "s");
    else if (seconds >= 1e-3) put_scaled(w, before, 1e3 * seconds, "ms");
    else put_scaled(w, before, 1e6 * seconds, "us");
}

static void put_bytes(hlq_writer *w, const char *before, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double size = (double)bytes;
    int unit = 0;
    while (size >= 1024 && unit < 4) size /= 1024, unit++;
    put(w, "%s", before);
    put_real(w, 4, size);
    put(w, " %s", units[unit]);
}

static void put_text(hlq_writer *w, const hlq_stats *s)
{
    const char *operation = hlq_operation_name(s->operation);
    const char *algorithm = hlq_algorithm_name(s->algorithm);
    put(w, "%s %llu: %s, %llu elements", operation ? operation : "unknown",
        (unsigned long long)s->calls, algorithm ? algorithm : "unknown",
        (unsigned long long)s->count);
    put_seconds(w, ", ", s->seconds);
    put_seconds(w, " (encode ", s->seconds_encode);
    put_seconds(w, ", exchange ", s->seconds_exchange);
    put_seconds(w, ", reduce ", s->seconds_reduce);
    put_seconds(w, ", decode ", s->seconds_decode);
    put_bytes(w, "), sent ", s->bytes_sent);
    put_bytes(w, ", received ", s->bytes_received);
    put_bytes(w, ", control ", s->control_bytes);
    put_scaled(w, ", ", s->bits_per_elem, "bits per element");
    put(w, ", vNMSE about ");
    put_real(w, 3, s->vnmse_estimate);
    put(w, ", largest scale ");
    put_real(w, 3, s->largest_scale);
    put(w, ", %llu overloads, %llu retries, %llu NaN blocks", (unsigned long long)s->overloads,
        (unsigned long long)s->retries, (unsigned long long)s->nonfinite_blocks);
}

/* JSON --------------------------------------------------------------------------------------- */

static void put_name(hlq_writer *w, const char *key, const char *name)
{
    put(w, "\"%s\": ", key);
    if (name) put(w, "\"%s\"", name);
    else put(w, "null");
}

static void put_json(hlq_writer *w, const hlq_stats *s)
{
    static const struct {
        const char *name;
        size_t at;
        int is_real;
    } fields[] = {
#define HLQ_INTEGER(field) {#field, offsetof(hlq_stats, field), 0}
#define HLQ_REAL(field) {#field, offsetof(hlq_stats, field), 1}
        HLQ_INTEGER(calls),
        HLQ_INTEGER(count),
        HLQ_INTEGER(bytes_sent),
        HLQ_INTEGER(bytes_received),
        HLQ_INTEGER(control_bytes),
        HLQ_REAL(bits),
        HLQ_REAL(bits_per_elem),
        HLQ_REAL(seconds),
        HLQ_REAL(seconds_encode),
        HLQ_REAL(seconds_exchange),
        HLQ_REAL(seconds_reduce),
        HLQ_REAL(seconds_decode),
        HLQ_REAL(vnmse_estimate),
        HLQ_REAL(largest_scale),
        HLQ_INTEGER(overloads),
        HLQ_INTEGER(retries),
        HLQ_INTEGER(nonfinite_blocks),
#undef HLQ_INTEGER
#undef HLQ_REAL
    };
    put(w, "{");
    put_name(w, "operation", hlq_operation_name(s->operation));
    put(w, ", ");
    put_name(w, "algorithm", hlq_algorithm_name(s->algorithm));
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const char *at = (const char *)s + fields[i].at;
        uint64_t integer;
        double real;
        memcpy(&integer, at, sizeof integer);
        memcpy(&real, at, sizeof real);
        put(w, ", \"%s\": ", fields[i].name);
        if (!fields[i].is_real) put(w, "%llu", (unsigned long long)integer);
        else if (isfinite(real)) put_real(w, 17, real);
        else put(w, "null");
    }
    put(w, "}");
}

/* Both --------------------------------------------------------------------------------------- */

static int write_stats(const hlq_stats *stats, char *buffer, size_t bytes,
                       void (*put_stats)(hlq_writer *, const hlq_stats *))
{
    hlq_writer w = {.buffer = buffer, .bytes = buffer ? bytes : 0};
    if (w.bytes) *buffer = '\0';
    if (!stats || stats->struct_bytes != sizeof *stats) return -1;
    put_stats(&w, stats);
    return (int)w.used;
}

int hlq_stats_text(const hlq_stats *stats, char *buffer, size_t bytes)
{
    return write_stats(stats, buffer, bytes, put_text);
}

int hlq_stats_json(const hlq_stats *stats, char *buffer, size_t bytes)
{
    return write_stats(stats, buffer, bytes, put_json);
}
