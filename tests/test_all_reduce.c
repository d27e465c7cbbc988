/*
 * All-reduce on threads against the fp64 model: the cases of all_reduce_cases.h for 1 to 17 ranks,
 * and again with every kernel variant, which changes no bit. With the argument "every", for each
 * number of ranks between; with "large", one tensor of more than 2^31 bytes instead.
 */
#include "all_reduce_cases.h"
#include "large_tensor.h"
#include "variants.h"

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
        const int every = argc > 1 && strcmp(argv[1], "every") == 0;
        for (int n = 1; n <= 17; n = more_ranks(n, every)) {
            ranks_as_threads(n, check_all_cases, NULL);
        }
        every_variant_gives_the_same_bits(argv[0]);
    }
    return hlq_test_end();
}
