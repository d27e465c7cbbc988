/*
 * Every collective with every type over MPI: the cases of collective_cases.h.
 */
#include "collective_cases.h"

int main(int argc, char **argv)
{
    hlq_test_start("test_collectives_mpi");
    ranks_as_mpi(&argc, &argv, check_all_collectives, NULL);
    return hlq_test_end();
}
