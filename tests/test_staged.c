/*
 * Collectives on a device without NCCL, by way of the host over threads (transport/staged.h), CUDA
 * by its stand-in: nccl_cases.h, and what only this carrier has.
 */
#include "nccl_cases.h"
#include "pair_staged.h"
#include "stand_in.h"

/* Native sums have the host's bits, of numbers whose sums depend on their order, too. */
static void sums_body(test_rank *me, void *argument)
{
    static const hlq_operation operations[] = {HLQ_ALL_REDUCE, HLQ_REDUCE_SCATTER, HLQ_ALL_GATHER,
                                               HLQ_ALL_TO_ALL};
    static const size_t counts[] = {1, 1001, 40000};
    pair p;
    pair_open(me, argument, 0, &p);
    for (int dtype = 0; hlq_dtype_bytes((hlq_dtype)dtype); dtype++) {
        for (int i = 0; i < 4 * 5 * 3 * 2; i++) {
            call_case c = {
                .operation = operations[i % 4],
                .algorithm = HLQ_ALG_NATIVE,
                .dtype = (hlq_dtype)dtype,
                .op = (hlq_op)(i / 4 % 5),
                .count = counts[i / 20 % 3],
                .in_place = i / 60,
            };
            if (c.op == HLQ_AVG && !hlq_dtype_is_float(c.dtype)) c.op = HLQ_SUM;
            if (c.operation >= HLQ_ALL_GATHER && i / 4 % 5) continue;
            compare_call(&p, &c, (uint64_t)(1000 * dtype + i));
        }
    }
    pair_close(&p);
}

/* A stream that is captured is left as it was, and so is the communicator. */
static void capture_body(test_rank *me, void *argument)
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

static void every_case(const staged_kind *kind)
{
    hlq_options dithered = HLQ_OPTIONS_INIT;
    int is_old = 0, is_plain = !kind->is_direct && kind->piece_bytes > COUNT_BYTES;
    int least = is_plain ? 1 : 3, most = is_plain ? 4 : 3;
    dithered.dither = 1;
    dithered.lattice = HLQ_LATTICE_D4;
    dithered.seed = 7;
    pair_staged_as(kind);
    for (int n = least; n <= most; n++) ranks_as_threads(n, bytes_body, NULL);
    ranks_as_threads(6, groups_body, kind->is_direct ? NULL : &dithered);
    for (int n = 2; n <= 3; n++) {
        ranks_as_threads(n, long_body, NULL);
        ranks_as_threads(n, native_body, &is_old);
        ranks_as_threads(n, sums_body, NULL);
        ranks_as_threads(n, host_body, NULL);
        ranks_as_threads(n, mixed_body, NULL);
        ranks_as_threads(n, streams_body, NULL);
        ranks_as_threads(n, capture_body, NULL);
    }
}

int main(void)
{
    static const staged_kind kinds[] = {
        {.piece_bytes = 1 << 20, .failing = -1},
        {.piece_bytes = 4096, .failing = -1},
        {.piece_bytes = 4096, .is_direct = 1, .failing = -1},
    };
    hlq_test_start("test_staged");
    for (int k = 0; k < 3; k++) every_case(&kinds[k]);
    CHECK_EQ((long long)stand_in_allocations(), 0);
    return hlq_test_end();
}
