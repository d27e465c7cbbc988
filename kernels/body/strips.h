/*
 * Where the indices of packed weights lie: in tiles of 64 rows of W (in the last, rows that are
 * missing have index 0), of a tile in strips as look_up.h has them, one after the other: first all
 * that come in pairs, from the finest layer on, then single ones.
 */
#ifndef HLQ_BODY_STRIPS_H
#define HLQ_BODY_STRIPS_H

#include "plain.h"

#include "../look_up.h"

/* Of the index of one layer of one block of a row. */
HLQ_PLAIN size_t index_at(const hlq_strips *strips, size_t row, size_t block, int layer)
{
    const size_t tile = row / HLQ_TILE_ROWS, in_tile = row % HLQ_TILE_ROWS;
    const size_t layers = tile * (size_t)strips->depth, bytes = HLQ_TILE_ROWS * strips->blocks;
    if (layer < 2 * strips->pairs) {
        return (layers + (size_t)(layer / 2 * 2)) * bytes + block * (2 * HLQ_TILE_ROWS) +
               2 * in_tile + (size_t)(layer % 2);
    }
    return (layers + (size_t)layer) * bytes + block * HLQ_TILE_ROWS + 2 * (in_tile % 32) +
           in_tile / 32;
}

#endif
