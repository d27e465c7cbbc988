/*
 * Memory that hlq_comm_plan() tells, beside tensors of 4 bits a number: codes out and in are a
 * quarter of a float32 tensor; what is known of each block comes on top, and for any size as much
 * as ranks' codes are added in.
 */
#include "hlq_test.h"
#include "ranks.h"

#include <hlqcomm/stats.h>
#include <kernels/kernels.h>

enum { LARGE = 1 << 28, FIXED_BYTES = 1 << 20, RANKS_TESTED = 16 };

typedef struct ask {
    hlq_algorithm algorithm;
    hlq_dtype dtype;
    double share;         /* of the tensor */
    int counts_blocks_up; /* and more than in share: what is kept of every block of each rank */
} ask;

static uint64_t planned(hlq_comm *comm, const ask *a, size_t count)
{
    hlq_call call = {.struct_bytes = sizeof call, .algorithm = a->algorithm, .bits = 4};
    hlq_plan_info plan = {.struct_bytes = sizeof plan};
    CHECK_EQ(hlq_comm_plan(comm, count, a->dtype, HLQ_SUM, &call, &plan), HLQ_OK);
    return plan.workspace_bytes;
}

static void check_size(hlq_comm *comm, const ask *a, size_t count)
{
    double tensor = (double)count * (double)hlq_dtype_bytes(a->dtype);
    /* A byte for the bits of each rank's block, one for those sent, two for an exponent. */
    double known = (double)count / HLQ_BLOCK_ELEMS * (hlq_comm_size(comm) + 3);
    double most = a->share * tensor + (a->counts_blocks_up ? known : 0) + FIXED_BYTES;
    uint64_t bytes = planned(comm, a, count);
    if ((double)bytes <= most) return;
    hlq_test_fail(__FILE__, __LINE__, "%s: %llu bytes for %zu numbers, not %.0f",
                  hlq_algorithm_name(a->algorithm), (unsigned long long)bytes, count, most);
}

/* Sums that are coded again wait in recv, if its numbers are wide enough, else in memory of their
   own. */
static void body(test_rank *me, void *unused)
{
    hlq_comm *comm;
    double own = 2.0 / me->size; /* float32 of the rank's part, beside a tensor of half of that */
    const ask asks[] = {
        {HLQ_ALG_TWOSHOT, HLQ_FLOAT32, 0.25, 0},       {HLQ_ALG_TWOSHOT, HLQ_FLOAT64, 0.125, 0},
        {HLQ_ALG_TWOSHOT, HLQ_BFLOAT16, 0.5 + own, 0}, {HLQ_ALG_ONESHOT, HLQ_FLOAT32, 0.25, 1},
        {HLQ_ALG_MODQ, HLQ_FLOAT32, 0.25, 0},
    };
    (void)unused;
    if (!CHECK_EQ(rank_create(me, NULL, &comm), HLQ_OK)) return;
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
        uint64_t half = planned(comm, &asks[i], LARGE / 2), whole = planned(comm, &asks[i], LARGE);
        check_size(comm, &asks[i], LARGE);
        CHECK(whole <= 2 * half);
    }
    rank_destroy(me, comm);
}

int main(void)
{
    hlq_test_start("test_workspace");
    for (int ranks = 2; ranks <= RANKS_TESTED; ranks++) ranks_as_threads(ranks, body, NULL);
    return hlq_test_end();
}
