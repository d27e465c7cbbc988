/*
 * Collectives on GPUs over NCCL, on ranks that are MPI processes: nccl_cases.h. Skipped without a
 * GPU or NCCL. On one GPU, two ranks take NCCL 2.30.3 or newer.
 */
#include "nccl_cases.h"

#include <hlqcomm/nccl.h>

#include <cuda_runtime_api.h>

/* Why it cannot run here; NULL if it can. */
static const char *missing(void)
{
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) return "there is no GPU";
    const char *version = hlq_nccl_version();
    if (!version) return "there is no NCCL";
    int major = 0, minor = 0, patch = 0;
    sscanf(version, "%d.%d.%d", &major, &minor, &patch);
    int shares = major * 10000 + minor * 100 + patch >= 23003;
    return devices > 1 || shares ? NULL : "ranks on one GPU take NCCL 2.30.3 or newer";
}

static void all_bodies(test_rank *me, void *argument)
{
    int is_new = 0;
    hlq_options dithered = HLQ_OPTIONS_INIT;
    (void)argument;
    dithered.dither = 1;
    dithered.lattice = HLQ_LATTICE_Z;
    bytes_body(me, NULL);
    bytes_body(me, &dithered);
    long_body(me, NULL);
    native_body(me, &is_new);
    host_body(me, NULL);
    mixed_body(me, NULL);
    streams_body(me, NULL);
    graph_body(me, NULL);
}

int main(int argc, char **argv)
{
    const char *reason = missing();
    hlq_test_start("test_nccl_mpi");
    if (reason) {
        printf("skipped: %s\n", reason);
        return 77;
    }
    ranks_as_mpi(&argc, &argv, all_bodies, NULL);
    return hlq_test_end();
}
