/*
 * Collectives started and left to themselves, on threads; and over a carrier without channels, for
 * which they are done one after the other.
 */
#include "request_cases.h"

#include <transport/transport_internal.h>

static void on_a_carrier_without_channels(test_rank *me, void *argument)
{
    hlq_thread_group *group = NULL, *all[RANKS_MAX];
    hlq_transport t = {0};
    hlq_comm *comm = NULL;
    char error[HLQ_ERROR_BYTES] = "";
    (void)argument;
    hlq_test_case("without channels, on rank %d of %d", me->rank, me->size);
    if (me->rank == 0) CHECK_EQ(hlq_thread_group_create(me->size, &group), HLQ_OK);
    rank_gather(me, &group, sizeof group, all);
    CHECK_EQ(hlq_transport_threads(all[0], me->rank, &t, error), HLQ_OK);
    t.in_order = 1;
    t.rest = NULL; /* which a carrier need not have */
    t.give_up = NULL;
    if (CHECK_EQ(hlq_comm_create_callbacks(&t, NULL, &comm), HLQ_OK)) {
        requests_give_what_calls_give(me, comm);
    }
    rank_barrier(me);
    hlq_comm_destroy(comm);
    rank_barrier(me);
    hlq_thread_group_destroy(group);
}

int main(void)
{
    hlq_test_start("test_requests");
    for (int n = 1; n <= 6; n++) ranks_as_threads(n, request_cases, NULL);
    ranks_as_threads(13, request_cases, NULL);
    for (int n = 1; n <= 4; n++) ranks_as_threads(n, on_a_carrier_without_channels, NULL);
    return hlq_test_end();
}
