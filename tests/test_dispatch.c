/*
 * Which kernel variant runs: the best that the processor supports, or the one HLQ_KERNELS names,
 * and never silently another. The choice is made once per process, so every question is asked in a
 * child.
 */
#include "hlq_test.h"

#include <hlqcomm/hlqcomm.h>
#include <kernels/kernels.h>

#include <sys/wait.h>

enum { AS_ASKED = 0, OTHERWISE = 1 };

/* In the child: the variant in use is `expected`; a communicator can be made exactly if any is. */
static int ask(const char *wanted, const char *expected)
{
    hlq_thread_group *group;
    hlq_comm *comm = NULL;
    if (wanted) setenv("HLQ_KERNELS", wanted, 1);
    else unsetenv("HLQ_KERNELS");
    const char *name = hlq_kernel_variant();
    if (expected ? !name || strcmp(name, expected) != 0 : name != NULL) return OTHERWISE;
    if (hlq_kernel_variant() != name) return OTHERWISE;
    if (hlq_thread_group_create(1, &group) != HLQ_OK) return OTHERWISE;
    hlq_status status = hlq_comm_create_threads(group, 0, NULL, &comm);
    int right = status == (expected ? HLQ_OK : HLQ_E_ISA) && (comm != NULL) == (expected != NULL);
    if (!expected && !*hlq_create_error()) right = 0;
    hlq_comm_destroy(comm);
    hlq_thread_group_destroy(group);
    return right ? AS_ASKED : OTHERWISE;
}

static void check_choice(const char *wanted, const char *expected)
{
    int status = -1;
    hlq_test_case("HLQ_KERNELS=%s", wanted ? wanted : "(unset)");
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) _exit(ask(wanted, expected));
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), AS_ASKED);
}

int main(void)
{
    static const char *const unknown[] = {"avx", "AVX2", "scalar ", "avx512,avx2", "none"};
    const char *best = NULL, *last = NULL;
    const hlq_kernels *k;
    int supported;
    hlq_test_start("test_dispatch");
    for (int i = 0; (k = hlq_kernels_at(i, &supported)); i++) {
        check_choice(k->name, supported ? k->name : NULL);
        if (supported && !best) best = k->name;
        last = supported ? k->name : NULL;
    }
    hlq_test_case("list of variants");
    CHECK_STR(last, "scalar"); /* runs everywhere */
    CHECK(hlq_kernels_at(-1, &supported) == NULL);
    check_choice(NULL, best);
    check_choice("", best);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) check_choice(unknown[i], NULL);
    return hlq_test_end();
}
