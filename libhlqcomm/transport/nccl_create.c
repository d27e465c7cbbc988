/*
 * The communicator of hlqcomm/nccl.h, by the NCCL of this process and the kernels of GPUs.
 */
#include "nccl_endpoint.h"

#include "transport_internal.h"

#include <wire/device.h>

#include <stdio.h>

hlq_status hlq_comm_create_nccl(ncclComm_t nccl_comm, const hlq_options *options, hlq_comm **comm)
{
    char error[HLQ_ERROR_BYTES] = "";
    const hlq_nccl_calls *nccl = hlq_nccl_library(error);
    if (comm) *comm = NULL;
    if (!nccl) return hlq_create_failed(HLQ_E_TRANSPORT, error);
    return hlq_nccl_create(nccl, &hlq_cuda_runtime, &hlq_wire_cuda, nccl_comm, options, comm);
}

const char *hlq_nccl_version(void)
{
    static _Thread_local char text[32];
    char error[HLQ_ERROR_BYTES];
    int version = 0;
    const hlq_nccl_calls *nccl = hlq_nccl_library(error);
    if (!nccl || nccl->GetVersion(&version) != HLQ_NCCL_SUCCESS) return NULL;
    snprintf(text, sizeof text, "%d.%d.%d", version / 10000, version / 100 % 100, version % 100);
    return text;
}
