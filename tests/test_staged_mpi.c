/*
 * Collectives on a device over MPI by way of the host: staged_cases.h, staged and direct, and what
 * of nccl_fault_cases.h needs no damage. With "refused", what creation refuses. CUDA by its
 * stand-in, whose memory MPI can read.
 */
#include "nccl_fault_cases.h"
#include "staged_cases.h"

#include <transport/mpi_cuda.h>

static void every_case(test_rank *me, const char *how)
{
    size_t most = 1001; /* beyond, sums of float32 over MPI are in an order of MPI's own */
    int is_old = 0;
    setenv("HLQ_MPI_CUDA", how, 1);
    hlq_test_case("%s", how);
    sums_body(me, &most);
    bytes_body(me, NULL);
    native_body(me, &is_old);
    host_body(me, NULL);
    mixed_body(me, NULL);
    streams_body(me, NULL);
    capture_body(me, NULL);
    if (me->size >= 4) groups_body(me, NULL);
}

/* Twice as long as a piece is, so that it goes in several. */
static void pieces_body(test_rank *me)
{
    call_case c = {HLQ_ALL_TO_ALL, HLQ_ALG_NATIVE, HLQ_FLOAT64, HLQ_SUM, (10 << 20) / 8 + 3, 0, 0};
    pair p;
    setenv("HLQ_MPI_CUDA", "staged", 1);
    pair_open(me, NULL, 0, &p);
    compare_call(&p, &c, 5);
    pair_close(&p);
}

static void faults(test_rank *me, const char *how)
{
    fault_case f;
    setenv("HLQ_MPI_CUDA", how, 1);
    for (size_t i = 0; different_call(i, &f); i++) fault_body(me, &f);
}

/* One rank's environment is the other's trouble. */
static void test_refusals(test_rank *me)
{
    hlq_comm *comm = NULL;
    hlq_status status =
        hlq_mpi_cuda_create(&stand_in_cuda, &stand_in_wire, MPI_COMM_WORLD, NULL, &comm);
    CHECK_EQ(status, me->rank ? HLQ_E_REMOTE : HLQ_E_UNSUPPORTED);
    CHECK_STR(hlq_create_error(),
              "rank 0: tensors of a device need MPI_Init_thread() with MPI_THREAD_MULTIPLE");
    CHECK(comm == NULL);
}

static void test_environment(test_rank *me)
{
    hlq_comm *comm = NULL;
    setenv("HLQ_MPI_CUDA", me->rank == 1 ? "by pigeon" : "staged", 1);
    hlq_status status =
        hlq_mpi_cuda_create(&stand_in_cuda, &stand_in_wire, MPI_COMM_WORLD, NULL, &comm);
    CHECK_EQ(status, me->rank == 1 ? HLQ_E_INVALID : HLQ_E_REMOTE);
    CHECK_STR(hlq_create_error(), "rank 1: HLQ_MPI_CUDA=by pigeon is neither staged nor direct");
    setenv("HLQ_MPI_CUDA", me->rank == 1 ? "direct" : "staged", 1);
    status = hlq_mpi_cuda_create(&stand_in_cuda, &stand_in_wire, MPI_COMM_WORLD, NULL, &comm);
    CHECK_EQ(status, HLQ_E_MISMATCH);
    CHECK(comm == NULL);
}

int main(int argc, char **argv)
{
    test_rank me = {.board = NULL};
    int is_refused = argc == 2 && strcmp(argv[1], "refused") == 0, provided;
    hlq_test_start("test_staged_mpi");
    MPI_Init_thread(&argc, &argv, is_refused ? MPI_THREAD_SERIALIZED : MPI_THREAD_MULTIPLE,
                    &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &me.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &me.size);
    if (is_refused) {
        test_refusals(&me);
    } else {
        MUST(provided == MPI_THREAD_MULTIPLE);
        every_case(&me, "staged");
        every_case(&me, "direct");
        pieces_body(&me);
        test_environment(&me);
        faults(&me, "staged");
        faults(&me, "direct");
        CHECK_EQ((long long)stand_in_allocations(), 0);
    }
    MPI_Finalize();
    return hlq_test_end();
}
