/*
 * One rank of four is at fault, over MPI. See fault_cases.h.
 *
 *     mpirun -n 4 test_faults_mpi                                  it is stopped, and continued
 *     mpirun -n 4 --enable-recovery test_faults_mpi killed FAULT   it is killed
 *     mpirun -n 4 --enable-recovery test_faults_mpi exited FAULT   it exits, all of a sudden
 *
 * docs/faults.md tells what keeps MPI from ending the others with it.
 */
#include "fault_cases.h"

#include <hlqcomm/mpi.h>

#include <signal.h>
#include <sys/types.h>
#if defined(OPEN_MPI)
#include <mpi-ext.h> /* MPIX_Comm_shrink */
#endif

enum { AWAKE_TAG = 77 };

static MPI_Comm others; /* all but the one at fault, which has one of its own */
static pid_t guilty;    /* its process */

/* Stopped ---------------------------------------------------------------------------------- */

static void stop(test_rank *me)
{
    (void)me;
    raise(SIGSTOP);
    MPI_Send(NULL, 0, MPI_BYTE, 0, AWAKE_TAG, MPI_COMM_WORLD);
}

/* A signal may come before there is anything to continue. */
static void continue_when_all_end(test_rank *me)
{
    MPI_Barrier(others);
    for (int awake = 0; me->rank == 0 && !awake; usleep(1000)) {
        kill(guilty, SIGCONT);
        MPI_Iprobe(GUILTY, AWAKE_TAG, MPI_COMM_WORLD, &awake, MPI_STATUS_IGNORE);
    }
    if (me->rank != 0) return;
    MPI_Recv(NULL, 0, MPI_BYTE, GUILTY, AWAKE_TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

/* MPI's own duplicate is what others wait for, and MPI does not tell for whom. */
static void a_rank_that_does_not_come_to_creation(test_rank *me)
{
    hlq_options options = HLQ_OPTIONS_INIT;
    hlq_comm *comm = NULL;
    options.timeout_s = TIMEOUT_S;
    hlq_test_case("not coming to creation, seen on rank %d", me->rank);
    rank_barrier(me);
    if (me->rank == GUILTY) stop(me);
    double begin = hlq_now();
    CHECK_EQ(hlq_comm_create_mpi(MPI_COMM_WORLD, &options, &comm), HLQ_E_TIMEOUT);
    CHECK(!comm);
    CHECK(strstr(hlq_create_error(), "rank"));
    CHECK_AT_MOST(hlq_now() - begin, options.timeout_s + SECOND);
    if (me->rank != GUILTY) continue_when_all_end(me);
    rank_barrier(me);
    if (CHECK_EQ(hlq_comm_create_mpi(MPI_COMM_WORLD, NULL, &comm), HLQ_OK)) check_works(comm);
    hlq_comm_destroy(comm);
}

static void all_faults(test_rank *me)
{
    scene stage = {
        .me = me, .memory = malloc(SCENE_BYTES), .halt = stop, .others_end = continue_when_all_end};
    for (int i = 0; i < FAULTS; i++) suffer(&stage, &faults[i]);
    a_rank_that_does_not_come_to_creation(me);
}

/* Killed ----------------------------------------------------------------------------------- */

static void die(test_rank *me)
{
    (void)me;
    raise(SIGKILL);
}

static void leave(test_rank *me)
{
    (void)me;
    _exit(0);
}

static void nobody_waits(test_rank *me) { (void)me; }

/* Whether MPI itself tells of ranks that ended, and goes on without them. */
static int mpi_tells(void)
{
    int *tells = NULL, is_known = 0;
#if defined(MPIX_FT)
    MPI_Comm_get_attr(MPI_COMM_WORLD, MPIX_FT, &tells, &is_known);
#endif
    return is_known && *tells;
}

/* What is left of MPI_COMM_WORLD. */
static MPI_Comm survivors(void)
{
    MPI_Comm comm = MPI_COMM_NULL;
    MPI_Group world, left;
    const int gone = GUILTY;
#if defined(MPIX_FT)
    if (mpi_tells()) {
        MPIX_Comm_shrink(MPI_COMM_WORLD, &comm);
        return comm;
    }
#endif
    MPI_Comm_group(MPI_COMM_WORLD, &world);
    MPI_Group_excl(world, 1, &gone, &left);
    MPI_Comm_create_group(MPI_COMM_WORLD, left, 0, &comm);
    return comm;
}

static void the_others_survive(test_rank *me, fault f, void (*halt)(test_rank *))
{
    scene stage = {.me = me,
                   .memory = malloc(SCENE_BYTES),
                   .halt = halt,
                   .others_end = nobody_waits,
                   .kills = 1};
    if (mpi_tells()) f.status = HLQ_E_TRANSPORT; /* long before the timeout */
    suffer(&stage, &f);
    hlq_test_case("survivors of %s, on rank %d", f.name, me->rank);
    MPI_Comm left = survivors();
    hlq_comm *comm = NULL;
    if (CHECK_EQ(hlq_comm_create_mpi(left, NULL, &comm), HLQ_OK)) check_works(comm);
    hlq_comm_destroy(comm);
    int failed = test_failures > 0, count = 1;
    MPI_Allreduce(MPI_IN_PLACE, &failed, 1, MPI_INT, MPI_SUM, left);
    MPI_Allreduce(MPI_IN_PLACE, &count, 1, MPI_INT, MPI_SUM, left);
    /* What ctest looks for: mpirun's exit status is the killed rank's. */
    if (me->rank == 0) printf("%s: %d survivors, %d with failures\n", f.name, count, failed);
}

static int one_ends(test_rank *me, const char *how, const char *name)
{
    for (int i = 0; i < FAULTS; i++) {
        if (strcmp(faults[i].name, name) != 0 || !is_halting(&faults[i])) continue;
        the_others_survive(me, faults[i], strcmp(how, "exited") == 0 ? leave : die);
        return hlq_test_end();
    }
    fprintf(stderr, "%s is no fault in which a rank halts\n", name);
    return 2;
}

int main(int argc, char **argv)
{
    test_rank me = {.board = NULL};
    pid_t mine = getpid(), all[SABOTEUR_RANKS];
    int status;
    hlq_test_start("test_faults_mpi");
    MPI_Init(&argc, &argv);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &me.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &me.size);
    if (me.size != SABOTEUR_RANKS) return 2;
    rank_gather(&me, &mine, sizeof mine, all);
    guilty = all[GUILTY];
    MPI_Comm_split(MPI_COMM_WORLD, me.rank == GUILTY, 0, &others);
    if (argc == 3) {
        status = one_ends(&me, argv[1], argv[2]);
        fflush(stdout);
        _exit(status); /* MPI_Finalize may wait for the dead */
    }
    all_faults(&me);
    MPI_Finalize();
    return hlq_test_end();
}
