/*
 * The MPI transport keeps what every transport promises.
 */
#include "transport_cases.h"

int main(int argc, char **argv)
{
    hlq_test_start("test_transport_mpi");
    ranks_as_mpi(&argc, &argv, transport_promises, NULL);
    return hlq_test_end();
}
