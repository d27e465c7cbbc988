/*
 * Of nccl_pair.h without a GPU, what is CUDA's: memory, copies, streams, graphs.
 */
#include "nccl_pair.h"
#include "stand_in.h"

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
