/*
 * Collectives in bound mode on the processes of an MPI job: the cases of bound_cases.h.
 */
#include "bound_cases.h"

int main(int argc, char **argv)
{
    hlq_test_start("test_bound_mpi");
    ranks_as_mpi(&argc, &argv, bound_cases, NULL);
    return hlq_test_end();
}
