/*
 * Where lanes are threads, each loads and stores for itself, so that parts of blocks need no copy.
 * Included by body/tensor.h, for vocabularies that say HLQ_LANES_ARE_THREADS.
 */
#ifndef HLQ_LANES_THREADS_H
#define HLQ_LANES_THREADS_H

HLQ_BODY void load_part(const void *p, hlq_dtype dtype, int unit, size_t elems, F x[HLQ_ROWS])
{
    double factor = pow2_double(-unit);
    for (int r = 0; r < HLQ_ROWS; r++) {
        x[r] = 0;
        if ((size_t)(HLQ_LANES * r + lane()) < elems) {
            x[r] = load_row(p, dtype, factor, HLQ_LANES * r);
        }
    }
}

HLQ_BODY void store_part(void *p, hlq_dtype dtype, int unit, size_t elems, const F x[HLQ_ROWS])
{
    double factor = pow2_double(unit);
    for (int r = 0; r < HLQ_ROWS; r++) {
        if ((size_t)(HLQ_LANES * r + lane()) < elems) {
            store_row(p, dtype, factor, HLQ_LANES * r, x[r]);
        }
    }
}

/* Of doubles that lie as doubles do. */
HLQ_BODY int largest_field(const void *p, size_t count)
{
    uint32_t largest = 0;
    for (size_t i = (size_t)lane(); i < count; i += HLQ_LANES) {
        uint32_t field = (uint32_t)(((const uint64_t *)p)[i] >> 52 & 0x7ff);
        largest = field > largest ? field : largest;
    }
    return (int)__reduce_max_sync(WHOLE_WARP, largest);
}

#endif
