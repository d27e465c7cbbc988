/*
 * Collectives on GPUs over MPI by way of the host: staged_cases.h, as MPI can carry them. Skipped
 * without a GPU; on one, ranks share it.
 *
 *     test_mpi_cuda [few]    few: for the machine of ptx/, which is slow, and whose streams do
 *                                their work at once
 */
#include "staged_cases.h"

#include <cuda_runtime_api.h>
#include <mpi.h>

static void few_body(test_rank *me)
{
    pair p;
    pair_open(me, NULL, 0, &p);
    every_call(&p, HLQ_FLOAT32, 3000, 1);
    every_call(&p, HLQ_BFLOAT16, 700, 2);
    pair_close(&p);
}

static void all_bodies(test_rank *me)
{
    bytes_body(me, NULL);
    long_body(me, NULL);
    streams_body(me, NULL);
}

int main(int argc, char **argv)
{
    test_rank me = {.board = NULL};
    size_t most = 1001; /* beyond, sums of float32 over MPI are in an order of MPI's own */
    int devices = 0, provided, is_old = 0;
    hlq_test_start("test_mpi_cuda");
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
        printf("skipped: there is no GPU\n");
        return 77;
    }
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &me.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &me.size);
    if (argc > 1) few_body(&me);
    else all_bodies(&me);
    native_body(&me, &is_old);
    sums_body(&me, &most);
    host_body(&me, NULL);
    mixed_body(&me, NULL);
    MPI_Finalize();
    return hlq_test_end();
}
