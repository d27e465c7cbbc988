/*
 * The body of test_all_reduce and test_all_reduce_mpi: one all-reduce after another with arguments
 * drawn from everything that is allowed, each compared with the fp64 model. Every algorithm meets
 * every count; the rest is drawn.
 */
#ifndef HLQ_TEST_ALL_REDUCE_CASES_H
#define HLQ_TEST_ALL_REDUCE_CASES_H

#include "hlq_test.h"
#include "model.h"
#include "ranks.h"

typedef struct reduce_case {
    hlq_lattice lattice;
    hlq_algorithm algorithm;
    hlq_dtype dtype;
    hlq_op op;
    size_t count, min_bytes;
    double bits, size; /* size: of the numbers */
    hlq_distribution *draw;
    int in_place, send_at, recv_at; /* addresses modulo 16 */
    uint64_t stream;                /* of random numbers */
} reduce_case;

/* Rank p's tensor, of numbers that the type can hold. */
static inline void case_tensor(const reduce_case *c, int p, float *x)
{
    hlq_rng rng = hlq_rng_new(c->stream * RANKS_MAX + (uint64_t)p);
    hlq_rng_fill(&rng, c->draw, x, c->count);
    for (size_t i = 0; i < c->count; i++) {
        x[i] *= (float)c->size;
        if (c->dtype == HLQ_BFLOAT16) x[i] = hlq_float_of_bfloat16(hlq_bfloat16_of_float(x[i]));
    }
}

static inline void tensor_store(hlq_dtype dtype, const float *x, size_t count, void *to)
{
    char *p = to;
    for (size_t i = 0; i < count; i++) {
        uint16_t h = hlq_bfloat16_of_float(x[i]);
        if (dtype == HLQ_BFLOAT16) memcpy(p + i * sizeof h, &h, sizeof h);
        else memcpy(p + i * sizeof *x, &x[i], sizeof *x);
    }
}

static inline void tensor_load(hlq_dtype dtype, const void *from, size_t count, float *x)
{
    const char *p = from;
    for (size_t i = 0; i < count; i++) {
        uint16_t h;
        if (dtype == HLQ_BFLOAT16) {
            memcpy(&h, p + i * sizeof h, sizeof h);
            x[i] = hlq_float_of_bfloat16(h);
        } else {
            memcpy(&x[i], p + i * sizeof *x, sizeof *x);
        }
    }
}

static inline float *new_floats(size_t count)
{
    float *x = calloc(count + 1, sizeof *x);
    if (!x) {
        fprintf(stderr, "no memory for %zu floats\n", count);
        exit(2);
    }
    return x;
}

/* Rank 0 compares its result with the model; the others have the same bits. */
static inline void check_result(test_rank *me, const reduce_case *c, const hlq_stats *stats,
                                const void *result)
{
    double scales[RANKS_MAX];
    rank_gather(me, &stats->largest_scale, sizeof *scales, scales);
    if (me->rank != 0) return;
    float *x = new_floats(c->count);
    model m = model_new(c->count, me->size, c->op);
    for (int p = 0; p < me->size; p++) {
        case_tensor(c, p, x);
        model_add(&m, x);
    }
    model_bound bound = {
        .lattice = c->lattice,
        .dtype = c->dtype,
        .scales = model_scales(stats->algorithm, scales, me->size),
    };
    tensor_load(c->dtype, result, c->count, x);
    CHECK_WITHIN(model_worst(&m, &bound, x), 0, 1);
    if (me->size == 1) CHECK(model_vnmse(&m, x) == 0);
    model_free(&m);
    free(x);
}

/* Statistics against the plan, and against the other ranks. */
static inline void check_stats(test_rank *me, const reduce_case *c, const hlq_plan_info *plan,
                               const hlq_stats *stats)
{
    CHECK_EQ(stats->algorithm, plan->algorithm);
    CHECK_EQ(stats->count, c->count);
    hlq_algorithm automatic = me->size == 2 ? HLQ_ALG_ONESHOT : HLQ_ALG_TWOSHOT;
    if (c->count * hlq_dtype_bytes(c->dtype) < c->min_bytes) automatic = HLQ_ALG_NATIVE;
    CHECK_EQ(stats->algorithm, c->algorithm == HLQ_ALG_AUTO ? automatic : c->algorithm);
    CHECK_EQ(stats->calls, 2);
    int fixed = stats->algorithm == HLQ_ALG_TWOSHOT || stats->algorithm == HLQ_ALG_ONESHOT;
    if (fixed) {
        CHECK_EQ(stats->bytes_sent, plan->wire_bytes);
        CHECK(stats->bits_per_elem == plan->bits_per_elem);
    }
    if (stats->algorithm == HLQ_ALG_MODQ && !stats->retries) {
        CHECK_AT_MOST(stats->bytes_sent, plan->wire_bytes);
    }
    /* Headers and exponents are small change from 64 KiB on. */
    if (c->count * hlq_dtype_bytes(c->dtype) >= 65536 && stats->algorithm != HLQ_ALG_NATIVE &&
        !stats->retries) {
        CHECK_AT_MOST(stats->bits_per_elem, c->bits);
    }
    double sent = rank_sum(me, (double)stats->bytes_sent);
    double received = rank_sum(me, (double)stats->bytes_received);
    CHECK(sent == received);
    CHECK(stats->nonfinite_blocks == 0);
}

/* Returns the digest of the result. */
static inline uint64_t check_case(test_rank *me, hlq_comm *comm, const reduce_case *c)
{
    size_t bytes = c->count * hlq_dtype_bytes(c->dtype);
    hlq_guarded send = hlq_guarded_new(bytes, GUARD_AFTER, c->send_at);
    hlq_guarded recv = hlq_guarded_new(bytes, GUARD_BEFORE, c->recv_at);
    hlq_call call = HLQ_CALL_INIT;
    hlq_plan_info plan = {.struct_bytes = sizeof plan};
    hlq_stats stats = {.struct_bytes = sizeof stats};
    uint64_t first = 0, input = 0;
    float *x = new_floats(c->count);
    call.algorithm = c->algorithm;
    call.bits = c->bits;
    case_tensor(c, me->rank, x);
    /* A second call has the same result. */
    for (int repeat = 0; repeat < 2; repeat++) {
        void *from = c->in_place ? recv.data : send.data;
        tensor_store(c->dtype, x, c->count, from);
        input = digest_of(from, bytes);
        hlq_status status =
            hlq_all_reduce(comm, from, recv.data, c->count, c->dtype, c->op, &call, NULL);
        CHECK_EQ(status, HLQ_OK);
        CHECK_STR(hlq_comm_last_error(comm), "");
        if (!c->in_place) CHECK(digest_of(from, bytes) == input);
        CHECK(hlq_guarded_intact(&send) && hlq_guarded_intact(&recv));
        CHECK(rank_same(me, recv.data, bytes));
        if (repeat) CHECK(digest_of(recv.data, bytes) == first);
        first = digest_of(recv.data, bytes);
    }
    CHECK_EQ(hlq_comm_stats(comm, &stats), HLQ_OK);
    CHECK_EQ(hlq_comm_plan(comm, c->count, c->dtype, c->op, &call, &plan), HLQ_OK);
    check_stats(me, c, &plan, &stats);
    check_result(me, c, &stats, recv.data);
    free(x);
    hlq_guarded_free(&send);
    hlq_guarded_free(&recv);
    return first;
}

/* Case `stream`: algorithm and count as told, the rest drawn; the same on all ranks. */
static inline reduce_case draw_case(hlq_algorithm algorithm, size_t count, uint64_t stream)
{
    static const double bits[] = {1, 2.5, 4, 5, 8, 12};
    static hlq_distribution *const draw[] = {hlq_rng_gauss, hlq_rng_laplace, hlq_rng_lognormal};
    hlq_rng rng = hlq_rng_new(stream);
    return (reduce_case){
        .lattice = (hlq_lattice)hlq_rng_below(&rng, 3),
        .algorithm = algorithm,
        .dtype = (hlq_dtype)hlq_rng_below(&rng, 2),
        .op = (hlq_op)hlq_rng_below(&rng, 2),
        .count = count,
        .min_bytes = hlq_rng_below(&rng, 2) ? 65536 : 0,
        .bits = bits[hlq_rng_below(&rng, 6)],
        .size = exp2(hlq_rng_between(&rng, -20, 20)),
        .draw = draw[hlq_rng_below(&rng, 3)],
        .in_place = (int)hlq_rng_below(&rng, 2),
        .send_at = (int)hlq_rng_below(&rng, 16),
        .recv_at = (int)hlq_rng_below(&rng, 16),
        .stream = stream,
    };
}

/* Every algorithm with every count, on one group of ranks. argument: NULL, or a uint64_t that takes
   up the digest of all results. */
static inline void check_all_cases(test_rank *me, void *argument)
{
    static const size_t counts[] = {0, 1, 2, 255, 256, 257, 1000, 4099, 100003};
    uint64_t digest = 0;
    for (int algorithm = 0; algorithm < 5; algorithm++) {
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            uint64_t stream = (uint64_t)(me->size * 5 + algorithm) * 16 + i;
            reduce_case c = draw_case((hlq_algorithm)algorithm, counts[i], stream);
            hlq_options options = HLQ_OPTIONS_INIT;
            options.lattice = c.lattice;
            options.min_bytes = c.min_bytes;
            options.seed = stream;
            hlq_comm *comm = NULL;
            hlq_test_case("%d ranks, %s, %s, %s, %s, %s, count %zu, %g bits, at %d and %d",
                          me->size, hlq_algorithm_name(c.algorithm), hlq_lattice_name(c.lattice),
                          c.dtype == HLQ_FLOAT32 ? "float32" : "bfloat16",
                          c.op == HLQ_SUM ? "sum" : "avg", c.in_place ? "in place" : "out of place",
                          c.count, c.bits, c.send_at, c.recv_at);
            if (CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) {
                digest = 31 * digest + check_case(me, comm, &c);
            }
            rank_destroy(me, comm);
        }
    }
    if (argument && me->rank == 0) *(uint64_t *)argument = digest;
}

#endif
