/*
 * A rank's end of an NCCL communicator: what nccl.c (messages of the host) and nccl_carrier.c
 * (tensors of the device) share.
 */
#ifndef HLQ_TRANSPORT_NCCL_ENDPOINT_H
#define HLQ_TRANSPORT_NCCL_ENDPOINT_H

#include "cuda_order.h"
#include "nccl_calls.h"

typedef struct nccl_endpoint {
    hlq_cuda_order order; /* first: cuda_order.h. Messages of the host go on its own stream */
    const hlq_nccl_calls *nccl;
    ncclComm_t comm; /* NULL once it was aborted */
    int rank, size;
    double timeout_s; /* for NCCL to start things */

    /* Messages of the host: all that are sent, then all that come, in pinned memory and again on
       the device. */
    char *staged, *on_device;
    size_t room;
    hlq_event arrived;

    hlq_stream aside; /* the carrier's second stream, and its notes */
    hlq_event *notes; /* 1 + size */
} nccl_endpoint;

/* HLQ_OK, or what went wrong in `what`. An NCCL that is still at it is waited for. */
hlq_status nccl_check(const nccl_endpoint *e, int result, const char *what, char *error);

/* What has become of the work that was given to NCCL. */
hlq_status nccl_look(const nccl_endpoint *e, char *error);

/* Messages from and to memory of the device. */
hlq_status nccl_exchange(const nccl_endpoint *e, const hlq_message *send, const hlq_message *recv,
                         hlq_stream stream, char *error);

/* The endpoint as a carrier. */
hlq_carrier nccl_carrier_of(nccl_endpoint *e);

/*
 * A communicator by these calls. What hlq_comm_create_nccl() does, with NCCL, CUDA and kernels to
 * choose.
 */
hlq_status hlq_nccl_create(const hlq_nccl_calls *nccl, const hlq_cuda_calls *cuda,
                           const struct hlq_device_wire *wire, ncclComm_t nccl_comm,
                           const hlq_options *options, hlq_comm **comm);

#endif
