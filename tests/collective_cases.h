/*
 * The body of test_collectives and test_collectives_mpi: reduce-scatter, all-gather, all-to-all and
 * all-reduce, of every type, with arguments drawn from everything that is allowed; each rank
 * compares what it got with what the ranks' tensors say it should have.
 *
 * Rank p's send consists of parts, one for each rank where the operation deals parts out, else one
 * for all. Numbers follow from (case, rank, part), so that every rank knows every part.
 */
#ifndef HLQ_TEST_COLLECTIVE_CASES_H
#define HLQ_TEST_COLLECTIVE_CASES_H

#include "dtypes.h"
#include "model.h"
#include "ranks.h"

typedef struct collective_case {
    hlq_operation operation;
    int has_counts; /* all-to-all with a count for each pair of ranks */
    hlq_lattice lattice;
    hlq_algorithm algorithm;
    hlq_dtype dtype;
    hlq_op op;
    size_t count, min_bytes;
    double bits, size; /* size: of the numbers */
    int dither;
    hlq_distribution *draw;
    int in_place, send_at, recv_at; /* addresses modulo 16 */
    uint64_t stream;                /* of random numbers */
} collective_case;

/* Geometry ----------------------------------------------------------------------------------- */

static inline int deals_out(const collective_case *c)
{
    return c->operation == HLQ_REDUCE_SCATTER || c->operation == HLQ_ALL_TO_ALL;
}

static inline int collects(const collective_case *c)
{
    return c->operation == HLQ_ALL_GATHER || c->operation == HLQ_ALL_TO_ALL;
}

/* Elements that rank `from` has for rank `to`. */
static inline size_t count_between(const collective_case *c, int from, int to)
{
    hlq_rng rng = hlq_rng_new(c->stream * 4096 + (uint64_t)(from * RANKS_MAX + to));
    return c->has_counts ? hlq_rng_below(&rng, c->count + 1) : c->count;
}

/* Where part p of rank me's send, or recv, begins; p = size: where it ends. */
static inline size_t send_start(const collective_case *c, const test_rank *me, int p)
{
    size_t start = 0;
    for (int q = 0; q < p && deals_out(c); q++) start += count_between(c, me->rank, q);
    return deals_out(c) || p < me->size ? start : c->count;
}

static inline size_t recv_start(const collective_case *c, const test_rank *me, int p)
{
    size_t start = 0;
    for (int q = 0; q < p && collects(c); q++) start += count_between(c, q, me->rank);
    return collects(c) || p < me->size ? start : c->count;
}

/* Numbers ------------------------------------------------------------------------------------ */

static inline double *new_doubles(size_t count)
{
    double *x = calloc(count + 1, sizeof *x);
    if (!x) {
        fprintf(stderr, "no memory for %zu doubles\n", count);
        exit(2);
    }
    return x;
}

/* Sums and products of int64 stay below 2^53, where doubles are exact; the others wrap around. */
static inline double draw_integer(const collective_case *c, hlq_rng *rng)
{
    int most = c->op == HLQ_PRODUCT && c->dtype == HLQ_INT64 ? 3 : 120;
    double drawn = hlq_rng_between(rng, c->dtype == HLQ_UINT8 ? 0 : -most, most);
    return c->op != HLQ_PRODUCT && c->dtype == HLQ_INT64 ? ldexp(drawn, 33) : drawn;
}

/* What rank p has for rank q, exactly as the type holds it. */
static inline size_t part_numbers(const collective_case *c, int p, int q, double *x)
{
    size_t count = count_between(c, p, q);
    uint64_t part = deals_out(c) ? (uint64_t)q : 0;
    hlq_rng rng = hlq_rng_new((c->stream * RANKS_MAX + (uint64_t)p) * RANKS_MAX + part);
    for (size_t i = 0; i < count; i++) {
        double drawn = c->draw(&rng) * c->size;
        if (!hlq_dtype_is_float(c->dtype)) drawn = draw_integer(c, &rng);
        else if (c->op == HLQ_PRODUCT) drawn = copysign(1 + hlq_rng_uniform(&rng) / 2, drawn);
        x[i] = dtype_round(c->dtype, drawn);
    }
    return count;
}

static inline void fill_send(const collective_case *c, const test_rank *me, void *to)
{
    size_t width = hlq_dtype_bytes(c->dtype);
    double *x = new_doubles(c->count);
    for (int q = 0; q < (deals_out(c) ? me->size : 1); q++) {
        size_t count = part_numbers(c, me->rank, q, x);
        dtype_store(c->dtype, x, count, (char *)to + send_start(c, me, q) * width);
    }
    free(x);
}

/* Results ------------------------------------------------------------------------------------ */

/* Integers, and the reductions that do not round: bit by bit. */
static inline double reduce_exactly(const collective_case *c, double a, double b)
{
    switch (c->op) {
    case HLQ_MIN: return a < b ? a : b;
    case HLQ_MAX: return a > b ? a : b;
    case HLQ_PRODUCT: break;
    case HLQ_SUM:
    case HLQ_AVG: return a + b;
    }
    return a * b;
}

/* Modulo 2^bits of an integer type. */
static inline double wrap(hlq_dtype dtype, double x)
{
    double modulus = ldexp(1, 8 * (int)hlq_dtype_bytes(dtype));
    if (dtype == HLQ_INT64) return x; /* draw_integer() */
    double rest = x - floor(x / modulus) * modulus;
    return dtype != HLQ_UINT8 && rest >= modulus / 2 ? rest - modulus : rest;
}

static inline void check_exact(const collective_case *c, const test_rank *me, const double *got)
{
    double *x = new_doubles(c->count), *want = new_doubles(c->count);
    int integers = !hlq_dtype_is_float(c->dtype);
    size_t wrong = 0, count = 0;
    for (int p = 0; p < me->size; p++) {
        count = part_numbers(c, p, me->rank, x);
        for (size_t i = 0; i < count; i++) {
            want[i] = p ? reduce_exactly(c, want[i], x[i]) : x[i];
            if (integers) want[i] = wrap(c->dtype, want[i]);
        }
    }
    /* fp32 products of up to 17 numbers: a rounding each, and one to the type. */
    double allowed = c->op == HLQ_PRODUCT && !integers ? me->size * 0x1p-23 : 0;
    if (allowed > 0 && c->dtype == HLQ_BFLOAT16) allowed += 0x1p-8;
    if (allowed > 0 && c->dtype == HLQ_FLOAT16) allowed += 0x1p-11;
    for (size_t i = 0; i < count; i++) {
        wrong += !(fabs(got[i] - want[i]) <= allowed * fabs(want[i]));
    }
    CHECK_EQ(wrong, 0);
    free(x);
    free(want);
}

/* Sums of floating point against the model. */
static inline void check_sum(const collective_case *c, const test_rank *me, const hlq_stats *stats,
                             const double *scales, const double *got)
{
    double *x = new_doubles(c->count);
    model m = model_new(c->count, me->size, c->op);
    for (int p = 0; p < me->size; p++) {
        part_numbers(c, p, me->rank, x);
        model_add_wide(&m, x);
    }
    model_bound bound = {
        .lattice = c->lattice,
        .dtype = c->dtype,
        .scales = model_scales(stats->algorithm, scales, me->size),
    };
    CHECK_WITHIN(model_worst_wide(&m, &bound, got), 0, 1);
    model_free(&m);
    free(x);
}

/* What came from rank p: the same numbers, quantized once unless nothing was. */
static inline void check_from(const collective_case *c, const test_rank *me, const hlq_stats *stats,
                              double scale, int p, const double *got)
{
    double *x = new_doubles(c->count);
    size_t count = part_numbers(c, p, me->rank, x);
    int kept = p == me->rank && c->operation == HLQ_ALL_TO_ALL;
    if (stats->algorithm == HLQ_ALG_NATIVE || kept || me->size == 1) {
        CHECK_BYTES(got, x, count * sizeof *x);
    } else {
        model m = model_new(count, 1, HLQ_SUM);
        model_bound bound = {c->lattice, c->dtype, scale};
        model_add_wide(&m, x);
        CHECK_WITHIN(model_worst_wide(&m, &bound, got), 0, 1);
        model_free(&m);
    }
    free(x);
}

static inline void check_result(test_rank *me, const collective_case *c, const hlq_stats *stats,
                                const void *result)
{
    double scales[RANKS_MAX];
    size_t count = recv_start(c, me, me->size);
    double *got = new_doubles(count);
    int sums = c->op == HLQ_SUM || c->op == HLQ_AVG;
    dtype_load(c->dtype, result, count, got);
    rank_gather(me, &stats->largest_scale, sizeof *scales, scales);
    for (int p = 0; p < me->size && collects(c); p++) {
        check_from(c, me, stats, scales[p], p, got + recv_start(c, me, p));
    }
    if (!collects(c)) {
        if (hlq_dtype_is_float(c->dtype) && sums) check_sum(c, me, stats, scales, got);
        else check_exact(c, me, got);
    }
    free(got);
}

/* Statistics --------------------------------------------------------------------------------- */

/* Against the plan, and against the other ranks. */
static inline void check_stats(test_rank *me, hlq_comm *comm, const collective_case *c,
                               const hlq_call *call, const hlq_stats *stats)
{
    hlq_plan_info plan = {.struct_bytes = sizeof plan, .operation = c->operation};
    double sent = rank_sum(me, (double)stats->bytes_sent);
    CHECK(sent == rank_sum(me, (double)stats->bytes_received));
    CHECK_EQ(stats->operation, c->operation);
    CHECK_EQ(stats->calls, 2);
    CHECK_EQ(stats->nonfinite_blocks, 0);
    if (c->has_counts) {
        CHECK_EQ(stats->count, send_start(c, me, me->size));
        return;
    }
    CHECK_EQ(hlq_comm_plan(comm, c->count, c->dtype, c->op, call, &plan), HLQ_OK);
    CHECK_EQ(stats->count, c->count);
    CHECK_EQ(stats->algorithm, plan.algorithm);
    if (stats->algorithm != HLQ_ALG_MODQ) {
        CHECK_EQ(stats->bytes_sent, plan.wire_bytes);
        CHECK(stats->bits_per_elem == plan.bits_per_elem);
    }
    /* Headers and exponents are small change from there on, and what dither takes. */
    if (c->dither) return;
    size_t elems = deals_out(c) || collects(c) ? c->count * (size_t)me->size : c->count;
    if (elems >= 16384 && stats->algorithm != HLQ_ALG_NATIVE && !stats->retries) {
        CHECK_AT_MOST(stats->bits_per_elem, c->bits);
    }
}

/* One case ----------------------------------------------------------------------------------- */

static inline hlq_status run_case(const test_rank *me, hlq_comm *comm, const collective_case *c,
                                  const hlq_call *call, const void *send, void *recv)
{
    size_t to[RANKS_MAX], from[RANKS_MAX];
    switch (c->operation) {
    case HLQ_ALL_REDUCE:
        return hlq_all_reduce(comm, send, recv, c->count, c->dtype, c->op, call, NULL);
    case HLQ_REDUCE_SCATTER:
        return hlq_reduce_scatter(comm, send, recv, c->count, c->dtype, c->op, call, NULL);
    case HLQ_ALL_GATHER: return hlq_all_gather(comm, send, recv, c->count, c->dtype, call, NULL);
    case HLQ_ALL_TO_ALL: break;
    }
    if (!c->has_counts) return hlq_all_to_all(comm, send, recv, c->count, c->dtype, call, NULL);
    for (int p = 0; p < me->size; p++) {
        to[p] = count_between(c, me->rank, p);
        from[p] = count_between(c, p, me->rank);
    }
    return hlq_all_to_all_v(comm, send, to, recv, from, c->dtype, call, NULL);
}

/* Send and recv of a case: two buffers, or two places in one. */
typedef struct case_memory {
    hlq_guarded a, b;
    void *send, *recv;
    size_t send_bytes, recv_bytes;
} case_memory;

static inline case_memory memory_new(const collective_case *c, const test_rank *me)
{
    size_t width = hlq_dtype_bytes(c->dtype), own = (size_t)me->rank * c->count * width;
    case_memory m = {
        .send_bytes = send_start(c, me, me->size) * width,
        .recv_bytes = recv_start(c, me, me->size) * width,
    };
    size_t larger = m.send_bytes > m.recv_bytes ? m.send_bytes : m.recv_bytes;
    m.a = hlq_guarded_new(c->in_place ? larger : m.send_bytes, GUARD_AFTER, c->send_at);
    m.b = hlq_guarded_new(c->in_place ? 0 : m.recv_bytes, GUARD_BEFORE, c->recv_at);
    m.send = m.a.data;
    m.recv = c->in_place ? m.a.data : m.b.data;
    if (c->in_place && c->operation == HLQ_ALL_GATHER) m.send = (char *)m.a.data + own;
    if (c->in_place && c->operation == HLQ_REDUCE_SCATTER) m.recv = (char *)m.a.data + own;
    return m;
}

/* Outside of recv, send is what it was. */
static inline void check_send(const collective_case *c, const case_memory *m, const void *before)
{
    size_t start = 0, end = 0;
    if (c->in_place) {
        start =
            c->operation == HLQ_REDUCE_SCATTER ? (size_t)((char *)m->recv - (char *)m->send) : 0;
        end = c->operation == HLQ_REDUCE_SCATTER ? start + m->recv_bytes : m->send_bytes;
    }
    CHECK_BYTES(m->send, before, start);
    CHECK_BYTES((char *)m->send + end, (const char *)before + end, m->send_bytes - end);
    CHECK(hlq_guarded_intact(&m->a) && hlq_guarded_intact(&m->b));
}

/* Returns the digest of the result. */
static inline uint64_t check_collective(test_rank *me, hlq_comm *comm, const collective_case *c)
{
    case_memory m = memory_new(c, me);
    hlq_call call = HLQ_CALL_INIT;
    hlq_stats stats = {.struct_bytes = sizeof stats};
    void *before = new_doubles(m.send_bytes / sizeof(double) + 1);
    uint64_t first = 0;
    int same = c->operation == HLQ_ALL_REDUCE || c->operation == HLQ_ALL_GATHER;
    call.algorithm = c->algorithm;
    call.bits = c->bits;
    fill_send(c, me, before);
    /* A second call has the same result, but for its dither. */
    for (int repeat = 0; repeat < 2; repeat++) {
        memcpy(m.send, before, m.send_bytes);
        CHECK_EQ(run_case(me, comm, c, &call, m.send, m.recv), HLQ_OK);
        CHECK_STR(hlq_comm_last_error(comm), "");
        check_send(c, &m, before);
        if (same) CHECK(rank_same(me, m.recv, m.recv_bytes));
        if (repeat && !c->dither) CHECK(digest_of(m.recv, m.recv_bytes) == first);
        first = digest_of(m.recv, m.recv_bytes);
    }
    CHECK_EQ(hlq_comm_stats(comm, &stats), HLQ_OK);
    check_stats(me, comm, c, &call, &stats);
    check_result(me, c, &stats, m.recv);
    free(before);
    hlq_guarded_free(&m.a);
    hlq_guarded_free(&m.b);
    return first;
}

/* All cases ---------------------------------------------------------------------------------- */

static inline hlq_algorithm draw_algorithm(hlq_rng *rng, const collective_case *c)
{
    int sums = c->op == HLQ_SUM || c->op == HLQ_AVG;
    hlq_algorithm drawn = (hlq_algorithm)hlq_rng_below(rng, 5);
    if (drawn == HLQ_ALG_AUTO) return drawn;
    if (!sums || !hlq_dtype_is_float(c->dtype)) return HLQ_ALG_NATIVE;
    return drawn == HLQ_ALG_MODQ && collects(c) ? HLQ_ALG_ONESHOT : drawn;
}

/* Case `stream`: the operation (4: all-to-all with counts) and type as told, the rest drawn; the
   same on all ranks. */
static inline collective_case draw_collective(int operation, hlq_dtype dtype, int ranks,
                                              uint64_t stream)
{
    static const double bits[] = {1, 2.5, 4, 5, 8, 12};
    static const size_t counts[] = {0, 1, 2, 255, 256, 257, 1000, 4099};
    static hlq_distribution *const draw[] = {hlq_rng_gauss, hlq_rng_laplace, hlq_rng_lognormal};
    hlq_rng rng = hlq_rng_new(stream);
    int range = dtype == HLQ_FLOAT64 ? 900 : 20; /* octaves */
    collective_case c = {
        .operation = operation == 4 ? HLQ_ALL_TO_ALL : (hlq_operation)operation,
        .has_counts = operation == 4,
        .lattice = (hlq_lattice)hlq_rng_below(&rng, 3),
        .dtype = dtype,
        .count = counts[hlq_rng_below(&rng, 8)],
        .min_bytes = hlq_rng_below(&rng, 2) ? 65536 : 0,
        .bits = bits[hlq_rng_below(&rng, 6)],
        .size = exp2(dtype == HLQ_FLOAT16 ? hlq_rng_between(&rng, -10, -4)
                                          : hlq_rng_between(&rng, -range, range)),
        .draw = draw[hlq_rng_below(&rng, 3)],
        .send_at = (int)hlq_rng_below(&rng, 16),
        .recv_at = (int)hlq_rng_below(&rng, 16),
        .stream = stream,
    };
    if (hlq_rng_below(&rng, 4) == 0) c.count = 40000 / (size_t)ranks; /* beyond min_bytes */
    c.in_place = !c.has_counts && hlq_rng_below(&rng, 2);
    if (!collects(&c)) c.op = (hlq_op)hlq_rng_below(&rng, 5);
    if (c.op == HLQ_AVG && !hlq_dtype_is_float(dtype)) c.op = HLQ_SUM;
    c.algorithm = draw_algorithm(&rng, &c);
    int has_fewer = operation == 0 && c.algorithm == HLQ_ALG_ONESHOT && ranks > 2;
    int can_dither = c.algorithm != HLQ_ALG_MODQ && c.bits >= 2.4 * (has_fewer ? ranks / 2.0 : 1);
    c.dither = can_dither && hlq_rng_below(&rng, 2);
    return c;
}

/* Every operation with every type, several times, on one group of ranks. argument: NULL, or a
   uint64_t that takes up the digest of all results. */
static inline void check_all_collectives(test_rank *me, void *argument)
{
    enum { TIMES = FEWER_CASES ? 1 : 6, OPERATIONS = 5 };
    uint64_t digest = 0;
    for (int i = 0; i < TIMES * OPERATIONS * DTYPES; i++) {
        uint64_t stream = (uint64_t)me->size * 1000 + (uint64_t)i;
        hlq_dtype dtype = (hlq_dtype)(i / OPERATIONS % DTYPES);
        collective_case c = draw_collective(i % OPERATIONS, dtype, me->size, stream);
        hlq_options options = HLQ_OPTIONS_INIT;
        hlq_comm *comm = NULL;
        options.lattice = c.lattice;
        options.min_bytes = c.min_bytes;
        options.seed = stream;
        options.dither = c.dither;
        hlq_test_case("%d ranks, %s%s, %s, %s, %s, %s, %s, count %zu, %g bits%s, at %d and %d",
                      me->size, hlq_operation_name(c.operation), c.has_counts ? " with counts" : "",
                      hlq_algorithm_name(c.algorithm), hlq_lattice_name(c.lattice),
                      hlq_dtype_name(c.dtype), hlq_op_name(c.op),
                      c.in_place ? "in place" : "out of place", c.count, c.bits,
                      c.dither ? ", dithered" : "", c.send_at, c.recv_at);
        if (CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) {
            digest = 31 * digest + check_collective(me, comm, &c);
        }
        rank_destroy(me, comm);
    }
    if (argument && me->rank == 0) *(uint64_t *)argument = digest;
}

#endif
