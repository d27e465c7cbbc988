/*
 * Collectives on a device without NCCL, by way of the host over threads (transport/staged.h), CUDA
 * by its stand-in: staged_cases.h.
 */
#include "pair_staged.h"
#include "staged_cases.h"
#include "stand_in.h"

static void every_case(const staged_kind *kind)
{
    hlq_options dithered = HLQ_OPTIONS_INIT;
    size_t all = SIZE_MAX;
    int is_old = 0, is_plain = !kind->is_direct && kind->piece_bytes > COUNT_BYTES;
    int least = is_plain ? 1 : 3, most = is_plain ? 4 : 3;
    dithered.dither = 1;
    dithered.lattice = HLQ_LATTICE_D4;
    dithered.seed = 7;
    pair_staged_as(kind);
    for (int n = least; n <= most; n++) ranks_as_threads(n, bytes_body, NULL);
    ranks_as_threads(6, groups_body, kind->is_direct ? NULL : &dithered);
    for (int n = 2; n <= 3; n++) {
        ranks_as_threads(n, long_body, NULL);
        ranks_as_threads(n, native_body, &is_old);
        if (!kind->is_direct) ranks_as_threads(n, sums_body, &all); /* which are always staged */
        ranks_as_threads(n, host_body, NULL);
        ranks_as_threads(n, mixed_body, NULL);
        ranks_as_threads(n, streams_body, NULL);
        ranks_as_threads(n, capture_body, NULL);
    }
}

int main(void)
{
    static const staged_kind kinds[] = {
        {.piece_bytes = 1 << 20, .failing = -1},
        {.piece_bytes = 4096, .failing = -1},
        {.piece_bytes = 4096, .is_direct = 1, .failing = -1},
    };
    hlq_test_start("test_staged");
    for (int k = 0; k < 3; k++) every_case(&kinds[k]);
    CHECK_EQ((long long)stand_in_allocations(), 0);
    return hlq_test_end();
}
