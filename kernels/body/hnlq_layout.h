/*
 * Vectors in memory ↔ rows and lanes, for the quantizer.
 *
 * In memory, element i of a block of 256 is coordinate i mod d of vector i / d; loaded as 8 rows of
 * 32, its index is 32 row + lane. Swapping the lowest log2 d bits of the lane with those of the row
 * makes the coordinate a row:
 *
 *     d = 4     row  r2 r1 r0   lane  l4 l3 l2 l1 l0        coordinate  l1 l0
 *     becomes   row  r2 l1 l0   lane  l4 l3 l2 r1 r0
 *
 * so rows r2 00 … r2 11 are the coordinates of one vector in each lane: 8/d groups of d rows.
 * Each swap of a bit is f_exchange() on pairs of rows; the same swaps lead back.
 */
#ifndef HLQ_BODY_HNLQ_LAYOUT_H
#define HLQ_BODY_HNLQ_LAYOUT_H

HLQ_BODY void f_swap_bit(int bit, F x[HLQ_ROWS])
{
    for (int r = 0; r < HLQ_ROWS; r++) {
        if (!(r & bit)) f_exchange(&x[r], &x[r | bit], bit);
    }
}

HLQ_BODY void i_swap_bit(int bit, I x[HLQ_ROWS])
{
    for (int r = 0; r < HLQ_ROWS; r++) {
        if (!(r & bit)) i_exchange(&x[r], &x[r | bit], bit);
    }
}

/* Written out: words want to know the distance when they are compiled. */
HLQ_BODY void f_rows_exchange(int dim, F x[HLQ_ROWS])
{
    if (dim > 1) f_swap_bit(1, x);
    if (dim > 2) f_swap_bit(2, x);
    if (dim > 4) f_swap_bit(4, x);
}

HLQ_BODY void i_rows_exchange(int dim, I x[HLQ_ROWS])
{
    if (dim > 1) i_swap_bit(1, x);
    if (dim > 2) i_swap_bit(2, x);
    if (dim > 4) i_swap_bit(4, x);
}

/* Where vector v of a block is. A row of memory held 32 / d vectors. */
HLQ_BODY int group_of(int dim, int v) { return v / (HLQ_LANES / dim) / dim; }
HLQ_BODY int lane_of(int dim, int v)
{
    int per_row = HLQ_LANES / dim;
    return v % per_row * dim + v / per_row % dim;
}

/* [vectors of a block, dim] floats to coordinates in rows, and back. */
HLQ_BODY void load_vectors(int dim, const float *p, F x[HLQ_ROWS])
{
    for (int r = 0; r < HLQ_ROWS; r++) x[r] = f_load(p + HLQ_LANES * r);
    f_rows_exchange(dim, x);
}

HLQ_BODY void store_vectors(int dim, F x[HLQ_ROWS], float *p)
{
    f_rows_exchange(dim, x);
    for (int r = 0; r < HLQ_ROWS; r++) f_store(p + HLQ_LANES * r, x[r]);
}

HLQ_BODY size_t vector_bytes(const hlq_hnlq *code)
{
    return (size_t)(code->depth * code->dim) << code->wide;
}

/* In a lane, the digits of one layer of one vector are pieces of 8 or 16 bits of 32-bit words. */
HLQ_BODY int digits_per_word(int dim, int wide) { return dim < 4 >> wide ? dim : 4 >> wide; }
HLQ_BODY int words_of(int dim, int wide) { return dim / digits_per_word(dim, wide); }

#ifdef HLQ_LANES_ARE_THREADS /* each with memory accesses of its own */
#include "../lanes/threads_hnlq.h"
#else

/* [here, dim] floats ↔ the rows of a block. */
HLQ_BODY void load_some_vectors(int dim, const float *x, size_t here, F rows[HLQ_ROWS])
{
    float copy[HLQ_BLOCK_ELEMS] = {0};
    if (here < (size_t)(HLQ_BLOCK_ELEMS / dim)) {
        memcpy(copy, x, here * (size_t)dim * sizeof *x);
        x = copy;
    }
    load_vectors(dim, x, rows);
}

HLQ_BODY void store_some_vectors(int dim, F rows[HLQ_ROWS], size_t here, float *x)
{
    float copy[HLQ_BLOCK_ELEMS];
    if (here == (size_t)(HLQ_BLOCK_ELEMS / dim)) {
        store_vectors(dim, rows, x);
    } else {
        store_vectors(dim, rows, copy);
        memcpy(x, copy, here * (size_t)dim * sizeof *x);
    }
}

/*
 * Digits of one layer of one vector are d pieces of 8 or 16 bits: in a lane, 32-bit words, first
 * coordinate lowest. A block's words are kept by layer, group and lane, and woven into memory,
 * [vectors, depth, dim], one word at a time.
 */
enum { WORDS_MAX = 8 };

typedef struct {
    uint32_t word[HLQ_DEPTH_MAX][WORDS_MAX][HLQ_LANES];
} hlq_layers;

/* Where the words of one layer of one group are. */
HLQ_BODY uint32_t (*group_words(hlq_layers *layers, int m, int g, int dim, int wide))
    [HLQ_LANES] { return layers->word[m] + g * words_of(dim, wide); }

HLQ_BODY void store_layer(const hlq_hnlq *code, int dim, int m, int g, const I z[HLQ_ROWS],
                          hlq_layers *layers)
{
    int wide = code->wide, per = digits_per_word(dim, wide);
    uint32_t (*words)[HLQ_LANES] = group_words(layers, m, g, dim, wide);
    for (int r = 0; r < dim; r += per) {
        I word = z[r];
        for (int j = 1; j < per; j++) word = i_or(word, i_shl(z[r + j], j * (8 << wide)));
        i_store_u32(words[r / per], word);
    }
}

HLQ_BODY void load_layer(const hlq_hnlq *code, int dim, int m, int g, hlq_layers *layers,
                         I z[HLQ_ROWS])
{
    int wide = code->wide, per = digits_per_word(dim, wide);
    const I digit = i_set(wide ? 0xffff : 0xff);
    uint32_t (*words)[HLQ_LANES] = group_words(layers, m, g, dim, wide);
    for (int r = 0; r < dim; r += per) {
        I word = i_load_u32(words[r / per]);
        for (int j = 0; j < per; j++) z[r + j] = i_and(i_sra(word, j * (8 << wide)), digit);
    }
}

/* One word of each vector of a block: words[lane] of group g ↔ memory, `stride` bytes apart. */
HLQ_BODY void weave_group(int dim, size_t size, uint32_t words[HLQ_LANES], char *memory,
                          size_t stride, int back)
{
    for (int r = 0; r < dim; r++) {
        for (int h = 0; h < HLQ_LANES / dim; h++) {
            char *at = memory + (size_t)(r * (HLQ_LANES / dim) + h) * stride;
            uint32_t *word = words + h * dim + r;
            if (back) memcpy(word, at, size);
            else memcpy(at, word, size);
        }
    }
}

/* Little-endian: the low bytes of a word come first. back: from memory to layers. */
HLQ_BODY void weave(int dim, int wide, int depth, hlq_layers *layers, char *digits, int back)
{
    int words = words_of(dim, wide);
    size_t size = (size_t)digits_per_word(dim, wide) << wide, piece = (size_t)words * size;
    size_t stride = (size_t)depth * piece;
    for (int m = 0; m < depth; m++) {
        for (int g = 0; g < HLQ_ROWS / dim; g++) {
            for (int w = 0; w < words; w++) {
                char *memory = digits + (size_t)g * HLQ_LANES * stride + (size_t)m * piece;
                weave_group(dim, size, group_words(layers, m, g, dim, wide)[w],
                            memory + (size_t)w * size, stride, back);
            }
        }
    }
}

/* Usual codes have known strides, which makes each move one instruction. */
#define FOR_EACH_HOT_DEPTH(X) X(1) X(2) X(3) X(4)
#define FOR_EACH_DIM(X) X(1) X(2) X(4) X(8)

static __attribute__((noinline)) void weave_block(const hlq_hnlq *code, hlq_layers *layers,
                                                  char *digits, int back)
{
    int dim = code->dim, depth = code->depth;
#define WEAVE_HOT(m)                                                                               \
    if (!code->wide && depth == (m) && dim == 4) {                                                 \
        weave(4, 0, m, layers, digits, back);                                                      \
        return;                                                                                    \
    }                                                                                              \
    if (!code->wide && depth == (m) && dim == 8) {                                                 \
        weave(8, 0, m, layers, digits, back);                                                      \
        return;                                                                                    \
    }
#define WEAVE(d)                                                                                   \
    if (dim == (d) && code->wide) weave(d, 1, depth, layers, digits, back);                        \
    if (dim == (d) && !code->wide) weave(d, 0, depth, layers, digits, back);
    FOR_EACH_HOT_DEPTH(WEAVE_HOT)
    FOR_EACH_DIM(WEAVE)
}

/* Digits of the `here` vectors that a block has; a part of a block goes by way of a copy. */
HLQ_BODY void store_digits(const hlq_hnlq *code, hlq_layers *layers, size_t here, char *digits)
{
    char copy[sizeof layers->word];
    if (here == (size_t)(HLQ_BLOCK_ELEMS / code->dim)) {
        weave_block(code, layers, digits, 0);
    } else {
        weave_block(code, layers, copy, 0);
        memcpy(digits, copy, here * vector_bytes(code));
    }
}

HLQ_BODY void load_digits(const hlq_hnlq *code, const char *digits, size_t here, hlq_layers *layers)
{
    char copy[sizeof layers->word];
    size_t whole = (size_t)(HLQ_BLOCK_ELEMS / code->dim);
    if (here == whole) {
        char *only_read = (char *)(uintptr_t)digits;
        weave_block(code, layers, only_read, 1);
    } else {
        memset(copy, 0, whole * vector_bytes(code));
        memcpy(copy, digits, here * vector_bytes(code));
        weave_block(code, layers, copy, 1);
    }
}

/* A byte for each lane. */
typedef struct {
    uint8_t lane[HLQ_LANES];
} lane_bytes;

HLQ_BODY void set_bytes(lane_bytes *bytes, uint32_t lanes, int value)
{
    for (; lanes; lanes &= lanes - 1) bytes->lane[__builtin_ctz(lanes)] = (uint8_t)value;
}

#endif

/* What is added after scaling, in rows: centre plus dither. */
HLQ_BODY void load_shift(const hlq_hnlq *code, int dim, hlq_dither_at dither, size_t first,
                         size_t here, F shift[HLQ_ROWS])
{
    if (dither.stride) {
        load_some_vectors(dim, dither.z + first * dither.stride, here, shift);
    } else {
        for (int r = 0; r < HLQ_ROWS; r++) shift[r] = f_set(dither.z ? dither.z[r % dim] : 0.0f);
    }
    for (int r = 0; r < HLQ_ROWS; r++) shift[r] = f_add(shift[r], f_set(code->centre[r % dim]));
}

#endif
