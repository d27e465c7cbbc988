/*
 * One group of 32 vectors, with the ramp; and the codes that all of this is compiled for.
 */
#ifndef HLQ_BODY_HNLQ_GROUP_H
#define HLQ_BODY_HNLQ_GROUP_H

/* Lattice, dimension, whether q is a power of two. */
#define FOR_EACH_CODE(X)                                                                           \
    FOR_EACH_LATTICE(X, 1)                                                                         \
    FOR_EACH_LATTICE(X, 0)
#define FOR_EACH_LATTICE(X, power)                                                                 \
    X(HLQ_LATTICE_E8, 8, power)                                                                    \
    X(HLQ_LATTICE_D4, 4, power)                                                                    \
    X(HLQ_LATTICE_Z, 8, power)                                                                     \
    X(HLQ_LATTICE_Z, 4, power)                                                                     \
    X(HLQ_LATTICE_Z, 2, power)                                                                     \
    X(HLQ_LATTICE_Z, 1, power)
#define IF_CODE(lattice_, dim_, power_)                                                            \
    if (code->lattice == (lattice_) && code->dim == (dim_) && (code->q_log2 >= 0) == (power_))

/* One bit per vector of a block: word g has the lanes of group g. */
typedef struct {
    uint32_t group[HLQ_ROWS];
} vector_mask;

/* A block to encode: rows, what is added to them after scaling, and which vectors exist. */
typedef struct {
    F x[HLQ_ROWS], shift[HLQ_ROWS];
    vector_mask real;
} block_input;

typedef struct {
    hlq_layers layers;
    lane_bytes step[HLQ_ROWS]; /* T, by group */
    vector_mask over;          /* vectors that fit at no scale */
} block_code;

/*
 * One group, with the ramp: vectors that do not fit climb to the next scale and all are encoded
 * once more, until none is left or no scale is. `decoded` as in digits_of_points().
 */
HLQ_BODY void encode_group(const hlq_hnlq *code, hlq_lattice lattice, int dim, int power, int g,
                           const block_input *in, block_code *out, I *decoded)
{
    F inverse = f_set(code->inverse[0]);
    memset(&out->step[g], 0, sizeof out->step[g]);
    for (int t = 0;; t++) {
        F y[HLQ_ROWS];
        I p[HLQ_ROWS];
        for (int r = 0; r < dim; r++) {
            y[r] = f_add(f_mul(in->x[g * dim + r], inverse), in->shift[g * dim + r]);
        }
        uint32_t over = points(lattice, dim, y, p);
        over |= digits_of_points(code, lattice, dim, power, g, p, &out->layers, decoded);
        over &= in->real.group[g];
        out->over.group[g] = over;
        if (!over || t + 1 == code->tries) return;
        inverse = f_select(over, f_set(code->inverse[t + 1]), inverse);
        set_bytes(&out->step[g], over, t + 1);
    }
}

#endif
