/*
 * Look-up tables from inside: built by lut.c, used by lut_dot.c.
 */
#ifndef HLQ_QUANTIZER_LUT_H
#define HLQ_QUANTIZER_LUT_H

#include "quantizer.h"

#include <kernels/lut.h>

struct hlq_lut {
    hlq_lattice lattice;
    int dim, q, centred;
    size_t side; /* q^dim */
    hlq_lut_type type;
    double least, most;
    union { /* [side, side] */
        void *any;
        int8_t *int8;
        int16_t *int16;
        float *float32;
    } entries;
};

/* HLQ_E_UNSUPPORTED if q^dim is more than a one-sided table can have. */
HLQ_API hlq_status hlq_lut_check_points(const hlq_quantizer *quantizer);

/* HLQ_E_INVALID if what a side needs is NULL; if it is not of the table's code. `side` names it. */
HLQ_API hlq_status hlq_lut_check_code(const char *side, const hlq_code *code, size_t vectors);
HLQ_API hlq_status hlq_lut_check_side(const hlq_lut *lut, const char *side,
                                      const hlq_quantizer *quantizer);

/* What products of these depths look up. */
HLQ_API void hlq_lut_pairs(const hlq_lut *lut, int depth_a, int depth_b, hlq_pairs *pairs);

/* Whether they add up as integers of one scale (kernels/lut.h). */
static inline int hlq_lut_adds_exactly(const hlq_lut *lut, const hlq_code *a, const hlq_code *b)
{
    return lut->type != HLQ_LUT_FLOAT32 && !a->retries && !b->retries;
}

/* No representative, of which a centred quantizer has taken the mean, is longer than *longest. */
HLQ_API hlq_status hlq_lut_longest(const hlq_quantizer *quantizer, double *longest);

#endif
