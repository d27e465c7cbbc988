/*
 * How ranks run and meet. Threads meet at a barrier around a board that holds a pointer per rank.
 */
#include "ranks.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(HLQ_HAVE_MPI)
#include <hlqcomm/mpi.h>
#endif

struct rank_board {
    pthread_barrier_t barrier;
    const void *shown[RANKS_MAX];
    hlq_thread_group *group;
};

typedef struct {
    test_rank me;
    rank_body *body;
    void *argument;
    pthread_t thread;
} job;

static void give_up(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(2);
}

static void *run_job(void *p)
{
    job *j = p;
    j->body(&j->me, j->argument);
    return NULL;
}

void ranks_as_threads(int size, rank_body *body, void *argument)
{
    struct rank_board board = {.group = NULL};
    job jobs[RANKS_MAX];
    if (size > RANKS_MAX) give_up("more ranks than RANKS_MAX");
    pthread_barrier_init(&board.barrier, NULL, (unsigned)size);
    for (int r = 0; r < size; r++) {
        jobs[r] = (job){.me = {r, size, &board}, .body = body, .argument = argument};
        if (pthread_create(&jobs[r].thread, NULL, run_job, &jobs[r])) give_up("no thread");
    }
    for (int r = 0; r < size; r++) pthread_join(jobs[r].thread, NULL);
    pthread_barrier_destroy(&board.barrier);
}

#if defined(HLQ_HAVE_MPI)
void ranks_as_mpi(int *argc, char ***argv, rank_body *body, void *argument)
{
    test_rank me = {.board = NULL};
    MPI_Init(argc, argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &me.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &me.size);
    if (me.size > RANKS_MAX) give_up("more ranks than RANKS_MAX");
    body(&me, argument);
    MPI_Finalize();
}

static void mpi_gather(const void *mine, size_t bytes, void *all)
{
    MPI_Allgather(mine, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, MPI_COMM_WORLD);
}

static void mpi_barrier(void) { MPI_Barrier(MPI_COMM_WORLD); }

static hlq_status mpi_create(const hlq_options *options, hlq_comm **comm)
{
    return hlq_comm_create_mpi(MPI_COMM_WORLD, options, comm);
}
#else
static void mpi_gather(const void *mine, size_t bytes, void *all)
{
    (void)mine, (void)bytes, (void)all;
    give_up("built without MPI");
}

static void mpi_barrier(void) { give_up("built without MPI"); }

static hlq_status mpi_create(const hlq_options *options, hlq_comm **comm)
{
    (void)options, (void)comm;
    give_up("built without MPI");
    return HLQ_E_UNSUPPORTED;
}
#endif

void rank_barrier(test_rank *me)
{
    if (me->board) pthread_barrier_wait(&me->board->barrier);
    else mpi_barrier();
}

hlq_thread_group *rank_group(const test_rank *me) { return me->board ? me->board->group : NULL; }

hlq_status rank_create(test_rank *me, const hlq_options *options, hlq_comm **comm)
{
    if (!me->board) return mpi_create(options, comm);
    rank_barrier(me);
    if (me->rank == 0) {
        hlq_thread_group_destroy(me->board->group);
        if (hlq_thread_group_create(me->size, &me->board->group) != HLQ_OK) give_up("no group");
    }
    rank_barrier(me);
    return hlq_comm_create_threads(me->board->group, me->rank, options, comm);
}

void rank_destroy(test_rank *me, hlq_comm *comm)
{
    hlq_comm_destroy(comm);
    if (!me->board) return;
    rank_barrier(me);
    if (me->rank == 0) {
        hlq_thread_group_destroy(me->board->group);
        me->board->group = NULL;
    }
}

void rank_gather(test_rank *me, const void *mine, size_t bytes, void *all)
{
    if (!me->board) {
        mpi_gather(mine, bytes, all);
        return;
    }
    me->board->shown[me->rank] = mine;
    rank_barrier(me);
    for (int p = 0; p < me->size; p++) {
        memcpy((char *)all + (size_t)p * bytes, me->board->shown[p], bytes);
    }
    rank_barrier(me);
}

double rank_max(test_rank *me, double mine)
{
    double all[RANKS_MAX], largest = mine;
    rank_gather(me, &mine, sizeof mine, all);
    for (int p = 0; p < me->size; p++) largest = fmax(largest, all[p]);
    return largest;
}

double rank_sum(test_rank *me, double mine)
{
    double all[RANKS_MAX], sum = 0;
    rank_gather(me, &mine, sizeof mine, all);
    for (int p = 0; p < me->size; p++) sum += all[p];
    return sum;
}

uint64_t digest_of(const void *data, size_t bytes)
{
    const char *p = data;
    uint64_t h = 0xcbf29ce484222325u ^ bytes;
    for (size_t at = 0; at < bytes; at += sizeof h) {
        size_t here = bytes - at < sizeof h ? bytes - at : sizeof h;
        uint64_t word = 0;
        memcpy(&word, p + at, here);
        h = (h ^ word) * 0x100000001b3u;
        h ^= h >> 32;
    }
    return h;
}

int rank_same(test_rank *me, const void *data, size_t bytes)
{
    uint64_t mine = digest_of(data, bytes), all[RANKS_MAX];
    int same = 1;
    rank_gather(me, &mine, sizeof mine, all);
    for (int p = 0; p < me->size; p++) same &= all[p] == mine;
    return same;
}
