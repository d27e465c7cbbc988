/*
 * Every collective with every type over MPI: the cases of request_cases.h.
 */
#include "request_cases.h"

int main(int argc, char **argv)
{
    hlq_test_start("test_requests_mpi");
    ranks_as_mpi(&argc, &argv, request_cases, NULL);
    return hlq_test_end();
}
