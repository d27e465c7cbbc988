/*
 * What the test of hlqcomm/cuda.h needs of a GPU beside nccl_pair.h: of stand-ins
 * (stand_in_quantizer.c), or of CUDA (device_quantizer.c).
 */
#ifndef HLQ_TEST_QUANTIZER_GPU_H
#define HLQ_TEST_QUANTIZER_GPU_H

#include "nccl_pair.h"

/* A pair of which only the streams are made. */
void gpu_open(pair *p);
void gpu_close(pair *p);

/* Makes another device the current one, or the first again; 0: there is no other. */
int gpu_use_other(int other);

/* The next kernel cannot be launched, or memory be allocated; 0: that cannot be had. */
int gpu_fail_next(void);

/* Memory of the device with a copy of the host's, or of a byte repeated. */
static inline void *copied(const void *host, size_t bytes)
{
    void *there = pair_memory(bytes);
    pair_put(there, host, bytes);
    return there;
}

static inline void *filled(int byte, size_t bytes)
{
    void *host = malloc(bytes + 1);
    MUST(host != NULL);
    memset(host, byte, bytes);
    void *there = copied(host, bytes);
    free(host);
    return there;
}

static inline void check_device(const void *there, const void *want, size_t bytes, const char *what)
{
    void *got = malloc(bytes + 1);
    MUST(got != NULL);
    pair_get(got, there, bytes);
    hlq_check_bytes(got, want, bytes, __FILE__, __LINE__, what);
    free(got);
}

static inline void check_counter(const uint64_t *there, uint64_t want)
{
    uint64_t got;
    pair_get(&got, there, sizeof got);
    CHECK_EQ(got, want);
}

#endif
