/*
 * Walking through places and runs in pieces; plain C, the same for all variants.
 */
#include "kernels.h"

hlq_place hlq_place_take(hlq_place *rest, size_t blocks)
{
    hlq_place first = *rest;
    if (blocks < first.blocks) first.blocks = blocks;
    rest->blocks -= first.blocks;
    rest->first += first.blocks * rest->stride;
    if (rest->list) rest->list += first.blocks;
    return first;
}

hlq_run hlq_run_take(hlq_run *rest, size_t blocks)
{
    hlq_run first = *rest;
    first.place = hlq_place_take(&rest->place, blocks);
    size_t coded = 0, planes = 0;
    for (size_t b = 0; b < first.place.blocks; b++) {
        coded += first.bits[b] != 0;
        planes += first.bits[b];
    }
    rest->code += first.place.blocks;
    rest->bits += first.place.blocks;
    if (rest->wide) rest->wide += first.place.blocks / 8;
    rest->side += coded * (rest->modular ? 1 : HLQ_RAMP_WORDS);
    rest->planes += planes * HLQ_PLANE_WORDS;
    return first;
}

uint64_t hlq_run_nonfinite(const hlq_run *run)
{
    uint64_t count = 0;
    for (size_t b = 0; b < run->place.blocks; b++) count += run->code[b] == HLQ_CODE_NONFINITE;
    return count;
}
