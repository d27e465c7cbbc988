/*
 * Who is given which numbers. Pure arithmetic.
 *
 * In an all-reduce, blocks are dealt out like cards: rank p owns blocks p, p+n, p+2n, …, so that
 * every rank's part is a fair sample of the tensor: parts get equal budgets, and a part that held
 * one large layer would starve while others had bits to spare. The other operations have it in
 * their meaning who gets what: whole stretches of a buffer, each a tensor of its own.
 */
#ifndef HLQ_COLLECTIVE_PARTITION_H
#define HLQ_COLLECTIVE_PARTITION_H

#include <kernels/kernels.h>

/* Blocks of a tensor of `elems` elements that starts at element `start` of a buffer. */
typedef struct hlq_part {
    size_t start, elems;
    hlq_place place;
} hlq_part;

/* Blocks of a tensor. */
size_t hlq_block_count(size_t elems);

/* All blocks of a tensor, and those that rank p of n owns. */
hlq_place hlq_place_all(size_t elems, uint64_t seed);
hlq_place hlq_place_part(size_t elems, uint64_t seed, int p, int n);

/* Split of count things into n runs of nearly equal length: where run p starts (p = n: end). */
size_t hlq_split_start(size_t count, int p, int n);

#endif
