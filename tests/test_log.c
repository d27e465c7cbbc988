/*
 * The log: who is told what at which level, by option and by environment; wrong words are refused;
 * what is not to be told is not formatted.
 */
#include "hlq_test.h"
#include "ranks.h"

#include <collective/comm.h>

/* What a sink was told ----------------------------------------------------------------------- */

enum { LINES = 64 };

typedef struct notes {
    int lines, level[LINES];
    char line[LINES][HLQ_STATS_TEXT_BYTES + 128];
} notes;

static void note(void *user, int level, const char *line)
{
    notes *n = user;
    if (n->lines == LINES) return;
    n->level[n->lines] = level;
    snprintf(n->line[n->lines++], sizeof *n->line, "%s", line);
}

/* How many lines of a level hold a text. */
static int noted(const notes *n, int level, const char *text)
{
    int found = 0;
    for (int i = 0; i < n->lines; i++) found += n->level[i] == level && strstr(n->line[i], text);
    return found;
}

static hlq_options options_at(int level, notes *n)
{
    hlq_options options = HLQ_OPTIONS_INIT;
    options.log_level = level;
    options.log_sink = note;
    options.log_user = n;
    options.timeout_s = 60;
    return options;
}

/* Levels ------------------------------------------------------------------------------------- */

/* A collective that works, one that is refused, and one that rank 1 never comes to. */
static void live_through(test_rank *me, const hlq_options *options)
{
    enum { COUNT = 20000 };
    static _Thread_local float x[COUNT];
    hlq_comm *comm;
    hlq_rng rng = hlq_rng_new(3); /* the same on all: sums as large as can be */
    hlq_call call = HLQ_CALL_INIT;
    hlq_stats stats = {.struct_bytes = sizeof stats};
    if (!CHECK_EQ(rank_create(me, options, &comm), HLQ_OK)) return;
    hlq_rng_fill(&rng, hlq_rng_gauss, x, COUNT);
    call.algorithm = HLQ_ALG_MODQ;
    CHECK_EQ(hlq_all_reduce(comm, x, x, COUNT, HLQ_FLOAT32, HLQ_SUM, &call, NULL), HLQ_OK);
    CHECK_EQ(hlq_comm_stats(comm, &stats), HLQ_OK);
    CHECK(stats.overloads > 0 && stats.retries > 0);
    CHECK(hlq_all_gather(comm, me->rank ? x + me->rank : NULL, x, 1, HLQ_FLOAT32, NULL, NULL) !=
          HLQ_OK);
    rank_barrier(me);
    if (me->rank != 1) {
        CHECK_EQ(hlq_all_reduce(comm, x, x, 9, HLQ_FLOAT32, HLQ_SUM, NULL, NULL), HLQ_E_TIMEOUT);
        CHECK_EQ(hlq_all_reduce(comm, x, x, 9, HLQ_FLOAT32, HLQ_SUM, NULL, NULL), HLQ_E_BROKEN);
    }
    rank_barrier(me);
    rank_destroy(me, comm);
}

static void check_notes(const test_rank *me, const notes *n, int level)
{
    char begin[32];
    int waited = me->rank != 1, warns = level >= HLQ_LOG_WARN;
    int infos = level >= HLQ_LOG_INFO, traces = level >= HLQ_LOG_TRACE;
    snprintf(begin, sizeof begin, "rank %d of %d: ", me->rank, me->size);
    for (int i = 0; i < n->lines; i++) {
        CHECK(strstr(n->line[i], begin) == n->line[i]);
        CHECK(!strchr(n->line[i], '\n'));
        CHECK_WITHIN(n->level[i], HLQ_LOG_ERROR, level);
    }
    int errors = level >= HLQ_LOG_ERROR && waited;
    CHECK_EQ(noted(n, HLQ_LOG_ERROR, "broken: rank 1 "), errors);
    CHECK_EQ(noted(n, HLQ_LOG_ERROR, ""), errors);
    CHECK_EQ(noted(n, HLQ_LOG_WARN, "all_gather 2 refused: rank 0: send is NULL"), warns);
    CHECK_EQ(noted(n, HLQ_LOG_WARN, "all_reduce refused: the communicator failed earlier"),
             warns && waited);
    CHECK_EQ(noted(n, HLQ_LOG_WARN, ""), warns + (warns && waited));
    CHECK_EQ(noted(n, HLQ_LOG_INFO, "created over threads, kernels "), infos);
    CHECK_EQ(noted(n, HLQ_LOG_INFO, "bits 4, seed 0, min_bytes 65536, timeout 1 s"), infos);
    CHECK_EQ(noted(n, HLQ_LOG_INFO, "blocks overloaded"), infos);
    CHECK_EQ(noted(n, HLQ_LOG_INFO, ""), 2 * infos);
    CHECK_EQ(noted(n, HLQ_LOG_TRACE, "all_reduce 1: modq, 20000 elements, "), traces);
    CHECK_EQ(noted(n, HLQ_LOG_TRACE, "all_gather 2: rank 0: send is NULL"), traces);
    CHECK_EQ(noted(n, HLQ_LOG_TRACE, "all_reduce 3: rank 1 "), traces && waited);
    CHECK_EQ(noted(n, HLQ_LOG_TRACE, ""), 2 * traces + (traces && waited));
}

static void each_level_tells_its_own(test_rank *me, void *argument)
{
    (void)argument;
    for (int level = HLQ_LOG_NONE; level <= HLQ_LOG_TRACE; level++) {
        notes *n = calloc(1, sizeof *n);
        hlq_options options = options_at(level, n);
        options.timeout_s = 1;
        hlq_test_case("level %s, rank %d", hlq_log_level_name((hlq_log_level)level), me->rank);
        live_through(me, &options);
        check_notes(me, n, level);
        free(n);
    }
}

static void levels_may_differ(test_rank *me, void *argument)
{
    notes *n = calloc(1, sizeof *n);
    hlq_options options = options_at(me->rank ? HLQ_LOG_NONE : HLQ_LOG_INFO, n);
    hlq_comm *comm = NULL;
    (void)argument;
    hlq_test_case("levels that differ, rank %d", me->rank);
    if (me->rank) options.log_sink = NULL;
    CHECK_EQ(rank_create(me, &options, &comm), HLQ_OK);
    CHECK_EQ(n->lines, me->rank == 0);
    rank_destroy(me, comm);
    free(n);
}

/* The environment ---------------------------------------------------------------------------- */

static hlq_status create_alone(const hlq_options *options)
{
    hlq_thread_group *group;
    hlq_comm *comm;
    CHECK_EQ(hlq_thread_group_create(1, &group), HLQ_OK);
    hlq_status status = hlq_comm_create_threads(group, 0, options, &comm);
    hlq_comm_destroy(comm);
    hlq_thread_group_destroy(group);
    return status;
}

static void the_environment_sets_the_level(void)
{
    static const char *const words[] = {NULL, "", "none", "error", "warn", "info", "trace"};
    notes *n = calloc(1, sizeof *n);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        hlq_options options = options_at(HLQ_LOG_DEFAULT, n);
        hlq_test_case("HLQ_LOG is %s", words[i] ? words[i] : "not set");
        if (words[i]) setenv("HLQ_LOG", words[i], 1);
        else unsetenv("HLQ_LOG");
        n->lines = 0;
        CHECK_EQ(create_alone(&options), HLQ_OK);
        CHECK_EQ(noted(n, HLQ_LOG_INFO, "created"), i >= 5);
        n->lines = 0;
        options.log_level = HLQ_LOG_INFO; /* the option comes first */
        CHECK_EQ(create_alone(&options), HLQ_OK);
        CHECK_EQ(noted(n, HLQ_LOG_INFO, "created"), 1);
        n->lines = 0;
        options.log_level = HLQ_LOG_NONE;
        CHECK_EQ(create_alone(&options), HLQ_OK);
        CHECK_EQ(n->lines, 0);
    }
    free(n);
    unsetenv("HLQ_LOG");
}

static void wrong_words_are_refused(void)
{
    static const char *const words[] = {"loud", "INFO", "info ", "5", "tracetracetracetracetrace"};
    notes *n = calloc(1, sizeof *n);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        hlq_options options = options_at(HLQ_LOG_DEFAULT, n);
        char sentence[64];
        hlq_test_case("HLQ_LOG is \"%s\"", words[i]);
        setenv("HLQ_LOG", words[i], 1);
        snprintf(sentence, sizeof sentence, "HLQ_LOG is \"%.20s\"; it can be none,", words[i]);
        CHECK_EQ(create_alone(&options), HLQ_E_INVALID);
        CHECK(strstr(hlq_create_error(), sentence));
        CHECK_EQ(create_alone(NULL), HLQ_E_INVALID);
        options.log_level = HLQ_LOG_TRACE; /* which does not make the word right */
        n->lines = 0;
        CHECK_EQ(create_alone(&options), HLQ_E_INVALID);
        CHECK_EQ(noted(n, HLQ_LOG_ERROR, "not created: rank 0: HLQ_LOG is "), 1);
        CHECK_EQ(n->lines, 1);
    }
    free(n);
    unsetenv("HLQ_LOG");
}

static void wrong_levels_are_refused(void)
{
    static const int levels[] = {-1, HLQ_LOG_TRACE + 1, 1 << 30};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        hlq_options options = HLQ_OPTIONS_INIT;
        options.log_level = levels[i];
        hlq_test_case("level %d", levels[i]);
        CHECK_EQ(create_alone(&options), HLQ_E_INVALID);
        CHECK(strstr(hlq_create_error(), "options.log_level does not exist"));
    }
    CHECK(!hlq_log_level_name(HLQ_LOG_DEFAULT) && !hlq_log_level_name((hlq_log_level)9));
}

/* The rest ----------------------------------------------------------------------------------- */

/* Without a sink: to stderr, a line each. */
static void lines_go_to_stderr(void)
{
    FILE *file = tmpfile();
    char text[512] = "";
    hlq_options options = HLQ_OPTIONS_INIT;
    options.log_level = HLQ_LOG_INFO;
    hlq_test_case("stderr");
    int before = dup(STDERR_FILENO);
    if (!CHECK(file && before >= 0)) return;
    dup2(fileno(file), STDERR_FILENO);
    hlq_status status = create_alone(&options);
    dup2(before, STDERR_FILENO);
    close(before);
    CHECK_EQ(status, HLQ_OK);
    rewind(file);
    CHECK(fgets(text, sizeof text, file));
    CHECK(strstr(text, "hlqcomm info: rank 0 of 1: created over threads, ") == text);
    CHECK(strchr(text, '\n') && !fgets(text, sizeof text, file));
    fclose(file);
}

static void what_is_not_told_is_not_formatted(void)
{
    notes *n = calloc(1, sizeof *n);
    hlq_comm comm = {.size = 1, .log = {HLQ_LOG_WARN, note, n}};
    int evaluated = 0;
    hlq_test_case("formatting");
    hlq_log(&comm, HLQ_LOG_INFO, "%d", evaluated++);
    CHECK_EQ(evaluated, 0);
    hlq_log(&comm, HLQ_LOG_WARN, "%d", evaluated++);
    CHECK_EQ(evaluated, 1);
    CHECK_EQ(noted(n, HLQ_LOG_WARN, "rank 0 of 1: 0"), 1);
    free(n);
}

static void long_lines_are_cut(void)
{
    notes *n = calloc(1, sizeof *n);
    hlq_comm comm = {.size = 1, .log = {HLQ_LOG_WARN, note, n}};
    hlq_test_case("a long line");
    hlq_log(&comm, HLQ_LOG_WARN, "%9999d", 1);
    CHECK_EQ(n->lines, 1);
    CHECK(strlen(n->line[0]) > HLQ_STATS_TEXT_BYTES);
    free(n);
}

int main(void)
{
    hlq_test_start("test_log");
    unsetenv("HLQ_LOG");
    ranks_as_threads(3, each_level_tells_its_own, NULL);
    ranks_as_threads(3, levels_may_differ, NULL);
    the_environment_sets_the_level();
    wrong_words_are_refused();
    wrong_levels_are_refused();
    lines_go_to_stderr();
    what_is_not_told_is_not_formatted();
    long_lines_are_cut();
    return hlq_test_end();
}
