/*
 * A rank with two communicators: over threads or MPI, to compare with, and over NCCL, with a stream
 * and memory of the device. By stand-ins (pair_stand_in.c, ranks are threads); by NCCL and CUDA
 * themselves (pair_gpu.c, ranks are MPI processes); or by CUDA alone (test_nccl_threads.c).
 */
#ifndef HLQ_TEST_NCCL_PAIR_H
#define HLQ_TEST_NCCL_PAIR_H

#include "hlq_test.h"
#include "ranks.h"

#include <collective/device/device.h>

typedef struct {
    test_rank *me;
    hlq_comm *host, *nccl;
    hlq_stream stream, other; /* other: for what may overtake */
    void *parent;             /* the communicator that nccl is split off */
} pair;

/* What cannot be made or done ends the program. is_old: an NCCL without what is newer than 2.18, if
   one can choose. */
void pair_open(test_rank *me, const hlq_options *options, int is_old, pair *p);
void pair_close(pair *p);

/* Memory of the device, aligned to 256 bytes, its content undefined; copies that are waited for. */
void *pair_memory(size_t bytes);
void pair_free(void *memory);
void pair_put(void *to, const void *from, size_t bytes);
void pair_get(void *to, const void *from, size_t bytes);

/* Messages of any length go in rounds from now on, or none does. */
static inline void pair_rounds(const pair *p, int are_rounds)
{
    p->nccl->device->round_bytes = are_rounds ? 0 : SIZE_MAX;
}

void pair_synchronize(const pair *p);

/* run(argument) by the host, in the order of the stream. */
void pair_run(const pair *p, void (*run)(void *argument), void *argument);

/* Between the two, what is put onto the stream becomes a graph instead. */
void pair_capture(const pair *p);
void *pair_captured(const pair *p);
void pair_launch(const pair *p, void *graph);
void pair_graph_free(void *graph);

/* For both: a test counts its own checks only. */
static inline void must(int holds, const char *what)
{
    if (holds) return;
    fprintf(stderr, "it was not possible: %s (%s)\n", what, hlq_create_error());
    exit(2);
}
#define MUST(condition) must((condition) != 0, #condition)

#endif
