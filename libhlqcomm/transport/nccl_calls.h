/*
 * What the library needs of NCCL, as a table: found at run time in the process's own NCCL, so that
 * no version is built in; or that of a test without GPUs. Functions return a ncclResult_t. Numbers
 * and types are those of nccl.h, which NCCL keeps: https://github.com/NVIDIA/nccl, src/nccl.h.in.
 */
#ifndef HLQ_TRANSPORT_NCCL_CALLS_H
#define HLQ_TRANSPORT_NCCL_CALLS_H

#include <hlqcomm/nccl.h>

enum {
    HLQ_NCCL_SUCCESS = 0,
    HLQ_NCCL_IN_PROGRESS = 7,
    HLQ_NCCL_LEAST = 21800, /* 2.18.0: ncclCommSplit */
};

/* ncclDataType_t of what has one; ncclRedOp_t. */
enum {
    HLQ_NCCL_INT8 = 0,
    HLQ_NCCL_UINT8 = 1,
    HLQ_NCCL_INT32 = 2,
    HLQ_NCCL_INT64 = 4,
    HLQ_NCCL_FLOAT16 = 6,
    HLQ_NCCL_FLOAT32 = 7,
    HLQ_NCCL_FLOAT64 = 8,
    HLQ_NCCL_BFLOAT16 = 9,
};
enum { HLQ_NCCL_SUM, HLQ_NCCL_PROD, HLQ_NCCL_MAX, HLQ_NCCL_MIN, HLQ_NCCL_AVG };

typedef struct hlq_nccl_calls {
    const char *(*GetErrorString)(int result);
    int (*GetVersion)(int *version);
    int (*CommSplit)(ncclComm_t comm, int color, int key, ncclComm_t *split, void *config);
    int (*CommDestroy)(ncclComm_t comm);
    int (*CommAbort)(ncclComm_t comm);
    int (*CommGetAsyncError)(ncclComm_t comm, int *result);
    int (*CommCount)(ncclComm_t comm, int *count);
    int (*CommCuDevice)(ncclComm_t comm, int *device);
    int (*CommUserRank)(ncclComm_t comm, int *rank);
    int (*GroupStart)(void);
    int (*GroupEnd)(void);
    int (*Send)(const void *data, size_t count, int type, int peer, ncclComm_t comm,
                hlq_stream stream);
    int (*Recv)(void *data, size_t count, int type, int peer, ncclComm_t comm, hlq_stream stream);
    int (*AllGather)(const void *send, void *recv, size_t count, int type, ncclComm_t comm,
                     hlq_stream stream);
    int (*AllReduce)(const void *send, void *recv, size_t count, int type, int op, ncclComm_t comm,
                     hlq_stream stream);
    int (*ReduceScatter)(const void *send, void *recv, size_t count, int type, int op,
                         ncclComm_t comm, hlq_stream stream);

    /* From 2.28; NULL before. */
    int (*AlltoAll)(const void *send, void *recv, size_t count, int type, ncclComm_t comm,
                    hlq_stream stream);
} hlq_nccl_calls;

/* Those of the NCCL that this process has loaded, else of libnccl.so.2 wherever it is found; NULL,
   with a sentence, if there is none or it is too old. Thread safe. */
const hlq_nccl_calls *hlq_nccl_library(char *error);

#endif
