/*
 * Long messages, for test_collectives and test_collectives_mpi: those that flow, of several chunks
 * and pieces, and modq's; on 2 to 4 ranks, in place and not; on one thread, and on more where there
 * is OpenMP.
 */
#ifndef HLQ_TEST_FLOW_CASES_H
#define HLQ_TEST_FLOW_CASES_H

#include "collective_cases.h"

enum { FLOWS = 10 };

static inline collective_case flow_case(const test_rank *me, int i)
{
    static const size_t count_of[] = {1400003, 1100001, 500009, 300001};
    static const hlq_algorithm algorithm_of[] = {HLQ_ALG_TWOSHOT, HLQ_ALG_ONESHOT, HLQ_ALG_MODQ};
    int is_oneshot = i / 4 == 1, is_all_reduce = i % 4 == 0;
    return (collective_case){
        .operation = (hlq_operation)(i % 4),
        .algorithm = algorithm_of[i / 4],
        .dtype = is_oneshot ? HLQ_BFLOAT16 : HLQ_FLOAT32,
        .count = count_of[is_all_reduce ? 0 : me->size - 1],
        .bits = is_oneshot ? 11 : 7.9,
        .size = 1,
        .draw = hlq_rng_laplace,
        .in_place = !is_oneshot,
        .dither = i == 6,
        .stream = 7000 + (uint64_t)i,
    };
}

static inline uint64_t check_flow(test_rank *me, const collective_case *c, int threads)
{
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_comm *comm = NULL;
    uint64_t digest = 0;
    options.seed = c->stream;
    options.dither = c->dither;
    options.threads = threads;
    hlq_test_case("flows: %d ranks, %s, %s, count %zu, %d threads", me->size,
                  hlq_operation_name(c->operation), hlq_algorithm_name(c->algorithm), c->count,
                  threads);
    if (CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) {
        digest = check_collective(me, comm, c);
    }
    rank_destroy(me, comm);
    return digest;
}

/*
 * In place, where one rank's bits are at the start of its parts and its peer's at the end: of the
 * peer's message much more is there than of the own is coded, whose place it is decoded to.
 */
static inline void check_in_place_with_unlike_plans(test_rank *me)
{
    enum { COUNT = 6000001, OCTAVES = 12 }; /* more chunks than may be under way */
    size_t elems = (size_t)me->size * COUNT, bytes = elems * sizeof(float);
    float *x = malloc(bytes), *y = malloc(bytes);
    hlq_rng rng = hlq_rng_new(77 + (uint64_t)me->rank);
    hlq_call call = HLQ_CALL_INIT;
    hlq_comm *comm = NULL;
    call.bits = 5;
    call.algorithm = HLQ_ALG_ONESHOT;
    hlq_test_case("in place with unlike plans, %d ranks", me->size);
    hlq_rng_fill(&rng, hlq_rng_gauss, x, elems);
    for (size_t i = 0; i < elems; i++) {
        double at = (double)(i % COUNT) / COUNT;
        x[i] *= (float)exp2(OCTAVES * (me->rank % 2 ? at : 1 - at));
    }
    if (CHECK_EQ(rank_create(me, NULL, &comm), HLQ_OK)) {
        CHECK_EQ(hlq_all_to_all(comm, x, y, COUNT, HLQ_FLOAT32, &call, NULL), HLQ_OK);
        CHECK_EQ(hlq_all_to_all(comm, x, x, COUNT, HLQ_FLOAT32, &call, NULL), HLQ_OK);
        CHECK_BYTES(x, y, bytes);
    }
    rank_destroy(me, comm);
    free(x);
    free(y);
}

/* Ranks have different numbers of threads: bits are the same with any. */
static inline void check_flows(test_rank *me, void *argument)
{
    (void)argument;
    if (me->size == 1 || me->size > 4) return;
    for (int i = 0; i < FLOWS; i++) {
        collective_case c = flow_case(me, i);
        uint64_t digest = check_flow(me, &c, 0);
        uint64_t again = check_flow(me, &c, 2 + me->rank);
        CHECK(again == digest);
    }
    if (me->size == 2) check_in_place_with_unlike_plans(me);
}

#endif
