/*
 * nccl_pair.h over MPI by way of the host (transport/mpi_cuda.h), CUDA by its stand-in.
 */
#include "nccl_pair.h"
#include "stand_in.h"

#include <transport/mpi_cuda.h>

void pair_open(test_rank *me, const hlq_options *options, int is_old, pair *p)
{
    (void)is_old;
    *p = (pair){.me = me};
    MUST(stand_in_cuda.stream_create(&p->stream) == 0);
    MUST(stand_in_cuda.stream_create(&p->other) == 0);
    MUST(rank_create(me, options, &p->host) == HLQ_OK);
    MUST(hlq_mpi_cuda_create(&stand_in_cuda, &stand_in_wire, MPI_COMM_WORLD, options, &p->nccl) ==
         HLQ_OK);
}

void pair_close(pair *p)
{
    hlq_comm_destroy(p->nccl);
    rank_destroy(p->me, p->host);
    rank_barrier(p->me);
    stand_in_cuda.stream_destroy(p->stream);
    stand_in_cuda.stream_destroy(p->other);
}

/* MPI's messages arrive as they are. */
void stand_in_set_tamper(stand_in_tamper *tamper) { MUST(tamper == NULL); }
