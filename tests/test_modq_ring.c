/*
 * modq around a ring: the same bytes as all-to-all gives, in results and residuals, for every
 * operation and type, whether sums fit or not.
 */
#include "dtypes.h"
#include "ranks.h"

enum { CASES = FEWER_CASES ? 4 : 24 };

typedef struct ring_case {
    hlq_operation operation;
    hlq_dtype dtype;
    hlq_op op;
    hlq_lattice lattice;
    size_t count; /* of recv */
    double bits;
    int is_alike; /* all ranks have the same numbers: sums are larger than expected */
    int in_place, has_residual, is_exempt;
} ring_case;

/* The same on all ranks. */
static ring_case draw_case(int ranks, int i)
{
    static const size_t counts[] = {0, 1, 255, 256, 257, 1000, 4099, 40000};
    static const double bits[] = {2, 3, 4.5, 6, 12};
    hlq_rng rng = hlq_rng_new((uint64_t)(100 * ranks + i));
    ring_case c = {
        .operation = i % 3 ? HLQ_ALL_REDUCE : HLQ_REDUCE_SCATTER,
        .dtype = (hlq_dtype)(i % 4),
        .op = (hlq_op)hlq_rng_below(&rng, 2),
        .lattice = (hlq_lattice)hlq_rng_below(&rng, 3),
        .count = counts[hlq_rng_below(&rng, 8)],
        .bits = bits[hlq_rng_below(&rng, 5)],
        .is_alike = (int)hlq_rng_below(&rng, 2),
        .in_place = (int)hlq_rng_below(&rng, 2),
    };
    if (c.operation == HLQ_REDUCE_SCATTER) c.count = (c.count + (size_t)ranks - 1) / (size_t)ranks;
    c.has_residual = c.dtype != HLQ_FLOAT64 && hlq_rng_below(&rng, 2);
    c.is_exempt = c.operation == HLQ_ALL_REDUCE && c.count > 500 && hlq_rng_below(&rng, 3) == 0;
    return c;
}

/* What a topology gave. */
typedef struct outcome {
    char *memory; /* send, and recv in or behind it */
    const char *recv;
    float *residual;
    size_t recv_bytes, residual_bytes;
    hlq_stats stats;
    hlq_plan_info plan;
} outcome;

static size_t send_elems(const ring_case *c, int ranks)
{
    return c->operation == HLQ_REDUCE_SCATTER ? (size_t)ranks * c->count : c->count;
}

static void fill(const test_rank *me, const ring_case *c, size_t elems, void *to)
{
    double *x = calloc(elems + 1, sizeof *x);
    hlq_rng rng = hlq_rng_new(c->is_alike ? 7 : 1000 + (uint64_t)me->rank);
    for (size_t i = 0; i < elems; i++) x[i] = hlq_rng_lognormal(&rng);
    dtype_store(c->dtype, x, elems, to);
    free(x);
}

static outcome run(test_rank *me, const ring_case *c, hlq_topology topology)
{
    const hlq_range exempt = {100, 300};
    size_t width = hlq_dtype_bytes(c->dtype), elems = send_elems(c, me->size);
    size_t own = c->operation == HLQ_REDUCE_SCATTER ? (size_t)me->rank * c->count * width : 0;
    outcome o = {
        .memory = calloc(1, elems * width + c->count * width + 1),
        .residual = calloc(elems + 1, sizeof *o.residual),
        .recv_bytes = c->count * width,
        .residual_bytes = elems * sizeof *o.residual,
        .stats = {.struct_bytes = sizeof o.stats},
        .plan = {.struct_bytes = sizeof o.plan, .operation = c->operation},
    };
    char *send = o.memory, *recv = c->in_place ? send + own : send + elems * width;
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_call call = HLQ_CALL_INIT;
    hlq_comm *comm = NULL;
    options.algorithm = HLQ_ALG_MODQ;
    options.lattice = c->lattice;
    options.topology = topology;
    call.bits = c->bits;
    call.residual = c->has_residual ? o.residual : NULL;
    call.exempt = &exempt;
    call.exempt_ranges = (size_t)c->is_exempt;
    o.recv = recv;
    fill(me, c, elems, send);
    if (CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) {
        hlq_status status =
            c->operation == HLQ_ALL_REDUCE
                ? hlq_all_reduce(comm, send, recv, c->count, c->dtype, c->op, &call, NULL)
                : hlq_reduce_scatter(comm, send, recv, c->count, c->dtype, c->op, &call, NULL);
        CHECK_STR(hlq_comm_last_error(comm), "");
        CHECK_EQ(status, HLQ_OK);
        CHECK_EQ(hlq_comm_stats(comm, &o.stats), HLQ_OK);
        CHECK_EQ(hlq_comm_plan(comm, c->count, c->dtype, c->op, &call, &o.plan), HLQ_OK);
    }
    rank_destroy(me, comm);
    return o;
}

static void free_outcome(outcome *o)
{
    free(o->memory);
    free(o->residual);
}

/* A rank sends other parts around a ring than to all, but all ranks together as much: as long as
   nothing is sent again, for around a ring owners have more of that to come. (Not where codes have
   12 bits: those are made anew.) */
static void check_bytes(test_rank *me, const outcome *direct, const outcome *ring)
{
    double sent = rank_sum(me, (double)ring->stats.bytes_sent);
    double received = rank_sum(me, (double)ring->stats.bytes_received);
    double directly = rank_sum(me, (double)direct->stats.bytes_sent);
    CHECK(sent == received);
    CHECK(ring->stats.retries ? sent >= directly : sent == directly);
    if (!ring->stats.retries) CHECK_AT_MOST(ring->stats.bytes_sent, ring->plan.wire_bytes);
    CHECK(rank_sum(me, (double)ring->plan.wire_bytes) ==
          rank_sum(me, (double)direct->plan.wire_bytes));
    CHECK_EQ(ring->plan.workspace_bytes, direct->plan.workspace_bytes);
}

static void compare(test_rank *me, const ring_case *c, int *retried)
{
    outcome direct = run(me, c, HLQ_TOPOLOGY_ALL_TO_ALL), ring = run(me, c, HLQ_TOPOLOGY_RING);
    CHECK_BYTES(ring.recv, direct.recv, ring.recv_bytes);
    CHECK_BYTES(ring.residual, direct.residual, ring.residual_bytes);
    CHECK_EQ(ring.stats.overloads, direct.stats.overloads);
    CHECK_EQ(ring.stats.retries, direct.stats.retries);
    CHECK(ring.stats.largest_scale == direct.stats.largest_scale);
    if (c->operation == HLQ_ALL_REDUCE) CHECK(rank_same(me, ring.recv, ring.recv_bytes));
    check_bytes(me, &direct, &ring);
    *retried += ring.stats.retries > 0;
    free_outcome(&direct);
    free_outcome(&ring);
}

static void a_ring_gives_the_same_bytes(test_rank *me, void *argument)
{
    int retried = 0;
    (void)argument;
    for (int i = 0; i < CASES; i++) {
        ring_case c = draw_case(me->size, i);
        hlq_test_case("%d ranks, %s, %s, %s, %s, count %zu, %g bits%s%s%s%s, rank %d", me->size,
                      hlq_operation_name(c.operation), hlq_dtype_name(c.dtype), hlq_op_name(c.op),
                      hlq_lattice_name(c.lattice), c.count, c.bits, c.is_alike ? ", alike" : "",
                      c.in_place ? ", in place" : "", c.has_residual ? ", residual" : "",
                      c.is_exempt ? ", exempt range" : "", me->rank);
        compare(me, &c, &retried);
    }
    /* 2.2 √n times one rank's size is expected of a sum at most. */
    if (me->size > 5 && !FEWER_CASES) CHECK(retried > 0);
}

static void ranks_agree_on_it(test_rank *me, void *argument)
{
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_comm *comm = NULL;
    (void)argument;
    hlq_test_case("one rank around a ring, rank %d", me->rank);
    if (me->rank == 1) options.topology = HLQ_TOPOLOGY_RING;
    CHECK_EQ(rank_create(me, &options, &comm), HLQ_E_MISMATCH);
    CHECK(strstr(hlq_create_error(), "topology ring"));
    rank_destroy(me, comm);
    options.topology = (hlq_topology)3;
    CHECK_EQ(rank_create(me, &options, &comm), HLQ_E_INVALID);
    rank_destroy(me, comm);
}

int main(void)
{
    hlq_test_start("test_modq_ring");
    for (int n = 1; n <= 17; n += FEWER_CASES ? 4 : 1) {
        ranks_as_threads(n, a_ring_gives_the_same_bytes, NULL);
    }
    ranks_as_threads(3, ranks_agree_on_it, NULL);
    return hlq_test_end();
}
