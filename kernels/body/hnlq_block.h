/*
 * One block of 256 numbers, group by group, between memory's rows and layers of digits. What takes
 * time is here, compiled once for each lattice and dimension, so that a group's rows stay in
 * registers; rows pass between these functions by way of memory.
 */
#ifndef HLQ_BODY_HNLQ_BLOCK_H
#define HLQ_BODY_HNLQ_BLOCK_H

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
#define HLQ_BLOCK static __attribute__((noinline))

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
    uint8_t step[HLQ_ROWS][HLQ_LANES]; /* T, by group and lane */
    vector_mask over;                  /* vectors that fit at no scale */
} block_code;

/*
 * One group, with the ramp: vectors that do not fit climb to the next scale and all are encoded
 * once more, until none is left or no scale is.
 */
HLQ_BODY void encode_group(const hlq_hnlq *code, hlq_lattice lattice, int dim, int power, int g,
                           const block_input *in, block_code *out)
{
    F inverse = f_set(code->inverse[0]);
    memset(out->step[g], 0, HLQ_LANES);
    for (int t = 0;; t++) {
        F y[HLQ_ROWS];
        I p[HLQ_ROWS];
        for (int r = 0; r < dim; r++) {
            y[r] = f_add(f_mul(in->x[g * dim + r], inverse), in->shift[g * dim + r]);
        }
        uint32_t over = points(lattice, dim, y, p);
        over |= digits_of_points(code, lattice, dim, power, g, p, &out->layers);
        over &= in->real.group[g];
        out->over.group[g] = over;
        if (!over || t + 1 == code->tries) return;
        inverse = f_select(over, f_set(code->inverse[t + 1]), inverse);
        for (uint32_t rest = over; rest; rest &= rest - 1) {
            out->step[g][__builtin_ctz(rest)] = (uint8_t)(t + 1);
        }
    }
}

HLQ_BLOCK void encode_block(const hlq_hnlq *code, const block_input *in, block_code *out){
#define ENCODE(l, d, b)                                                                            \
    IF_CODE(l, d, b)                                                                               \
    {                                                                                              \
        for (int g = 0; g < HLQ_ROWS / (d); g++) encode_group(code, l, d, b, g, in, out);          \
    }
    FOR_EACH_CODE(ENCODE)}

/* Points to digits; the vectors for which something is left over. */
HLQ_BLOCK vector_mask
    block_digits(const hlq_hnlq *code, const I points_[HLQ_ROWS], hlq_layers *layers)
{
    vector_mask over = {{0}};
#define DIGITS(l, d, b)                                                                            \
    IF_CODE(l, d, b)                                                                               \
    {                                                                                              \
        for (int g = 0; g < HLQ_ROWS / (d); g++) {                                                 \
            I p[HLQ_ROWS];                                                                         \
            for (int r = 0; r < (d); r++) p[r] = points_[g * (d) + r];                             \
            over.group[g] = digits_of_points(code, l, d, b, g, p, layers);                         \
        }                                                                                          \
    }
    FOR_EACH_CODE(DIGITS)
    return over;
}

/* The coarsest `count` layers to points; how many lanes hold a digit ≥ q. */
HLQ_BLOCK uint64_t block_points(const hlq_hnlq *code, int count, hlq_layers *layers,
                                I points_[HLQ_ROWS])
{
    uint64_t bad = 0;
#define POINTS(l, d, b)                                                                            \
    IF_CODE(l, d, b)                                                                               \
    {                                                                                              \
        for (int g = 0; g < HLQ_ROWS / (d); g++) {                                                 \
            I p[HLQ_ROWS];                                                                         \
            uint32_t wrong = points_of_digits(code, l, d, b, g, count, layers, p);                 \
            bad += (uint64_t)__builtin_popcount(wrong);                                            \
            for (int r = 0; r < (d); r++) points_[g * (d) + r] = p[r];                             \
        }                                                                                          \
    }
    FOR_EACH_CODE(POINTS)
    return bad;
}

/* Rows to nearest points; how many vectors hold a number beyond the limit. */
HLQ_BLOCK uint64_t block_nearest(const hlq_hnlq *code, F x[HLQ_ROWS], I points_[HLQ_ROWS])
{
    uint64_t beyond = 0;
#define NEAREST(l, d, unused)                                                                      \
    if (code->lattice == (l) && code->dim == (d)) {                                                \
        for (int g = 0; g < HLQ_ROWS / (d); g++) {                                                 \
            I p[HLQ_ROWS];                                                                         \
            beyond += (uint64_t)__builtin_popcount(points(l, d, x + g * (d), p));                  \
            for (int r = 0; r < (d); r++) points_[g * (d) + r] = p[r];                             \
        }                                                                                          \
    }
    FOR_EACH_LATTICE(NEAREST, 0)
    return beyond;
}

/* G⁻¹ × point ↔ point. */
HLQ_BLOCK void block_flatten(const hlq_hnlq *code, const I points_[HLQ_ROWS], I z[HLQ_ROWS])
{
    codes_from_point(code->lattice, HLQ_ROWS, points_, z);
}
HLQ_BLOCK void block_unflatten(const hlq_hnlq *code, const I z[HLQ_ROWS], I points_[HLQ_ROWS])
{
    point_from_codes(code->lattice, HLQ_ROWS, z, points_);
}

#endif
