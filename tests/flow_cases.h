/*
 * Messages that flow, for test_collectives and test_collectives_mpi: of several chunks and pieces,
 * on 2 to 4 ranks, in place and not; on one thread, and on more where there is OpenMP.
 */
#ifndef HLQ_TEST_FLOW_CASES_H
#define HLQ_TEST_FLOW_CASES_H

#include "collective_cases.h"

enum { FLOWS = 8 };

static inline collective_case flow_case(const test_rank *me, int i)
{
    static const size_t count_of[] = {1400003, 1100001, 500009, 300001};
    int is_first = i < FLOWS / 2, is_all_reduce = i % 4 == 0;
    return (collective_case){
        .operation = (hlq_operation)(i % 4),
        .algorithm = is_first ? HLQ_ALG_TWOSHOT : HLQ_ALG_ONESHOT,
        .dtype = is_first ? HLQ_FLOAT32 : HLQ_BFLOAT16,
        .count = count_of[is_all_reduce ? 0 : me->size - 1],
        .bits = is_first ? 7.9 : 11,
        .size = 1,
        .draw = hlq_rng_laplace,
        .in_place = is_first,
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
}

#endif
