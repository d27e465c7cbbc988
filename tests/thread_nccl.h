/*
 * NCCL for ranks that are threads and share a GPU: as many as one likes on one GPU, which NCCL
 * itself cannot do within a process. Streams, kernels and memory are real, messages are copies
 * within the device. What stand_in_nccl.c is without one.
 *
 *   rank 0's stream   ─ ready ─ ░░░░░░░░░░░░░ wait ─▶     The host's threads meet when they put
 *                         └──────┐      ┌──────┘          their sides onto the streams; these
 *   rank 1's stream   ─ … ───── wait ─ copy ─ taken ─▶    wait for each other by events.
 *
 * Messages, gathers; no sums, and nothing that can be captured into a graph.
 */
#ifndef HLQ_TEST_THREAD_NCCL_H
#define HLQ_TEST_THREAD_NCCL_H

#include <transport/nccl_calls.h>

extern const hlq_nccl_calls thread_nccl;

/* A communicator for each of `size` ranks. */
void thread_comms(int size, ncclComm_t *comm);

#endif
