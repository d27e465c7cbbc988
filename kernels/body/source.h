/*
 * Blocks of what is encoded, to lane words: of a tensor, with its residual, or of an accumulator.
 */
#ifndef HLQ_BODY_SOURCE_H
#define HLQ_BODY_SOURCE_H

#include "tensor.h"

static const float not_a_number = __builtin_nanf("");

HLQ_BODY uint64_t position(const hlq_place *place, size_t i)
{
    return place->list ? place->list[i] : place->first + i * place->stride;
}

/* Block i of an accumulator. */
HLQ_BODY const void *rotated_block(const hlq_place *place, const hlq_source *src, size_t i)
{
    if (!src->room) return (const float *)src->data + i * HLQ_BLOCK_ELEMS;
    uint64_t index = position(place, i);
    if (block_elems(src->elems, index) < HLQ_BLOCK_ELEMS) return src->last;
    return (const char *)src->data + index * src->room;
}

/* Block i of a source, residual added; a float64 tensor in units of 2^unit. */
HLQ_BODY void load_source(const hlq_place *place, const hlq_source *src, size_t i, int unit,
                          F x[HLQ_ROWS])
{
    if (src->rotated) {
        load_full(rotated_block(place, src, i), HLQ_FLOAT32, 0, x);
        return;
    }
    load_block(src->data, src->dtype, unit, src->elems, position(place, i), x);
    if (src->residual) {
        F more[HLQ_ROWS];
        load_block(src->residual, HLQ_FLOAT32, 0, src->elems, position(place, i), more);
        for (int r = 0; r < HLQ_ROWS; r++) x[r] = f_add(x[r], more[r]);
    }
}

/* Has block i on its way to the cache. Processors look ahead by themselves, but not into the next
   page, and not from block to block of a part that is dealt out. */
HLQ_BODY void fetch_source(const hlq_place *place, const hlq_source *src, size_t i)
{
    enum { LINE_BYTES = 64 };
    size_t bytes = HLQ_BLOCK_ELEMS * (src->rotated ? sizeof(float) : elem_bytes(src->dtype));
    if (i >= place->blocks) return;
    const char *p = src->rotated ? (const char *)rotated_block(place, src, i)
                                 : (const char *)src->data + position(place, i) * bytes;
    for (size_t at = 0; at < bytes; at += LINE_BYTES) __builtin_prefetch(p + at);
}

HLQ_BODY void fill_rows(F x[HLQ_ROWS], float value)
{
    for (int r = 0; r < HLQ_ROWS; r++) x[r] = f_set(value);
}

/* Whether exponents() takes the block for zero. */
HLQ_BODY int counts_as_zero(const F x[HLQ_ROWS])
{
    uint32_t normal = 0;
    for (int r = 0; r < HLQ_ROWS; r++) normal |= f_abs_not_below(x[r], 0x1p-126f);
    return !normal;
}

#endif
