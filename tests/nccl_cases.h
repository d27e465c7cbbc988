/*
 * The bodies of test_nccl and test_nccl_mpi: collectives on a device give the same bytes as on the
 * host, for every operation, type and algorithm; nothing waits; graphs do their work.
 */
#ifndef HLQ_TEST_NCCL_CASES_H
#define HLQ_TEST_NCCL_CASES_H

#include "dtypes.h"
#include "model.h"
#include "nccl_pair.h"

#include <sched.h>
#include <stdatomic.h>

/* Calls --------------------------------------------------------------------------------------- */

typedef struct {
    hlq_operation operation;
    hlq_algorithm algorithm;
    hlq_dtype dtype;
    hlq_op op;
    size_t count;
    int in_place, has_residual;
} call_case;

static inline hlq_status call_it(hlq_comm *comm, const call_case *c, const void *send, void *recv,
                                 float *residual, hlq_stream stream)
{
    hlq_call call = HLQ_CALL_INIT;
    call.algorithm = c->algorithm;
    call.residual = residual;
    switch (c->operation) {
    case HLQ_ALL_REDUCE:
        return hlq_all_reduce(comm, send, recv, c->count, c->dtype, c->op, &call, stream);
    case HLQ_REDUCE_SCATTER:
        return hlq_reduce_scatter(comm, send, recv, c->count, c->dtype, c->op, &call, stream);
    case HLQ_ALL_GATHER: return hlq_all_gather(comm, send, recv, c->count, c->dtype, &call, stream);
    case HLQ_ALL_TO_ALL: break;
    }
    return hlq_all_to_all(comm, send, recv, c->count, c->dtype, &call, stream);
}

/* A rank's tensors, of the host or the device, one behind the other in one piece of memory: send,
   recv (in place: one in the other), residual. */
typedef struct {
    size_t send_elems, send_bytes, recv_bytes, residual_at, bytes;
    char *memory, *send, *recv;
    float *residual;
} tensors;

static inline tensors lay_out_tensors(const call_case *c, const test_rank *me, char *memory)
{
    enum { ALIGN = 256 };
    size_t n = (size_t)me->size, width = hlq_dtype_bytes(c->dtype);
    int deals = c->operation == HLQ_REDUCE_SCATTER || c->operation == HLQ_ALL_TO_ALL;
    int collects = c->operation == HLQ_ALL_GATHER || c->operation == HLQ_ALL_TO_ALL;
    tensors t = {.send_elems = c->count * (deals ? n : 1), .memory = memory};
    t.send_bytes = t.send_elems * width;
    t.recv_bytes = c->count * (collects ? n : 1) * width;
    size_t whole = t.send_bytes > t.recv_bytes ? t.send_bytes : t.recv_bytes;
    size_t room = (whole + ALIGN) / ALIGN * ALIGN, own = (size_t)me->rank * c->count * width;
    size_t recv_at = c->in_place ? 0 : room, send_at = 0;
    if (c->in_place && c->operation == HLQ_REDUCE_SCATTER) recv_at = own;
    if (c->in_place && c->operation == HLQ_ALL_GATHER) send_at = own;
    t.residual_at = 2 * room;
    t.bytes = t.residual_at + (t.send_elems + 1) * sizeof(float);
    if (!memory) return t;
    t.send = memory + send_at;
    t.recv = memory + recv_at;
    t.residual = (float *)(void *)(memory + t.residual_at);
    return t;
}

/* Numbers of sizes that vary from block to block, some of them zero, now and then one NaN. */
static inline void fill(const call_case *c, const test_rank *me, uint64_t stream, tensors *t)
{
    hlq_rng rng = hlq_rng_new(stream * 64 + (uint64_t)me->rank);
    size_t width = hlq_dtype_bytes(c->dtype);
    int is_float = hlq_dtype_is_float(c->dtype);
    double size = 1;
    for (size_t i = 0; i < t->send_elems; i++) {
        int is_zero = i % 256 == 0 && hlq_rng_below(&rng, 9) == 0;
        if (i % 256 == 0) size = is_zero ? 0 : ldexp(1, hlq_rng_between(&rng, -4, 4));
        double x = is_float ? size * hlq_rng_gauss(&rng) : hlq_rng_between(&rng, -100, 100);
        if (is_float && hlq_rng_below(&rng, 20000) == 0) x = NAN;
        dtype_store_one(c->dtype, x, t->send + i * width);
        t->residual[i] = is_float ? (float)(size / 64 * hlq_rng_gauss(&rng)) : 0;
    }
}

static inline void compare_stats(const pair *p)
{
    hlq_stats host = {.struct_bytes = sizeof host}, nccl = host;
    CHECK_EQ(hlq_comm_stats(p->host, &host), HLQ_OK);
    CHECK_EQ(hlq_comm_stats(p->nccl, &nccl), HLQ_OK);
    CHECK_EQ(nccl.algorithm, host.algorithm);
    CHECK_EQ((long long)nccl.nonfinite_blocks, (long long)host.nonfinite_blocks);
    if (host.algorithm == HLQ_ALG_NATIVE) return;
    CHECK_EQ((long long)nccl.bytes_sent, (long long)host.bytes_sent);
    CHECK_EQ((long long)nccl.overloads, (long long)host.overloads);
}

static inline void compare_call(pair *p, const call_case *c, uint64_t stream)
{
    size_t bytes = lay_out_tensors(c, p->me, NULL).bytes;
    char *host = calloc(bytes, 1), *got = malloc(bytes), *device = pair_memory(bytes);
    tensors want = lay_out_tensors(c, p->me, host), there = lay_out_tensors(c, p->me, device);
    hlq_test_case("%s, %s, %s, %zu, %d ranks%s%s", hlq_operation_name(c->operation),
                  hlq_algorithm_name(c->algorithm), hlq_dtype_name(c->dtype), c->count, p->me->size,
                  c->in_place ? ", in place" : "", c->has_residual ? ", residual" : "");
    fill(c, p->me, stream, &want);
    pair_put(device, host, bytes);
    hlq_rng same_on_all = hlq_rng_new(stream);
    pair_rounds(p, (int)hlq_rng_below(&same_on_all, 2));
    float *residual = c->has_residual ? want.residual : NULL;
    float *its_residual = c->has_residual ? there.residual : NULL;
    CHECK_EQ(call_it(p->host, c, want.send, want.recv, residual, NULL), HLQ_OK);
    CHECK_EQ(call_it(p->nccl, c, there.send, there.recv, its_residual, p->stream), HLQ_OK);
    pair_synchronize(p);
    CHECK_EQ(hlq_comm_async_error(p->nccl), HLQ_OK);
    pair_get(got, device, bytes);
    CHECK_BYTES(got, host, bytes); /* send, recv, residual, and what lies between */
    compare_stats(p);
    free(host), free(got), pair_free(device);
}

/* The bytes are the host's -------------------------------------------------------------------- */

static inline void every_call(pair *p, hlq_dtype dtype, size_t count, uint64_t stream)
{
    static const hlq_algorithm algorithms[] = {HLQ_ALG_TWOSHOT, HLQ_ALG_ONESHOT};
    for (int i = 0; i < 4 * 2 * 4; i++) {
        call_case c = {
            .operation = (hlq_operation)(i / 8),
            .algorithm = algorithms[i / 4 % 2],
            .dtype = dtype,
            .op = i % 2 ? HLQ_AVG : HLQ_SUM,
            .count = count,
            .in_place = i / 2 % 2,
            .has_residual = i % 2 && dtype != HLQ_FLOAT64,
        };
        compare_call(p, &c, stream * 64 + (uint64_t)i);
    }
}

static inline void bytes_body(test_rank *me, void *argument)
{
    static const size_t counts[] = {0, 1, 1000, 70001};
    static const hlq_dtype types[] = {HLQ_FLOAT32, HLQ_FLOAT16, HLQ_BFLOAT16, HLQ_FLOAT64};
    pair p;
    pair_open(me, argument, 0, &p);
    for (int t = 0; t < (FEWER_CASES ? 2 : 4); t++) {
        for (int i = 0; i < (t ? 3 : 4); i++) {
            every_call(&p, types[t], counts[i], (uint64_t)(4 * t + i));
        }
    }
    pair_close(&p);
}

/* More than one piece per message, as long ones have. */
static inline void long_body(test_rank *me, void *argument)
{
    pair p;
    pair_open(me, argument, 0, &p);
    call_case c = {HLQ_ALL_REDUCE, HLQ_ALG_TWOSHOT, HLQ_FLOAT32, HLQ_AVG, 3500 * 256 + 3, 1, 1};
    compare_call(&p, &c, 1);
    c.algorithm = HLQ_ALG_ONESHOT;
    compare_call(&p, &c, 2);
    pair_close(&p);
}

/*
 * Two levels on nodes of two ranks: rails of two ranks and of more, and one that has nothing to do.
 * AUTO takes them, too.
 */
static inline void groups_body(test_rank *me, void *argument)
{
    static const hlq_dtype types[] = {HLQ_FLOAT32, HLQ_FLOAT16, HLQ_BFLOAT16, HLQ_FLOAT64};
    static const size_t counts[] = {1, 257, 70001};
    hlq_options options = argument ? *(hlq_options *)argument : (hlq_options)HLQ_OPTIONS_INIT;
    pair p;
    options.group = 1 + me->rank / 2;
    options.probe = HLQ_PROBE_OFF;
    pair_open(me, &options, 0, &p);
    for (int i = 0; i < 4 * 3 * 4; i++) {
        hlq_dtype dtype = types[i / 12];
        call_case c = {
            .operation = HLQ_ALL_REDUCE,
            .algorithm = i % 4 == 2 && i / 4 % 3 == 2 ? HLQ_ALG_AUTO : HLQ_ALG_HIERARCHICAL,
            .dtype = dtype,
            .op = i % 2 ? HLQ_AVG : HLQ_SUM,
            .count = counts[i / 4 % 3],
            .in_place = i / 2 % 2,
            .has_residual = i % 2 && dtype != HLQ_FLOAT64,
        };
        compare_call(&p, &c, 7700 + (uint64_t)i);
        hlq_stats stats = {.struct_bytes = sizeof stats};
        CHECK_EQ(hlq_comm_stats(p.nccl, &stats), HLQ_OK);
        CHECK_EQ(stats.algorithm, HLQ_ALG_HIERARCHICAL);
    }
    pair_close(&p);
}

/* Exact ones are the carrier's: numbers whose sums are the same in any order. */
static inline void native_body(test_rank *me, void *argument)
{
    static const hlq_op ops[] = {HLQ_SUM, HLQ_MIN, HLQ_MAX};
    const int *is_old = argument;
    pair p;
    pair_open(me, NULL, *is_old, &p);
    for (int i = 0; i < 4 * 3 * 2; i++) {
        call_case c = {
            .operation = (hlq_operation)(i / 6),
            .algorithm = HLQ_ALG_NATIVE,
            .dtype = HLQ_INT32,
            .op = ops[i / 2 % 3],
            .count = 1001,
            .in_place = i % 2,
        };
        compare_call(&p, &c, (uint64_t)i);
    }
    pair_close(&p);
}

/* Tensors of the host over NCCL: any algorithm. */
static inline void host_body(test_rank *me, void *argument)
{
    static const hlq_algorithm algorithms[] = {HLQ_ALG_TWOSHOT, HLQ_ALG_MODQ, HLQ_ALG_NATIVE};
    pair p;
    pair_open(me, argument, 0, &p);
    for (int a = 0; a < 3; a++) {
        float x[2][5000];
        call_case c = {HLQ_ALL_REDUCE, algorithms[a], HLQ_FLOAT32, HLQ_SUM, 5000, 1, 0};
        hlq_rng rng = hlq_rng_new((uint64_t)me->rank);
        for (int i = 0; i < 5000; i++) x[0][i] = x[1][i] = (float)hlq_rng_between(&rng, -99, 99);
        hlq_test_case("host tensors, %s", hlq_algorithm_name(c.algorithm));
        CHECK_EQ(call_it(p.host, &c, x[0], x[0], NULL, NULL), HLQ_OK);
        CHECK_EQ(call_it(p.nccl, &c, x[1], x[1], NULL, NULL), HLQ_OK);
        CHECK_BYTES(x[1], x[0], sizeof x[0]);
    }
    pair_close(&p);
}

/* Streams ------------------------------------------------------------------------------------- */

enum { COUNT = 3000, COUNT_BYTES = COUNT * sizeof(float) };

static inline void wait_for_gate(void *gate)
{
    while (!atomic_load((atomic_int *)gate)) sched_yield();
}

static inline void fill_floats(const test_rank *me, float *x)
{
    hlq_rng rng = hlq_rng_new((uint64_t)me->rank + 99);
    for (int i = 0; i < COUNT; i++) x[i] = (float)hlq_rng_gauss(&rng);
}

/*
 * Three calls whose work cannot begin, the second on another stream: nobody waits, none overtakes,
 * and time that a stream needs to come to a call is not other ranks' fault.
 */
static inline void streams_body(test_rank *me, void *argument)
{
    const double patience_s = 1;
    float want[COUNT], got[COUNT], *x[3];
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_call call = HLQ_CALL_INIT;
    hlq_request *request[2];
    atomic_int gate = 0;
    int done = 1;
    pair p;
    (void)argument;
    options.timeout_s = patience_s;
    pair_open(me, &options, 0, &p);
    pair_rounds(&p, 1);
    call_case c = {HLQ_ALL_REDUCE, HLQ_ALG_TWOSHOT, HLQ_FLOAT32, HLQ_SUM, COUNT, 1, 0};
    call.algorithm = c.algorithm;
    fill_floats(me, want);
    for (int i = 0; i < 3; i++) {
        x[i] = pair_memory(COUNT_BYTES);
        pair_put(x[i], want, COUNT_BYTES);
    }
    hlq_test_case("three calls behind a gate");
    CHECK_EQ(call_it(p.host, &c, want, want, NULL, NULL), HLQ_OK);
    pair_run(&p, wait_for_gate, &gate);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(hlq_all_reduce_start(p.nccl, x[i], x[i], COUNT, c.dtype, c.op, &call,
                                      i ? p.other : p.stream, &request[i]),
                 HLQ_OK);
    }
    CHECK_EQ(call_it(p.nccl, &c, x[2], x[2], NULL, p.stream), HLQ_OK);
    CHECK_EQ(hlq_wait(request[1], 1.5 * patience_s), HLQ_E_PENDING);
    CHECK_EQ(hlq_test(request[0], &done), HLQ_OK);
    CHECK_EQ(done, 0);
    CHECK_EQ(hlq_comm_async_error(p.nccl), HLQ_OK);
    rank_barrier(me);
    atomic_store(&gate, 1);
    CHECK_EQ(hlq_wait(request[1], HLQ_FOREVER), HLQ_OK);
    CHECK_EQ(hlq_wait(request[0], HLQ_FOREVER), HLQ_OK);
    hlq_comm_destroy(p.nccl); /* what is under way comes to its end */
    p.nccl = NULL;
    for (int i = 0; i < 3; i++) {
        pair_get(got, x[i], COUNT_BYTES);
        CHECK_BYTES(got, want, COUNT_BYTES);
        pair_free(x[i]);
    }
    pair_close(&p);
}

/* Requests for host tensors are their caller's until that ends them, whatever comes in between. */
static inline void mixed_body(test_rank *me, void *argument)
{
    enum { HOST = 5000, CALLS = 3 };
    float want[CALLS][HOST], got[CALLS][HOST], *x = pair_memory(sizeof *got);
    hlq_request *request[2];
    pair p;
    pair_open(me, argument, 0, &p);
    call_case c = {HLQ_ALL_REDUCE, HLQ_ALG_TWOSHOT, HLQ_FLOAT32, HLQ_SUM, HOST, 1, 0};
    hlq_call call = HLQ_CALL_INIT;
    call.algorithm = c.algorithm;
    hlq_rng rng = hlq_rng_new((uint64_t)me->rank);
    hlq_test_case("tensors of the host and the device");
    for (int k = 0; k < CALLS; k++) {
        for (int i = 0; i < HOST; i++) want[k][i] = got[k][i] = (float)hlq_rng_gauss(&rng);
        CHECK_EQ(call_it(p.host, &c, want[k], want[k], NULL, NULL), HLQ_OK);
    }
    pair_put(x, got[2], sizeof got[2]);
    for (int k = 0; k < 2; k++) {
        CHECK_EQ(hlq_all_reduce_start(p.nccl, got[k], got[k], HOST, c.dtype, c.op, &call, NULL,
                                      &request[k]),
                 HLQ_OK);
    }
    CHECK_EQ(call_it(p.nccl, &c, x, x, NULL, p.stream), HLQ_OK);
    pair_synchronize(&p);
    CHECK_EQ(hlq_comm_async_error(p.nccl), HLQ_OK);
    for (int k = 0; k < 2; k++) CHECK_EQ(hlq_wait(request[k], HLQ_FOREVER), HLQ_OK);
    pair_get(got[2], x, sizeof got[2]);
    CHECK_BYTES(got, want, sizeof got);
    pair_close(&p);
    pair_free(x);
}

/* A captured call does its work as often as its graph is launched; what it works with must be there
   before. */
static inline void graph_body(test_rank *me, void *argument)
{
    float want[COUNT], got[COUNT], *x = pair_memory(COUNT_BYTES), *y = pair_memory(COUNT_BYTES);
    float *huge = pair_memory(100 * COUNT_BYTES), *zeros = calloc(100, COUNT_BYTES);
    pair p;
    pair_open(me, argument, 0, &p);
    pair_rounds(&p, 1);
    call_case c = {HLQ_ALL_REDUCE, HLQ_ALG_TWOSHOT, HLQ_FLOAT32, HLQ_SUM, COUNT, 0, 0};
    fill_floats(me, got);
    pair_put(x, got, COUNT_BYTES);
    hlq_test_case("a graph");
    CHECK_EQ(call_it(p.host, &c, got, want, NULL, NULL), HLQ_OK);
    CHECK_EQ(call_it(p.nccl, &c, x, y, NULL, p.stream), HLQ_OK);
    pair_capture(&p);
    CHECK_EQ(call_it(p.nccl, &c, x, y, NULL, p.stream), HLQ_OK);
    void *graph = pair_captured(&p);
    pair_synchronize(&p);
    memset(got, 0, sizeof got);
    for (int i = 0; i < 3; i++) {
        pair_put(y, got, COUNT_BYTES);
        pair_launch(&p, graph);
        pair_synchronize(&p);
        pair_get(got, y, COUNT_BYTES);
        CHECK_BYTES(got, want, COUNT_BYTES);
        memset(got, 0, sizeof got);
    }
    pair_graph_free(graph);
    pair_put(huge, zeros, 100 * COUNT_BYTES);
    pair_capture(&p);
    c.count = 100 * COUNT;
    CHECK_EQ(call_it(p.nccl, &c, huge, huge, NULL, p.stream), HLQ_E_INVALID);
    CHECK(strstr(hlq_comm_last_error(p.nccl), "make the call once before") != NULL);
    CHECK_EQ(call_it(p.nccl, &c, huge, zeros, NULL, p.stream), HLQ_E_INVALID); /* the host's */
    pair_graph_free(pair_captured(&p));
    CHECK_EQ(call_it(p.nccl, &c, huge, huge, NULL, p.stream), HLQ_OK); /* it works on */
    pair_synchronize(&p);
    CHECK_EQ(hlq_comm_async_error(p.nccl), HLQ_OK);
    pair_close(&p);
    pair_free(x), pair_free(y), pair_free(huge), free(zeros);
}

#endif
