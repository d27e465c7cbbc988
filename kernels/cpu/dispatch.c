/*
 * Chooses the kernel variant: best first from variants.def, or the one that HLQ_KERNELS names. All
 * functions move together, as one pointer to one table.
 */
#include "../kernels.h"
#include "features.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const hlq_kernels *kernels;
    uint32_t needs;
} variants[] = {
#define HLQ_VARIANT(symbol, features) {&hlq_kernels_##symbol, features},
#include "../variants.def"
#undef HLQ_VARIANT
};

enum { VARIANTS = sizeof variants / sizeof *variants };

const hlq_kernels *hlq_kernels_at(int i, int *supported)
{
    if (i < 0 || i >= VARIANTS) return NULL;
    *supported = (variants[i].needs & ~hlq_cpu_features()) == 0;
    return variants[i].kernels;
}

static const hlq_kernels *choose(void)
{
    const char *wanted = getenv("HLQ_KERNELS");
    int supported;
    for (int i = 0; i < VARIANTS; i++) {
        const hlq_kernels *k = hlq_kernels_at(i, &supported);
        if (supported && (!wanted || !*wanted || strcmp(wanted, k->name) == 0)) return k;
    }
    return NULL;
}

const hlq_kernels *hlq_kernels_get(void)
{
    static _Atomic(const hlq_kernels *) chosen;
    const hlq_kernels *k = atomic_load_explicit(&chosen, memory_order_acquire);
    if (!k) {
        k = choose(); /* threads that race here choose alike */
        atomic_store_explicit(&chosen, k, memory_order_release);
    }
    return k;
}
