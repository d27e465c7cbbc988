/*
 * nccl_pair.h without a GPU and without NCCL: the device's communicator goes over threads by way of
 * the host (transport/staged.h), with CUDA by its stand-in.
 */
#ifndef HLQ_TEST_PAIR_STAGED_H
#define HLQ_TEST_PAIR_STAGED_H

#include "nccl_pair.h"

#include <hlqcomm/transport.h>

/* How pairs are made from here on; told when no ranks are at work. */
typedef struct {
    int is_direct;
    size_t piece_bytes;
    int failing; /* the rank whose transport for the device's messages fails; -1: none */
    enum { FAILS_IN_START, FAILS_IN_TEST, IS_SILENT } failure;
    int exchange; /* in which one after creation, 0 being the call's terms */
    int keeps;    /* not 0: transports go on using memory of exchanges that were given up */
} staged_kind;
void pair_staged_as(const staged_kind *kind);

/* Exchanges of calls that all ranks together have started since. */
int pair_staged_exchanges(void);

#endif
