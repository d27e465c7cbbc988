/*
 * hlq_gpu: GB/s of what a GPU does in a collective, beside a copy within its memory in the same
 * run; and what an all-reduce would gain over bf16 on links of several speeds.
 */
#include "gpu_report.h"

#include "tool.h"

#include <cuda_runtime_api.h>

#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, EXIT_SKIPPED = 77, BYTES_MIN = 1 << 20 };

static const char help_text[] =
    "usage: hlq_gpu [options]\n"
    "\n"
    "Measures the steps of a collective on the first GPU, on normal numbers, beside a copy of the\n"
    "tensor within its memory, calls of the two in turn.\n"
    "\n"
    "  --bits N         per number, 2 to 12 (default 4)\n"
    "  --bytes BYTES    of the tensor; K, M, G (default 256M); beyond the GPU's cache, please\n"
    "  --dtype NAME     float32 (default), float64, bfloat16, float16\n"
    "  --lattice NAME   E8 (default), D4, Z\n"
    "  --calls N        timed calls of each step, 1 to 1000 (default 20)\n"
    "  --json FILE      the same as JSON\n"
    "  -h, --help, --version\n"
    "\n"
    "  exponents, encode       kernels alone; encode with the same bits for every block\n"
    "  write, open, decode     the tensor as one message: all of coding it, checks and plan of "
    "one\n"
    "                          that came, and its numbers\n"
    "  sum N, unrotate         messages of N-1 ranks and the own numbers added up; to a tensor\n"
    "  hnlq_*                  the quantizer at 4 bits; float32 only\n"
    "  product                 a matrix of 4 bits, the tensor in fp32, times a vector\n"
    "  all_reduce N            all that the GPU of one of N ranks does in twoshot\n"
    "\n"
    "GB/s counts bytes of the tensor, also for the copy, which reads and writes them. ratio is "
    "the\n"
    "median over calls of one by the other, spread its 80 % range, relative. error is that of the\n"
    "tensor, coded and decoded: ||out - tensor||^2 / ||tensor||^2.\n"
    "gain is the time that bytes of bf16 take around a ring, by that of coded bytes and of\n"
    "all_reduce, one after the other; links are per direction.\n"
    "Exit code: 0; 1 if a result is wrong or CUDA fails; 2 for a wrong command line; 77 without a\n"
    "GPU.\n";

typedef struct gpu_options {
    const char *json;
    hlq_dtype dtype;
    hlq_lattice lattice;
    int bits, calls;
    size_t bytes;
} gpu_options;

/* Command line --------------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static _Noreturn void fail(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    fputs("hlq_gpu: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    exit(EXIT_USAGE);
}

static int read_count(const char *name, const char *text, int least, int most)
{
    long long count;
    if (!tool_read_integer(text, least, most, &count))
        fail("--%s %s: not an integer from %d to %d", name, text, least, most);
    return (int)count;
}

static hlq_dtype read_dtype(const char *text)
{
    for (int i = 0; hlq_dtype_is_float((hlq_dtype)i); i++) {
        if (strcmp(text, hlq_dtype_name((hlq_dtype)i)) == 0) return (hlq_dtype)i;
    }
    fail("--dtype %s: the types are float32, float64, bfloat16 and float16", text);
}

static hlq_lattice read_lattice(const char *text)
{
    for (int i = 0; hlq_lattice_name((hlq_lattice)i) != NULL; i++) {
        if (strcmp(text, hlq_lattice_name((hlq_lattice)i)) == 0) return (hlq_lattice)i;
    }
    fail("--lattice %s: the lattices are E8, D4 and Z", text);
}

static void read_option(int option, char **argv, gpu_options *o)
{
    switch (option) {
    case 'h': fputs(help_text, stdout); exit(0);
    case 'V': printf("hlq_gpu %s\n", hlq_version()); exit(0);
    case 'b': o->bits = read_count("bits", optarg, 2, HLQ_BITS_MAX); return;
    case 'c': o->calls = read_count("calls", optarg, 1, GPU_CALLS_MAX); return;
    case 'd': o->dtype = read_dtype(optarg); return;
    case 'l': o->lattice = read_lattice(optarg); return;
    case 's':
        if (!tool_read_bytes(optarg, &o->bytes) || o->bytes < BYTES_MIN)
            fail("--bytes %s: not a size such as 4M or 1G, 1M or more", optarg);
        return;
    case 'j': o->json = optarg; return;
    case ':': fail("%s needs a value; see --help", argv[optind - 1]);
    default: fail("%s is not an option; see --help", argv[optind - 1]);
    }
}

static void read_options(int argc, char **argv, gpu_options *options)
{
    static const struct option names[] = {
        {"bits", required_argument, NULL, 'b'},
        {"bytes", required_argument, NULL, 's'},
        {"dtype", required_argument, NULL, 'd'},
        {"lattice", required_argument, NULL, 'l'},
        {"calls", required_argument, NULL, 'c'},
        {"json", required_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    *options = (gpu_options){.dtype = HLQ_FLOAT32,
                             .lattice = HLQ_LATTICE_E8,
                             .bits = 4,
                             .calls = 20,
                             .bytes = (size_t)256 << 20};
    opterr = 0;
    int option;
    while ((option = getopt_long(argc, argv, ":h", names, NULL)) != -1)
        read_option(option, argv, options);
    if (optind < argc) fail("%s is not an option; see --help", argv[optind]);
}

/* Ends the program as skipped if there is no GPU. */
static void find_gpu(gpu_results *results)
{
    int count = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error || count == 0) {
        printf("skipped: there is no GPU (%s)\n",
               error ? cudaGetErrorString(error) : "CUDA finds none");
        exit(EXIT_SKIPPED);
    }
    gpu_check(cudaGetDeviceProperties(&results->gpu, 0));
    gpu_check(cudaDriverGetVersion(&results->driver));
    gpu_check(cudaRuntimeGetVersion(&results->runtime));
}

/* Measuring ------------------------------------------------------------------------------------ */

/* An error beyond this is a fault: twice that of normal numbers' codes, and the rounding
   of 16-bit types. */
static double error_limit(const gpu_options *o)
{
    double rounding = o->dtype == HLQ_BFLOAT16 || o->dtype == HLQ_FLOAT16 ? 1e-5 : 0.0;
    return 2e-2 * pow(4.0, 4 - o->bits) + rounding;
}

static void wrong(gpu_results *results, const char *what)
{
    fprintf(stderr, "hlq_gpu: %s\n", what);
    results->wrong++;
}

static void measure(gpu_bench *bench, const gpu_options *options, gpu_results *results)
{
    const gpu_case *c;
    for (int i = 0; (c = gpu_case_at(i)) != NULL; i++) {
        if (c->float32 && options->dtype != HLQ_FLOAT32) continue;
        gpu_row row = {c, gpu_bench_run(bench, c, options->calls)};
        gpu_print_row(&row);
        results->row[results->rows++] = row;
        if (!(row.figure.error <= error_limit(options)))
            wrong(results, "the last row's error is beyond what its bits explain");
        if (strcmp(c->name, "all_reduce") == 0) {
            results->gain[results->gains++] = gpu_gain_of(bench, c->ranks, row.figure.seconds);
        }
    }
    if (!gpu_writes_alike(bench)) wrong(results, "two writes of the same tensor differ in bytes");
}

int main(int argc, char **argv)
{
    static gpu_results results;
    gpu_options options;
    read_options(argc, argv, &options);
    find_gpu(&results);
    FILE *file = options.json != NULL ? fopen(options.json, "w") : NULL;
    if (options.json != NULL && file == NULL)
        fail("--json %s: the file cannot be written", options.json);
    results.calls = options.calls;
    gpu_bench bench = {.dtype = options.dtype, .lattice = options.lattice, .bits = options.bits};
    gpu_bench_create(&bench, options.bytes);
    gpu_print_head(&bench, &results);
    measure(&bench, &options, &results);
    gpu_print_gains(&results);
    int written = file == NULL || gpu_write_json(file, &bench, &results);
    if (file != NULL && (fclose(file) != 0 || !written))
        fail("--json %s: writing failed", options.json);
    gpu_bench_destroy(&bench);
    return results.wrong == 0 ? 0 : GPU_EXIT_WRONG;
}
