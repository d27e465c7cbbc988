/*
 * Bad input on threads: the cases of bad_input_cases.h and bad_operations_cases.h; thread groups;
 * and, in a child process, a kernel variant that does not exist.
 */
#include "bad_operations_cases.h"

static void thread_groups_refuse(void)
{
    hlq_thread_group *group = NULL;
    hlq_comm *comm = NULL, *twice = NULL;
    hlq_test_case("thread groups");
    CHECK_EQ(hlq_thread_group_create(0, &group), HLQ_E_INVALID);
    CHECK(!group);
    CHECK_EQ(hlq_thread_group_create(-3, &group), HLQ_E_INVALID);
    CHECK_EQ(hlq_thread_group_create(1, NULL), HLQ_E_INVALID);
    hlq_thread_group_destroy(NULL);
    CHECK_EQ(hlq_comm_create_threads(NULL, 0, NULL, &comm), HLQ_E_INVALID);
    CHECK(*hlq_create_error());
    if (!CHECK_EQ(hlq_thread_group_create(1, &group), HLQ_OK)) return;
    CHECK_EQ(hlq_comm_create_threads(group, 1, NULL, &comm), HLQ_E_INVALID);
    check_sentence(hlq_create_error(), "rank 1 is not in the thread group");
    CHECK_EQ(hlq_comm_create_threads(group, -1, NULL, &comm), HLQ_E_INVALID);
    CHECK_EQ(hlq_comm_create_threads(group, 0, NULL, NULL), HLQ_E_INVALID);
    check_sentence(hlq_create_error(), "comm is NULL");
    CHECK_EQ(hlq_comm_create_threads(group, 0, NULL, &comm), HLQ_OK);
    CHECK_EQ(hlq_comm_create_threads(group, 0, NULL, &twice), HLQ_E_INVALID);
    check_sentence(hlq_create_error(), "already in use");
    CHECK(!twice);
    hlq_comm_destroy(comm);
    CHECK_EQ(hlq_comm_create_threads(group, 0, NULL, &comm), HLQ_OK);
    hlq_comm_destroy(comm);
    hlq_thread_group_destroy(group);
}

/* In the child. */
static void no_such_variant(test_rank *me, void *argument)
{
    hlq_comm *comm = NULL;
    (void)argument;
    CHECK_EQ(rank_create(me, NULL, &comm), HLQ_E_ISA);
    CHECK(!comm);
    CHECK(!hlq_kernel_variant());
    check_sentence(hlq_create_error(), "HLQ_KERNELS=abacus");
    rank_destroy(me, comm);
}

static void an_unknown_variant_is_refused(const char *program)
{
    char command[4096];
    snprintf(command, sizeof command, "HLQ_KERNELS=abacus '%s' abacus", program);
    hlq_test_case("HLQ_KERNELS=abacus");
    fflush(stdout);
    CHECK_EQ(system(command), 0);
}

static void number_of_threads(const char *word, int threads, const char *says)
{
    hlq_thread_group *group = NULL;
    hlq_comm *comm = NULL;
    hlq_options options = HLQ_OPTIONS_INIT;
    options.threads = threads;
    setenv("HLQ_THREADS", word, 1);
    hlq_test_case("HLQ_THREADS=%s, threads %d", word, threads);
    CHECK_EQ(hlq_thread_group_create(1, &group), HLQ_OK);
    hlq_status status = hlq_comm_create_threads(group, 0, &options, &comm);
    CHECK_EQ(status, says ? HLQ_E_INVALID : HLQ_OK);
    if (says) check_sentence(hlq_create_error(), says);
    hlq_comm_destroy(comm);
    hlq_thread_group_destroy(group);
    unsetenv("HLQ_THREADS");
}

static void wrong_numbers_of_threads_are_refused(void)
{
    static const char *const words[] = {"many", "", "0", "-1", "257", "2 ", "1e1"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        number_of_threads(words[i], 0, "HLQ_THREADS is not a number from 1 to 256");
    }
    number_of_threads("2", -1, "options.threads is not 0 … 256");
    number_of_threads("2", 257, "options.threads is not 0 … 256");
    number_of_threads("256", 0, NULL);
    number_of_threads("many", 2, NULL); /* the option goes before */
}

int main(int argc, char **argv)
{
    hlq_test_start("test_bad_input");
    if (argc > 1) {
        ranks_as_threads(2, no_such_variant, NULL);
        return hlq_test_end();
    }
    thread_groups_refuse();
    an_unknown_variant_is_refused(argv[0]);
    wrong_numbers_of_threads_are_refused();
    ranks_as_threads(3, bad_input, NULL);
    ranks_as_threads(3, bad_operations, NULL);
    return hlq_test_end();
}
