/*
 * The loops of elements.h.
 */
#include "elements.h"

#include <string.h>

static float widen(uint16_t x)
{
    uint32_t u = (uint32_t)x << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static uint16_t narrow(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return x != x ? 0x7fc0 : (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

void hlq_elements_add(float *sum, const void *data, hlq_dtype dtype, size_t elems)
{
    const char *p = data;
    for (size_t i = 0; i < elems; i++) {
        float f;
        uint16_t h;
        if (dtype == HLQ_BFLOAT16) {
            memcpy(&h, p + i * sizeof h, sizeof h);
            f = widen(h);
        } else {
            memcpy(&f, p + i * sizeof f, sizeof f);
        }
        sum[i] += f;
    }
}

void hlq_elements_store(void *data, const float *sum, hlq_dtype dtype, size_t elems, float factor)
{
    char *p = data;
    for (size_t i = 0; i < elems; i++) {
        float f = sum[i] * factor;
        uint16_t h = narrow(f);
        if (dtype == HLQ_BFLOAT16) memcpy(p + i * sizeof h, &h, sizeof h);
        else memcpy(p + i * sizeof f, &f, sizeof f);
    }
}
