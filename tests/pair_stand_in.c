/*
 * nccl_pair.h without a GPU.
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

void *pair_memory(size_t bytes)
{
    void *p = NULL;
    MUST(stand_in_cuda.allocate(&p, bytes + 1) == 0);
    return p;
}

void pair_free(void *memory) { stand_in_cuda.release(memory); }
void pair_put(void *to, const void *from, size_t bytes) { memcpy(to, from, bytes); }
void pair_get(void *to, const void *from, size_t bytes) { memcpy(to, from, bytes); }
void pair_synchronize(const pair *p) { stand_in_synchronize(p->stream); }

typedef struct {
    void (*run)(void *argument);
    void *argument;
} job;

static void run_job(void *argument)
{
    job j;
    memcpy(&j, argument, sizeof j);
    j.run(j.argument);
}

void pair_run(const pair *p, void (*run)(void *argument), void *argument)
{
    job j = {run, argument};
    MUST(stand_in_put(p->stream, run_job, &j, sizeof j) == 0);
}

void pair_capture(const pair *p) { stand_in_capture(p->stream); }
void *pair_captured(const pair *p) { return stand_in_captured(p->stream); }
void pair_launch(const pair *p, void *graph) { stand_in_launch(graph, p->stream); }
void pair_graph_free(void *graph) { stand_in_graph_free(graph); }
