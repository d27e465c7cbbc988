/* The table and the JSON of hlq_gpu; gpu_report.h tells. */
#include "gpu_report.h"

#include "json.h"

#include <math.h>

void gpu_print_head(const gpu_bench *b, const gpu_results *results)
{
    printf("# %s, %s, %s, %d bits, %zu bytes\n", results->gpu.name, hlq_dtype_name(b->dtype),
           hlq_lattice_name(b->lattice), b->bits, b->bytes);
    printf("%-14s %10s %9s %9s %7s %7s %9s\n", "# step", "us", "GB/s", "copy", "ratio", "spread",
           "error");
}

void gpu_print_row(const gpu_row *row)
{
    const gpu_figure *f = &row->figure;
    char name[32], error[16] = "-";
    int ranks = row->c->ranks;
    if (ranks > 1) snprintf(name, sizeof name, "%s %d", row->c->name, ranks);
    else snprintf(name, sizeof name, "%s", row->c->name);
    if (row->c->decodes) snprintf(error, sizeof error, "%.2e", f->error);
    printf("%-14s %10.1f %9.1f %9.1f %7.3f %6.1f%% %9s\n", name, 1e6 * f->seconds, f->gbps,
           f->copy_gbps, f->ratio, 100.0 * f->spread, error);
    fflush(stdout);
}

void gpu_print_gains(const gpu_results *results)
{
    printf("\n# gain over bf16  even at");
    for (int i = 0; gpu_link_at(i).name != NULL; i++) printf(" %9s", gpu_link_at(i).name);
    for (size_t g = 0; g < results->gains; g++) {
        const gpu_gain *gain = &results->gain[g];
        double even = gpu_gain_break_even(gain) * 1e-9;
        printf("\n%d ranks %12.0f Gb/s", gain->ranks, even);
        for (int i = 0; gpu_link_at(i).name != NULL; i++)
            printf(" %9.2f", gpu_gain_at(gain, gpu_link_at(i).bits_per_second));
    }
    putchar('\n');
}

/* JSON ----------------------------------------------------------------------------------------- */

static void json_version(json *j, const char *key, int version)
{
    char text[32];
    snprintf(text, sizeof text, "%d.%d", version / 1000, version % 1000 / 10);
    json_text(j, key, text);
}

static void json_rows(json *j, const gpu_results *results)
{
    json_open_array(j, "rows");
    for (size_t i = 0; i < results->rows; i++) {
        const gpu_row *row = &results->row[i];
        json_open_object(j, NULL);
        json_text(j, "step", row->c->name);
        json_integer(j, "ranks", (uint64_t)row->c->ranks);
        json_real(j, "seconds", row->figure.seconds);
        json_real(j, "gbps", row->figure.gbps);
        json_real(j, "copy_gbps", row->figure.copy_gbps);
        json_real(j, "ratio", row->figure.ratio);
        json_real(j, "spread", row->figure.spread);
        json_real(j, "error", row->c->decodes ? row->figure.error : NAN);
        json_close_object(j);
    }
    json_close_array(j);
}

static void json_gains(json *j, const gpu_results *results)
{
    json_open_array(j, "gains");
    for (size_t g = 0; g < results->gains; g++) {
        const gpu_gain *gain = &results->gain[g];
        json_open_object(j, NULL);
        json_integer(j, "ranks", (uint64_t)gain->ranks);
        json_real(j, "seconds", gain->seconds);
        json_real(j, "sent_bytes", gain->sent_bytes);
        json_real(j, "bf16_bytes", gain->bf16_bytes);
        json_real(j, "even_gbits", gpu_gain_break_even(gain) * 1e-9);
        json_open_object(j, "links");
        for (int i = 0; gpu_link_at(i).name != NULL; i++)
            json_real(j, gpu_link_at(i).name, gpu_gain_at(gain, gpu_link_at(i).bits_per_second));
        json_close_object(j);
        json_close_object(j);
    }
    json_close_array(j);
}

int gpu_write_json(FILE *file, const gpu_bench *b, const gpu_results *results)
{
    json j;
    json_start(&j, file);
    json_open_object(&j, NULL);
    json_text(&j, "tool", "hlq_gpu");
    json_text(&j, "version", hlq_version());
    json_text(&j, "gpu", results->gpu.name);
    json_version(&j, "driver", results->driver);
    json_version(&j, "runtime", results->runtime);
    json_text(&j, "dtype", hlq_dtype_name(b->dtype));
    json_text(&j, "lattice", hlq_lattice_name(b->lattice));
    json_integer(&j, "bits", (uint64_t)b->bits);
    json_integer(&j, "bytes", b->bytes);
    json_integer(&j, "calls", (uint64_t)results->calls);
    json_rows(&j, results);
    json_gains(&j, results);
    json_boolean(&j, "passed", results->wrong == 0);
    json_close_object(&j);
    return json_finish(&j);
}
