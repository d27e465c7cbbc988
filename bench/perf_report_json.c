/* hlq_perf's table as JSON: an object that says what was measured, with an array of rows. */
#include "perf_report.h"

#include "json.h"

#include <math.h>

#ifdef HLQ_HAVE_MPI
#include <hlqcomm/mpi.h>
#endif

static void write_setup(json *j, const perf_setup *setup)
{
    const perf_options *o = setup->options;
    json_text(j, "tool", "hlq_perf");
    json_text(j, "version", hlq_version());
    json_integer(j, "wire_version", HLQ_WIRE_VERSION);
    json_text(j, "kernels", hlq_kernel_variant());
    json_text(j, "transport", setup->transport);
#ifdef HLQ_HAVE_MPI
    json_text(j, "mpi", hlq_mpi_library());
#endif
    json_integer(j, "ranks", (uint64_t)setup->ranks);
    json_text(j, "op", hlq_operation_name(o->op));
    json_text(j, "redop", perf_redop_name(o->op));
    json_text(j, "lattice", hlq_lattice_name(o->lattice));
    json_text(j, "topology", hlq_topology_name(o->topology));
    json_text(j, "input", o->input);
    json_integer(j, "seed", o->seed);
    json_boolean(j, "in_place", o->in_place);
    json_integer(j, "warmup_iters", (uint64_t)o->warmup);
    json_integer(j, "iters", (uint64_t)o->iterations);
}

/* What is only known of rows that were checked is null in the others. */
static void write_errors(json *j, const perf_row *row)
{
    if (!row->checked) {
        json_text(j, "vnmse", NULL);
        json_text(j, "max_rel", NULL);
        json_text(j, "same", NULL);
        json_text(j, "wrong", NULL);
        return;
    }
    json_real(j, "vnmse", row->errors.vnmse);
    json_real(j, "max_rel", row->errors.max_rel);
    if (row->comparable) json_boolean(j, "same", row->errors.same);
    else json_text(j, "same", NULL);
    json_integer(j, "wrong", row->errors.wrong);
}

static void write_row(json *j, const perf_row *row)
{
    json_open_object(j, NULL);
    json_text(j, "alg", row->name);
    json_text(j, "asked", row->asked);
    json_real(j, "bits", row->bits > 0.0 ? row->bits : (double)NAN);
    json_real(j, "bits_per_elem", row->bits_per_elem);
    json_integer(j, "wire_bytes", row->wire_bytes);
    json_integer(j, "control_bytes", row->control_bytes);
    json_boolean(j, "over_budget", row->over_budget);
    json_integer(j, "size", row->size_bytes);
    json_integer(j, "count", row->count);
    json_text(j, "dtype", hlq_dtype_name(row->dtype));
    json_real(j, "time_us", row->time_s * 1e6);
    json_real(j, "time_min_us", row->time_min_s * 1e6);
    json_real(j, "time_p99_us", row->time_p99_s * 1e6);
    json_real(j, "time_max_us", row->time_max_s * 1e6);
    json_real(j, "encode_us", row->encode_s * 1e6);
    json_real(j, "exchange_us", row->exchange_s * 1e6);
    json_real(j, "reduce_us", row->reduce_s * 1e6);
    json_real(j, "decode_us", row->decode_s * 1e6);
    json_real(j, "algbw", row->algbw);
    json_real(j, "busbw", row->busbw);
    json_real(j, "effbw", row->effbw);
    write_errors(j, row);
    json_real(j, "vnmse_estimate", row->vnmse_estimate);
    json_integer(j, "overflows", row->overloads);
    json_integer(j, "retries", row->retries);
    json_integer(j, "nonfinite_blocks", row->nonfinite_blocks);
    json_close_object(j);
}

int perf_report_json(FILE *file, const perf_setup *setup, const perf_row *rows,
                     const perf_verdict *verdict)
{
    json j;
    json_start(&j, file);
    json_open_object(&j, NULL);
    write_setup(&j, setup);
    json_open_array(&j, "rows");
    for (size_t i = 0; i < verdict->rows; i++) write_row(&j, &rows[i]);
    json_close_array(&j);
    json_real(&j, "avg_busbw", verdict->busbw / (double)verdict->rows);
    json_boolean(&j, "passed", perf_verdict_passed(verdict));
    json_close_object(&j);
    return json_finish(&j) ? 0 : -1;
}
