/*
 * hlq_stats_cost: what it costs that statistics are always kept, as a share of a call.
 *
 * The linker (--wrap, CMakeLists.txt) leads functions of the library through this file: the clock,
 * which is counted, and what predicts the error from scales and bits, which is timed. A read
 * of the clock is then timed by itself. Reads that watch over timeouts are counted like those that
 * fill hlq_stats, so that what is printed is more than the statistics cost.
 */
#include "tool.h"

#include <hlqcomm/hlqcomm.h>
#include <wire/codec.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char help_text[] =
    "usage: hlq_stats_cost [ranks [bytes]]      (default 2 threads, 1M of float32 in each)\n"
    "\n"
    "For each algorithm of an all-reduce: the time of a call, of reading the clock in it, and of\n"
    "predicting its error, and both as a share of the call; medians over many calls.\n"
    "Exit code: 0; 1 if the share is above 1 % of a call of 1M or more; 2 for a wrong command\n"
    "line.\n";

enum { CALLS = 60 };
#define PROMISED_SHARE 0.01

typedef struct tally {
    long reads;     /* of the clock */
    double seconds; /* of predictions */
} tally;

static _Thread_local tally counted;

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
void __real_hlq_code_stats_add(hlq_code_stats *stats, const hlq_run *run);
void __wrap_hlq_code_stats_add(hlq_code_stats *stats, const hlq_run *run);
double __real_hlq_energy_of_exponents(const int16_t *exponent, size_t blocks);
double __wrap_hlq_energy_of_exponents(const int16_t *exponent, size_t blocks);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    counted.reads++;
    return __real_clock_gettime(clock, now);
}

static double seconds_now(void)
{
    struct timespec now;
    __real_clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void __wrap_hlq_code_stats_add(hlq_code_stats *stats, const hlq_run *run)
{
    double begin = seconds_now();
    __real_hlq_code_stats_add(stats, run);
    counted.seconds += seconds_now() - begin;
}

double __wrap_hlq_energy_of_exponents(const int16_t *exponent, size_t blocks)
{
    double begin = seconds_now(), energy = __real_hlq_energy_of_exponents(exponent, blocks);
    counted.seconds += seconds_now() - begin;
    return energy;
}

static double seconds_of_a_read(void)
{
    enum { READS = 200000 };
    struct timespec now;
    double best = 1;
    for (int repeat = 0; repeat < 5; repeat++) {
        double begin = tool_seconds();
        for (int i = 0; i < READS; i++) __real_clock_gettime(CLOCK_MONOTONIC, &now);
        double each = (tool_seconds() - begin) / READS;
        if (each < best) best = each;
    }
    return best;
}

typedef struct rank {
    hlq_thread_group *group;
    int number;
    size_t count;
    double read_s;  /* of one read of the clock */
    double largest; /* share, over algorithms */
    int failed;
    pthread_t thread;
} rank;

/* Medians over calls; shares call by call. */
static int run_algorithm(rank *me, hlq_comm *comm, hlq_algorithm algorithm, float *x)
{
    hlq_call call = HLQ_CALL_INIT;
    hlq_stats stats = {.struct_bytes = sizeof stats};
    double call_s[CALLS], read_s[CALLS], predict_s[CALLS], share[CALLS];
    call.algorithm = algorithm;
    for (int i = 0; i < CALLS; i++) {
        for (size_t j = 0; j < me->count; j++) x[j] = (float)((j * 2654435761u) % 1000) - 500;
        counted = (tally){0};
        if (hlq_all_reduce(comm, x, x, me->count, HLQ_FLOAT32, HLQ_SUM, &call, NULL) != HLQ_OK ||
            hlq_comm_stats(comm, &stats) != HLQ_OK) {
            fprintf(stderr, "hlq_stats_cost: %s\n", hlq_comm_last_error(comm));
            return 1;
        }
        call_s[i] = stats.seconds;
        read_s[i] = me->read_s * (double)counted.reads;
        predict_s[i] = counted.seconds;
        share[i] = (read_s[i] + predict_s[i]) / call_s[i];
    }
    double usual = tool_quantile(share, CALLS, 0.5);
    if (usual > me->largest) me->largest = usual;
    if (me->number == 0) {
        printf("%-8s  call %7.3f ms   clock %5.2f us   prediction %5.2f us   share %.2f %%\n",
               hlq_algorithm_name(algorithm), 1e3 * tool_quantile(call_s, CALLS, 0.5),
               1e6 * tool_quantile(read_s, CALLS, 0.5), 1e6 * tool_quantile(predict_s, CALLS, 0.5),
               100 * usual);
    }
    return 0;
}

static void *run_rank(void *pointer)
{
    rank *me = pointer;
    hlq_comm *comm = NULL;
    float *x = calloc(me->count + 1, sizeof *x);
    me->failed = !x || hlq_comm_create_threads(me->group, me->number, NULL, &comm) != HLQ_OK;
    if (me->failed) fprintf(stderr, "hlq_stats_cost: %s\n", hlq_create_error());
    for (int a = HLQ_ALG_TWOSHOT; a <= HLQ_ALG_NATIVE && !me->failed; a++) {
        me->failed = run_algorithm(me, comm, (hlq_algorithm)a, x);
    }
    hlq_comm_destroy(comm);
    free(x);
    return NULL;
}

int main(int argc, char **argv)
{
    long long ranks = 2;
    size_t bytes = 1 << 20;
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(help_text, stdout);
        return 0;
    }
    if (argc > 3 || (argc > 1 && !tool_read_integer(argv[1], 2, 64, &ranks)) ||
        (argc > 2 && !tool_read_bytes(argv[2], &bytes))) {
        fprintf(stderr, "hlq_stats_cost: wrong arguments; --help tells which there are\n");
        return 2;
    }
    hlq_thread_group *group;
    rank all[64];
    double read_s = seconds_of_a_read();
    if (hlq_thread_group_create((int)ranks, &group) != HLQ_OK) return 1;
    char size[16];
    printf("%d threads, %s of float32, clock read in %.1f ns\n", (int)ranks,
           tool_write_bytes((double)bytes, size), 1e9 * read_s);
    for (int r = 0; r < (int)ranks; r++) {
        all[r] = (rank){.group = group, .number = r, .count = bytes / 4, .read_s = read_s};
        if (pthread_create(&all[r].thread, NULL, run_rank, &all[r]) != 0) abort();
    }
    int exit_code = 0;
    for (int r = 0; r < (int)ranks; r++) {
        pthread_join(all[r].thread, NULL);
        int is_dear = bytes >= 1 << 20 && all[r].largest > PROMISED_SHARE;
        if (all[r].failed || is_dear) exit_code = 1;
    }
    hlq_thread_group_destroy(group);
    return exit_code;
}
