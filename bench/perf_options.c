/* The command line of hlq_perf; perf_options.h tells. */
#include "perf_options.h"

#include "perf_rivals.h"
#include "tool.h"

#include <getopt.h>
#include <limits.h>
#include <string.h>

/* Long options without a letter get numbers beyond every letter. */
enum {
    OPTION_OP = 256,
    OPTION_DTYPE,
    OPTION_ALG,
    OPTION_BITS,
    OPTION_TARGET,
    OPTION_MAX_ERROR,
    OPTION_LATTICE,
    OPTION_TOPOLOGY,
    OPTION_INPUT,
    OPTION_RANKS,
    OPTION_SEED,
    OPTION_JSON,
    OPTION_BASELINES,
    OPTION_INPLACE,
    OPTION_VERSION,
};

static const char short_options[] = ":b:e:f:n:w:c:h";

static const struct option long_options[] = {
    {"minbytes", required_argument, NULL, 'b'},
    {"maxbytes", required_argument, NULL, 'e'},
    {"stepfactor", required_argument, NULL, 'f'},
    {"iters", required_argument, NULL, 'n'},
    {"warmup_iters", required_argument, NULL, 'w'},
    {"check", required_argument, NULL, 'c'},
    {"op", required_argument, NULL, OPTION_OP},
    {"dtype", required_argument, NULL, OPTION_DTYPE},
    {"alg", required_argument, NULL, OPTION_ALG},
    {"bits", required_argument, NULL, OPTION_BITS},
    {"target", required_argument, NULL, OPTION_TARGET},
    {"max-error", required_argument, NULL, OPTION_MAX_ERROR},
    {"lattice", required_argument, NULL, OPTION_LATTICE},
    {"topology", required_argument, NULL, OPTION_TOPOLOGY},
    {"input", required_argument, NULL, OPTION_INPUT},
    {"ranks", required_argument, NULL, OPTION_RANKS},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"json", required_argument, NULL, OPTION_JSON},
    {"baselines", optional_argument, NULL, OPTION_BASELINES},
    {"inplace", no_argument, NULL, OPTION_INPLACE},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

/* The algorithm of that name, or -1. */
static int find_algorithm(const char *name)
{
    for (int i = 0; hlq_algorithm_name((hlq_algorithm)i) != NULL; i++) {
        if (strcmp(name, hlq_algorithm_name((hlq_algorithm)i)) == 0) return i;
    }
    return -1;
}

static int read_algorithms(const char *list, perf_options *options, char *error)
{
    char word[16];
    options->algorithms = 0;
    while (tool_next_word(&list, word, sizeof word)) {
        int found = find_algorithm(word);
        if (found < 0) {
            snprintf(error, TOOL_ERROR_BYTES,
                     "--alg %s: the algorithms are auto, twoshot, modq, oneshot,"
                     " native and hierarchical",
                     word);
            return PERF_EXIT_USAGE;
        }
        if (options->algorithms == PERF_ALGORITHMS_MAX) {
            snprintf(error, TOOL_ERROR_BYTES, "--alg: at most %d", PERF_ALGORITHMS_MAX);
            return PERF_EXIT_USAGE;
        }
        options->algorithm[options->algorithms++] = (hlq_algorithm)found;
    }
    return 0;
}

/* Ranges are the library's business (hlq_call): it is asked before anything runs. */
static int read_reals(const char *name, const char *list, double *value, int *count, char *error)
{
    char word[32];
    *count = 0;
    while (tool_next_word(&list, word, sizeof word)) {
        if (*count == PERF_BITS_MAX) {
            snprintf(error, TOOL_ERROR_BYTES, "--%s: at most %d values", name, PERF_BITS_MAX);
            return PERF_EXIT_USAGE;
        }
        if (!tool_read_real(word, &value[*count]) || value[*count] <= 0.0) {
            snprintf(error, TOOL_ERROR_BYTES, "--%s %s: not a positive number", name, word);
            return PERF_EXIT_USAGE;
        }
        (*count)++;
    }
    return 0;
}

static int read_lattice(const char *text, perf_options *options, char *error)
{
    for (int i = 0; hlq_lattice_name((hlq_lattice)i) != NULL; i++) {
        if (strcmp(text, hlq_lattice_name((hlq_lattice)i)) == 0) {
            options->lattice = (hlq_lattice)i;
            return 0;
        }
    }
    snprintf(error, TOOL_ERROR_BYTES, "--lattice %s: the lattices are E8, D4 and Z", text);
    return PERF_EXIT_USAGE;
}

static int read_topology(const char *text, perf_options *options, char *error)
{
    for (int i = 0; hlq_topology_name((hlq_topology)i) != NULL; i++) {
        if (strcmp(text, hlq_topology_name((hlq_topology)i)) == 0) {
            options->topology = (hlq_topology)i;
            return 0;
        }
    }
    snprintf(error, TOOL_ERROR_BYTES, "--topology %s: the topologies are auto, all_to_all and ring",
             text);
    return PERF_EXIT_USAGE;
}

static int read_dtype(const char *text, perf_options *options, char *error)
{
    for (int i = 0; hlq_dtype_is_float((hlq_dtype)i); i++) {
        if (strcmp(text, hlq_dtype_name((hlq_dtype)i)) == 0) {
            options->dtype = (hlq_dtype)i;
            return 0;
        }
    }
    snprintf(error, TOOL_ERROR_BYTES,
             "--dtype %s: the types are float32, float64, bfloat16 and float16", text);
    return PERF_EXIT_USAGE;
}

static int read_size(char letter, const char *text, size_t *bytes, char *error)
{
    if (tool_read_bytes(text, bytes) && *bytes > 0) return 0;
    snprintf(error, TOOL_ERROR_BYTES, "-%c %s: not a size such as 4096, 64K, 4M or 1G", letter,
             text);
    return PERF_EXIT_USAGE;
}

static int read_integer(const char *name, const char *text, long long least, int *value,
                        char *error)
{
    long long number;
    if (tool_read_integer(text, least, INT_MAX, &number)) {
        *value = (int)number;
        return 0;
    }
    snprintf(error, TOOL_ERROR_BYTES, "%s %s: not an integer of at least %lld", name, text, least);
    return PERF_EXIT_USAGE;
}

static int read_seed(const char *text, perf_options *options, char *error)
{
    long long number;
    if (!tool_read_integer(text, 0, LLONG_MAX, &number)) {
        snprintf(error, TOOL_ERROR_BYTES, "--seed %s: not an integer of at least 0", text);
        return PERF_EXIT_USAGE;
    }
    options->seed = (uint64_t)number;
    return 0;
}

static int read_op(const char *text, perf_options *options, char *error)
{
    for (int i = 0; hlq_operation_name((hlq_operation)i) != NULL; i++) {
        if (strcmp(text, hlq_operation_name((hlq_operation)i)) == 0) {
            options->op = (hlq_operation)i;
            return 0;
        }
    }
    snprintf(error, TOOL_ERROR_BYTES,
             "--op %s: the collectives are all_reduce, reduce_scatter, all_gather and all_to_all",
             text);
    return PERF_EXIT_USAGE;
}

static int read_check(const char *text, perf_options *options, char *error)
{
    long long number;
    if (!tool_read_integer(text, 0, 1, &number)) {
        snprintf(error, TOOL_ERROR_BYTES, "-c %s: neither 0 nor 1", text);
        return PERF_EXIT_USAGE;
    }
    options->check = (int)number;
    return 0;
}

/* --baselines: all of them; --baselines=LIST: those. */
static int read_baselines(const char *list, perf_options *options, char *error)
{
    char word[16];
    options->baselines = list == NULL ? PERF_BASELINES_ALL : 0;
    while (list != NULL && tool_next_word(&list, word, sizeof word)) {
        const rival_codec *codec;
        unsigned found = strcmp(word, "fp32") == 0 ? PERF_BASELINE_FP32 : 0;
        for (int i = 0; (codec = rival_codec_at(i)) != NULL; i++) {
            if (strcmp(word, codec->name) == 0) found = perf_baseline_codec(i);
        }
        if (found == 0) {
            snprintf(error, TOOL_ERROR_BYTES,
                     "--baselines=%s: the baselines are fp32, bf16, fp8 and int4", word);
            return PERF_EXIT_USAGE;
        }
        options->baselines |= found;
    }
    return 0;
}

/* One option that takes an argument. */
static int read_argument(int option, const char *text, perf_options *o, char *error)
{
    switch (option) {
    case 'b': o->sizes_given = 1; return read_size('b', text, &o->min_bytes, error);
    case 'e': o->sizes_given = 1; return read_size('e', text, &o->max_bytes, error);
    case 'f': return read_integer("-f", text, 2, &o->factor, error);
    case 'n': return read_integer("-n", text, 1, &o->iterations, error);
    case 'w': return read_integer("-w", text, 0, &o->warmup, error);
    case 'c': return read_check(text, o, error);
    case OPTION_OP: return read_op(text, o, error);
    case OPTION_DTYPE: return read_dtype(text, o, error);
    case OPTION_ALG: return read_algorithms(text, o, error);
    case OPTION_BITS: return read_reals("bits", text, o->bits, &o->bits_given, error);
    case OPTION_TARGET: return read_reals("target", text, o->target, &o->targets, error);
    case OPTION_MAX_ERROR: return read_reals("max-error", text, o->max_error, &o->bounds, error);
    case OPTION_LATTICE: return read_lattice(text, o, error);
    case OPTION_TOPOLOGY: return read_topology(text, o, error);
    case OPTION_RANKS: return read_integer("--ranks", text, 1, &o->ranks, error);
    case OPTION_SEED: return read_seed(text, o, error);
    case OPTION_INPUT: o->input = text; return 0;
    default: o->json = text; return 0;
    }
}

static int read_option(int option, char **argv, perf_options *options, char *error)
{
    switch (option) {
    case 'h': options->help = 1; return 0;
    case OPTION_VERSION: options->version = 1; return 0;
    case OPTION_BASELINES: return read_baselines(optarg, options, error);
    case OPTION_INPLACE: options->in_place = 1; return 0;
    case ':':
        snprintf(error, TOOL_ERROR_BYTES, "%s needs a value; see --help", argv[optind - 1]);
        return PERF_EXIT_USAGE;
    case '?':
        snprintf(error, TOOL_ERROR_BYTES, "%s is not an option; see --help", argv[optind - 1]);
        return PERF_EXIT_USAGE;
    default: return read_argument(option, optarg, options, error);
    }
}

/* Sizes that were not given follow the ones that were. */
static int settle_sizes(perf_options *options, char *error)
{
    const size_t usual_min = (size_t)1 << 20, usual_max = (size_t)16 << 20;
    size_t least = options->min_bytes, most = options->max_bytes;
    if (least == 0) least = most != 0 && most < usual_min ? most : usual_min;
    if (most == 0) most = least > usual_max ? least : usual_max;
    if (least > most) {
        snprintf(error, TOOL_ERROR_BYTES, "-b %zu is larger than -e %zu", least, most);
        return PERF_EXIT_USAGE;
    }
    options->min_bytes = least;
    options->max_bytes = most;
    return 0;
}

int perf_options_read(int argc, char **argv, perf_options *options, char *error)
{
    *options = (perf_options){
        .factor = 4,
        .iterations = 20,
        .warmup = 3,
        .check = 1,
        .algorithms = 1,
        .algorithm = {HLQ_ALG_AUTO},
        .input = "gauss",
    };
    opterr = 0;
    int option;
    while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
        int failed = read_option(option, argv, options, error);
        if (failed) return failed;
    }
    if (optind < argc) {
        snprintf(error, TOOL_ERROR_BYTES, "%s is not an option; see --help", argv[optind]);
        return PERF_EXIT_USAGE;
    }
    if (!options->bits_given && !options->targets && !options->bounds) {
        options->bits[options->bits_given++] = 4.0;
    }
    return settle_sizes(options, error);
}
