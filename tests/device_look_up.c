/*
 * The look-up kernels on a GPU, on memory of the host.
 */
#include "device.h"

void hlq_gpu_tables(const hlq_points *points, const float *x, size_t blocks, float factor,
                    int planes, int8_t *tables)
{
    const size_t dim = (size_t)points->dim;
    device_open();
    const hlq_points *at = lent_to_device(points, sizeof *points);
    const float *from = lent_to_device(x, blocks * dim * sizeof *x);
    int8_t *to = on_device(tables, blocks * (size_t)(HLQ_TABLE_ENTRIES * planes));
    device_capture();
    device_check(hlq_cuda_tables(at, points->dim, from, blocks, factor, planes, to, device.stream));
    device_close();
}

void hlq_gpu_sums(const hlq_cuda_strips *strips)
{
    const size_t tables = strips->strip.blocks * (size_t)(HLQ_TABLE_ENTRIES * strips->planes);
    hlq_cuda_strips there = *strips;
    device_open();
    there.strip.indices = lent_to_device(strips->strip.indices, strips->tiles * strips->tile_bytes);
    there.tables = lent_to_device(strips->tables, tables);
    there.total = on_device(strips->total, strips->tiles * HLQ_TILE_ROWS * sizeof *there.total);
    device_capture();
    device_check(hlq_cuda_sums(&there, device.stream));
    device_close();
}

void hlq_gpu_finish(const hlq_finish *finish, const int64_t *total, size_t rows, float *y)
{
    hlq_finish there = *finish;
    device_open();
    there.scales = lent_to_device(finish->scales, rows * sizeof *finish->scales);
    there.sums = lent_to_device(finish->sums, rows * (size_t)finish->dim * sizeof *finish->sums);
    const int64_t *from = lent_to_device(total, rows * sizeof *total);
    float *to = on_device(y, rows * sizeof *y);
    device_capture();
    device_check(hlq_cuda_finish(&there, from, rows, to, device.stream));
    device_close();
}
