/*
 * An outside program over MPI: every rank gives 1, and must get the number of ranks.
 */
#include <hlqcomm/mpi.h>
#include <stdio.h>

enum { COUNT = 1000 };

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    float x[COUNT];
    for (int i = 0; i < COUNT; i++) x[i] = 1.0f;

    int good = 0;
    hlq_comm *comm;
    if (hlq_comm_create_mpi(MPI_COMM_WORLD, NULL, &comm)) {
        fprintf(stderr, "%s\n", hlq_create_error());
    } else if (hlq_all_reduce(comm, x, x, COUNT, HLQ_FLOAT32, HLQ_SUM, NULL, NULL)) {
        fprintf(stderr, "%s\n", hlq_comm_last_error(comm));
    } else {
        float ranks = (float)hlq_comm_size(comm);
        good = ranks > 1.0f && x[0] == ranks && x[COUNT - 1] == ranks;
    }
    hlq_comm_destroy(comm);
    MPI_Finalize();
    return good ? 0 : 1;
}
