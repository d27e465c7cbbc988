/*
 * The look-up kernels on a GPU, on memory of the host.
 */
#include "device.h"

void hlq_gpu_tables(const hlq_points *points, const float *x, const hlq_look_up_row *row,
                    size_t rows, size_t blocks, int planes, int8_t *tables)
{
    const size_t dim = (size_t)points->dim;
    device_open();
    const hlq_points *at = lent_to_device(points, sizeof *points);
    const float *from = lent_to_device(x, rows * blocks * dim * sizeof *x);
    const hlq_look_up_row *of = lent_to_device(row, rows * sizeof *row);
    int8_t *to = on_device(tables, rows * blocks * (size_t)(HLQ_TABLE_ENTRIES * planes));
    device_capture();
    device_check(
        hlq_cuda_tables(at, points->dim, from, of, rows, blocks, planes, to, device.stream));
    device_close();
}

void hlq_gpu_sums(const hlq_cuda_strips *strips)
{
    const size_t tables = strips->strip.blocks * (size_t)(HLQ_TABLE_ENTRIES * strips->planes);
    const size_t totals = strips->rows * strips->tiles * HLQ_TILE_ROWS;
    hlq_cuda_strips there = *strips;
    device_open();
    there.strip.indices = lent_to_device(strips->strip.indices, strips->tiles * strips->tile_bytes);
    there.tables = lent_to_device(strips->tables, strips->rows * tables);
    there.total = on_device(strips->total, totals * sizeof *there.total);
    device_capture();
    device_check(hlq_cuda_sums(&there, device.stream));
    device_close();
}

void hlq_gpu_finish(const hlq_cuda_products *products)
{
    const hlq_finish *finish = &products->finish;
    const size_t out = products->out, sums = out * (size_t)finish->dim;
    hlq_cuda_products there = *products;
    device_open();
    there.finish.scales = lent_to_device(finish->scales, out * sizeof *finish->scales);
    there.finish.sums = lent_to_device(finish->sums, sums * sizeof *finish->sums);
    there.row = lent_to_device(products->row, products->rows * sizeof *products->row);
    there.total = lent_to_device(products->total,
                                 products->rows * products->stride * sizeof *products->total);
    there.y = on_device(products->y, products->rows * out * sizeof *products->y);
    device_capture();
    device_check(hlq_cuda_finish(&there, device.stream));
    device_close();
}
