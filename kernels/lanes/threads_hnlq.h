/*
 * Where lanes are threads, each loads and stores for itself: digits of its vectors, numbers of
 * parts of blocks. Included by body/hnlq_layout.h, for vocabularies that say HLQ_LANES_ARE_THREADS.
 * Digits are aligned to 4 bytes.
 */
#ifndef HLQ_LANES_THREADS_HNLQ_H
#define HLQ_LANES_THREADS_HNLQ_H

/* The digits of a block in memory, of which `here` vectors exist. */
typedef struct {
    char *digits;
    size_t here;
} hlq_layers;

/* Which vector of a block a lane has in group g; group_of() and lane_of(), backwards. */
HLQ_BODY size_t vector_of_lane(int dim, int g)
{
    return (size_t)((g * dim + lane() % dim) * (HLQ_LANES / dim) + lane() / dim);
}

HLQ_BODY char *layer_at(const hlq_hnlq *code, int dim, int m, int g, const hlq_layers *layers)
{
    size_t layer = (size_t)(m * dim) << code->wide;
    return layers->digits + vector_of_lane(dim, g) * vector_bytes(code) + layer;
}

/* A word at a time. `wide` is a constant, so that z stays in registers. */
HLQ_BODY void store_words(int dim, int wide, const I z[HLQ_ROWS], char *at)
{
    int per = digits_per_word(dim, wide), size = per << wide;
    for (int r = 0; r < dim; r += per, at += size) {
        I word = z[r];
        for (int j = 1; j < per; j++) word = i_or(word, i_shl(z[r + j], j * (8 << wide)));
        if (size == 4) *(uint32_t *)at = (uint32_t)word;
        if (size == 2) *(uint16_t *)at = (uint16_t)word;
        if (size == 1) *(uint8_t *)at = (uint8_t)word;
    }
}

HLQ_BODY void load_words(int dim, int wide, const char *at, I z[HLQ_ROWS])
{
    int per = digits_per_word(dim, wide), size = per << wide;
    for (int r = 0; r < dim; r += per, at += size) {
        uint32_t word = size == 4   ? *(const uint32_t *)at
                        : size == 2 ? *(const uint16_t *)at
                                    : *(const uint8_t *)at;
        for (int j = 0; j < per; j++) {
            z[r + j] = (I)(word >> j * (8 << wide) & (wide ? 0xffffu : 0xffu));
        }
    }
}

HLQ_BODY void store_layer(const hlq_hnlq *code, int dim, int m, int g, const I z[HLQ_ROWS],
                          hlq_layers *layers)
{
    if (vector_of_lane(dim, g) >= layers->here) return;
    char *at = layer_at(code, dim, m, g, layers);
    if (code->wide) store_words(dim, 1, z, at);
    else store_words(dim, 0, z, at);
}

/* Digits of vectors that do not exist are 0. */
HLQ_BODY void load_layer(const hlq_hnlq *code, int dim, int m, int g, const hlq_layers *layers,
                         I z[HLQ_ROWS])
{
    const char *at = layer_at(code, dim, m, g, layers);
    for (int r = 0; r < dim; r++) z[r] = 0;
    if (vector_of_lane(dim, g) >= layers->here) return;
    if (code->wide) load_words(dim, 1, at, z);
    else load_words(dim, 0, at, z);
}

/* All bits of the digits of a mask's lanes become one: no digits, unless q is 256. */
HLQ_BODY void spoil_vectors(const hlq_hnlq *code, int dim, int g, uint32_t lanes,
                            const hlq_layers *layers)
{
    if (!is_lane_in(lanes) || vector_of_lane(dim, g) >= layers->here) return;
    uint8_t *at = (uint8_t *)layer_at(code, dim, 0, g, layers);
    for (size_t i = 0; i < vector_bytes(code); i++) at[i] = 0xff;
}

HLQ_BODY void load_some_vectors(int dim, const float *x, size_t here, F rows[HLQ_ROWS])
{
    for (int r = 0; r < HLQ_ROWS; r++) {
        size_t at = (size_t)(HLQ_LANES * r + lane());
        rows[r] = at < here * (size_t)dim ? x[at] : 0.0f;
    }
    f_rows_exchange(dim, rows);
}

HLQ_BODY void store_some_vectors(int dim, F rows[HLQ_ROWS], size_t here, float *x)
{
    f_rows_exchange(dim, rows);
    for (int r = 0; r < HLQ_ROWS; r++) {
        size_t at = (size_t)(HLQ_LANES * r + lane());
        if (at < here * (size_t)dim) x[at] = rows[r];
    }
}

/* The same of flat codes. */
HLQ_BODY void load_some_flat(int dim, const uint32_t *flat, size_t here, I rows[HLQ_ROWS])
{
    for (int r = 0; r < HLQ_ROWS; r++) {
        size_t at = (size_t)(HLQ_LANES * r + lane());
        rows[r] = at < here * (size_t)dim ? (I)flat[at] : 0;
    }
    i_rows_exchange(dim, rows);
}

HLQ_BODY void store_some_flat(int dim, I rows[HLQ_ROWS], size_t here, uint32_t *flat)
{
    i_rows_exchange(dim, rows);
    for (int r = 0; r < HLQ_ROWS; r++) {
        size_t at = (size_t)(HLQ_LANES * r + lane());
        if (at < here * (size_t)dim) flat[at] = (uint32_t)rows[r];
    }
}

/* A byte for each lane. */
typedef struct {
    uint8_t own;
} lane_bytes;

HLQ_BODY void set_bytes(lane_bytes *bytes, uint32_t lanes, int value)
{
    if (is_lane_in(lanes)) bytes->own = (uint8_t)value;
}

#endif
