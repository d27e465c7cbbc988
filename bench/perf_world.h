/*
 * The ranks that hlq_perf measures between and hlq_soak works with: threads of this process, or
 * processes of mpirun. From here on a rank does not know which; it has a number, a way to make the
 * library's communicator, and a transport of the tool's own, over which the rivals run and the
 * ranks compare notes.
 */
#ifndef HLQ_BENCH_PERF_WORLD_H
#define HLQ_BENCH_PERF_WORLD_H

#include <hlqcomm/transport.h>

/* Longest wait of the tool for another rank; the library's default as well. */
#define PERF_TIMEOUT_S 300.0

typedef struct perf_world {
    int rank, size;
    int local_ranks;                 /* of these in this process */
    hlq_transport wire;              /* the tool's own */
    uint32_t exchanges;              /* over it, so far */
    hlq_thread_group *library_group; /* threads: for the library's communicator; MPI: NULL */
    hlq_message *send, *recv;        /* `size` each, for the functions below */
} perf_world;

/* Whether this process was started by mpirun or a like; and as which rank. */
int perf_world_launched(void);
int perf_world_launched_rank(void);

/* Whose sentences go to stderr: "hlq_perf", unless another tool says so first. */
void perf_world_set_tool(const char *name);

/*
 * Runs body on every rank of this process, with `threads` threads, or under mpirun (threads 0).
 * Returns the largest of its exit codes, or PERF_EXIT_WRONG after a sentence to stderr.
 */
int perf_world_run(int threads, int (*body)(perf_world *world, void *argument), void *argument);

/* The library's communicator between the same ranks. Collective. */
hlq_status perf_world_comm(perf_world *world, const hlq_options *options, hlq_comm **comm);

/* Ends the process of a rank that cannot go on and cannot tell the others. */
_Noreturn void perf_world_die(const perf_world *world, const char *sentence);

/*
 * Collective, all of them. If another rank is gone they end the process, with a sentence.
 * gather: `bytes` from every rank, to every rank, in rank order.
 * agree: whether any rank has a sentence in error; if so all get the first one, and return 1.
 * exchange: world->send and recv, set up by the caller.
 */
void perf_world_barrier(perf_world *world);
void perf_world_gather(perf_world *world, const void *mine, size_t bytes, void *all);
int perf_world_agree(perf_world *world, char *error);
void perf_world_exchange(perf_world *world);

#endif
