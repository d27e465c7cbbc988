/*
 * All-reduce on threads against the fp64 model: the cases of all_reduce_cases.h for 1 to 17 ranks,
 * and again with every kernel variant, which changes no bit. With the argument "large", one tensor
 * of more than 2^31 bytes instead.
 */
#include "all_reduce_cases.h"
#include "large_tensor.h"

#include <kernels/kernels.h>

/* The digest of results a variant gives, made by a child process that runs nothing else: the
   variant is chosen once per process. */
static uint64_t digest_with(const char *program, const char *variant)
{
    char command[4096];
    unsigned long long digest = 0;
    snprintf(command, sizeof command, "HLQ_KERNELS=%s '%s' digest", variant, program);
    FILE *child = popen(command, "r");
    if (!CHECK(child)) return 0;
    CHECK_EQ(fscanf(child, "digest %llx", &digest), 1);
    CHECK_EQ(pclose(child), 0);
    return digest;
}

static void every_variant_gives_the_same_bits(const char *program)
{
    uint64_t first = 0;
    int supported = 0;
    const hlq_kernels *kernels;
    fflush(stdout);
    for (int i = 0; (kernels = hlq_kernels_at(i, &supported)) != NULL; i++) {
        if (!supported) continue;
        hlq_test_case("variant %s", kernels->name);
        uint64_t digest = digest_with(program, kernels->name);
        if (!first) first = digest;
        CHECK(digest && digest == first);
    }
}

int main(int argc, char **argv)
{
    hlq_test_start("test_all_reduce");
    if (argc > 1 && strcmp(argv[1], "large") == 0) {
        ranks_as_threads(2, check_large_tensor, NULL);
    } else if (argc > 1 && strcmp(argv[1], "digest") == 0) {
        uint64_t digest = 0;
        ranks_as_threads(3, check_all_cases, &digest);
        printf("digest %" PRIx64 "\n", digest);
    } else {
        for (int n = 1; n <= 17; n++) ranks_as_threads(n, check_all_cases, NULL);
        every_variant_gives_the_same_bits(argv[0]);
    }
    return hlq_test_end();
}
