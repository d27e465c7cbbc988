/*
 * Collectives on one GPU, by its own kernels on its own streams, on ranks that are threads: all but
 * NCCL, for which thread_nccl.h stands in. Skipped without a GPU.
 */
#include "nccl_cases.h"
#include "pair_cuda.h"
#include "thread_nccl.h"

#include <transport/nccl_endpoint.h>
#include <wire/device.h>

static ncclComm_t parent_of(test_rank *me)
{
    ncclComm_t comm[RANKS_MAX] = {NULL}, all[RANKS_MAX * RANKS_MAX];
    if (me->rank == 0) thread_comms(me->size, comm);
    rank_gather(me, comm, sizeof comm, all);
    return all[me->rank];
}

void pair_open(test_rank *me, const hlq_options *options, int is_old, pair *p)
{
    (void)is_old;
    *p = (pair){.me = me, .parent = parent_of(me)};
    CUDA(cudaStreamCreateWithFlags(&p->stream, cudaStreamNonBlocking));
    CUDA(cudaStreamCreateWithFlags(&p->other, cudaStreamNonBlocking));
    MUST(rank_create(me, options, &p->host) == HLQ_OK);
    MUST(hlq_nccl_create(&thread_nccl, &hlq_cuda_runtime, &hlq_wire_cuda, p->parent, options,
                         &p->nccl) == HLQ_OK);
}

void pair_close(pair *p)
{
    hlq_comm_destroy(p->nccl);
    rank_destroy(p->me, p->host);
    rank_barrier(p->me);
    thread_nccl.CommDestroy(p->parent);
    CUDA(cudaStreamDestroy(p->stream));
    CUDA(cudaStreamDestroy(p->other));
}

int main(void)
{
    hlq_options dithered = HLQ_OPTIONS_INIT;
    int devices = 0;
    hlq_test_start("test_nccl_threads");
    if (cudaGetDeviceCount(&devices) != cudaSuccess || !devices) {
        printf("skipped: there is no GPU\n");
        return 77;
    }
    dithered.dither = 1;
    dithered.lattice = HLQ_LATTICE_D4;
    for (int n = 1; n <= 4; n++) ranks_as_threads(n, bytes_body, NULL);
    ranks_as_threads(3, bytes_body, &dithered);
    for (int n = 4; n <= 6; n += 2) ranks_as_threads(n, groups_body, NULL);
    for (int n = 2; n <= 3; n++) {
        ranks_as_threads(n, long_body, NULL);
        ranks_as_threads(n, host_body, NULL);
        ranks_as_threads(n, mixed_body, NULL);
        ranks_as_threads(n, streams_body, NULL);
    }
    return hlq_test_end();
}
