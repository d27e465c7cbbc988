/*
 * Collectives on a device over NCCL, both by stand-ins (stand_in.h), on ranks that are threads:
 * nccl_cases.h.
 */
#include "nccl_cases.h"
#include "stand_in.h"

int main(void)
{
    hlq_options dithered = HLQ_OPTIONS_INIT;
    int is_old = 1, is_new = 0;
    hlq_test_start("test_nccl");
    dithered.dither = 1;
    dithered.lattice = HLQ_LATTICE_D4;
    dithered.seed = 7;
    for (int n = 1; n <= 4; n++) ranks_as_threads(n, bytes_body, NULL);
    ranks_as_threads(3, bytes_body, &dithered);
    for (int n = 4; n <= 6; n += 2) ranks_as_threads(n, groups_body, NULL);
    ranks_as_threads(6, groups_body, &dithered);
    for (int n = 2; n <= 3; n++) {
        ranks_as_threads(n, long_body, NULL);
        ranks_as_threads(n, native_body, &is_old);
        ranks_as_threads(n, native_body, &is_new);
        ranks_as_threads(n, host_body, NULL);
        ranks_as_threads(n, mixed_body, NULL);
        ranks_as_threads(n, streams_body, NULL);
        ranks_as_threads(n, graph_body, NULL);
    }
    CHECK_EQ((long long)stand_in_allocations(), 0);
    return hlq_test_end();
}
