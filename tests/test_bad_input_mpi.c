/*
 * Bad input over MPI, 3 ranks: the cases of bad_input_cases.h and bad_operations_cases.h; and what
 * only processes can differ in.
 */
#include "bad_operations_cases.h"

#include <hlqcomm/mpi.h>

/* First of all, since the variant is chosen once. */
static void an_unknown_variant_on_one_rank_is_named(test_rank *me)
{
    hlq_comm *comm = NULL;
    hlq_test_case("HLQ_KERNELS wrong on rank %d, seen on rank %d", GUILTY, me->rank);
    char *before = getenv("HLQ_KERNELS"), *saved = before ? strdup(before) : NULL;
    if (me->rank == GUILTY) setenv("HLQ_KERNELS", "abacus", 1);
    CHECK_EQ(rank_create(me, NULL, &comm), me->rank == GUILTY ? HLQ_E_ISA : HLQ_E_REMOTE);
    CHECK(!comm);
    check_sentence(hlq_create_error(), "rank 1: HLQ_KERNELS=abacus");
    if (saved) setenv("HLQ_KERNELS", saved, 1);
    else unsetenv("HLQ_KERNELS");
    free(saved);
}

static void null_communicators_are_refused(void)
{
    hlq_comm *comm = NULL;
    hlq_test_case("NULL");
    CHECK_EQ(hlq_comm_create_mpi(MPI_COMM_NULL, NULL, &comm), HLQ_E_INVALID);
    check_sentence(hlq_create_error(), "communicator is null");
    CHECK(!comm);
    CHECK_EQ(hlq_comm_create_mpi(MPI_COMM_WORLD, NULL, NULL), HLQ_E_INVALID);
    check_sentence(hlq_create_error(), "comm is NULL");
}

static void body(test_rank *me, void *argument)
{
    an_unknown_variant_on_one_rank_is_named(me);
    null_communicators_are_refused();
    bad_input(me, argument);
    bad_operations(me, argument);
}

int main(int argc, char **argv)
{
    hlq_comm *comm = NULL;
    hlq_test_start("test_bad_input_mpi");
    CHECK_EQ(hlq_comm_create_mpi(MPI_COMM_WORLD, NULL, &comm), HLQ_E_INVALID);
    check_sentence(hlq_create_error(), "MPI is not initialized");
    ranks_as_mpi(&argc, &argv, body, NULL);
    return hlq_test_end();
}
