/* What hlq_soak says: sentences on what is wrong, progress, lines, JSON; soak.h tells. */
#include "json.h"
#include "soak.h"
#include "tool.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

void soak_wrong(soak_run *run, const soak_job *j, const char *format, ...)
{
    char what[SOAK_TEXT_BYTES];
    const soak_group *g = &run->group;
    run->mine.mismatches++;
    if (run->mine.mismatches > SOAK_FAILURES_SHOWN) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    fprintf(
        stderr,
        "\nhlq_soak: --seed %llu --first %llu, round %d, job %d of %d, rank %d of %d (%d of all): "
        "%s%s, %s, %s, %s, asked for %s and got %s, %s %g, count %zu, numbers of size %g%s%s%s: "
        "%s\n",
        (unsigned long long)run->options->seed, (unsigned long long)run->episode, run->round,
        (int)(j - run->job), run->jobs, g->rank, g->size, run->world->rank,
        hlq_operation_name(j->operation), j->has_counts ? " with counts" : "",
        hlq_dtype_name(j->dtype), hlq_op_name(j->op), hlq_lattice_name(g->options.lattice),
        hlq_algorithm_name(j->algorithm), hlq_algorithm_name(j->stats.algorithm),
        j->bound > 0 ? "bound"
        : j->aim > 0 ? "target"
                     : "bits",
        j->bound > 0  ? j->bound
        : j->aim > 0  ? j->aim
        : j->bits > 0 ? j->bits
                      : g->options.bits,
        j->count, j->size, j->in_place ? ", in place" : "", j->has_residual ? ", residual" : "",
        j->ranges ? ", exempt ranges" : "", what);
}

void soak_start_memory(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
#endif
}

uint64_t soak_resident(void)
{
    unsigned long long kibibytes = 0;
    char line[128];
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "VmRSS: %llu kB", &kibibytes) == 1) break;
    }
    if (file != NULL) fclose(file);
    return (uint64_t)kibibytes << 10;
}

/* Totals over ranks -------------------------------------------------------------------------- */

typedef struct totals {
    uint64_t calls, bytes, mismatches;
    uint64_t resident; /* of the process that grew most since the warm-up */
    double growth;     /* 0 before its end */
} totals;

static totals totals_of(const soak_run *run)
{
    totals t = {.growth = -HUGE_VAL}; /* of threads, one alone has looked */
    for (int p = 0; p < run->world->size; p++) {
        const soak_record *r = &run->all[p];
        double growth = r->baseline ? (double)r->resident - (double)r->baseline : 0;
        t.calls += r->tally.calls;
        t.bytes += r->bytes;
        t.mismatches += r->mismatches;
        if (r->resident && growth > t.growth) t.growth = growth, t.resident = r->resident;
    }
    if (!t.resident) t.growth = 0; /* nobody has yet */
    return t;
}

static int has_grown(const soak_run *run)
{
    return totals_of(run).growth > (double)run->options->growth;
}

int soak_passed(const soak_run *run)
{
    int failed = 0;
    for (int p = 0; p < run->world->size; p++) failed |= run->all[p].failed;
    return !failed && !totals_of(run).mismatches && !has_grown(run) && totals_of(run).calls;
}

void soak_progress(const soak_run *run, double seconds)
{
    if (run->world->rank != 0) return;
    totals t = totals_of(run);
    char bytes[16];
    fprintf(stderr,
            "\r\033[Khlq_soak: %.0f of %.0f s, episode %llu, %llu calls, %s, %llu mismatches",
            seconds, run->options->seconds, (unsigned long long)run->episode,
            (unsigned long long)t.calls, tool_write_bytes((double)t.bytes, bytes),
            (unsigned long long)t.mismatches);
    fflush(stderr);
}

void soak_line(const soak_run *run, double seconds)
{
    if (run->world->rank != 0) return;
    totals t = totals_of(run);
    char bytes[16], resident[16], growth[16];
    printf("%7.0f s  %llu episodes  %llu calls  %s sent  %llu mismatches  resident %s, %s%s since "
           "the warm-up\n",
           seconds, (unsigned long long)(run->episode - run->options->first),
           (unsigned long long)t.calls, tool_write_bytes((double)t.bytes, bytes),
           (unsigned long long)t.mismatches, tool_write_bytes((double)t.resident, resident),
           t.growth < 0 ? "-" : "+", tool_write_bytes(fabs(t.growth), growth));
    fflush(stdout);
}

/* JSON --------------------------------------------------------------------------------------- */

int soak_json(const soak_run *run, double seconds)
{
    json j;
    totals t = totals_of(run);
    const soak_options *o = run->options;
    if (o->json == NULL || run->world->rank != 0) return 0;
    FILE *file = fopen(o->json, "w");
    if (file == NULL) return -1;
    json_start(&j, file);
    json_open_object(&j, NULL);
    json_text(&j, "version", hlq_version());
    json_text(&j, "transport", run->world->wire.name);
    json_integer(&j, "ranks", (uint64_t)run->world->size);
    json_integer(&j, "seed", o->seed);
    json_integer(&j, "first_episode", o->first);
    json_integer(&j, "episodes", run->episode - o->first);
    json_real(&j, "seconds", seconds);
    json_integer(&j, "calls", t.calls);
    soak_tally_json(run, &j);
    json_integer(&j, "bytes_sent", t.bytes);
    json_integer(&j, "mismatches", t.mismatches);
    json_integer(&j, "resident_bytes", t.resident);
    json_real(&j, "growth_bytes", t.growth);
    json_integer(&j, "growth_allowed_bytes", o->growth);
    json_boolean(&j, "passed", soak_passed(run));
    json_close_object(&j);
    int written = json_finish(&j);
    return fclose(file) == 0 && written ? 0 : -1;
}
