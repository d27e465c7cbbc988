/*
 * hlq_perf: what collectives cost and how wrong they are, beside their rivals, on one's own network
 * and numbers. Conventions of nccl-tests. This file is one rank's walk through the table; read on
 * in perf_run.c.
 */
#include "perf_options.h"
#include "perf_report.h"
#include "perf_rivals.h"
#include "perf_run.h"
#include "tool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Algorithms × budgets, then the baselines. */
enum { ENTRIES_MAX = 3 * PERF_ALGORITHMS_MAX * PERF_BITS_MAX + 8, SIZES_MAX = 64 };

typedef struct perf_table {
    perf_bench bench;
    perf_setup setup;
    perf_entry entry[ENTRIES_MAX];
    size_t entries;
    size_t count[SIZES_MAX]; /* numbers per rank */
    size_t sizes;
    perf_row *row;
    perf_verdict verdict;
    FILE *json;
} perf_table;

static void say(const perf_world *world, const char *sentence)
{
    if (world->rank == 0) fprintf(stderr, "hlq_perf: %s\n", sentence);
}

static void add_entry(perf_table *table, perf_entry entry)
{
    table->entry[table->entries++] = entry;
}

static void list_entries(perf_table *table, const perf_options *o)
{
    for (int a = 0; a < o->algorithms; a++) {
        hlq_algorithm algorithm = o->algorithm[a];
        perf_entry entry = {.algorithm = algorithm, .dtype = o->dtype};
        if (algorithm == HLQ_ALG_NATIVE) {
            add_entry(table, entry);
            continue;
        }
        for (int b = 0; b < o->bits_given; b++) {
            entry.bits = o->bits[b];
            add_entry(table, entry);
        }
        entry.bits = 0.0;
        for (int t = 0; t < o->targets; t++) {
            entry.target = o->target[t];
            add_entry(table, entry);
        }
        entry.target = 0.0;
        for (int m = 0; m < o->bounds; m++) {
            entry.max_error = o->max_error[m];
            add_entry(table, entry);
        }
    }
    perf_entry fp32 = {.name = "fp32", .algorithm = HLQ_ALG_NATIVE, .dtype = HLQ_FLOAT32};
    if (o->baselines & PERF_BASELINE_FP32) add_entry(table, fp32);
    const rival_codec *codec;
    for (int i = 0; (codec = rival_codec_at(i)) != NULL; i++) {
        perf_entry entry = {.name = codec->name, .dtype = HLQ_FLOAT32, .codec = codec};
        if (o->baselines & perf_baseline_codec(i)) add_entry(table, entry);
    }
}

/*
 * The count for a larger buffer of so many elements. All that a rank sends must be there. Parts are
 * whole chunks, so that any rank can have any of them.
 */
static size_t count_for(const perf_table *table, size_t elems)
{
    const perf_bench *bench = &table->bench;
    size_t available = perf_input_count(bench->input), n = (size_t)bench->world->size;
    hlq_operation op = bench->options->op;
    if (op != HLQ_ALL_GATHER && elems > available) elems = available;
    if (op == HLQ_ALL_REDUCE) return elems;
    size_t count = elems / n;
    if (op == HLQ_ALL_GATHER && count > available) count = available;
    count = count / PERF_CHUNK_ELEMS * PERF_CHUNK_ELEMS;
    return count > 0 ? count : PERF_CHUNK_ELEMS;
}

/* Sizes that a file cuts to the same count are one. */
static void list_sizes(perf_table *table, const perf_options *o)
{
    size_t available = perf_input_count(table->bench.input);
    size_t elem_bytes = hlq_dtype_bytes(o->dtype);
    if (available != SIZE_MAX && !o->sizes_given) {
        int is_part = o->op == HLQ_ALL_GATHER; /* all of the row, from each rank */
        size_t elems = available * (is_part ? (size_t)table->bench.world->size : 1);
        table->count[table->sizes++] = count_for(table, elems);
        return;
    }
    for (size_t bytes = o->min_bytes; bytes <= o->max_bytes; bytes *= (size_t)o->factor) {
        size_t count = count_for(table, bytes < elem_bytes ? 1 : bytes / elem_bytes);
        if (table->sizes == 0 || table->count[table->sizes - 1] != count)
            table->count[table->sizes++] = count;
        if (bytes > o->max_bytes / (size_t)o->factor) break;
    }
}

static perf_shape shape_of(const perf_table *table, size_t size)
{
    const perf_world *world = table->bench.world;
    return (perf_shape){table->bench.options->op, world->size, world->rank, table->count[size]};
}

static size_t size_bytes(const perf_table *table, size_t size)
{
    perf_shape shape = shape_of(table, size);
    return perf_shape_elems(&shape) * hlq_dtype_bytes(table->bench.options->dtype);
}

/* Bytes of memory that programs can still have; SIZE_MAX where the system does not say. */
static size_t free_memory_bytes(void)
{
    FILE *file = fopen("/proc/meminfo", "r");
    size_t kibibytes = SIZE_MAX >> 10;
    char line[128];
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "MemAvailable: %zu kB", &kibibytes) == 1) break;
    }
    if (file != NULL) fclose(file);
    return kibibytes << 10;
}

static void describe_refusal(const perf_entry *entry, const char *sentence, char *error)
{
    const char *option = entry->max_error > 0.0 ? "--max-error"
                         : entry->target > 0.0  ? "--target"
                                                : "--bits";
    double value = fmax(entry->bits, fmax(entry->target, entry->max_error));
    snprintf(error, TOOL_ERROR_BYTES, "--alg %s %s %g: %s", hlq_algorithm_name(entry->algorithm),
             option, value, sentence);
}

/* Asks the library about every entry at the largest size, before anything runs. */
static void check_entries(perf_table *table, char *error)
{
    perf_bench *bench = &table->bench;
    size_t most = 0;
    bench->shape = shape_of(table, table->sizes - 1);
    for (size_t i = 0; i < table->entries; i++) {
        const perf_entry *entry = &table->entry[i];
        hlq_plan_info plan = {.struct_bytes = sizeof plan, .operation = bench->shape.op};
        hlq_call call = HLQ_CALL_INIT;
        call.algorithm = entry->algorithm;
        call.bits = entry->bits;
        call.target_nmse = entry->target;
        call.max_error = entry->max_error;
        if (entry->codec == NULL && hlq_comm_plan(bench->comm, bench->shape.count, entry->dtype,
                                                  HLQ_SUM, &call, &plan) != HLQ_OK) {
            describe_refusal(entry, hlq_comm_last_error(bench->comm), error);
            return;
        }
        size_t bytes = perf_bench_bytes(bench, entry, &plan);
        most = bytes > most ? bytes : most;
    }
    char needed[16], there[16];
    if (most > free_memory_bytes())
        snprintf(error, TOOL_ERROR_BYTES,
                 "%zu numbers for each of %d ranks in this process need %s of memory; %s are free",
                 perf_shape_elems(&bench->shape), bench->world->local_ranks,
                 tool_write_bytes((double)most, needed),
                 tool_write_bytes((double)free_memory_bytes(), there));
}

static void open_json(perf_table *table, const char *path, char *error)
{
    if (path == NULL || table->bench.world->rank != 0) return;
    table->json = fopen(path, "w");
    if (table->json == NULL)
        snprintf(error, TOOL_ERROR_BYTES, "--json %s: the file cannot be written", path);
}

static int run_rows(perf_table *table, char *error)
{
    perf_bench *bench = &table->bench;
    int speaks = bench->world->rank == 0;
    for (size_t i = 0; i < table->entries; i++) {
        perf_row *row = &table->row[table->verdict.rows];
        const perf_entry *entry = &table->entry[i];
        if (speaks)
            perf_report_progress(entry, table->verdict.rows + 1, table->sizes * table->entries,
                                 perf_shape_elems(&bench->shape) * hlq_dtype_bytes(entry->dtype));
        int failed = perf_bench_run(bench, entry, row, error);
        if (speaks) perf_report_progress(NULL, 0, 0, 0);
        if (failed) return -1;
        if (speaks) perf_report_row(row);
        perf_verdict_add(&table->verdict, row);
    }
    return 0;
}

/* The table, from its first line to its verdict. Returns the exit code. */
static int run_table(perf_table *table, char *error)
{
    perf_bench *bench = &table->bench;
    int speaks = bench->world->rank == 0;
    if (speaks) perf_report_header(&table->setup);
    for (size_t i = 0; i < table->sizes; i++) {
        int failed =
            perf_bench_prepare(bench, table->count[i], error) != 0 || run_rows(table, error) != 0;
        perf_bench_release(bench);
        if (failed) return PERF_EXIT_WRONG;
    }
    if (speaks) perf_report_footer(&table->verdict);
    if (table->json != NULL &&
        perf_report_json(table->json, &table->setup, table->row, &table->verdict) != 0)
        snprintf(error, TOOL_ERROR_BYTES, "--json %s: writing failed", bench->options->json);
    int failed = perf_world_agree(bench->world, error) || !perf_verdict_passed(&table->verdict);
    return failed ? PERF_EXIT_WRONG : 0;
}

/* Everything but the input, which the caller opened. Returns the exit code. */
static int run_with_input(perf_table *table, char *error)
{
    perf_bench *bench = &table->bench;
    const perf_options *options = bench->options;
    hlq_options comm_options = HLQ_OPTIONS_INIT;
    comm_options.lattice = options->lattice;
    comm_options.topology = options->topology;
    comm_options.seed = options->seed;
    comm_options.timeout_s = PERF_TIMEOUT_S;
    hlq_status status = perf_world_comm(bench->world, &comm_options, &bench->comm);
    if (status != HLQ_OK) {
        snprintf(error, TOOL_ERROR_BYTES, "%s (%s)", hlq_create_error(), hlq_status_string(status));
        return PERF_EXIT_WRONG;
    }
    list_entries(table, options);
    list_sizes(table, options);
    table->setup = (perf_setup){
        .options = options,
        .ranks = bench->world->size,
        .transport = bench->world->wire.name,
        .min_bytes = size_bytes(table, 0),
        .max_bytes = size_bytes(table, table->sizes - 1),
    };
    check_entries(table, error);
    open_json(table, options->json, error);
    table->row = calloc(table->entries * table->sizes, sizeof *table->row);
    if (table->row == NULL) snprintf(error, TOOL_ERROR_BYTES, "no memory for the table");
    int exit_code = PERF_EXIT_USAGE;
    if (!perf_world_agree(bench->world, error)) exit_code = run_table(table, error);
    free(table->row);
    if (table->json != NULL) fclose(table->json);
    hlq_comm_destroy(bench->comm);
    return exit_code;
}

/* What every rank does with a command line that can be run. Returns the exit code. */
static int run_options(perf_world *world, const perf_options *options)
{
    char error[TOOL_ERROR_BYTES] = "";
    perf_input input;
    perf_table *table = calloc(1, sizeof *table);
    if (table == NULL) perf_world_die(world, hlq_status_string(HLQ_E_NOMEM));
    table->bench = (perf_bench){.world = world, .options = options, .input = &input};
    perf_input_open(&input, options->input, world->size, options->seed, error);
    int exit_code = PERF_EXIT_USAGE;
    if (!perf_world_agree(world, error)) exit_code = run_with_input(table, error);
    if (error[0] != '\0') say(world, error);
    perf_input_close(&input);
    free(table);
    return exit_code;
}

/* The command line as main() read it: the same on all ranks. */
typedef struct perf_command {
    perf_options options;
    int exit_code; /* not 0: error says why it cannot be run */
    char error[TOOL_ERROR_BYTES];
} perf_command;

/*
 * What every rank does. Sentences about the command line are said here too, by rank 0, between
 * MPI_Init and MPI_Finalize: mpirun ends all processes as soon as one exits with a code.
 */
static int run_rank(perf_world *world, void *argument)
{
    const perf_command *command = argument;
    if (command->exit_code == 0) return run_options(world, &command->options);
    say(world, command->error);
    return command->exit_code;
}

int main(int argc, char **argv)
{
    perf_command command = {0};
    const perf_options *options = &command.options;
    command.exit_code = perf_options_read(argc, argv, &command.options, command.error);
    int launched = perf_world_launched();
    if (command.exit_code == 0 && launched && options->ranks > 0) {
        snprintf(command.error, sizeof command.error,
                 "--ranks makes threads of one process; it does not go with mpirun");
        command.exit_code = PERF_EXIT_USAGE;
    }
    if (command.exit_code == 0 && (options->help || options->version)) {
        if (perf_world_launched_rank() != 0) return 0;
        if (options->help) perf_options_help(stdout);
        else printf("hlq_perf %s\n", hlq_version());
        return 0;
    }
    int threads = options->ranks > 0 ? options->ranks : PERF_THREADS_DEFAULT;
    if (command.exit_code != 0) threads = 1;
    return perf_world_run(launched ? 0 : threads, run_rank, &command);
}
