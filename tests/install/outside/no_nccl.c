/*
 * hlqcomm/nccl.h from outside, without a communicator of NCCL: a status and a sentence, whether or
 * not this machine has NCCL.
 */
#include <hlqcomm/nccl.h>

#include <stdio.h>

int main(void)
{
    hlq_comm *comm = NULL;
    hlq_status status = hlq_comm_create_nccl(NULL, NULL, &comm);
    const char *version = hlq_nccl_version();
    printf("NCCL %s: %s\n", version ? version : "not found", hlq_create_error());
    return status == HLQ_OK || comm || !*hlq_create_error();
}
