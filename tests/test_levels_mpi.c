/*
 * All-reduces of two levels and with exempt ranges over MPI: the cases of level_cases.h.
 */
#include "level_cases.h"

int main(int argc, char **argv)
{
    hlq_test_start("test_levels_mpi");
    ranks_as_mpi(&argc, &argv, level_cases, NULL);
    return hlq_test_end();
}
