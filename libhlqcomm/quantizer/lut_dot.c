/*
 * Inner products of decoded vectors without decoding them, from the tables of lut.c:
 *
 *   digits [vectors, depth, dim] → an index for each layer → Σ q^(i+j) × entry, exact for integers
 *     → × the scales of the pair → Σ over vectors, in the order of kernels/lut.h
 *
 * Vectors are taken PIECE at a time, so that indices and sums stay in the first-level cache.
 */
#include "lut.h"

typedef const uint32_t *lut_layers;

static inline uint32_t layer_index(lut_layers of, int m) { return of[m]; }

#include <kernels/body/lane_sums.h>
#include <kernels/body/lut_dot.h>

#include <string.h>

enum { PIECE = 256 };

_Static_assert(HLQ_RUN_VECTORS % PIECE == 0 && PIECE % HLQ_SUM_LANES == 0, "pieces of runs");

/* Indices of the layers of a piece: [vectors, depth]. */
typedef struct indices {
    uint32_t of[PIECE * HLQ_DEPTH_MAX];
} indices;

/* Arguments ---------------------------------------------------------------------------------- */

hlq_status hlq_lut_check_code(const char *side, const hlq_code *code, size_t vectors)
{
    if (code && code->quantizer && (!vectors || code->digits)) return HLQ_OK;
    return hlq_quantizer_fail(HLQ_E_INVALID, "%s, its quantizer or its digits is NULL", side);
}

static hlq_status check_code(const char *side, const hlq_code *code, size_t vectors)
{
    HLQ_TRY(hlq_lut_check_code(side, code, vectors));
    const int most = code->quantizer->params.max_retries;
    for (size_t v = 0; code->retries && v < vectors; v++) {
        if (code->retries[v] <= most) continue;
        return hlq_quantizer_fail(HLQ_E_INVALID, "%s: retries[%zu] is %d; max_retries is %d", side,
                                  v, code->retries[v], most);
    }
    return HLQ_OK;
}

hlq_status hlq_lut_check_side(const hlq_lut *lut, const char *side, const hlq_quantizer *quantizer)
{
    const hlq_quantizer_params *p = &quantizer->params;
    const int centred = p->centred != 0;
    if (p->lattice == lut->lattice && p->dim == lut->dim && p->q == lut->q &&
        centred == lut->centred) {
        return HLQ_OK;
    }
    return hlq_quantizer_fail(HLQ_E_INVALID,
                              "%s is of %s in %d dimensions, q = %d, %scentred; the table is of %s "
                              "in %d, q = %d, %scentred",
                              side, hlq_lattice_name(p->lattice), p->dim, p->q,
                              centred ? "" : "not ", hlq_lattice_name(lut->lattice), lut->dim,
                              lut->q, lut->centred ? "" : "not ");
}

/* Indices ------------------------------------------------------------------------------------ */

static uint64_t load_word(const uint8_t *p)
{
    uint64_t word = 0; /* little endian; one instruction where the processor is */
    for (int i = 0; i < 8; i++) word |= (uint64_t)p[i] << 8 * i;
    return word;
}

/*
 * Eight digits below q at once, by pairs of neighbours: 8 digits → 4 × (b0 + q b1) in 16 bits → 2 ×
 * (b0 + q b1 + q² b2 + q³ b3) in 32 bits. For q ≤ 256 no part grows beyond its bits.
 */
static inline uint64_t spell_fours(uint64_t digits, uint64_t q)
{
    const uint64_t bytes = UINT64_C(0x00ff00ff00ff00ff), shorts = UINT64_C(0x0000ffff0000ffff);
    const uint64_t pairs = (digits & bytes) + (digits >> 8 & bytes) * q;
    return (pairs & shorts) + (pairs >> 16 & shorts) * (q * q);
}

/* Σ b[j] q^j of `count` layers. Returns the largest digit. */
static unsigned spell_narrow(const uint8_t *digits, int dim, uint32_t q, size_t count,
                             uint32_t *index)
{
    const size_t all = count * (size_t)dim;
    const uint64_t fourth = (uint64_t)q * q * q * q;
    size_t i = 0;
    if (dim == 4) {
        for (; i + 2 <= count; i += 2) {
            const uint64_t both = spell_fours(load_word(digits + 4 * i), q);
            index[i] = (uint32_t)both;
            index[i + 1] = (uint32_t)(both >> 32);
        }
    } else if (dim == 8) {
        for (; i < count; i++) {
            const uint64_t both = spell_fours(load_word(digits + 8 * i), q);
            index[i] = (uint32_t)((both & UINT32_MAX) + (both >> 32) * fourth);
        }
    }
    for (; i < count; i++) {
        index[i] = 0;
        for (size_t j = (size_t)dim; j-- > 0;)
            index[i] = index[i] * q + digits[i * (size_t)dim + j];
    }
    uint8_t largest = 0;
    for (size_t n = 0; n < all; n++) largest = digits[n] > largest ? digits[n] : largest;
    return largest;
}

static unsigned spell_wide(const uint8_t *digits, int dim, uint32_t q, size_t count,
                           uint32_t *index)
{
    unsigned largest = 0;
    for (size_t i = 0; i < count; i++, digits += 2 * dim) {
        uint32_t sum = 0;
        for (int j = dim - 1; j >= 0; j--) {
            uint16_t digit; /* a negative one becomes a large one */
            memcpy(&digit, digits + 2 * j, sizeof digit);
            sum = sum * q + digit;
            if (digit > largest) largest = digit;
        }
        index[i] = sum;
    }
    return largest;
}

/* Indices of vectors first … first + count - 1. Returns 0 if a digit is out of range. */
static int load_indices(const hlq_code *code, size_t first, size_t count, indices *index)
{
    const hlq_hnlq *c = &code->quantizer->code;
    const size_t layers = count * (size_t)c->depth;
    const size_t vector_bytes = (size_t)(c->depth * c->dim) << c->wide;
    const uint8_t *digits = (const uint8_t *)code->digits + first * vector_bytes;
    const uint32_t q = (uint32_t)c->q;
    return q > (c->wide ? spell_wide(digits, c->dim, q, layers, index->of)
                        : spell_narrow(digits, c->dim, q, layers, index->of));
}

static hlq_status check_all_digits(const hlq_code *code, size_t vectors)
{
    const hlq_hnlq *c = &code->quantizer->code;
    return hlq_check_digits(c->q, code->digits, vectors * (size_t)(c->depth * c->dim));
}

static double scale_at(const hlq_code *code, size_t v)
{
    return code->quantizer->code.scale[code->retries ? code->retries[v] : 0];
}

/* Sums --------------------------------------------------------------------------------------- */

/* What terms of products that are scaled one by one are added to. */
typedef struct lanes {
    double sum[HLQ_SUM_LANES];
} lanes;

/* Two-sided ---------------------------------------------------------------------------------- */

typedef struct pair {
    hlq_pairs table;
    const hlq_code *code_a, *code_b;
    indices a, b;
} pair;

static inline void add_layers(const pair *p, hlq_lut_type type, int depth_a, int depth_b,
                              size_t count, int64_t *sum)
{
    const hlq_pairs table = p->table; /* which the compiler knows that sums do not change */
    const uint32_t *a = p->a.of, *b = p->b.of;
    for (size_t v = 0; v < count; v++, a += depth_a, b += depth_b) {
        sum[v] = add_integers(&table, type, depth_a, depth_b, a, b);
    }
}

/* sum[v] = Σ q^(i+j) × entry, exactly, of a piece whose indices are in p. */
static void add_integers_of_piece(const pair *p, size_t count, int64_t *sum)
{
    const hlq_pairs *t = &p->table;
    if (t->type == HLQ_LUT_INT16) {
        add_layers(p, HLQ_LUT_INT16, t->depth_a, t->depth_b, count, sum);
    } else if (t->depth_a == 2 && t->depth_b == 2) { /* loops that the compiler unrolls */
        add_layers(p, HLQ_LUT_INT8, 2, 2, count, sum);
    } else {
        add_layers(p, HLQ_LUT_INT8, t->depth_a, t->depth_b, count, sum);
    }
}

static void add_floats_of_piece(const pair *p, size_t count, double *sum)
{
    const uint32_t *a = p->a.of, *b = p->b.of;
    for (size_t v = 0; v < count; v++, a += p->table.depth_a, b += p->table.depth_b) {
        sum[v] = add_floats(&p->table, a, b);
    }
}

/* Vectors first … first + count - 1, whose indices are in p, to their lanes. */
static void add_scaled(const pair *p, size_t first, size_t count, lanes *l)
{
    int64_t exact[PIECE];
    double sum[PIECE];
    if (p->table.type == HLQ_LUT_FLOAT32) {
        add_floats_of_piece(p, count, sum);
    } else {
        add_integers_of_piece(p, count, exact);
        for (size_t v = 0; v < count; v++) sum[v] = (double)exact[v];
    }
    for (size_t v = 0; v < count; v++) {
        l->sum[v % HLQ_SUM_LANES] +=
            sum[v] * (scale_at(p->code_a, first + v) * scale_at(p->code_b, first + v));
    }
}

static int64_t add_exactly(const pair *p, size_t count)
{
    int64_t exact[PIECE], total = 0;
    add_integers_of_piece(p, count, exact);
    for (size_t v = 0; v < count; v++) total += exact[v];
    return total;
}

void hlq_lut_pairs(const hlq_lut *lut, int depth_a, int depth_b, hlq_pairs *pairs)
{
    *pairs = (hlq_pairs){.type = lut->type,
                         .side = lut->side,
                         .entries = {.any = lut->entries.any},
                         .depth_a = depth_a,
                         .depth_b = depth_b};
    int64_t weight = 1;
    for (int k = 0; k < depth_a + depth_b - 1; k++, weight *= lut->q) pairs->weight[k] = weight;
}

hlq_status hlq_lut_dot(const hlq_lut *lut, const hlq_code *a, const hlq_code *b, size_t vectors,
                       double *dot)
{
    pair p = {.code_a = a, .code_b = b};
    lanes scaled = {{0}};
    int64_t run = 0;
    double runs = 0;
    if (!lut || !dot) return hlq_quantizer_fail(HLQ_E_INVALID, "%s is NULL", lut ? "dot" : "lut");
    HLQ_TRY(check_code("a", a, vectors));
    HLQ_TRY(check_code("b", b, vectors));
    HLQ_TRY(hlq_lut_check_side(lut, "a", a->quantizer));
    HLQ_TRY(hlq_lut_check_side(lut, "b", b->quantizer));
    hlq_lut_pairs(lut, a->quantizer->params.depth, b->quantizer->params.depth, &p.table);
    const int is_exact = hlq_lut_adds_exactly(lut, a, b);
    for (size_t first = 0; first < vectors; first += PIECE) {
        const size_t count = vectors - first < PIECE ? vectors - first : PIECE, end = first + count;
        if (!load_indices(a, first, count, &p.a)) return check_all_digits(a, vectors);
        if (!load_indices(b, first, count, &p.b)) return check_all_digits(b, vectors);
        if (!is_exact) {
            add_scaled(&p, first, count, &scaled);
            continue;
        }
        run += add_exactly(&p, count);
        if (end % HLQ_RUN_VECTORS && end < vectors) continue;
        runs += (double)run * (scale_at(a, 0) * scale_at(b, 0));
        run = 0;
    }
    *dot = is_exact ? runs : sum_of_lanes(scaled.sum);
    return HLQ_OK;
}

/* One-sided ---------------------------------------------------------------------------------- */

/* Of a piece whose first vector is `first` and has the first row of the table. */
static inline void add_rows(const float *table, const hlq_code *b, int depth, const uint32_t *index,
                            size_t first, size_t count, lanes *l)
{
    const size_t side = (size_t)b->quantizer->layer_points;
    const double q = b->quantizer->params.q;
    for (size_t v = 0; v < count; v++, table += side, index += depth) {
        l->sum[v % HLQ_SUM_LANES] += add_row(table, depth, q, index) * scale_at(b, first + v);
    }
}

hlq_status hlq_lut_dot_one_sided(const float *table, const hlq_code *b, size_t vectors, double *dot)
{
    indices index;
    lanes scaled = {{0}};
    if (!dot || (vectors && !table)) {
        return hlq_quantizer_fail(HLQ_E_INVALID, "%s is NULL", dot ? "table" : "dot");
    }
    HLQ_TRY(check_code("b", b, vectors));
    HLQ_TRY(hlq_lut_check_points(b->quantizer));
    const size_t side = (size_t)b->quantizer->layer_points;
    const int depth = b->quantizer->params.depth;
    for (size_t first = 0; first < vectors; first += PIECE) {
        const size_t count = vectors - first < PIECE ? vectors - first : PIECE;
        if (!load_indices(b, first, count, &index)) return check_all_digits(b, vectors);
        const float *rows = table + first * side;
        if (depth == 2) add_rows(rows, b, 2, index.of, first, count, &scaled); /* unrolled */
        else add_rows(rows, b, depth, index.of, first, count, &scaled);
    }
    *dot = sum_of_lanes(scaled.sum);
    return HLQ_OK;
}
