/* The ranks that hlq_perf measures between; perf_world.h tells. */
#include "perf_world.h"

#include "perf_options.h"
#include "tool.h"
#include "transport/transport_internal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HLQ_HAVE_MPI
#include "transport/mpi_transport.h"
#include <hlqcomm/mpi.h>
#endif

/* What launchers tell a process: Open MPI, PMIx, and PMI (MPICH, Intel MPI, Slurm). */
static const char *const size_variables[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_SIZE"};
static const char *const rank_variables[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"};
enum { LAUNCHERS = sizeof size_variables / sizeof *size_variables };

static const char *tool_name = "hlq_perf";

void perf_world_set_tool(const char *name) { tool_name = name; }

int perf_world_launched(void)
{
    for (int i = 0; i < LAUNCHERS; i++) {
        if (getenv(size_variables[i]) != NULL) return 1;
    }
    return 0;
}

int perf_world_launched_rank(void)
{
    for (int i = 0; i < LAUNCHERS; i++) {
        const char *rank = getenv(rank_variables[i]);
        if (rank != NULL) return atoi(rank);
    }
    return 0;
}

_Noreturn void perf_world_die(const perf_world *world, const char *sentence)
{
    fprintf(stderr, "%s: rank %d: %s\n", tool_name, world->rank, sentence);
    exit(PERF_EXIT_WRONG);
}

static void start_rank(perf_world *world, hlq_status made, const char *error)
{
    if (made != HLQ_OK) perf_world_die(world, error);
    world->send = calloc((size_t)world->size, sizeof *world->send);
    world->recv = calloc((size_t)world->size, sizeof *world->recv);
    if (world->send == NULL || world->recv == NULL)
        perf_world_die(world, hlq_status_string(HLQ_E_NOMEM));
}

static void end_rank(perf_world *world)
{
    if (world->wire.destroy != NULL) world->wire.destroy(world->wire.self);
    free(world->send);
    free(world->recv);
}

typedef struct perf_thread {
    perf_world world;
    hlq_thread_group *tool_group;
    int (*body)(perf_world *world, void *argument);
    void *argument;
    int exit_code;
    pthread_t thread;
} perf_thread;

static void *run_thread(void *pointer)
{
    perf_thread *thread = pointer;
    perf_world *world = &thread->world;
    char error[HLQ_ERROR_BYTES] = "";
    hlq_status made = hlq_transport_threads(thread->tool_group, world->rank, &world->wire, error);
    start_rank(world, made, error);
    thread->exit_code = thread->body(world, thread->argument);
    end_rank(world);
    return NULL;
}

static int run_threads(int threads, int (*body)(perf_world *, void *), void *argument)
{
    hlq_thread_group *tool_group = NULL, *library_group = NULL;
    perf_thread *thread = calloc((size_t)threads, sizeof *thread);
    hlq_status status = hlq_thread_group_create(threads, &tool_group);
    if (status == HLQ_OK) status = hlq_thread_group_create(threads, &library_group);
    perf_world world = {.size = threads, .local_ranks = threads, .library_group = library_group};
    if (status != HLQ_OK || thread == NULL)
        perf_world_die(&world, hlq_status_string(status != HLQ_OK ? status : HLQ_E_NOMEM));
    for (int rank = 0; rank < threads; rank++) {
        world.rank = rank;
        thread[rank] = (perf_thread){world, tool_group, body, argument, 0, 0};
        if (pthread_create(&thread[rank].thread, NULL, run_thread, &thread[rank]) != 0)
            perf_world_die(&world, "no thread can be made for this rank");
    }
    int exit_code = 0;
    for (int rank = 0; rank < threads; rank++) {
        pthread_join(thread[rank].thread, NULL);
        if (thread[rank].exit_code > exit_code) exit_code = thread[rank].exit_code;
    }
    hlq_thread_group_destroy(tool_group);
    hlq_thread_group_destroy(library_group);
    free(thread);
    return exit_code;
}

#ifdef HLQ_HAVE_MPI

static int run_mpi(int (*body)(perf_world *, void *), void *argument)
{
    perf_world world = {.local_ranks = 1};
    if (MPI_Init(NULL, NULL) != MPI_SUCCESS) perf_world_die(&world, "MPI cannot be initialized");
    MPI_Comm_rank(MPI_COMM_WORLD, &world.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &world.size);
    char error[HLQ_ERROR_BYTES] = "";
    start_rank(&world, hlq_transport_mpi(MPI_COMM_WORLD, PERF_TIMEOUT_S, &world.wire, error),
               error);
    int exit_code = body(&world, argument);
    end_rank(&world);
    MPI_Finalize();
    return exit_code;
}

#else

static int run_mpi(int (*body)(perf_world *, void *), void *argument)
{
    (void)body;
    (void)argument;
    perf_world world = {.rank = perf_world_launched_rank()};
    if (world.rank == 0)
        fprintf(stderr, "%s: built without MPI; run it without mpirun, with --ranks\n", tool_name);
    return PERF_EXIT_WRONG;
}

#endif

int perf_world_run(int threads, int (*body)(perf_world *world, void *argument), void *argument)
{
    return threads > 0 ? run_threads(threads, body, argument) : run_mpi(body, argument);
}

hlq_status perf_world_comm(perf_world *world, const hlq_options *options, hlq_comm **comm)
{
#ifdef HLQ_HAVE_MPI
    if (world->library_group == NULL) return hlq_comm_create_mpi(MPI_COMM_WORLD, options, comm);
#endif
    return hlq_comm_create_threads(world->library_group, world->rank, options, comm);
}

void perf_world_exchange(perf_world *world)
{
    char error[HLQ_ERROR_BYTES] = "";
    hlq_exchange exchange = {
        .number = world->exchanges++, .send = world->send, .recv = world->recv};
    if (hlq_transport_run(&world->wire, &exchange, PERF_TIMEOUT_S, error) != HLQ_OK)
        perf_world_die(world, error);
}

void perf_world_gather(perf_world *world, const void *mine, size_t bytes, void *all)
{
    unsigned char *at = all;
    for (int rank = 0; rank < world->size; rank++, at += bytes) {
        world->send[rank] = (hlq_message){(void *)mine, bytes};
        world->recv[rank] = (hlq_message){at, bytes};
    }
    memcpy(world->recv[world->rank].data, mine, bytes);
    perf_world_exchange(world);
}

void perf_world_barrier(perf_world *world)
{
    char mine = 1;
    char *all = malloc((size_t)world->size);
    if (all == NULL) perf_world_die(world, hlq_status_string(HLQ_E_NOMEM));
    perf_world_gather(world, &mine, sizeof mine, all);
    free(all);
}

int perf_world_agree(perf_world *world, char *error)
{
    char *all = malloc((size_t)world->size * TOOL_ERROR_BYTES);
    if (all == NULL) perf_world_die(world, hlq_status_string(HLQ_E_NOMEM));
    perf_world_gather(world, error, TOOL_ERROR_BYTES, all);
    int found = 0;
    for (int rank = 0; rank < world->size && !found; rank++) {
        const char *sentence = all + (size_t)rank * TOOL_ERROR_BYTES;
        found = sentence[0] != '\0';
        if (found) memcpy(error, sentence, TOOL_ERROR_BYTES);
    }
    free(all);
    return found;
}
