/*
 * Look-up tables from inside: built by lut.c, used by lut_dot.c.
 */
#ifndef HLQ_QUANTIZER_LUT_H
#define HLQ_QUANTIZER_LUT_H

#include "quantizer.h"

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
hlq_status hlq_lut_check_points(const hlq_quantizer *quantizer);

#endif
