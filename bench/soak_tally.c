/* How many of each were drawn, so that a reader sees what was tried; soak.h tells. */
#include "json.h"
#include "soak.h"

void soak_count_group(soak_run *run)
{
    const soak_group *g = &run->group;
    soak_tally *t = &run->mine.tally;
    if (g->rank != 0) return;
    t->communicators++;
    t->parts += g->size < run->world->size;
    t->named += (uint64_t)g->is_named;
}

void soak_count_round(soak_run *run)
{
    soak_tally *t = &run->mine.tally;
    if (run->group.rank != 0) return;
    for (int i = 0; i < run->jobs; i++) {
        const soak_job *j = &run->job[i];
        t->calls++;
        t->operation[j->operation]++;
        t->algorithm[j->stats.algorithm]++;
        t->dtype[j->dtype]++;
        t->bits += j->bits > 0;
        t->target += j->aim > 0;
        t->bound += j->bound > 0;
        t->exempt += j->ranges > 0;
        t->residual += (uint64_t)j->has_residual;
        t->in_place += (uint64_t)j->in_place;
        t->counts += (uint64_t)j->has_counts;
        t->ring +=
            j->stats.algorithm == HLQ_ALG_MODQ && run->group.options.topology == HLQ_TOPOLOGY_RING;
        t->dithered += run->group.options.dither && j->stats.algorithm != HLQ_ALG_NATIVE;
        t->alone += run->jobs == 1;
        t->under_way += run->jobs > 1;
    }
}

/* Of all ranks, each of which counted for its own groups. A tally is nothing but numbers. */
static soak_tally total(const soak_run *run)
{
    enum { NUMBERS = sizeof(soak_tally) / sizeof(uint64_t) };
    uint64_t sum[NUMBERS] = {0}, one[NUMBERS];
    soak_tally all;
    for (int p = 0; p < run->world->size; p++) {
        memcpy(one, &run->all[p].tally, sizeof one);
        for (int i = 0; i < NUMBERS; i++) sum[i] += one[i];
    }
    memcpy(&all, sum, sizeof all);
    return all;
}

static double most_missed(const soak_run *run)
{
    double most = 0;
    for (int p = 0; p < run->world->size; p++) most = fmax(most, run->all[p].missed);
    return most;
}

/* Writing: a line, or an object, for each group of counts ------------------------------------- */

typedef struct count {
    const char *name;
    uint64_t times;
} count;

typedef struct lines {
    json *json; /* NULL: text, to stdout */
} lines;

/* "in place" as "in_place" */
static const char *key_of(const char *name, char *key, size_t bytes)
{
    snprintf(key, bytes, "%s", name);
    for (char *c = key; *c; c++) *c = *c == ' ' ? '_' : *c;
    return key;
}

static void write_counts(const lines *to, const char *title, const count *c, int n)
{
    char key[32];
    if (to->json) json_open_object(to->json, key_of(title, key, sizeof key));
    else printf("  %-14s", title);
    for (int i = 0; i < n; i++) {
        if (to->json) json_integer(to->json, key_of(c[i].name, key, sizeof key), c[i].times);
        else printf("%s%s %llu", i ? ", " : "", c[i].name, (unsigned long long)c[i].times);
    }
    if (to->json) json_close_object(to->json);
    else putchar('\n');
}

static void write_tally(const lines *to, const soak_tally *t)
{
    count operation[4], algorithm[5], dtype[DTYPES];
    for (int i = 0; i < 4; i++)
        operation[i] = (count){hlq_operation_name((hlq_operation)i), t->operation[i]};
    for (int i = 0; i < 5; i++) /* none ends as auto */
        algorithm[i] = (count){hlq_algorithm_name((hlq_algorithm)(i + 1)), t->algorithm[i + 1]};
    for (int i = 0; i < DTYPES; i++) dtype[i] = (count){hlq_dtype_name((hlq_dtype)i), t->dtype[i]};
    const count communicators[] = {
        {"all", t->communicators}, {"of some ranks", t->parts}, {"with named nodes", t->named}};
    const count with[] = {
        {"bits of their own", t->bits}, {"a target", t->target},       {"a bound", t->bound},
        {"exempt ranges", t->exempt},   {"a residual", t->residual},   {"in place", t->in_place},
        {"counts per rank", t->counts}, {"modq over a ring", t->ring}, {"dither", t->dithered}};
    const count ways[] = {{"alone", t->alone}, {"several under way", t->under_way}};
    write_counts(to, "communicators", communicators, 3);
    write_counts(to, "calls", ways, 2);
    write_counts(to, "operations", operation, 4);
    write_counts(to, "algorithms", algorithm, 5);
    write_counts(to, "types", dtype, DTYPES);
    write_counts(to, "calls with", with, sizeof with / sizeof *with);
}

void soak_tally_print(const soak_run *run)
{
    const soak_tally t = total(run);
    if (run->world->rank != 0) return;
    puts("drawn:");
    write_tally(&(lines){NULL}, &t);
    printf("  targets       %llu of %llu met within a quarter, the largest error %.1f times it\n",
           (unsigned long long)t.met, (unsigned long long)t.aimed, most_missed(run));
}

void soak_tally_json(const soak_run *run, json *j)
{
    const soak_tally t = total(run);
    json_open_object(j, "drawn");
    write_tally(&(lines){j}, &t);
    json_close_object(j);
    json_open_object(j, "targets");
    json_integer(j, "aimed", t.aimed);
    json_integer(j, "met", t.met);
    json_real(j, "largest_error_by_target", most_missed(run));
    json_close_object(j);
}
