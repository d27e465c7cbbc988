/*
 * The body of test_bound and test_bound_mpi: collectives in bound mode, and how far their results
 * are off.
 */
#ifndef HLQ_TEST_BOUND_CASES_H
#define HLQ_TEST_BOUND_CASES_H

#include "dtypes.h"
#include "ranks.h"

enum { BOUND_BLOCK = 256 };

typedef struct bound_case {
    hlq_operation operation;
    hlq_algorithm algorithm;
    hlq_dtype dtype;
    hlq_op op;
    size_t count;
    int in_place, has_residual, is_exempt, kind;
    double size, bound;
} bound_case;

static inline bound_case draw_bound_case(hlq_rng *rng, int n)
{
    static const size_t counts[] = {1, 255, 257, 1000, 5000, 30000};
    static const hlq_algorithm algorithms[] = {HLQ_ALG_TWOSHOT, HLQ_ALG_ONESHOT,
                                               HLQ_ALG_HIERARCHICAL, HLQ_ALG_NATIVE};
    bound_case c = {.operation = HLQ_ALL_REDUCE, .algorithm = algorithms[hlq_rng_below(rng, 4)]};
    if (hlq_rng_below(rng, 3) == 0) c.operation = (hlq_operation)hlq_rng_between(rng, 1, 3);
    c.dtype = (hlq_dtype)hlq_rng_below(rng, 4);
    c.op = c.operation <= HLQ_REDUCE_SCATTER ? (hlq_op)hlq_rng_below(rng, 2) : HLQ_SUM;
    c.count = counts[hlq_rng_below(rng, 6)];
    c.in_place = c.operation == HLQ_ALL_REDUCE && hlq_rng_below(rng, 2);
    c.has_residual = c.dtype != HLQ_FLOAT64 && n > 1 && c.operation == HLQ_ALL_REDUCE &&
                     hlq_rng_below(rng, 3) == 0;
    c.is_exempt = c.operation == HLQ_ALL_REDUCE && c.algorithm != HLQ_ALG_HIERARCHICAL &&
                  c.count > 300 && hlq_rng_below(rng, 3) == 0;
    c.kind = hlq_rng_between(rng, 0, 4);
    c.size = c.dtype == HLQ_FLOAT64   ? exp2(hlq_rng_between(rng, -900, 900))
             : c.dtype == HLQ_FLOAT16 ? exp2(hlq_rng_between(rng, -6, 6))
                                      : exp2(hlq_rng_between(rng, -90, 90));
    /* From no bits at all to bits that only whole numbers have. */
    c.bound = c.size * exp2(hlq_rng_between(rng, -40, 8) / 2.0);
    return c;
}

/* Rank p's numbers. */
static inline void bound_numbers(const bound_case *c, int p, uint64_t stream, size_t elems,
                                 double *x)
{
    hlq_rng rng = hlq_rng_new(stream * 64 + (uint64_t)p);
    for (size_t i = 0; i < elems; i++) {
        double gauss = hlq_rng_gauss(&rng), block = (double)(i / BOUND_BLOCK % 9);
        switch (c->kind) {
        case 0: x[i] = gauss; break;
        case 1: x[i] = gauss * exp2(-4 * block); break;         /* blocks of all sizes */
        case 2: x[i] = i % 251 == 7 ? 16 * gauss : 1e-4; break; /* single large numbers */
        case 3: x[i] = gauss > 0 ? 0.5 : -0.5; break;
        default: x[i] = i / BOUND_BLOCK % 2 ? gauss : 0;
        }
        x[i] = dtype_round(c->dtype, x[i] * c->size);
    }
}

static inline size_t bound_sent(const bound_case *c, int n)
{
    int is_many = c->operation == HLQ_REDUCE_SCATTER || c->operation == HLQ_ALL_TO_ALL;
    return c->count * (size_t)(is_many ? n : 1);
}

static inline size_t bound_received(const bound_case *c, int n)
{
    int is_many = c->operation == HLQ_ALL_GATHER || c->operation == HLQ_ALL_TO_ALL;
    return c->count * (size_t)(is_many ? n : 1);
}

/* What rank p's numbers add to the result; block: the largest magnitudes of its blocks, by p's. */
static inline void bound_add(test_rank *me, const bound_case *c, int p, const double *x,
                             double *exact, double *largest)
{
    size_t own = (size_t)me->rank * c->count, from = (size_t)p * c->count;
    double factor = c->op == HLQ_AVG ? 1.0 / me->size : 1;
    for (size_t i = 0; i < c->count; i++) {
        int is_part = c->operation == HLQ_REDUCE_SCATTER || c->operation == HLQ_ALL_TO_ALL;
        size_t to = c->operation <= HLQ_REDUCE_SCATTER ? i : from + i;
        double term = factor * x[is_part ? own + i : i];
        exact[to] += term;
        largest[to / BOUND_BLOCK] = fmax(largest[to / BOUND_BLOCK], fabs(term));
    }
}

/* What float32 adds: a millionth of the largest numbers. Exempt ranges move blocks, but not by more
   than one. */
static inline double bound_rounding(const bound_case *c, const double *largest, size_t i,
                                    size_t elems, double result)
{
    double digits = c->dtype == HLQ_BFLOAT16 ? 0x1p-8 : c->dtype == HLQ_FLOAT16 ? 0x1p-11 : 0;
    double step = c->dtype == HLQ_FLOAT16 ? 0x1p-25 : 0; /* half of the least number */
    size_t block = i / BOUND_BLOCK, last = (elems - 1) / BOUND_BLOCK;
    double around = largest[block];
    if (block > 0) around = fmax(around, largest[block - 1]);
    if (block < last) around = fmax(around, largest[block + 1]);
    return digits * fabs(result) + step + 1e-6 * around;
}

static inline void check_bound(test_rank *me, const bound_case *c, uint64_t stream,
                               const double *result)
{
    size_t n = (size_t)me->size, sent = bound_sent(c, me->size), all = bound_received(c, me->size);
    double *x = malloc((sent + 1) * sizeof *x), *exact = calloc(all + 1, sizeof *exact);
    double *largest = calloc(all / BOUND_BLOCK + 1, sizeof *largest), worst = 0;
    for (size_t p = 0; p < n; p++) {
        bound_numbers(c, (int)p, stream, sent, x);
        bound_add(me, c, (int)p, x, exact, largest);
    }
    for (size_t i = 0; i < all; i++) {
        double size = fmax(fabs(exact[i]), fabs(result[i]));
        double allowed = c->bound + bound_rounding(c, largest, i, all, size);
        worst = fmax(worst, fabs(result[i] - exact[i]) / allowed);
    }
    CHECK_AT_MOST(worst, 1);
    free(x);
    free(exact);
    free(largest);
}

static inline hlq_status bound_collect(hlq_comm *comm, const bound_case *c, const void *send,
                                       void *recv, const hlq_call *call)
{
    switch (c->operation) {
    case HLQ_REDUCE_SCATTER:
        return hlq_reduce_scatter(comm, send, recv, c->count, c->dtype, c->op, call, NULL);
    case HLQ_ALL_GATHER: return hlq_all_gather(comm, send, recv, c->count, c->dtype, call, NULL);
    case HLQ_ALL_TO_ALL: return hlq_all_to_all(comm, send, recv, c->count, c->dtype, call, NULL);
    default: return hlq_all_reduce(comm, send, recv, c->count, c->dtype, c->op, call, NULL);
    }
}

static inline void run_bound_case(test_rank *me, hlq_comm *comm, const bound_case *c,
                                  uint64_t stream)
{
    size_t width = hlq_dtype_bytes(c->dtype), sent = bound_sent(c, me->size);
    size_t received = bound_received(c, me->size), most = sent > received ? sent : received;
    double *x = calloc(most + 1, sizeof *x);
    void *send = malloc(most * width + 1), *recv = c->in_place ? send : malloc(most * width + 1);
    float *residual = calloc(most + 1, sizeof *residual);
    hlq_range exempt = {100, 157};
    hlq_call call = HLQ_CALL_INIT;
    int is_sum = c->operation == HLQ_ALL_REDUCE;
    call.algorithm = is_sum ? c->algorithm : HLQ_ALG_ONESHOT;
    call.residual = c->has_residual ? residual : NULL;
    call.max_error = c->bound;
    call.exempt = &exempt;
    call.exempt_ranges = (size_t)c->is_exempt;
    bound_numbers(c, me->rank, stream, sent, x);
    dtype_store(c->dtype, x, sent, send);
    hlq_test_case("%d ranks, %s, %s, %s, %s, count %zu, kind %d, size %g, bound %g%s%s%s, rank %d",
                  me->size, hlq_operation_name(c->operation), hlq_algorithm_name(call.algorithm),
                  hlq_dtype_name(c->dtype), hlq_op_name(c->op), c->count, c->kind, c->size,
                  c->bound, c->in_place ? ", in place" : "", c->has_residual ? ", residual" : "",
                  c->is_exempt ? ", exempt" : "", me->rank);
    hlq_status status = bound_collect(comm, c, send, recv, &call);
    CHECK_STR(hlq_comm_last_error(comm), "");
    if (CHECK_EQ(status, HLQ_OK)) {
        if (is_sum) CHECK(rank_same(me, recv, c->count * width));
        dtype_load(c->dtype, recv, received, x);
        check_bound(me, c, stream, x);
    }
    free(x);
    free(residual);
    if (recv != send) free(recv);
    free(send);
}

static inline void bound_cases(test_rank *me, void *argument)
{
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_comm *comm = NULL;
    int cases = FEWER_CASES ? 10 : 150;
    (void)argument;
    options.group = 1 + me->rank % (me->size % 2 ? 1 : 2); /* two nodes of equally many */
    if (!CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) return;
    hlq_rng rng = hlq_rng_new((uint64_t)me->size);
    for (int i = 0; i < cases; i++) {
        bound_case c = draw_bound_case(&rng, me->size);
        run_bound_case(me, comm, &c, (uint64_t)i);
    }
    rank_destroy(me, comm);
}

#endif
