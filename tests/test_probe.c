/*
 * The probe of AUTO: it measures once, on all ranks alike, and what it finds decides. The carrier
 * here takes as long as a test likes; nothing depends on how fast the machine is.
 */
#include "transport_cases.h"

#include <collective/comm.h>

enum { ELEMS = 100000, TIMES_BYTES = 72, IN_FLIGHT = 8 };

/* A carrier that is slow. */
typedef struct carrier {
    hlq_transport inner;
    double per_byte, idle; /* seconds; when the last of what was begun is over */
    struct {
        double ready;
        int done;
    } flight[IN_FLIGHT]; /* by number */
    int exchanges;       /* so far */
    int is_damaging;     /* the times that this rank tells rank 0 */
    hlq_message send[RANKS_MAX];
    uint8_t copy[TIMES_BYTES];
} carrier;

static void damage_times(carrier *c, hlq_exchange *x)
{
    if (!c->is_damaging || x->send[0].bytes != TIMES_BYTES) return;
    memcpy(c->send, x->send, (size_t)c->inner.size * sizeof *c->send);
    memcpy(c->copy, x->send[0].data, TIMES_BYTES);
    c->copy[3] ^= 1;
    c->send[0].data = c->copy;
    x->send = c->send;
}

static hlq_status carrier_start(void *self, hlq_exchange *x, char *error)
{
    carrier *c = self;
    size_t bytes = 0;
    for (int p = 0; p < c->inner.size; p++) bytes += p == c->inner.rank ? 0 : x->send[p].bytes;
    c->idle = fmax(c->idle, hlq_now()) + (double)bytes * c->per_byte;
    c->flight[x->number % IN_FLIGHT].ready = c->idle;
    c->flight[x->number % IN_FLIGHT].done = 0;
    c->exchanges++;
    damage_times(c, x);
    return c->inner.start(c->inner.self, x, error);
}

static hlq_status carrier_test(void *self, hlq_exchange *x, int *done, char *error)
{
    carrier *c = self;
    double ready = c->flight[x->number % IN_FLIGHT].ready;
    int *moved = &c->flight[x->number % IN_FLIGHT].done;
    hlq_status status = *moved ? HLQ_OK : c->inner.test(c->inner.self, x, moved, error);
    *done = *moved && hlq_now() >= ready;
    return status;
}

static int carrier_cancel(void *self, hlq_exchange *x, char *missing)
{
    carrier *c = self;
    return c->inner.cancel(c->inner.self, x, missing);
}

static void carrier_give_up(void *self, hlq_status status, const char *sentence)
{
    carrier *c = self;
    c->inner.give_up(c->inner.self, status, sentence);
}

static void carrier_destroy(void *self)
{
    carrier *c = self;
    c->inner.destroy(c->inner.self);
}

/* A communicator over it. */
static hlq_comm *create(test_rank *me, carrier *c, double per_byte, hlq_thread_group **group)
{
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_comm *comm = NULL;
    *c = (carrier){.inner = open_transport(me, group), .per_byte = per_byte};
    hlq_transport table = {
        .struct_bytes = sizeof table,
        .name = "slow",
        .self = c,
        .rank = me->rank,
        .size = me->size,
        .start = carrier_start,
        .test = carrier_test,
        .cancel = carrier_cancel,
        .give_up = carrier_give_up,
        .destroy = carrier_destroy,
    };
    options.probe = HLQ_PROBE_ON;
    CHECK_EQ(hlq_comm_create_callbacks(&table, &options, &comm), HLQ_OK);
    return comm;
}

static void destroy(test_rank *me, hlq_comm *comm, hlq_thread_group *group)
{
    hlq_comm_destroy(comm);
    unshare_group(me, group);
}

static float *numbers(const test_rank *me)
{
    float *x = malloc(ELEMS * sizeof *x);
    hlq_rng rng = hlq_rng_new((uint64_t)me->rank);
    hlq_rng_fill(&rng, hlq_rng_gauss, x, ELEMS);
    return x;
}

static hlq_algorithm reduce(hlq_comm *comm, hlq_algorithm algorithm, const float *x, float *y)
{
    hlq_call call = HLQ_CALL_INIT;
    hlq_stats stats = {.struct_bytes = sizeof stats};
    call.algorithm = algorithm;
    CHECK_EQ(hlq_all_reduce(comm, x, y, ELEMS, HLQ_FLOAT32, HLQ_SUM, &call, NULL), HLQ_OK);
    CHECK_EQ(hlq_comm_stats(comm, &stats), HLQ_OK);
    return stats.algorithm;
}

/* Plain numbers have 8 times the bytes of codes, at so much each that what else there is is little:
   coding under a sanitizer, too. */
static const double slow = FEWER_CASES ? 4e-6 : 30e-9;

static void on_a_slow_carrier_codes_pay(test_rank *me, void *argument)
{
    carrier c;
    hlq_thread_group *group;
    float *x = numbers(me), *y = malloc(ELEMS * sizeof *y), *named = malloc(ELEMS * sizeof *y);
    (void)argument;
    hlq_test_case("slow carrier, rank %d of %d", me->rank, me->size);
    hlq_comm *comm = create(me, &c, slow, &group);
    hlq_request *request;
    CHECK_EQ(hlq_all_reduce_start(comm, x, y, ELEMS, HLQ_FLOAT32, HLQ_SUM, NULL, NULL, &request),
             HLQ_OK);
    CHECK_EQ(hlq_wait(request, HLQ_FOREVER), HLQ_OK);
    CHECK(!comm->probe.is_done); /* calls that do not block leave it to the first that does */

    int before = c.exchanges;
    hlq_algorithm chosen = reduce(comm, HLQ_ALG_AUTO, x, y);
    int first = c.exchanges - before;
    CHECK(comm->probe.is_done);
    CHECK(rank_same(me, &comm->probe.plain, sizeof comm->probe.plain));
    CHECK(rank_same(me, &comm->probe.coded, sizeof comm->probe.coded));
    CHECK(rank_same(me, &comm->probe.chunk_bytes, sizeof comm->probe.chunk_bytes));
    CHECK_EQ(chosen, me->size == 2 ? HLQ_ALG_ONESHOT : HLQ_ALG_TWOSHOT);
    CHECK_EQ(reduce(comm, chosen, x, named), chosen);
    CHECK_BYTES(y, named, ELEMS * sizeof *y);

    before = c.exchanges;
    CHECK_EQ(reduce(comm, HLQ_ALG_AUTO, x, y), chosen);
    CHECK(c.exchanges - before < first); /* measured once */

    /* What the probe says of chunks changes how often ranks exchange, not what they get. */
    static const size_t chunks[] = {1 << 20, 6001, 1500};
    for (int i = 0, last = 0; i < 3; i++) {
        comm->probe.chunk_bytes = chunks[i];
        before = c.exchanges;
        reduce(comm, chosen, x, named);
        CHECK_BYTES(y, named, ELEMS * sizeof *y);
        CHECK(c.exchanges - before > last);
        last = c.exchanges - before;
    }
    destroy(me, comm, group);
    free(x);
    free(y);
    free(named);
}

static void damaged_times_are_an_error(test_rank *me, void *argument)
{
    carrier c;
    hlq_thread_group *group;
    float *x = numbers(me);
    (void)argument;
    hlq_test_case("damaged times, rank %d of %d", me->rank, me->size);
    hlq_comm *comm = create(me, &c, 0, &group);
    c.is_damaging = me->rank == 1;
    CHECK_EQ(hlq_all_reduce(comm, x, x, ELEMS, HLQ_FLOAT32, HLQ_SUM, NULL, NULL), HLQ_E_WIRE);
    CHECK(strstr(hlq_comm_last_error(comm), "from rank 1: its times are damaged"));
    destroy(me, comm, group);
    free(x);
}

/* Lines that were measured, and what follows from them. */
static void the_lines_decide(void)
{
    /* Of 4096, 16384, 65536 and 524288 numbers. */
    hlq_probe p = {.is_done = 1,
                   .plain = {{40e-6, 10e-6, 100e-6, 800e-6}},
                   .coded = {{30e-6, 40e-6, 60e-6, 200e-6}}};
    hlq_test_case("lines");
    CHECK(hlq_probe_says_coded(&p, 100, 4)); /* as at 4096 */
    CHECK(hlq_probe_says_coded(&p, 4096, 4));
    CHECK(hlq_probe_says_coded(&p, 5000, 4));  /* 38 and 31 us */
    CHECK(!hlq_probe_says_coded(&p, 8192, 4)); /* 30 and 33 us */
    CHECK(!hlq_probe_says_coded(&p, 16384, 4));
    CHECK(!hlq_probe_says_coded(&p, 35000, 4)); /* 44 and 47 us */
    CHECK(hlq_probe_says_coded(&p, 40000, 4));  /* 53 and 49 us */
    CHECK(hlq_probe_says_coded(&p, 65536, 4));
    CHECK(!hlq_probe_says_coded(&p, 65536, 2)); /* half the plain bytes, as many codes */
    CHECK(hlq_probe_says_coded(&p, 524288, 4));
    /* Beyond 2 MiB as at 2 MiB. */
    CHECK(hlq_probe_says_coded(&p, (size_t)1 << 30, 4));
    p.coded.seconds[3] = 770e-6;
    CHECK(!hlq_probe_says_coded(&p, (size_t)1 << 30, 4)); /* not by the margin */
    p.coded.seconds[3] = 750e-6;
    CHECK(hlq_probe_says_coded(&p, (size_t)1 << 30, 4));
    p.is_done = 0;
    CHECK(hlq_probe_says_coded(&p, 100, 4));
}

/* Short tensors are plain unless it is known that codes pay. */
static void what_is_short(test_rank *me, void *argument)
{
    static const struct {
        hlq_probing probe;
        size_t asked, least;
    } cases[] = {{HLQ_PROBE_ON, HLQ_MIN_BYTES_DEFAULT, 1 << 14},
                 {HLQ_PROBE_OFF, HLQ_MIN_BYTES_DEFAULT, 1 << 16},
                 {HLQ_PROBE_ON, 100, 100},
                 {HLQ_PROBE_OFF, 0, 0}};
    (void)argument;
    for (int i = 0; i < 4; i++) {
        hlq_options options = HLQ_OPTIONS_INIT;
        hlq_comm *comm = NULL;
        hlq_test_case("what is short, case %d", i);
        options.probe = cases[i].probe;
        options.min_bytes = cases[i].asked;
        CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK);
        CHECK_EQ(comm->options.min_bytes, cases[i].least);
        rank_destroy(me, comm);
    }
}

int main(void)
{
    hlq_test_start("test_probe");
    the_lines_decide();
    ranks_as_threads(2, what_is_short, NULL);
    for (int n = 2; n <= 4; n++) {
        ranks_as_threads(n, on_a_slow_carrier_codes_pay, NULL);
        ranks_as_threads(n, damaged_times_are_an_error, NULL);
    }
    return hlq_test_end();
}
