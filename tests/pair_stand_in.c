/*
 * nccl_pair.h without a GPU: over NCCL.
 */
#include "nccl_pair.h"
#include "stand_in.h"

#include <transport/nccl_endpoint.h>

static ncclComm_t parent_of(test_rank *me)
{
    ncclComm_t comm[RANKS_MAX] = {NULL}, all[RANKS_MAX * RANKS_MAX];
    if (me->rank == 0) stand_in_comms(me->size, comm);
    rank_gather(me, comm, sizeof comm, all);
    return all[me->rank];
}

void pair_open(test_rank *me, const hlq_options *options, int is_old, pair *p)
{
    const hlq_nccl_calls *nccl = is_old ? &stand_in_old_nccl : &stand_in_nccl;
    *p = (pair){.me = me, .parent = parent_of(me)};
    MUST(stand_in_cuda.stream_create(&p->stream) == 0);
    MUST(stand_in_cuda.stream_create(&p->other) == 0);
    MUST(rank_create(me, options, &p->host) == HLQ_OK);
    MUST(hlq_nccl_create(nccl, &stand_in_cuda, &stand_in_wire, p->parent, options, &p->nccl) ==
         HLQ_OK);
}

void pair_close(pair *p)
{
    hlq_comm_destroy(p->nccl);
    rank_destroy(p->me, p->host);
    rank_barrier(p->me);
    stand_in_nccl.CommDestroy(p->parent);
    stand_in_cuda.stream_destroy(p->stream);
    stand_in_cuda.stream_destroy(p->other);
}
