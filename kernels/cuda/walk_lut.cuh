/*
 * How warps share inner products from tables, one each, a vector for each lane at a time; and
 * one-sided tables, a piece of which is 32 entries of 32 vectors.
 */
#ifndef HLQ_KERNELS_CUDA_WALK_LUT_CUH
#define HLQ_KERNELS_CUDA_WALK_LUT_CUH

#include "cuda_lut.h"
#include "walk_hnlq.cuh"

/* The digits of one vector of a side. */
typedef struct {
    const char *digits;
    int dim, q, wide;
    bool is_bad; /* so far */
} vector_layers;

typedef vector_layers *lut_layers;

/* 0 where a digit is none. */
HLQ_BODY uint32_t layer_index(lut_layers of, int m)
{
    I z[HLQ_ROWS];
    uint32_t index = 0;
    bool is_bad = false;
    load_words(of->dim, of->wide, of->digits + ((size_t)(m * of->dim) << of->wide), z);
    for (int j = of->dim - 1; j >= 0; j--) {
        is_bad |= (uint32_t)z[j] >= (uint32_t)of->q;
        index = index * (uint32_t)of->q + (uint32_t)z[j];
    }
    of->is_bad |= is_bad;
    return is_bad ? 0 : index;
}

#include "../body/lane_sums.h"
#include "../body/lut_dot.h"
#include "../body/one_sided.h"

/* Inner products ------------------------------------------------------------------------------ */

/* Vector v of all products'. */
template <int dim, int wide>
HLQ_BODY vector_layers layers_at(const hlq_cuda_lut_products *to, const hlq_cuda_lut_side *side,
                                 size_t v)
{
    const size_t bytes = (size_t)(side->depth * dim) << wide;
    vector_layers layers = {(const char *)side->digits + v * bytes, dim, to->q, wide, false};
    return layers;
}

HLQ_BODY double scale_at(const hlq_cuda_lut_side *side, size_t v, bool *is_bad)
{
    int step = side->retries ? side->retries[v] : 0;
    *is_bad |= step >= side->tries;
    return side->scale[step < side->tries ? step : 0];
}

HLQ_BODY int64_t add_integers_of_lanes(int64_t x)
{
    unsigned long long sum = (unsigned long long)x;
    for (int d = HLQ_LANES / 2; d; d /= 2) sum += __shfl_xor_sync(WHOLE_WARP, sum, d);
    return (int64_t)sum;
}

template <int dim, int wide>
HLQ_BODY int64_t integers_of_vector(const hlq_cuda_lut_dots *d, size_t v, bool *is_bad)
{
    const hlq_pairs *p = &d->pairs;
    vector_layers a = layers_at<dim, wide>(&d->to, &d->a, v);
    vector_layers b = layers_at<dim, wide>(&d->to, &d->b, v);
    int64_t sum = p->type == HLQ_LUT_INT8
                      ? add_integers(p, HLQ_LUT_INT8, p->depth_a, p->depth_b, &a, &b)
                      : add_integers(p, HLQ_LUT_INT16, p->depth_a, p->depth_b, &a, &b);
    *is_bad |= a.is_bad | b.is_bad;
    return sum;
}

template <int dim, int wide>
HLQ_BODY double floats_of_vector(const hlq_cuda_lut_dots *d, size_t v, bool *is_bad)
{
    vector_layers a = layers_at<dim, wide>(&d->to, &d->a, v);
    vector_layers b = layers_at<dim, wide>(&d->to, &d->b, v);
    double sum = add_floats(&d->pairs, &a, &b);
    *is_bad |= a.is_bad | b.is_bad;
    return sum;
}

/* The product whose vectors begin at `first`. */
template <int dim, int wide>
HLQ_BODY double dot_exactly(const hlq_cuda_lut_dots *d, size_t first, bool *is_bad)
{
    const double scale = (double)d->a.scale[0] * (double)d->b.scale[0];
    double total = 0;
    for (size_t run = 0; run < d->to.vectors; run += HLQ_RUN_VECTORS) {
        const size_t left = d->to.vectors - run;
        const size_t here = left < HLQ_RUN_VECTORS ? left : (size_t)HLQ_RUN_VECTORS;
        int64_t sum = 0;
        for (size_t v = (size_t)lane(); v < here; v += HLQ_LANES) {
            sum += integers_of_vector<dim, wide>(d, first + run + v, is_bad);
        }
        total += (double)add_integers_of_lanes(sum) * scale;
    }
    return total;
}

template <int dim, int wide>
HLQ_BODY double dot_scaled(const hlq_cuda_lut_dots *d, size_t first, bool *is_bad)
{
    double sum = 0;
    for (size_t v = first + (size_t)lane(); v < first + d->to.vectors; v += HLQ_LANES) {
        const double scale = scale_at(&d->a, v, is_bad) * scale_at(&d->b, v, is_bad);
        const double term = d->pairs.type == HLQ_LUT_FLOAT32
                                ? floats_of_vector<dim, wide>(d, v, is_bad)
                                : (double)integers_of_vector<dim, wide>(d, v, is_bad);
        sum += term * scale;
    }
    return sum_of_lanes(&sum);
}

/* NaN, and a count of one, if it is bad in any lane. */
HLQ_BODY void store_product(const hlq_cuda_lut_products *to, size_t i, double dot, bool is_bad,
                            uint64_t *count)
{
    const uint64_t none = UINT64_C(0x7ff8000000000000);
    const bool is_lost = m_word(is_bad) != 0;
    *count += is_lost;
    if (is_lost) memcpy(&dot, &none, sizeof dot);
    if (lane() == 0) to->dot[i] = dot;
}

template <int dim, int wide> HLQ_BODY void add_products(hlq_share share, const hlq_cuda_lut_dots *d)
{
    uint64_t count = 0;
    for (size_t i = share.first; i < d->to.batch; i += share.step) {
        const size_t first = i * d->to.vectors;
        bool is_bad = false;
        double dot = d->is_exact ? dot_exactly<dim, wide>(d, first, &is_bad)
                                 : dot_scaled<dim, wide>(d, first, &is_bad);
        store_product(&d->to, i, dot, is_bad, &count);
    }
    add_count(d->to.bad, count);
}

template <int dim, int wide> HLQ_BODY void add_rows(hlq_share share, const hlq_cuda_row_dots *r)
{
    uint64_t count = 0;
    for (size_t i = share.first; i < r->to.batch; i += share.step) {
        const size_t first = i * r->to.vectors;
        bool is_bad = false;
        double sum = 0;
        for (size_t v = first + (size_t)lane(); v < first + r->to.vectors; v += HLQ_LANES) {
            vector_layers b = layers_at<dim, wide>(&r->to, &r->b, v);
            const double scale = scale_at(&r->b, v, &is_bad);
            sum += add_row(r->table + v * r->side, r->b.depth, r->to.q, &b) * scale;
            is_bad |= b.is_bad;
        }
        store_product(&r->to, i, sum_of_lanes(&sum), is_bad, &count);
    }
    add_count(r->to.bad, count);
}

/* What products are compiled for: dimensions, wide digits, of which tables only exist up to Z2. */
#define FOR_EACH_DIGIT(X) X(1, 0) X(2, 0) X(4, 0) X(8, 0) X(1, 1) X(2, 1)
#define IF_DIGIT(to, dim_, wide_) if ((to)->dim == (dim_) && (to)->wide == (wide_))

/* One-sided tables ---------------------------------------------------------------------------- */

enum { PIECE_POINTS = 32, PIECE_VECTORS = 32 };

static inline size_t pieces_of_table(const hlq_cuda_one_sided *t)
{
    return (t->side + PIECE_POINTS - 1) / PIECE_POINTS *
           ((t->vectors + PIECE_VECTORS - 1) / PIECE_VECTORS);
}

/* Representative i, which may be none, in each lane. */
HLQ_BODY void load_representative(const hlq_cuda_one_sided *t, hlq_lattice lattice, int dim,
                                  int power, uint32_t i, double at[HLQ_ROWS])
{
    const hlq_base base = base_of(&t->code, power);
    I z[HLQ_ROWS], p[HLQ_ROWS];
    for (int j = 0; j < dim; j++, i /= (uint32_t)base.q) {
        z[j] = (I)(i % (uint32_t)base.q);
        p[j] = 0;
    }
    add_representative(lattice, dim, base, z, p);
    for (int j = 0; j < dim; j++) at[j] = 0.5 * p[j] - (double)t->mean[j];
}

/* Added in the order of the coordinates, as lut.c of the library does. */
HLQ_BODY float entry_of(const float *y, const double at[HLQ_ROWS], int dim)
{
    double product = 0;
    for (int j = 0; j < dim; j++) product += (double)y[j] * at[j];
    return (float)product;
}

HLQ_BODY void build_table(hlq_lattice lattice, int dim, int power, hlq_share share,
                          const hlq_cuda_one_sided *t)
{
    const size_t groups = (t->side + PIECE_POINTS - 1) / PIECE_POINTS;
    uint64_t count = 0;
    for (size_t i = share.first; i / groups * PIECE_VECTORS < t->vectors; i += share.step) {
        const size_t point = i % groups * PIECE_POINTS + (size_t)lane();
        const size_t first = i / groups * PIECE_VECTORS, own = first + (size_t)lane();
        double at[HLQ_ROWS];
        load_representative(t, lattice, dim, power, (uint32_t)point, at);
        const bool is_lost = own < t->vectors && !fits_table(t->y + own * dim, dim, t->longest);
        const uint32_t lost = m_word(is_lost);
        if (i % groups == 0) count += (uint64_t)__builtin_popcount(lost);
        for (size_t v = first; v < first + PIECE_VECTORS && v < t->vectors; v++) {
            const float entry = entry_of(t->y + v * (size_t)dim, at, dim);
            if (point >= t->side) continue;
            t->table[v * t->side + point] = lost >> (v - first) & 1 ? no_number() : entry;
        }
    }
    add_count(t->bad, count);
}

#endif
