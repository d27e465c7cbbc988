/*
 * Segments on a device (wire/device.h) as work on the streams of stand_in.h: a call keeps all that
 * it was given, and has another table do it when the stream comes to it.
 */
#include "stand_in.h"

#include <pthread.h>
#include <string.h>

enum { TERMS = 16 };

static const hlq_device_wire *inner = &stand_in_host_wire;
static int is_one_at_a_time;

void stand_in_wire_by(const hlq_device_wire *wire, int one_at_a_time)
{
    inner = wire;
    is_one_at_a_time = one_at_a_time;
}

/* A call: which, and its arguments; of a kernel, its parameters. */
typedef struct call {
    void (*run)(struct call *c);
    hlq_device_segment segment, term[TERMS];
    hlq_source source;
    hlq_device_sums sums;
    hlq_device_plain plain;
    hlq_place place;
    hlq_device_report *report;
    const void *in;
    void *out;
    int has_source, has_sums, count, own;
    float factor;
    hlq_dtype dtype;
    size_t elems, bytes;
    uint64_t told[HLQ_DEVICE_TOLD_BYTES / 8];
} call;

static void run_call(void *argument)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    call c;
    memcpy(&c, argument, sizeof c);
    if (is_one_at_a_time) pthread_mutex_lock(&lock);
    c.run(&c);
    if (is_one_at_a_time) pthread_mutex_unlock(&lock);
}

static int put(hlq_stream stream, const call *c)
{
    return stand_in_put(stream, run_call, c, sizeof *c);
}

static void run_tell(call *c) { inner->tell(c->told, c->bytes, c->out, NULL); }

static int tell(const void *data, size_t bytes, void *to, hlq_stream stream)
{
    call c = {.run = run_tell, .out = to, .bytes = bytes};
    if (bytes > sizeof c.told || bytes % 8) return 1;
    memcpy(c.told, data, bytes);
    return put(stream, &c);
}

static void run_compare(call *c)
{
    inner->compare(c->in, c->bytes, c->count, c->own, c->report, NULL);
}

static int compare(const void *told, size_t bytes, int count, int own, hlq_device_report *report,
                   hlq_stream stream)
{
    call c = {.run = run_compare, .in = told, .bytes = bytes, .report = report};
    c.count = count;
    c.own = own;
    return put(stream, &c);
}

static void run_write(call *c)
{
    inner->write(&c->segment, &c->source, c->has_sums ? &c->sums : NULL, c->report, NULL);
}

static int write_segment(const hlq_device_segment *s, const hlq_source *source,
                         const hlq_device_sums *sums, hlq_device_report *report, hlq_stream stream)
{
    call c = {.run = run_write, .segment = *s, .source = *source, .report = report};
    c.has_sums = sums != NULL;
    if (sums) c.sums = *sums;
    return put(stream, &c);
}

static void run_open(call *c) { inner->open(&c->segment, c->report, NULL); }

static int open_segment(const hlq_device_segment *s, hlq_device_report *report, hlq_stream stream)
{
    call c = {.run = run_open, .segment = *s, .report = report};
    return put(stream, &c);
}

static void run_sum(call *c)
{
    inner->sum(c->term, c->count, c->has_source ? &c->source : NULL, c->own, &c->sums, NULL);
}

static int sum(const hlq_device_segment *terms, int count, const hlq_source *own, int own_at,
               const hlq_device_sums *sums, hlq_stream stream)
{
    call c = {.run = run_sum, .sums = *sums, .count = count, .own = own_at};
    if (count > TERMS) return 1;
    memcpy(c.term, terms, (size_t)count * sizeof *terms);
    c.has_source = own != NULL;
    if (own) c.source = *own;
    return put(stream, &c);
}

static void run_decode(call *c)
{
    inner->decode(&c->segment, c->factor, c->dtype, c->out, c->elems, c->report, NULL);
}

static int decode(const hlq_device_segment *s, float factor, hlq_dtype dtype, void *out,
                  size_t elems, hlq_device_report *report, hlq_stream stream)
{
    call c = {.run = run_decode, .segment = *s, .factor = factor, .dtype = dtype};
    c.out = out;
    c.elems = elems;
    c.report = report;
    return put(stream, &c);
}

static void run_unrotate(call *c)
{
    inner->unrotate(&c->place, &c->sums, c->factor, c->dtype, c->out, c->elems, c->report, NULL);
}

static int unrotate(const hlq_place *place, const hlq_device_sums *sums, float factor,
                    hlq_dtype dtype, void *out, size_t elems, hlq_device_report *report,
                    hlq_stream stream)
{
    call c = {.run = run_unrotate, .place = *place, .sums = *sums, .factor = factor};
    c.dtype = dtype;
    c.out = out;
    c.elems = elems;
    c.report = report;
    return put(stream, &c);
}

static void run_add_plain(call *c) { inner->add_plain(&c->plain, c->out, NULL); }

static int add_plain(const hlq_device_plain *stretches, void *sums, hlq_stream stream)
{
    call c = {.run = run_add_plain, .plain = *stretches, .out = sums};
    return put(stream, &c);
}

static void run_round_plain(call *c)
{
    inner->round_plain(c->in, c->dtype, c->elems, c->out, NULL);
}

static int round_plain(const float *sums, hlq_dtype dtype, size_t elems, void *out,
                       hlq_stream stream)
{
    call c = {.run = run_round_plain, .in = sums, .dtype = dtype, .elems = elems, .out = out};
    return put(stream, &c);
}

static void run_poison(call *c) { inner->poison(c->in, c->dtype, c->out, c->elems, NULL); }

static int poison(const hlq_device_report *report, hlq_dtype dtype, void *out, size_t elems,
                  hlq_stream stream)
{
    call c = {.run = run_poison, .in = report, .dtype = dtype, .out = out, .elems = elems};
    return put(stream, &c);
}

const hlq_device_wire stand_in_wire = {
    .name = "stand-in",
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
