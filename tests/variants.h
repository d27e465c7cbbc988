/*
 * A test program's results by every kernel variant, which are one. The program run with the
 * argument "digest" prints "digest" and the digest of its results.
 */
#ifndef HLQ_TEST_VARIANTS_H
#define HLQ_TEST_VARIANTS_H

#include "hlq_test.h"

#include <kernels/kernels.h>

/* The digest of results a variant gives, made by a child process that runs nothing else: the
   variant is chosen once per process. */
static inline uint64_t digest_with(const char *program, const char *variant)
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

static inline void every_variant_gives_the_same_bits(const char *program)
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

#endif
