/*
 * Every collective with every type over MPI: the cases of collective_cases.h.
 */
#include "flow_cases.h"

static void check(test_rank *me, void *argument)
{
    check_all_collectives(me, argument);
    check_flows(me, NULL);
}

int main(int argc, char **argv)
{
    hlq_test_start("test_collectives_mpi");
    ranks_as_mpi(&argc, &argv, check, NULL);
    return hlq_test_end();
}
