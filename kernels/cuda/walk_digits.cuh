/*
 * How warps share arithmetic on digits: sums with carries and flat codes, a piece of a share being
 * a block of 256 numbers as in walk_hnlq.cuh; sums modulo q, a piece being 32 words of 4 bytes.
 */
#ifndef HLQ_KERNELS_CUDA_WALK_DIGITS_CUH
#define HLQ_KERNELS_CUDA_WALK_DIGITS_CUH

#include "walk_hnlq.cuh"

#include "../body/modq.h"

HLQ_BODY hlq_layers layers_of_block(const hlq_cuda_vectors *v, const void *digits, size_t first,
                                    size_t here)
{
    hlq_layers layers;
    layers.digits = (char *)const_cast<void *>(digits) + first * vector_bytes(&v->code);
    layers.here = here;
    return layers;
}

/* Points of all layers of group g; lanes with a digit ≥ q, which are counted. */
HLQ_BODY uint32_t all_points(const hlq_cuda_vectors *v, hlq_lattice lattice, int dim, int power,
                             int g, hlq_layers *layers, I p[HLQ_ROWS], uint64_t *count)
{
    uint32_t bad = points_of_digits(&v->code, lattice, dim, power, g, v->code.depth, layers, p);
    *count += (uint64_t)__builtin_popcount(bad);
    return bad;
}

/* A lane reads its vectors' digits before it writes their sum, so out may be a or b. */
HLQ_BODY void add_vectors(hlq_lattice lattice, int dim, int power, hlq_share share,
                          const hlq_cuda_vectors *v, const void *a, const void *b)
{
    const size_t whole = (size_t)(HLQ_BLOCK_ELEMS / dim);
    uint64_t overloads = 0, count = 0;
    for (size_t block = share.first; block * whole < v->vectors; block += share.step) {
        size_t first = block * whole, here = vectors_of_block(dim, v->vectors, block);
        hlq_layers left = layers_of_block(v, a, first, here);
        hlq_layers right = layers_of_block(v, b, first, here);
        hlq_layers out = layers_of_block(v, v->digits, first, here);
        HLQ_UNROLL
        for (int g = 0; g < HLQ_ROWS / dim; g++) {
            I p[HLQ_ROWS], more[HLQ_ROWS];
            uint32_t bad = all_points(v, lattice, dim, power, g, &left, p, &count);
            bad |= all_points(v, lattice, dim, power, g, &right, more, &count);
            for (int r = 0; r < dim; r++) p[r] = i_add(p[r], more[r]);
            uint32_t over = digits_of_points(&v->code, lattice, dim, power, g, p, &out, NULL) | bad;
            if (bad) spoil_vectors(&v->code, dim, g, bad, &out);
            overloads += (uint64_t)__builtin_popcount(over);
            size_t own = vector_of_lane(dim, g);
            if (v->overload && own < here) v->overload[first + own] = is_lane_in(over);
        }
    }
    add_count(v->overloads, overloads);
    add_count(v->bad, count);
}

HLQ_BODY void flatten_vectors(hlq_lattice lattice, int dim, int power, hlq_share share,
                              const hlq_cuda_vectors *v, uint32_t *flat)
{
    const size_t whole = (size_t)(HLQ_BLOCK_ELEMS / dim);
    const hlq_base all = base_of_all(&v->code, power);
    uint64_t count = 0;
    for (size_t b = share.first; b * whole < v->vectors; b += share.step) {
        size_t first = b * whole, here = vectors_of_block(dim, v->vectors, b);
        hlq_layers layers = layers_of_block(v, v->digits, first, here);
        I rows[HLQ_ROWS];
        HLQ_UNROLL
        for (int g = 0; g < HLQ_ROWS / dim; g++) {
            I p[HLQ_ROWS], z[HLQ_ROWS];
            uint32_t bad = all_points(v, lattice, dim, power, g, &layers, p, &count);
            codes_from_point(lattice, dim, p, z);
            for (int r = 0; r < dim; r++) {
                rows[g * dim + r] = is_lane_in(bad) ? -1 : digit_of(z[r], all);
            }
        }
        store_some_flat(dim, rows, here, flat + first * (size_t)dim);
    }
    add_count(v->bad, count);
}

HLQ_BODY void unflatten_vectors(hlq_lattice lattice, int dim, int power, hlq_share share,
                                const hlq_cuda_vectors *v, const uint32_t *flat)
{
    const size_t whole = (size_t)(HLQ_BLOCK_ELEMS / dim);
    const hlq_base all = base_of_all(&v->code, power);
    uint64_t count = 0;
    for (size_t b = share.first; b * whole < v->vectors; b += share.step) {
        size_t first = b * whole, here = vectors_of_block(dim, v->vectors, b);
        hlq_layers layers = layers_of_block(v, v->digits, first, here);
        I rows[HLQ_ROWS];
        load_some_flat(dim, flat + first * (size_t)dim, here, rows);
        HLQ_UNROLL
        for (int g = 0; g < HLQ_ROWS / dim; g++) {
            I z[HLQ_ROWS], p[HLQ_ROWS];
            bool is_bad = false;
            for (int r = 0; r < dim; r++) is_bad |= (uint32_t)rows[g * dim + r] >= (uint32_t)all.q;
            for (int r = 0; r < dim; r++) z[r] = is_bad ? 0 : rows[g * dim + r];
            uint32_t bad = m_word(is_bad);
            count += (uint64_t)__builtin_popcount(bad);
            point_from_codes(lattice, dim, z, p);
            digits_of_points(&v->code, lattice, dim, power, g, p, &layers, NULL);
            if (bad) spoil_vectors(&v->code, dim, g, bad, &layers);
        }
    }
    add_count(v->bad, count);
}

/* Modulo q ------------------------------------------------------------------------------------ */

/* Pieces of 32 words. */
static inline size_t pieces_of_sum(const hlq_cuda_modq *s)
{
    size_t piece = s->q > 256 ? 64 : 128;
    return s->count / piece + (s->count % piece != 0);
}

/* One word's digits of so many bits. */
HLQ_BODY uint32_t add_word(uint32_t q, int bits, uint32_t a, uint32_t b, uint32_t *wrong)
{
    const uint32_t digit = (UINT32_C(1) << bits) - 1;
    uint32_t out = 0;
    for (int at = 0; at < 32; at += bits) {
        uint32_t sum = add_modq(q, a >> at & digit, b >> at & digit);
        *wrong += sum == UINT32_MAX;
        out |= (sum & digit) << at;
    }
    return out;
}

/* The last word may hold fewer digits than others. */
template <typename Digit> HLQ_BODY void add_digits(hlq_share share, const hlq_cuda_modq *s)
{
    const size_t per = 4 / sizeof(Digit);
    const uint32_t q = (uint32_t)s->q;
    uint32_t wrong = 0;
    for (size_t piece = share.first; 32 * piece * per < s->count; piece += share.step) {
        size_t word = 32 * piece + (size_t)lane();
        if ((word + 1) * per <= s->count) {
            ((uint32_t *)s->out)[word] =
                add_word(q, 8 * (int)sizeof(Digit), ((const uint32_t *)s->a)[word],
                         ((const uint32_t *)s->b)[word], &wrong);
            continue;
        }
        for (size_t i = word * per; i < s->count; i++) {
            uint32_t sum = add_modq(q, ((const Digit *)s->a)[i], ((const Digit *)s->b)[i]);
            wrong += sum == UINT32_MAX;
            ((Digit *)s->out)[i] = (Digit)sum;
        }
    }
    add_count(s->bad, __reduce_add_sync(WHOLE_WARP, wrong));
}

HLQ_BODY void add_modq_of_all(hlq_share share, const hlq_cuda_modq *s)
{
    if (s->q > 256) add_digits<uint16_t>(share, s);
    else add_digits<uint8_t>(share, s);
}

#endif
