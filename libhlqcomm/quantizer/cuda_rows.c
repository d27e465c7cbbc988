/*
 * Rows on a GPU: rows.c as calls of the kernels of kernels/cuda/cuda_rows.h, on as many rows at
 * once as keep the workspace small.
 */
#include <hlqcomm/cuda.h>

#include "cuda_room.h"
#include "rows.h"

#include <kernels/cuda/cuda_rows.h>

enum { NUMBERS_AT_ONCE = 1 << 20 /* or a row, if that is longer */ };

/* Parts of the workspace. */
typedef struct room {
    size_t rows; /* at once */
    size_t bytes;
    size_t row, numbers; /* where they begin: [rows]; with fit [rows, columns] */
} room;

static room room_for(size_t rows, size_t columns, int fit)
{
    room r = {0};
    if (!rows || !columns) return r;
    r.rows = NUMBERS_AT_ONCE / columns ? NUMBERS_AT_ONCE / columns : 1;
    if (r.rows > rows) r.rows = rows;
    r.row = hlq_cuda_part(&r.bytes, r.rows * sizeof(hlq_cuda_row));
    if (fit) r.numbers = hlq_cuda_part(&r.bytes, r.rows * columns * sizeof(float));
    return r;
}

size_t hlq_cuda_rows_workspace(size_t rows, size_t columns, int fit)
{
    return room_for(rows, columns, fit).bytes;
}

/* Tries all scales; those of the least error are then in use. */
static hlq_status fit_scales(const hlq_cuda_rows *rows, const hlq_hnlq *code, float *numbers,
                             hlq_stream stream)
{
    double step[HLQ_ROW_STEPS + 1] = {0}; /* after the last, the best */
    hlq_row_steps(step);
    HLQ_TRY(hlq_cuda_launched(hlq_cuda_rows_measure(rows, step[0], stream)));
    for (int k = 0; k < HLQ_ROW_STEPS; k++) {
        HLQ_TRY(hlq_cuda_launched(hlq_cuda_rows_round(rows, code, 0, numbers, NULL, stream)));
        HLQ_TRY(hlq_cuda_launched(hlq_cuda_rows_compare(rows, numbers, step[k + 1], stream)));
    }
    return HLQ_OK;
}

static hlq_status check_arguments(const hlq_quantizer *quantizer, const float *x, size_t rows,
                                  size_t columns, const float *out, const uint64_t *shrunk,
                                  const uint64_t *invalid)
{
    if (!quantizer || !shrunk || (rows && columns && (!x || !out))) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "quantizer, x, out or shrunk is NULL");
    }
    HLQ_TRY(hlq_check_columns("x", quantizer, columns));
    if (!rows || !columns) return HLQ_OK;
    HLQ_TRY(hlq_cuda_check_numbers("x", x));
    HLQ_TRY(hlq_cuda_check_numbers("out", out));
    HLQ_TRY(hlq_cuda_check_memory("shrunk", shrunk, sizeof *shrunk));
    return hlq_cuda_check_memory("invalid", invalid, sizeof *invalid);
}

hlq_status hlq_cuda_rows_quantize(const hlq_quantizer *quantizer, const float *x, size_t rows,
                                  size_t columns, int fit, float *out, uint64_t *shrunk,
                                  uint64_t *invalid, void *workspace, size_t bytes,
                                  hlq_stream stream)
{
    HLQ_TRY(check_arguments(quantizer, x, rows, columns, out, shrunk, invalid));
    const room r = room_for(rows, columns, fit);
    HLQ_TRY(hlq_cuda_check_room(workspace, bytes, r.bytes));
    hlq_hnlq code;
    hlq_rows_code(quantizer, &code);
    for (size_t first = 0; r.rows && first < rows; first += r.rows) {
        const hlq_cuda_rows piece = {.x = x + first * columns,
                                     .rows = rows - first < r.rows ? rows - first : r.rows,
                                     .columns = columns,
                                     .row = (void *)((char *)workspace + r.row)};
        float *numbers = (void *)((char *)workspace + r.numbers), *to = out + first * columns;
        if (fit) HLQ_TRY(fit_scales(&piece, &code, numbers, stream));
        else HLQ_TRY(hlq_cuda_launched(hlq_cuda_rows_measure(&piece, 1, stream)));
        HLQ_TRY(hlq_cuda_launched(hlq_cuda_rows_round(&piece, &code, 0, to, shrunk, stream)));
        HLQ_TRY(hlq_cuda_launched(hlq_cuda_rows_spoil(&piece, to, invalid, stream)));
    }
    return HLQ_OK;
}
