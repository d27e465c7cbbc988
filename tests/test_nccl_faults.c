/*
 * What goes wrong in collectives on a device over NCCL: nccl_fault_cases.h. NCCL and CUDA by
 * stand-ins.
 */
#include "nccl_fault_cases.h"

#include <transport/nccl_endpoint.h>

static void creation_body(test_rank *me, void *argument)
{
    ncclComm_t *parents = argument, parent = parents[me->rank];
    hlq_comm *comm = (hlq_comm *)argument; /* anything but NULL */
    hlq_options options = HLQ_OPTIONS_INIT;
    CHECK_EQ(hlq_nccl_create(&stand_in_nccl, &stand_in_cuda, &stand_in_wire, NULL, NULL, &comm),
             HLQ_E_INVALID);
    CHECK_STR(hlq_create_error(), "the NCCL communicator is NULL");
    options.bits = me->rank == 1 ? 3 : 4;
    CHECK_EQ(
        hlq_nccl_create(&stand_in_nccl, &stand_in_cuda, &stand_in_wire, parent, &options, &comm),
        HLQ_E_MISMATCH);
    CHECK(comm == NULL);
    CHECK_STR(hlq_create_error(), "rank 0 called with bits 4, rank 1 with bits 3");
    rank_barrier(me);
    stand_in_nccl.CommDestroy(parent);
}

static void test_creation(void)
{
    ncclComm_t parents[2];
    stand_in_comms(2, parents);
    ranks_as_threads(2, creation_body, parents);
}

/* Where there is none, or none that can be used, somebody says so. */
static void test_the_library(void)
{
    char error[256] = "";
    const hlq_nccl_calls *calls = hlq_nccl_library(error);
    CHECK((calls != NULL) == (*error == '\0'));
    if (!calls) CHECK(strstr(error, "NCCL") != NULL);
    if (calls) CHECK(calls->CommSplit && calls->GroupEnd && calls->ReduceScatter);
}

int main(void)
{
    hlq_test_start("test_nccl_faults");
    test_ranks_that_call_something_else();
    test_messages_that_are_damaged();
    ranks_as_threads(4, rail_body, NULL);
    test_creation();
    test_the_library();
    CHECK_EQ((long long)stand_in_allocations(), 0);
    return hlq_test_end();
}
