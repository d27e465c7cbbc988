/*
 * Segments of a device, in memory that the host sees, too: by the emulated warp (warp_wire.cpp), or
 * on a GPU (device_wire.c). A test links one or the other.
 */
#ifndef HLQ_TEST_GPU_WIRE_H
#define HLQ_TEST_GPU_WIRE_H

#include "gpu_kernels.h"

#include <wire/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Its functions return when the work is done; streams do not count. */
extern const hlq_device_wire hlq_wire_gpu;

/* Memory that both see, at a multiple of 64. */
void *hlq_gpu_alloc(size_t bytes);
void hlq_gpu_free(void *p);

#ifdef __cplusplus
}
#endif

#endif
