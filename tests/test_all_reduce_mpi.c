/*
 * All-reduce over MPI against the fp64 model: the cases of all_reduce_cases.h. With the argument
 * "large", one tensor of more than 2^31 bytes instead.
 */
#include "all_reduce_cases.h"
#include "large_tensor.h"

int main(int argc, char **argv)
{
    hlq_test_start("test_all_reduce_mpi");
    int large = argc > 1 && strcmp(argv[1], "large") == 0;
    ranks_as_mpi(&argc, &argv, large ? check_large_tensor : check_all_cases, NULL);
    return hlq_test_end();
}
