/*
 * libhlqcomm over NCCL, for tensors in GPU memory. Link hlqcomm_nccl beside hlqcomm. Needs neither
 * nccl.h nor a link to NCCL: the one that the process has loaded is found at run time, else
 * libnccl.so.2 (2.18 or newer).
 */
#ifndef HLQCOMM_NCCL_H
#define HLQCOMM_NCCL_H

#include <hlqcomm/hlqcomm.h>

#ifdef __cplusplus
extern "C" {
#endif

/* NCCL's own, whether or not nccl.h comes with it. */
struct ncclComm;
typedef struct ncclComm *ncclComm_t;

/*
 * Makes a communicator over the ranks of nccl_comm; collective over it, and waits for all of them.
 * It is split off (ncclCommSplit): work of libhlqcomm never meets the program's own on nccl_comm,
 * which may be destroyed afterwards. options: NULL for the defaults. On failure *comm is NULL; see
 * hlq_create_error(). Destroying is collective as ncclCommDestroy is.
 *
 * Tensors are all in memory of nccl_comm's device, aligned to their elements, or all in the host's.
 *
 * Of the device: hlqcomm/hlqcomm.h holds, but that calls only add their work to the stream and
 * return, as NCCL's do; HLQ_OK says that this was possible. Nothing waits for the stream or for
 * ranks, and work can be captured into a graph, after the same call was made once outside, for its
 * workspace (else HLQ_E_INVALID, and nothing was captured).
 *  - send, recv and the residual stay allocated until the stream comes there. Calls on one
 *    communicator follow each other whatever their streams; graphs are for the caller to order.
 *  - hlq_X_start() gives a request that ends with the work's status. For calls without one,
 *    hlq_comm_async_error() tells what has gone wrong by now, and so does the next call.
 *  - Arguments are compared across ranks on the way. Where they differ, or where a message is
 *    damaged, results become NaN on the ranks that find it; the communicator is then broken on all,
 *    on others when their time is over. A graph's launches tell by NaN alone.
 *  - AUTO does not measure: tensors of min_bytes and more are compressed, smaller ones are NCCL's.
 *    TWOSHOT, ONESHOT, HIERARCHICAL and NATIVE; no MODQ, no target and no bound mode, no exempt
 *    ranges, and no counts per rank: HLQ_E_UNSUPPORTED. NATIVE has no int16, and its sums are as
 *    NCCL orders them; those within a node, of HIERARCHICAL, are in the order of ranks.
 *  - hlq_stats has bytes, overloads and blocks that are NaN, but neither times nor estimates;
 *    hlq_comm_plan() has the bytes on the wire, and as workspace that of host tensors.
 *
 * Tensors of the host go through memory of the device, and everything is as over MPI.
 */
HLQ_API HLQ_MUST_USE hlq_status hlq_comm_create_nccl(ncclComm_t nccl_comm,
                                                     const hlq_options *options, hlq_comm **comm);

/* Version of the NCCL in use, "2.28.3"; NULL if there is none that can be used. Static storage. */
HLQ_API const char *hlq_nccl_version(void);

#ifdef __cplusplus
}
#endif
#endif
