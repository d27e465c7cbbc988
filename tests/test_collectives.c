/*
 * Every collective with every type on threads: the cases of collective_cases.h for 1 to 17 ranks,
 * and again with every kernel variant, which changes no bit. With the argument "every", for each
 * number of ranks between.
 */
#include "flow_cases.h"
#include "variants.h"

int main(int argc, char **argv)
{
    hlq_test_start("test_collectives");
    if (argc > 1 && strcmp(argv[1], "digest") == 0) {
        uint64_t digest = 0;
        ranks_as_threads(3, check_all_collectives, &digest);
        printf("digest %" PRIx64 "\n", digest);
    } else {
        const int every = argc > 1 && strcmp(argv[1], "every") == 0;
        for (int n = 1; n <= 17; n = more_ranks(n, every)) {
            ranks_as_threads(n, check_all_collectives, NULL);
        }
        for (int n = 2; n <= 3; n++) ranks_as_threads(n, check_flows, NULL);
        every_variant_gives_the_same_bits(argv[0]);
    }
    return hlq_test_end();
}
