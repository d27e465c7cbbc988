/*
 * nccl_pair.h over MPI by way of the host, with CUDA; ranks share the GPUs that there are.
 */
#include "pair_cuda.h"

#include <hlqcomm/mpi_cuda.h>

void pair_open(test_rank *me, const hlq_options *options, int is_old, pair *p)
{
    int devices = 0;
    (void)is_old;
    CUDA(cudaGetDeviceCount(&devices));
    CUDA(cudaSetDevice(me->rank % devices));
    *p = (pair){.me = me};
    CUDA(cudaStreamCreateWithFlags(&p->stream, cudaStreamNonBlocking));
    CUDA(cudaStreamCreateWithFlags(&p->other, cudaStreamNonBlocking));
    MUST(rank_create(me, options, &p->host) == HLQ_OK);
    MUST(hlq_comm_create_mpi_cuda(MPI_COMM_WORLD, options, &p->nccl) == HLQ_OK);
}

void pair_close(pair *p)
{
    hlq_comm_destroy(p->nccl);
    rank_destroy(p->me, p->host);
    rank_barrier(p->me);
    CUDA(cudaStreamDestroy(p->stream));
    CUDA(cudaStreamDestroy(p->other));
}
