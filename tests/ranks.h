/*
 * Ranks for tests: the same body runs on threads of one process or on the processes of an MPI job.
 *
 *     static void body(test_rank *me, void *argument)      on every rank
 *     {
 *         hlq_comm *comm;
 *         if (!CHECK_EQ(rank_create(me, NULL, &comm), HLQ_OK)) return;
 *         ...
 *         rank_destroy(me, comm);
 *     }
 *
 *     ranks_as_threads(4, body, argument);     or     ranks_as_mpi(&argc, &argv, body, argument);
 *
 * Ranks meet beside libhlqcomm, so that a test may compare what they got. Every function that takes
 * a test_rank is called by all ranks, in the same order.
 */
#ifndef HLQ_TEST_RANKS_H
#define HLQ_TEST_RANKS_H

#include "hlq_test.h"

#include <hlqcomm/hlqcomm.h>

enum { RANKS_MAX = 64 };

/* The number of ranks to test after n: 1 to 5, 9, 17, or every one; 1, 2, 4, 8, 16 of few cases. */
static inline int more_ranks(int n, int every)
{
    if (FEWER_CASES) return 2 * n;
    return every || n < 5 ? n + 1 : 2 * n - 1;
}

typedef struct test_rank {
    int rank, size;
    struct rank_board *board; /* where threads meet; NULL for MPI */
} test_rank;

typedef void rank_body(test_rank *me, void *argument);

void ranks_as_threads(int size, rank_body *body, void *argument);
#if defined(HLQ_HAVE_MPI)
void ranks_as_mpi(int *argc, char ***argv, rank_body *body, void *argument);
#endif

/* A communicator over all ranks, on a thread group of its own, or on MPI_COMM_WORLD. */
hlq_status rank_create(test_rank *me, const hlq_options *options, hlq_comm **comm);
void rank_destroy(test_rank *me, hlq_comm *comm);
/* The group of the communicator made last; NULL for MPI. */
hlq_thread_group *rank_group(const test_rank *me);

void rank_barrier(test_rank *me);
/* all[p * bytes …] becomes rank p's `mine`. */
void rank_gather(test_rank *me, const void *mine, size_t bytes, void *all);

/* The largest, and the sum, of one number per rank. */
double rank_max(test_rank *me, double mine);
double rank_sum(test_rank *me, double mine);
/* Whether all ranks hold the same bytes. */
int rank_same(test_rank *me, const void *data, size_t bytes);

/* Tells contents apart: FNV-1a over words of 64 bits. */
uint64_t digest_of(const void *data, size_t bytes);

#endif
