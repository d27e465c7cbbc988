/*
 * hlqcomm/mpi_cuda.h from outside: a communicator where there is a GPU, else none on any rank, and
 * a sentence.
 */
#include <hlqcomm/mpi_cuda.h>

#include <stdio.h>

enum { COUNT = 1000 };

/* Tensors of the host work in any case. */
static int adds_up(hlq_comm *comm)
{
    float x[COUNT], ranks = (float)hlq_comm_size(comm);
    for (int i = 0; i < COUNT; i++) x[i] = 1.0f;
    if (hlq_all_reduce(comm, x, x, COUNT, HLQ_FLOAT32, HLQ_SUM, NULL, NULL)) return 0;
    return x[0] == ranks && x[COUNT - 1] == ranks;
}

int main(int argc, char **argv)
{
    int provided = 0;
    hlq_comm *comm = NULL;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    hlq_status status = hlq_comm_create_mpi_cuda(MPI_COMM_WORLD, NULL, &comm);
    int good = status == HLQ_OK ? adds_up(comm) : !comm && *hlq_create_error();
    printf("%s\n", status == HLQ_OK ? "created" : hlq_create_error());
    hlq_comm_destroy(comm);
    MPI_Finalize();
    return good ? 0 : 1;
}
