/*
 * The last step of a product of packed weights: from the exact sum of a row's look-ups to y. The
 * host and GPUs compile this one: doubles, each operation rounded, in this order.
 */
#ifndef HLQ_BODY_FINISH_H
#define HLQ_BODY_FINISH_H

#include "plain.h"

#include "../look_up.h"

/* y of row r of W and a row of x. */
HLQ_PLAIN float finish_row(const hlq_finish *finish, const hlq_look_up_row *row, int64_t total,
                           size_t r)
{
    double sum = (double)total;
    if (finish->sums) {
        sum -= row->offset;
        for (int j = 0; j < finish->dim; j++) {
            sum -= finish->minus[j] * finish->sums[r * (size_t)finish->dim + (size_t)j];
        }
    }
    return (float)(sum * ((double)finish->scales[r] * row->unit));
}

#endif
