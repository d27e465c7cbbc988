/*
 * A communicator: a transport, options, and the collectives under way on it.
 */
#ifndef HLQ_COLLECTIVE_COMM_H
#define HLQ_COLLECTIVE_COMM_H

#include "log.h"
#include "nodes.h"
#include "probe.h"
#include "workspace.h"

#include <kernels/kernels.h>
#include <wire/codec.h>
#include <wire/team.h>

#include <hlqcomm/transport.h>

struct hlq_comm {
    hlq_transport transport;
    int rank, size;
    hlq_options options;
    hlq_logger log;
    hlq_team team; /* kernels, and the threads they run on */
    hlq_nodes nodes;
    hlq_probe probe;
    struct hlq_device *device;  /* device/device.h; NULL: tensors are the host's */
    struct hlq_request *active; /* collectives under way, oldest first */
    struct hlq_request *idle;   /* others' memory, for the next ones */
    uint32_t call;              /* number of the collective started last; 0 is creation */
    int broken;
    hlq_stats stats; /* of the collective that ended last */
    char error[HLQ_ERROR_BYTES];
};

/* As hlq_comm_create_callbacks(), over a complete transport, which it takes over together with a
   device, if that is not NULL. */
hlq_status hlq_comm_create_on(const hlq_transport *transport, struct hlq_device *device,
                              const hlq_options *options, hlq_comm **comm);

/* Sets the estimate of the error: error and energy are sums of squares. Where float64's squares go
   beyond double there is none, as where there is no energy. */
void hlq_stats_estimate(hlq_stats *stats, double error, double energy);

/* Bits per element as every algorithm and rival is counted, for sent_elems that plain numbers would
   need to send: an fp32 ring is 32. */
double hlq_bits_per_elem(uint64_t bytes_sent, double sent_elems);

#define HLQ_TRY(expression)                                                                        \
    do {                                                                                           \
        hlq_status try_status_ = (expression);                                                     \
        if (try_status_ != HLQ_OK) return try_status_;                                             \
    } while (0)

#endif
