/*
 * One tensor of more than 2^31 bytes on two ranks, for test_all_reduce and test_all_reduce_mpi with
 * the argument "large". In place, so that it fits into 12 GiB.
 */
#ifndef HLQ_TEST_LARGE_TENSOR_H
#define HLQ_TEST_LARGE_TENSOR_H

#include "hlq_test.h"
#include "model.h"
#include "ranks.h"

static const size_t large_count = ((size_t)1 << 29) + 1000;

/* Element i of rank p: in (-1, 1), and a few sizes of blocks. */
static inline float large_element(size_t i, int p)
{
    uint64_t z = (2 * i + (uint64_t)p + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 29) * 0xbf58476d1ce4e5b9u;
    float x = (float)(int32_t)(z >> 32) * 0x1p-31f;
    return i / MODEL_BLOCK % 7 == 3 ? x * 64 : x;
}

/* Block by block: the model of one block at a time needs no second copy of the tensor. */
static inline void check_large_blocks(const float *result, int ranks, const model_bound *bound)
{
    float x[MODEL_BLOCK];
    double worst = 0;
    for (size_t at = 0; at < large_count; at += MODEL_BLOCK) {
        size_t here = large_count - at < MODEL_BLOCK ? large_count - at : MODEL_BLOCK;
        model m = model_new(here, ranks, HLQ_AVG);
        for (int p = 0; p < ranks; p++) {
            for (size_t i = 0; i < here; i++) x[i] = large_element(at + i, p);
            model_add(&m, x);
        }
        worst = fmax(worst, model_worst(&m, bound, result + at));
        model_free(&m);
    }
    CHECK_WITHIN(worst, 0, 1);
}

static inline void check_large(test_rank *me, hlq_algorithm algorithm)
{
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_comm *comm = NULL;
    hlq_stats stats = {.struct_bytes = sizeof stats};
    double scales[RANKS_MAX];
    float *x = malloc(large_count * sizeof *x);
    hlq_test_case("%zu floats, %s", large_count, hlq_algorithm_name(algorithm));
    if (!x) {
        fprintf(stderr, "no memory for %zu floats\n", large_count);
        exit(2);
    }
    for (size_t i = 0; i < large_count; i++) x[i] = large_element(i, me->rank);
    options.algorithm = algorithm;
    if (CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK)) {
        hlq_status status =
            hlq_all_reduce(comm, x, x, large_count, HLQ_FLOAT32, HLQ_AVG, NULL, NULL);
        CHECK_EQ(status, HLQ_OK);
        CHECK_STR(hlq_comm_last_error(comm), "");
        CHECK_EQ(hlq_comm_stats(comm, &stats), HLQ_OK);
        CHECK_EQ(stats.count, large_count);
        CHECK_EQ(stats.algorithm, algorithm);
        if (algorithm != HLQ_ALG_NATIVE) CHECK_AT_MOST(stats.bits_per_elem, options.bits);
        CHECK(rank_same(me, x, large_count * sizeof *x));
        rank_gather(me, &stats.largest_scale, sizeof *scales, scales);
        model_bound bound = {.scales = model_scales(algorithm, scales, me->size)};
        if (me->rank == 0) check_large_blocks(x, me->size, &bound);
    }
    rank_destroy(me, comm);
    free(x);
}

static inline void check_large_tensor(test_rank *me, void *argument)
{
    (void)argument;
    check_large(me, HLQ_ALG_NATIVE);
    check_large(me, HLQ_ALG_TWOSHOT);
}

#endif
