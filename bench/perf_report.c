/* The table of hlq_perf; perf_report.h tells. */
#include "perf_report.h"

#include "tool.h"

#include <unistd.h>

void perf_report_header(const perf_setup *setup)
{
    const perf_options *o = setup->options;
    printf("# hlq_perf %s: %s, %d ranks (%s), kernels %s, lattice %s\n", hlq_version(),
           hlq_operation_name(o->op), setup->ranks, setup->transport, hlq_kernel_variant(),
           hlq_lattice_name(o->lattice));
    printf(
        "# minBytes %zu maxBytes %zu step: %d(factor) warmup iters: %d iters: %d validation: %d\n",
        setup->min_bytes, setup->max_bytes, o->factor, o->warmup, o->iterations, o->check);
    printf("# input %s seed %llu\n#\n", o->input, (unsigned long long)o->seed);
    printf("# %53s %18s\n", "", o->in_place ? "in-place" : "out-of-place");
    printf("# %10s %12s %8s %6s %6s %10s %7s %7s %6s %8s %7s %12s %7s %9s %9s %6s %4s\n", "size",
           "count", "type", "redop", "root", "time", "algbw", "busbw", "#wrong", "alg", "b/elem",
           "wire", "effbw", "vNMSE", "maxrel", "novf", "same");
    printf("# %10s %12s %8s %6s %6s %10s %7s %7s %6s %8s %7s %12s %7s %9s %9s %6s %4s\n", "(B)",
           "(elements)", "", "", "", "(us)", "(GB/s)", "(GB/s)", "", "", "", "(B)", "(GB/s)", "",
           "", "", "");
    fflush(stdout);
}

static const char *same_text(const perf_row *row)
{
    if (!row->comparable) return "-";
    return row->errors.same ? "yes" : "NO";
}

void perf_report_row(const perf_row *row)
{
    printf("%12zu %12zu %8s %6s %6d %10.1f %7.3f %7.3f", row->size_bytes, row->count,
           hlq_dtype_name(row->dtype), row->redop, -1, row->time_s * 1e6, row->algbw, row->busbw);
    if (row->checked) printf(" %6llu", (unsigned long long)row->errors.wrong);
    else printf(" %6s", "N/A");
    printf(" %8s %7.3f %12llu %7.3f", row->name, row->bits_per_elem,
           (unsigned long long)row->wire_bytes, row->effbw);
    if (row->checked)
        printf(" %9.3e %9.3e %6llu %4s\n", row->errors.vnmse, row->errors.max_rel,
               (unsigned long long)row->overloads, same_text(row));
    else printf(" %9s %9s %6llu %4s\n", "N/A", "N/A", (unsigned long long)row->overloads, "N/A");
    fflush(stdout);
}

void perf_verdict_add(perf_verdict *verdict, const perf_row *row)
{
    verdict->rows++;
    verdict->busbw += row->busbw;
    verdict->over_budget += row->over_budget != 0;
    if (row->checked) {
        verdict->wrong += row->errors.wrong;
        verdict->differing += !row->errors.same;
    }
}

int perf_verdict_passed(const perf_verdict *verdict)
{
    return verdict->wrong == 0 && verdict->differing == 0 && verdict->over_budget == 0;
}

static const char *judgement(uint64_t faults) { return faults == 0 ? "OK" : "FAILED"; }

void perf_report_footer(const perf_verdict *verdict)
{
    printf("# Out of bounds values : %llu %s\n", (unsigned long long)verdict->wrong,
           judgement(verdict->wrong));
    printf("# Rows whose ranks differ : %zu %s\n", verdict->differing,
           judgement(verdict->differing));
    printf("# Rows beyond their budget : %zu %s\n", verdict->over_budget,
           judgement(verdict->over_budget));
    printf("# Avg bus bandwidth    : %g\n#\n", verdict->busbw / (double)verdict->rows);
    fflush(stdout);
}

void perf_report_progress(const perf_entry *entry, size_t at, size_t lines, size_t size_bytes)
{
    if (!isatty(STDERR_FILENO)) return;
    fputs("\r\033[K", stderr);
    if (entry == NULL) return;
    char size[16];
    const char *name = entry->name != NULL ? entry->name : hlq_algorithm_name(entry->algorithm);
    fprintf(stderr, "line %zu of %zu: %s, %s", at, lines, name,
            tool_write_bytes((double)size_bytes, size));
    if (entry->bits > 0.0) fprintf(stderr, ", %g bits", entry->bits);
    fflush(stderr);
}
