/* The command line of hlq_soak. The help text is its manual. */
#include "perf_options.h"
#include "soak.h"
#include "tool.h"

static const char help_text[] =
    "usage: hlq_soak [options]                   ranks are threads of this process\n"
    "       mpirun -n N hlq_soak [options]       ranks are the processes\n"
    "\n"
    "Runs collectives drawn at random until the time is over: operations, sizes, types,\n"
    "reductions, algorithms, bits, target errors or bounds, lattices, dither, exempt ranges, in\n"
    "place or not, with residuals or not, one at a time or several under way that each rank ends\n"
    "in an order of its own, on communicators that come and go: over all ranks or some, with\n"
    "nodes that the ranks name or not. Every result is checked: equal bits on all ranks where\n"
    "they are promised; against sums in double precision, within the bound that the scales in\n"
    "the statistics give; to rounding, with what the residuals kept; exactly where nothing is\n"
    "quantized. So are the bytes, against the plan, and errors against targets and bounds. Memory\n"
    "is watched. At the end it says how many of each were drawn.\n"
    "\n"
    "  --seconds N      how long (default 60)\n"
    "  --ranks N        N threads of this process (default 4); not under mpirun\n"
    "  --seed N         of everything that is drawn (default 1)\n"
    "  --first N        begin with episode N: the one that a sentence on a mismatch names\n"
    "  --elements N     elements of the larger buffer, at most; all that is under way together\n"
    "                   (default 4M; K, M, G)\n"
    "  --growth SIZE    resident memory that a process may gain after the warm-up, which is the\n"
    "                   first quarter of the time, at most a minute (default 8M). It is read\n"
    "                   between communicators, after malloc gave back what it could\n"
    "  --json FILE      the summary as JSON\n"
    "  -h, --help, --version\n"
    "\n"
    "A line of summary every minute and at the end; progress to stderr if it is a terminal.\n"
    "Exit code: 0; 1 if a result was wrong, a call failed, or memory grew; 2 for a wrong command\n"
    "line.\n";

void soak_options_help(FILE *out) { fputs(help_text, out); }

static int read_whole(const char *text, uint64_t *value)
{
    long long number;
    int well = tool_read_integer(text, 0, INT64_MAX, &number);
    if (well) *value = (uint64_t)number;
    return well;
}

/* Whether value was taken as the option's. */
static int read_value(soak_options *o, const char *option, const char *value)
{
    long long ranks;
    if (strcmp(option, "--seconds") == 0)
        return tool_read_real(value, &o->seconds) && o->seconds > 0;
    if (strcmp(option, "--seed") == 0) return read_whole(value, &o->seed);
    if (strcmp(option, "--first") == 0) return read_whole(value, &o->first);
    if (strcmp(option, "--growth") == 0) return tool_read_bytes(value, &o->growth);
    if (strcmp(option, "--elements") == 0)
        return tool_read_bytes(value, &o->most) && o->most >= 1024 && o->most <= (size_t)1 << 32;
    if (strcmp(option, "--ranks") == 0) {
        if (!tool_read_integer(value, 1, SOAK_RANKS_MAX, &ranks)) return 0;
        o->ranks = (int)ranks;
        return 1;
    }
    o->json = value;
    return 1;
}

int soak_options_read(int argc, char **argv, soak_options *o, char *error)
{
    static const char *const with_value[] = {"--seconds",  "--seed",  "--first", "--growth",
                                             "--elements", "--ranks", "--json"};
    *o = (soak_options){
        .seconds = 60, .seed = 1, .most = (size_t)4 << 20, .growth = (size_t)8 << 20};
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        int takes_value = 0;
        if (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0) o->help = 1;
        else if (strcmp(option, "--version") == 0) o->version = 1;
        else takes_value = 1;
        if (!takes_value) continue;
        int known = 0;
        for (size_t w = 0; w < sizeof with_value / sizeof *with_value; w++)
            known |= strcmp(option, with_value[w]) == 0;
        if (!known) snprintf(error, TOOL_ERROR_BYTES, "there is no option %s; see --help", option);
        else if (i + 1 == argc) snprintf(error, TOOL_ERROR_BYTES, "%s wants a value", option);
        else if (!read_value(o, option, argv[++i]))
            snprintf(error, TOOL_ERROR_BYTES, "%s cannot be \"%s\"; see --help", option, argv[i]);
        else continue;
        return PERF_EXIT_USAGE;
    }
    return 0;
}
