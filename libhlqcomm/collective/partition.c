/*
 * The arithmetic of partition.h.
 */
#include "partition.h"

size_t hlq_block_count(size_t elems)
{
    return elems / HLQ_BLOCK_ELEMS + (elems % HLQ_BLOCK_ELEMS != 0);
}

hlq_place hlq_place_all(size_t elems, uint64_t seed)
{
    return (hlq_place){.blocks = hlq_block_count(elems), .stride = 1, .seed = seed};
}

hlq_place hlq_place_part(size_t elems, uint64_t seed, int p, int n)
{
    size_t all = hlq_block_count(elems), first = (size_t)p, stride = (size_t)n;
    size_t blocks = all > first ? (all - first + stride - 1) / stride : 0;
    return (hlq_place){.blocks = blocks, .first = first, .stride = stride, .seed = seed};
}

size_t hlq_split_start(size_t count, int p, int n)
{
    size_t each = count / (size_t)n, more = count % (size_t)n;
    return each * (size_t)p + ((size_t)p < more ? (size_t)p : more);
}
