/*
 * hlq_info: what this build of libhlqcomm is and what of it works on this machine. The first thing
 * to ask for in a report of a fault.
 */
#include "json.h"

#include <kernels/kernels.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifdef HLQ_HAVE_MPI
#include <hlqcomm/mpi.h>
#endif
#ifdef HLQ_HAVE_CUDA
#include <hlqcomm/nccl.h>
enum { HAS_CUDA = 1 };
#else
enum { HAS_CUDA = 0 };
#endif

static const char help_text[] = "usage: hlq_info [--json]\n"
                                "\n"
                                "Version, kernel variants, transports and processors, as seen by "
                                "libhlqcomm.\n"
                                "Exit code: 0; 1 if HLQ_KERNELS names a variant that cannot run; 2 "
                                "for a wrong\ncommand line.\n";

/* Version of the MPI library; NULL if the tool was built without. */
static const char *mpi_library(void)
{
#ifdef HLQ_HAVE_MPI
    return hlq_mpi_library();
#else
    return NULL;
#endif
}

/* Version of the NCCL that is found now; NULL if there is none. */
static const char *nccl_library(void)
{
#ifdef HLQ_HAVE_CUDA
    return hlq_nccl_version();
#else
    return NULL;
#endif
}

static const char *nccl_text(void)
{
    if (!HAS_CUDA) return "not built in";
    return nccl_library() != NULL ? nccl_library() : "built in, but no NCCL is found";
}

static void print_text(const char *in_use)
{
    printf("libhlqcomm %s, wire version %d\n", hlq_version(), HLQ_WIRE_VERSION);
    printf("processors %ld\n", sysconf(_SC_NPROCESSORS_ONLN));
    const hlq_kernels *kernels;
    int supported;
    for (int i = 0; (kernels = hlq_kernels_at(i, &supported)) != NULL; i++) {
        const char *state = supported ? "" : "not on this processor";
        if (in_use != NULL && strcmp(kernels->name, in_use) == 0) state = "in use";
        printf("kernels    %-8s %s\n", kernels->name, state);
    }
    printf("transport  threads\n");
    printf("transport  mpi      %s\n", mpi_library() != NULL ? mpi_library() : "not built in");
    printf("transport  nccl     %s\n", nccl_text());
}

static void print_json(const char *in_use)
{
    json j;
    json_start(&j, stdout);
    json_open_object(&j, NULL);
    json_text(&j, "version", hlq_version());
    json_integer(&j, "wire_version", HLQ_WIRE_VERSION);
    json_integer(&j, "processors", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
    json_text(&j, "kernels_in_use", in_use);
    json_open_array(&j, "kernels");
    const hlq_kernels *kernels;
    int supported;
    for (int i = 0; (kernels = hlq_kernels_at(i, &supported)) != NULL; i++) {
        json_open_object(&j, NULL);
        json_text(&j, "name", kernels->name);
        json_boolean(&j, "supported", supported);
        json_boolean(&j, "in_use", in_use != NULL && strcmp(kernels->name, in_use) == 0);
        json_close_object(&j);
    }
    json_close_array(&j);
    json_open_array(&j, "transports");
    json_open_object(&j, NULL);
    json_text(&j, "name", "threads");
    json_text(&j, "library", NULL);
    json_close_object(&j);
    if (mpi_library() != NULL) {
        json_open_object(&j, NULL);
        json_text(&j, "name", "mpi");
        json_text(&j, "library", mpi_library());
        json_close_object(&j);
    }
    if (HAS_CUDA) {
        json_open_object(&j, NULL);
        json_text(&j, "name", "nccl");
        json_text(&j, "library", nccl_library());
        json_close_object(&j);
    }
    json_close_array(&j);
    json_close_object(&j);
    json_finish(&j);
}

int main(int argc, char **argv)
{
    int as_json = argc == 2 && strcmp(argv[1], "--json") == 0;
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(help_text, stdout);
        return 0;
    }
    if (argc > 1 && !as_json) {
        fprintf(stderr, "hlq_info: %s is not an option; see --help\n", argv[1]);
        return 2;
    }
    const char *in_use = hlq_kernel_variant();
    if (as_json) print_json(in_use);
    else print_text(in_use);
    if (in_use != NULL) return 0;
    fprintf(stderr,
            "hlq_info: HLQ_KERNELS names a variant that does not exist or cannot run here\n");
    return 1;
}
