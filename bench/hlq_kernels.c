/*
 * hlq_kernels: GB/s of every kernel and variant, beside memcpy of as many bytes in the same run, on
 * one core. All variants must write the same bytes.
 */
#include "kernels_bench.h"

#include "json.h"
#include "tool.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_WRONG = 1, EXIT_USAGE = 2, ROWS_MAX = 1024 };

static const char help_text[] =
    "usage: hlq_kernels [options]\n"
    "\n"
    "Measures the block kernels of libhlqcomm on one core, on normal numbers, beside memcpy of as\n"
    "many bytes, calls of the two in turn.\n"
    "\n"
    "  --variant NAME   only this one (default: all that this processor supports)\n"
    "  --bits LIST      bits per number, 2 to 12 (default 4)\n"
    "  --seconds S      time for each line (default 0.5); at least 3 calls are made\n"
    "  --size BYTES     of the tensor; K, M, G (default 64M); beyond the last-level cache, please\n"
    "  --json FILE      the same as JSON\n"
    "  -h, --help, --version\n"
    "\n"
    "GB/s counts bytes of the fp32 tensor; for planes_add, bytes of the planes that are added.\n"
    "memcpy counts bytes copied. ratio is the median over calls of one by the other, spread its\n"
    "80 % range, relative. Exit code: 0; 1 if variants write different bytes; 2 for a wrong\n"
    "command line.\n";

typedef struct kernels_options {
    const char *variant, *json;
    int bits[HLQ_BITS_MAX];
    int bits_given;
    double seconds;
    size_t size_bytes;
} kernels_options;

typedef struct kernels_row {
    const char *kernel, *variant;
    int bits;
    kernels_figure figure;
} kernels_row;

__attribute__((format(printf, 1, 2))) static _Noreturn void fail(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    fputs("hlq_kernels: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    exit(EXIT_USAGE);
}

static void read_bits(const char *list, kernels_options *options)
{
    char word[16];
    options->bits_given = 0;
    while (tool_next_word(&list, word, sizeof word)) {
        long long bits;
        if (!tool_read_integer(word, 2, HLQ_BITS_MAX, &bits))
            fail("--bits %s: not an integer from 2 to %d", word, HLQ_BITS_MAX);
        if (options->bits_given == HLQ_BITS_MAX) fail("--bits: at most %d values", HLQ_BITS_MAX);
        options->bits[options->bits_given++] = (int)bits;
    }
}

static void read_option(int option, char **argv, kernels_options *o)
{
    switch (option) {
    case 'h': fputs(help_text, stdout); exit(0);
    case 'V': printf("hlq_kernels %s\n", hlq_version()); exit(0);
    case 'v': o->variant = optarg; return;
    case 'b': read_bits(optarg, o); return;
    case 't':
        if (!tool_read_real(optarg, &o->seconds) || o->seconds < 0.0)
            fail("--seconds %s: not a time in seconds", optarg);
        return;
    case 's':
        if (!tool_read_bytes(optarg, &o->size_bytes) || o->size_bytes == 0)
            fail("--size %s: not a size such as 64K, 4M or 1G", optarg);
        return;
    case 'j': o->json = optarg; return;
    case ':': fail("%s needs a value; see --help", argv[optind - 1]);
    default: fail("%s is not an option; see --help", argv[optind - 1]);
    }
}

static void read_options(int argc, char **argv, kernels_options *options)
{
    static const struct option names[] = {
        {"variant", required_argument, NULL, 'v'}, {"bits", required_argument, NULL, 'b'},
        {"seconds", required_argument, NULL, 't'}, {"size", required_argument, NULL, 's'},
        {"json", required_argument, NULL, 'j'},    {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},       {NULL, 0, NULL, 0},
    };
    *options = (kernels_options){
        .bits = {4}, .bits_given = 1, .seconds = 0.5, .size_bytes = (size_t)64 << 20};
    opterr = 0;
    int option;
    while ((option = getopt_long(argc, argv, ":h", names, NULL)) != -1)
        read_option(option, argv, options);
    if (optind < argc) fail("%s is not an option; see --help", argv[optind]);
}

/* Ends the program if the variant does not exist or cannot run here. */
static void check_variant(const char *name)
{
    const hlq_kernels *kernels;
    int supported;
    for (int i = 0; (kernels = hlq_kernels_at(i, &supported)) != NULL; i++) {
        if (strcmp(kernels->name, name) != 0) continue;
        if (!supported) fail("--variant %s: this processor cannot run it", name);
        return;
    }
    fail("--variant %s: there is no such variant; hlq_info lists them", name);
}

static void print_row(const kernels_row *row)
{
    const kernels_figure *f = &row->figure;
    char bits[16] = "-";
    if (row->bits > 0) snprintf(bits, sizeof bits, "%d", row->bits);
    printf("%-16s %-8s %4s %9.3f %9.3f %7.3f %6.1f%% %5zu\n", row->kernel, row->variant, bits,
           f->gbps, f->memcpy_gbps, f->ratio, 100.0 * f->spread, f->repeats);
    fflush(stdout);
}

/* Measures one case in all variants asked for. Returns how many rows it added. */
static size_t run_case(kernels_bench *bench, const kernels_case *c, int bits,
                       const kernels_options *options, kernels_row *rows)
{
    const hlq_kernels *kernels;
    int supported;
    size_t n = 0;
    for (int i = 0; (kernels = hlq_kernels_at(i, &supported)) != NULL; i++) {
        if (!supported || (options->variant && strcmp(options->variant, kernels->name) != 0))
            continue;
        kernels_figure figure = kernels_bench_run(bench, c, kernels, bits, options->seconds);
        rows[n] = (kernels_row){c->name, kernels->name, bits, figure};
        print_row(&rows[n++]);
    }
    return n;
}

/* Rows of one case must agree on what was written. Returns how many do not. */
static int compare_rows(const kernels_row *rows, size_t n)
{
    int different = 0;
    for (size_t i = 1; i < n; i++) {
        if (rows[i].figure.hash == rows[0].figure.hash) continue;
        fprintf(stderr, "hlq_kernels: %s with %d bits: %s and %s write different bytes\n",
                rows[i].kernel, rows[i].bits, rows[i].variant, rows[0].variant);
        different++;
    }
    return different;
}

static int write_json(FILE *file, const kernels_options *options, const kernels_row *rows, size_t n,
                      int different)
{
    json j;
    json_start(&j, file);
    json_open_object(&j, NULL);
    json_text(&j, "tool", "hlq_kernels");
    json_text(&j, "version", hlq_version());
    json_integer(&j, "size", options->size_bytes);
    json_open_array(&j, "rows");
    for (size_t i = 0; i < n; i++) {
        json_open_object(&j, NULL);
        json_text(&j, "kernel", rows[i].kernel);
        json_text(&j, "variant", rows[i].variant);
        json_integer(&j, "bits", (uint64_t)rows[i].bits);
        json_real(&j, "gbps", rows[i].figure.gbps);
        json_real(&j, "memcpy_gbps", rows[i].figure.memcpy_gbps);
        json_real(&j, "ratio", rows[i].figure.ratio);
        json_real(&j, "spread", rows[i].figure.spread);
        json_integer(&j, "repeats", rows[i].figure.repeats);
        json_close_object(&j);
    }
    json_close_array(&j);
    json_boolean(&j, "passed", different == 0);
    json_close_object(&j);
    return json_finish(&j);
}

int main(int argc, char **argv)
{
    static kernels_row rows[ROWS_MAX];
    kernels_options options;
    read_options(argc, argv, &options);
    if (options.variant != NULL) check_variant(options.variant);
    FILE *file = options.json != NULL ? fopen(options.json, "w") : NULL;
    if (options.json != NULL && file == NULL)
        fail("--json %s: the file cannot be written", options.json);
    kernels_bench *bench = kernels_bench_create(options.size_bytes);
    if (bench == NULL) fail("no memory for tensors of this size");
    printf("%-16s %-8s %4s %9s %9s %7s %7s %5s\n", "# kernel", "variant", "bits", "GB/s", "memcpy",
           "ratio", "spread", "calls");
    size_t n = 0;
    int different = 0;
    const kernels_case *c;
    for (int i = 0; (c = kernels_case_at(i)) != NULL; i++) {
        for (int k = 0; k < (c->takes_bits ? options.bits_given : 1); k++) {
            int bits = c->takes_bits ? options.bits[k] : 0;
            size_t added = run_case(bench, c, bits, &options, rows + n);
            different += compare_rows(rows + n, added);
            n += added;
        }
    }
    kernels_bench_destroy(bench);
    int written = file == NULL || write_json(file, &options, rows, n, different);
    if (file != NULL && (fclose(file) != 0 || !written))
        fail("--json %s: writing failed", options.json);
    return different == 0 ? 0 : EXIT_WRONG;
}
