/*
 * XXH64 on the host.
 */
#include "checksum.h"
#include "checksum_steps.h"

/* The whole stripes of data; *p moves behind them. */
static uint64_t stripes(const uint8_t **p, const uint8_t *end, uint64_t seed)
{
    uint64_t sum[CHECKSUM_SUMS];
    const uint8_t *at = *p;
    for (int i = 0; i < CHECKSUM_SUMS; i++) sum[i] = first_sum(i, seed);
    for (; end - at >= CHECKSUM_STRIPE; at += CHECKSUM_STRIPE) {
        for (int i = 0; i < CHECKSUM_SUMS; i++)
            sum[i] = stir(sum[i], read64(at + CHECKSUM_WORD * i));
    }
    *p = at;
    return merge_sums(sum);
}

uint64_t hlq_checksum(const void *data, size_t bytes, uint64_t seed)
{
    const uint8_t *p = data, *end = bytes ? p + bytes : p; /* data may be NULL */
    uint64_t h = bytes >= CHECKSUM_STRIPE ? stripes(&p, end, seed) : without_stripes(seed);
    return finish(h, bytes, p, end);
}
