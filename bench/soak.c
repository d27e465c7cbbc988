/*
 * hlq_soak: collectives drawn at random, for minutes or days, every result checked. This file is
 * one rank's walk through episodes and rounds; read on in soak.h.
 */
#include "soak.h"
#include "perf_options.h"
#include "tool.h"

#include <unistd.h>

#define LINE_S 60.0
#define PROGRESS_S 1.0
#define WARM_UP_MOST_S 60.0

/* What this rank has to tell of a round, and what all have. Rank 0 looks at the clock. */
static void tell(soak_run *run, double now)
{
    soak_record *r = &run->mine;
    const soak_options *o = run->options;
    r->failed = 0;
    for (int i = 0; i < run->jobs; i++) {
        const soak_job *j = &run->job[i];
        r->digest[i] = tool_hash(j->recv, j->recv_elems * hlq_dtype_bytes(j->dtype));
        r->scale[i] = j->stats.largest_scale;
        r->failed |= j->status != HLQ_OK;
        r->bytes += j->stats.bytes_sent;
    }
    soak_count_round(run);
    r->stop = now - run->begin >= o->seconds;
    r->is_warm = now - run->begin >= fmin(o->seconds / 4, WARM_UP_MOST_S);
    perf_world_gather(run->world, r, sizeof *r, run->all);
}

/* Lines when their time has come. */
static void speak(const soak_run *run, double now, double *next_line, double *next_progress)
{
    if (now >= *next_progress && isatty(STDERR_FILENO)) {
        soak_progress(run, now - run->begin);
        *next_progress = now + PROGRESS_S;
    }
    if (now < *next_line) return;
    if (isatty(STDERR_FILENO) && run->world->rank == 0) fputs("\r\033[K", stderr);
    soak_line(run, now - run->begin);
    *next_line += LINE_S;
}

/* Memory between communicators: threads share it, and the first of them looks. Before the warm-up
   is over, the most there was is what later amounts are compared with. */
static void watch_memory(soak_run *run, uint64_t *most_warming)
{
    soak_record *r = &run->mine;
    int is_threads = run->world->local_ranks > 1;
    if (is_threads && run->world->rank != 0) return;
    r->resident = soak_resident();
    if (!run->all[0].is_warm && r->resident > *most_warming) *most_warming = r->resident;
    if (run->all[0].is_warm && !r->baseline) {
        r->baseline = *most_warming ? *most_warming : r->resident;
    }
}

/* Returns 1 if it was the last: the time is over, or a call failed. */
static int run_episode(soak_run *run, double *next_line, double *next_progress)
{
    char error[TOOL_ERROR_BYTES] = "";
    hlq_rng rng = {run->options->seed * 0xd1342543de82ef95u + run->episode * 0xaef17502108ef2d9u};
    int rounds = hlq_rng_between(&rng, 1, 16), is_last = 0;
    if (soak_group_open(run, &rng, error)) {
        if (run->world->rank == 0) fprintf(stderr, "\nhlq_soak: %s\n", error);
        run->mine.mismatches++;
        is_last = 1;
    }
    soak_count_group(run);
    hlq_rng own = {hlq_rng_next(&rng) + (uint64_t)run->group.colour};
    for (run->round = 0; run->round < rounds && !is_last; run->round++) {
        soak_draw(run, &own);
        soak_do(run);
        double now = tool_seconds();
        tell(run, now);
        soak_check(run);
        soak_settle(run);
        speak(run, now, next_line, next_progress);
        is_last = run->all[0].stop;
        for (int p = 0; p < run->world->size; p++) is_last |= run->all[p].failed;
    }
    soak_group_close(run);
    return is_last;
}

/* Fixed memory, touched once, so that what grows later is not the tool's. */
static void prepare(soak_run *run)
{
    size_t slice = SOAK_SLICE * sizeof(double);
    run->arena = malloc(soak_arena_bytes(run->options));
    run->x = malloc(slice);
    run->y = malloc(slice);
    run->got = malloc(slice);
    run->words = malloc(slice);
    run->sum = malloc(slice);
    run->all = calloc((size_t)run->world->size, sizeof *run->all);
    run->accounts = calloc((size_t)run->world->size, sizeof run->account);
    if (!run->arena || !run->x || !run->y || !run->got || !run->words || !run->sum || !run->all ||
        !run->accounts)
        perf_world_die(run->world, hlq_status_string(HLQ_E_NOMEM));
    memset(run->arena, 0, soak_arena_bytes(run->options));
}

static void release(soak_run *run)
{
    free(run->arena);
    free(run->x);
    free(run->y);
    free(run->got);
    free(run->words);
    free(run->sum);
    free(run->all);
    free(run->accounts);
    free(run);
}

static int run_options(perf_world *world, const soak_options *options)
{
    soak_run *run = calloc(1, sizeof *run);
    if (run == NULL) perf_world_die(world, hlq_status_string(HLQ_E_NOMEM));
    run->world = world;
    run->options = options;
    run->episode = options->first;
    prepare(run);
    perf_world_barrier(world);
    run->begin = tool_seconds();
    double next_line = run->begin + LINE_S, next_progress = run->begin;
    uint64_t most_warming = 0;
    for (int is_last = 0; !is_last; run->episode++) {
        is_last = run_episode(run, &next_line, &next_progress);
        watch_memory(run, &most_warming);
    }
    double seconds = tool_seconds() - run->begin;
    perf_world_gather(world, &run->mine, sizeof run->mine, run->all);
    if (isatty(STDERR_FILENO) && world->rank == 0) fputs("\r\033[K", stderr);
    soak_line(run, seconds);
    soak_tally_print(run);
    int passed = soak_passed(run);
    if (world->rank == 0) {
        printf("hlq_soak: %s, %d ranks over %s, --seed %llu\n", passed ? "passed" : "FAILED",
               world->size, world->wire.name, (unsigned long long)options->seed);
    }
    if (soak_json(run, seconds) != 0) {
        fprintf(stderr, "hlq_soak: --json %s: the file cannot be written\n", options->json);
        passed = 0;
    }
    release(run);
    return passed ? 0 : PERF_EXIT_WRONG;
}

typedef struct soak_command {
    soak_options options;
    int exit_code; /* not 0: error says why it cannot be run */
    char error[TOOL_ERROR_BYTES];
} soak_command;

/* Sentences about the command line are said here, as in hlq_perf.c: between MPI_Init and
   Finalize. */
static int run_rank(perf_world *world, void *argument)
{
    soak_command *command = argument;
    if (command->exit_code == 0 && world->size <= SOAK_RANKS_MAX)
        return run_options(world, &command->options);
    if (world->rank == 0) {
        fprintf(stderr, "hlq_soak: %s\n",
                command->exit_code ? command->error : "there are more than 64 ranks");
    }
    return PERF_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    static soak_command command;
    const soak_options *options = &command.options;
    int launched = perf_world_launched();
    perf_world_set_tool("hlq_soak");
    soak_start_memory();
    command.exit_code = soak_options_read(argc, argv, &command.options, command.error);
    if (command.exit_code == 0 && launched && options->ranks > 0) {
        snprintf(command.error, sizeof command.error,
                 "--ranks makes threads of one process; it does not go with mpirun");
        command.exit_code = PERF_EXIT_USAGE;
    }
    if (command.exit_code == 0 && (options->help || options->version)) {
        if (perf_world_launched_rank() != 0) return 0;
        if (options->help) soak_options_help(stdout);
        else printf("hlq_soak %s\n", hlq_version());
        return 0;
    }
    int threads = options->ranks > 0 ? options->ranks : PERF_THREADS_DEFAULT;
    if (command.exit_code != 0) threads = 1;
    return perf_world_run(launched ? 0 : threads, run_rank, &command);
}
