/*
 * Bodies of test_staged and test_staged_mpi: nccl_cases.h, and what only this carrier has.
 */
#ifndef HLQ_TEST_STAGED_CASES_H
#define HLQ_TEST_STAGED_CASES_H

#include "nccl_cases.h"

/* Native sums have the host's bits, of numbers whose sums depend on their order, too; of up
   to so many numbers. */
static inline void sums_body(test_rank *me, void *argument)
{
    static const hlq_operation operations[] = {HLQ_ALL_REDUCE, HLQ_REDUCE_SCATTER, HLQ_ALL_GATHER,
                                               HLQ_ALL_TO_ALL};
    static const size_t counts[] = {1, 1001, 40000};
    const size_t *most = argument;
    pair p;
    pair_open(me, NULL, 0, &p);
    for (int dtype = 0; hlq_dtype_bytes((hlq_dtype)dtype); dtype++) {
        for (int i = 0; i < 4 * 5 * 3; i++) {
            call_case c = {
                .operation = operations[i % 4],
                .algorithm = HLQ_ALG_NATIVE,
                .dtype = (hlq_dtype)dtype,
                .op = (hlq_op)(i / 4 % 5),
                .count = counts[i / 20 % 3],
                .in_place = (i / 4 + dtype) % 2,
            };
            if (c.op == HLQ_AVG && !hlq_dtype_is_float(c.dtype)) c.op = HLQ_SUM;
            if (c.operation >= HLQ_ALL_GATHER && i / 4 % 5) continue;
            if (c.count > *most) continue;
            compare_call(&p, &c, (uint64_t)(1000 * dtype + i));
        }
    }
    pair_close(&p);
}

/* A stream that is captured is left as it was, and so is the communicator. */
static inline void capture_body(test_rank *me, void *argument)
{
    float want[COUNT], got[COUNT], *x = pair_memory(COUNT_BYTES), *y = pair_memory(COUNT_BYTES);
    call_case c = {HLQ_ALL_REDUCE, HLQ_ALG_TWOSHOT, HLQ_FLOAT32, HLQ_SUM, COUNT, 0, 0};
    pair p;
    pair_open(me, argument, 0, &p);
    fill_floats(me, got);
    pair_put(x, got, COUNT_BYTES);
    hlq_test_case("a stream that is captured");
    CHECK_EQ(call_it(p.host, &c, got, want, NULL, NULL), HLQ_OK);
    pair_capture(&p);
    CHECK_EQ(call_it(p.nccl, &c, x, y, NULL, p.stream), HLQ_E_UNSUPPORTED);
    CHECK(strstr(hlq_comm_last_error(p.nccl), "is being captured") != NULL);
    void *graph = pair_captured(&p);
    memset(got, 0, sizeof got);
    pair_put(y, got, COUNT_BYTES);
    pair_launch(&p, graph);
    pair_synchronize(&p);
    for (int i = 0; i < COUNT; i++) CHECK_EQ(y[i] == 0, 1);
    pair_graph_free(graph);
    CHECK_EQ(call_it(p.nccl, &c, x, y, NULL, p.stream), HLQ_OK);
    pair_synchronize(&p);
    pair_get(got, y, COUNT_BYTES);
    CHECK_BYTES(got, want, COUNT_BYTES);
    pair_close(&p);
    pair_free(x), pair_free(y);
}

#endif
