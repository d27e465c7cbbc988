/*
 * CUDA and NCCL without a GPU: streams are threads that work off what is put onto them, memory of
 * the device is the host's, ranks are threads, whose communicators meet in this process. As with
 * the real ones, calls return at once, and what is on a stream may wait for other ranks for ever.
 *
 * Only what libhlqcomm uses of them (transport/cuda_calls.h, nccl_calls.h), and what tests need to
 * look behind it.
 */
#ifndef HLQ_TEST_STAND_IN_H
#define HLQ_TEST_STAND_IN_H

#include <transport/cuda_calls.h>
#include <transport/nccl_calls.h>
#include <wire/device.h>

extern const hlq_cuda_calls stand_in_cuda;
extern const hlq_nccl_calls stand_in_nccl, stand_in_old_nccl; /* old: before 2.28 */
/* Segments as work on these streams, done by the host's own functions, or by another table, whose
   functions then come one at a time if it must be so. */
extern const hlq_device_wire stand_in_wire, stand_in_host_wire;
void stand_in_wire_by(const hlq_device_wire *wire, int one_at_a_time);

/* Where memory of the device, and what is pinned, comes from; the heap, unless it is said. */
void stand_in_memory_by(void *(*allocate)(size_t bytes), void (*release)(void *p));

/* run(argument) on a stream, after all that was put there before. The argument is copied. */
int stand_in_put(hlq_stream stream, void (*run)(void *argument), const void *argument,
                 size_t bytes);

/* Waits until a stream is empty. */
void stand_in_synchronize(hlq_stream stream);

/* Between the two, what is put onto the stream becomes a graph instead; launched, it is work. */
typedef struct stand_in_graph stand_in_graph;
void stand_in_capture(hlq_stream stream);
stand_in_graph *stand_in_captured(hlq_stream stream);
void stand_in_launch(const stand_in_graph *graph, hlq_stream stream);
void stand_in_graph_free(stand_in_graph *graph);

/* What is allocated on the device and not released yet. */
size_t stand_in_allocations(void);

/* A communicator for each of `size` ranks. */
void stand_in_comms(int size, ncclComm_t *comm);

/* Called with every message of ranks as it arrives, to damage it; NULL: nobody is. */
typedef void stand_in_tamper(int from, int to, void *data, size_t bytes);
void stand_in_set_tamper(stand_in_tamper *tamper);

#endif
