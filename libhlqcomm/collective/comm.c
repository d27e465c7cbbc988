/*
 * Life of a communicator: creation, which all ranks agree on, and destruction.
 */
#include "comm.h"
#include "request.h"
#include "device/device.h"

#include <transport/transport_internal.h>
#include <wire/plan.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local char create_error[HLQ_ERROR_BYTES];

hlq_status hlq_create_failed(hlq_status status, const char *sentence)
{
    const char *text = sentence && *sentence ? sentence : hlq_status_string(status);
    snprintf(create_error, sizeof create_error, "%s", text);
    return status;
}

const char *hlq_create_error(void) { return create_error; }

const char *hlq_comm_last_error(const hlq_comm *comm) { return comm ? comm->error : ""; }
int hlq_comm_rank(const hlq_comm *comm) { return comm ? comm->rank : -1; }
int hlq_comm_size(const hlq_comm *comm) { return comm ? comm->size : -1; }
const char *hlq_kernel_variant(void)
{
    const hlq_kernels *kernels = hlq_kernels_get();
    return kernels ? kernels->name : NULL;
}

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

static const char *options_fault(const hlq_options *o)
{
    if (o->struct_bytes != sizeof *o) return "options.struct_bytes is not sizeof(hlq_options)";
    if (!hlq_lattice_name(o->lattice)) return "options.lattice does not exist";
    if (!hlq_algorithm_name(o->algorithm)) return "options.algorithm does not exist";
    if (!hlq_topology_name(o->topology)) return "options.topology does not exist";
    if (!(o->bits >= 1 && o->bits <= HLQ_BITS_MAX)) return "options.bits is not in 1 … 12";
    if ((int)o->probe < HLQ_PROBE_DEFAULT || o->probe > HLQ_PROBE_OFF) {
        return "options.probe does not exist";
    }
    if (!(o->target_nmse >= 0 && o->target_nmse < 1)) {
        return "options.target_nmse is not 0 or between 0 and 1";
    }
    if (!(o->max_error >= 0 && o->max_error <= DBL_MAX)) {
        return "options.max_error is not 0 or a positive number";
    }
    if (o->target_nmse > 0 && o->max_error > 0) {
        return "options.target_nmse and options.max_error are both given";
    }
    if ((o->target_nmse > 0 || o->max_error > 0) && o->algorithm == HLQ_ALG_MODQ) {
        return o->max_error > 0 ? "modq has no bound mode; give it bits"
                                : "modq has no target mode; give it bits";
    }
    if (o->dither && o->max_error > 0) return "bound mode has no dither; its bits follow the error";
    if (o->dither != 0 && o->dither != 1) return "options.dither is neither 0 nor 1";
    if (o->dither && o->bits < HLQ_DITHER_BUDGET && o->target_nmse == 0) {
        return "options.bits is below " TEXT(HLQ_DITHER_BUDGET) ", the least for dither";
    }
    if (!(o->timeout_s > 0)) return "options.timeout_s is not positive";
    return NULL;
}

/* Whether AUTO measures, by option or by the environment. */
static const char *probe_fault(const hlq_options *o, hlq_probe *probe)
{
    const char *word = getenv("HLQ_PROBE");
    int is_on = !word || strcmp(word, "on") == 0;
    if (o && o->probe != HLQ_PROBE_DEFAULT) is_on = o->probe == HLQ_PROBE_ON;
    else if (word && !is_on && strcmp(word, "off") != 0) return "HLQ_PROBE is neither on nor off";
    probe->is_wanted = is_on;
    return NULL;
}

/* Threads of this rank, by option or by the environment. */
static const char *threads_fault(const hlq_options *o, int *threads)
{
    const char *word = getenv("HLQ_THREADS");
    char *end = NULL;
    long wanted = o ? o->threads : 0;
    if (wanted < 0 || wanted > HLQ_THREADS_MOST) {
        return "options.threads is not 0 … " TEXT(HLQ_THREADS_MOST);
    }
    if (!wanted && word) {
        wanted = strtol(word, &end, 10);
        if (*end || end == word || wanted < 1 || wanted > HLQ_THREADS_MOST) {
            return "HLQ_THREADS is not a number from 1 to " TEXT(HLQ_THREADS_MOST);
        }
    }
    *threads = hlq_team_threads(wanted ? (int)wanted : 1);
    return NULL;
}

/* What is wrong with this rank's options or surroundings goes into the terms, for all to know. */
static hlq_terms creation_terms(const hlq_options *o, int64_t node, int is_probing,
                                const char *fault)
{
    hlq_terms terms = {.wire_version = HLQ_TALK_VERSION, .status = HLQ_OK};
    if (fault) {
        terms.status = HLQ_E_INVALID;
        snprintf(terms.sentence, sizeof terms.sentence, "%s", fault);
    } else if (!hlq_kernels_get()) {
        const char *wanted = getenv("HLQ_KERNELS");
        terms.status = HLQ_E_ISA;
        snprintf(terms.sentence, sizeof terms.sentence,
                 "HLQ_KERNELS=%.40s names no variant that this processor can run",
                 wanted ? wanted : "");
    }
    terms.value[HLQ_TERM_FUNCTION] = HLQ_FUNCTION_CREATE;
    terms.value[HLQ_TERM_LATTICE] = (uint64_t)o->lattice;
    terms.value[HLQ_TERM_ALGORITHM] = (uint64_t)o->algorithm;
    terms.value[HLQ_TERM_BITS] = hlq_term_from_double(o->bits);
    terms.value[HLQ_TERM_TARGET] = hlq_term_from_double(o->target_nmse);
    terms.value[HLQ_TERM_MAX_ERROR] = hlq_term_from_double(o->max_error);
    terms.value[HLQ_TERM_SEED] = o->seed;
    terms.value[HLQ_TERM_MIN_BYTES] = o->min_bytes;
    terms.value[HLQ_TERM_PROBE] = (uint64_t)is_probing;
    terms.value[HLQ_TERM_TOPOLOGY] = (uint64_t)o->topology;
    terms.value[HLQ_TERM_DITHER] = (uint64_t)o->dither;
    terms.node = node;
    return terms;
}

static hlq_status allocate(const hlq_transport *transport, hlq_comm **comm)
{
    hlq_comm *c = calloc(1, sizeof *c);
    if (!c) return HLQ_E_NOMEM;
    c->transport = *transport;
    c->rank = transport->rank;
    c->size = transport->size;
    c->nodes.peers = calloc((size_t)c->size, sizeof *c->nodes.peers);
    c->nodes.rail = calloc((size_t)c->size, sizeof *c->nodes.rail);
    *comm = c;
    return c->nodes.peers && c->nodes.rail ? hlq_request_prepare(c) : HLQ_E_NOMEM;
}

static int transport_is_complete(const hlq_transport *t)
{
    return t->struct_bytes == sizeof *t && t->start && t->test && t->cancel && t->size >= 1 &&
           t->rank >= 0 && t->rank < t->size;
}

/* The caller's group, else the carrier's node, beyond all groups, else one of the rank's own. */
static int64_t node_of(const hlq_comm *c)
{
    const uint64_t beyond = UINT64_C(1) << 62;
    if (c->options.group) return c->options.group;
    if (!c->transport.node) return -1 - (int64_t)c->rank;
    return (int64_t)(c->transport.node % beyond + beyond);
}

/* Measured, codes can be known to pay for shorter tensors than without. */
static size_t least_bytes(const hlq_comm *c)
{
    const size_t measured = 1 << 14, otherwise = 1 << 16;
    if (c->options.min_bytes != HLQ_MIN_BYTES_DEFAULT) return c->options.min_bytes;
    return c->probe.is_wanted && !c->device ? measured : otherwise;
}

/* Compares options with all ranks, and learns which are on which node. */
static hlq_status agree(hlq_comm *c, const hlq_terms *mine)
{
    size_t n = (size_t)c->size;
    hlq_terms *all = malloc(n * sizeof *all);
    int64_t *node = malloc(n * sizeof *node);
    hlq_status status = all && node ? hlq_request_compare(c, mine, all) : HLQ_E_NOMEM;
    for (size_t p = 0; p < n && status == HLQ_OK; p++) node[p] = all[p].node;
    if (status == HLQ_OK) hlq_nodes_find(&c->nodes, node, c->rank, c->size);
    free(all);
    free(node);
    return status;
}

hlq_status hlq_comm_create_on(const hlq_transport *transport, struct hlq_device *device,
                              const hlq_options *options, hlq_comm **comm)
{
    static const hlq_options defaults = HLQ_OPTIONS_INIT;
    hlq_comm *c = NULL;
    hlq_status status = allocate(transport, &c);
    if (c) c->device = device;
    if (status != HLQ_OK) {
        if (c) {
            hlq_comm_destroy(c);
        } else {
            hlq_device_free(device);
            if (transport->destroy) transport->destroy(transport->self);
        }
        return hlq_create_failed(status, NULL);
    }
    char log_fault[80];
    int threads = 1;
    c->log = hlq_logger_of(options, log_fault, sizeof log_fault);
    const char *fault = options ? options_fault(options) : NULL;
    if (!fault && *log_fault) fault = log_fault;
    if (!fault) fault = probe_fault(options, &c->probe);
    if (!fault) fault = threads_fault(options, &threads);
    if (!comm) fault = "comm is NULL";
    c->options = options && !fault ? *options : defaults;
    c->options.min_bytes = least_bytes(c);
    c->team = (hlq_team){hlq_kernels_get(), threads};
    hlq_terms mine = creation_terms(&c->options, node_of(c), c->probe.is_wanted, fault);
    status = agree(c, &mine);
    if (status != HLQ_OK) {
        if (!c->broken) hlq_log(c, HLQ_LOG_ERROR, "not created: %s", c->error);
        hlq_create_failed(status, c->error);
        hlq_comm_destroy(c);
        return status;
    }
    memset(&c->stats, 0, sizeof c->stats);
    hlq_log_created(c);
    *comm = c;
    return HLQ_OK;
}

hlq_status hlq_comm_create_callbacks(const hlq_transport *transport, const hlq_options *options,
                                     hlq_comm **comm)
{
    if (!transport) return hlq_create_failed(HLQ_E_INVALID, "transport is NULL");
    if (comm) *comm = NULL;
    if (transport_is_complete(transport)) {
        return hlq_comm_create_on(transport, NULL, options, comm);
    }
    if (transport->struct_bytes == sizeof *transport && transport->destroy) {
        transport->destroy(transport->self);
    }
    return hlq_create_failed(HLQ_E_INVALID, "the transport table is incomplete");
}

hlq_status hlq_comm_create_threads(hlq_thread_group *group, int rank, const hlq_options *options,
                                   hlq_comm **comm)
{
    char error[HLQ_ERROR_BYTES] = "";
    hlq_transport transport;
    if (comm) *comm = NULL;
    hlq_status status = hlq_transport_threads(group, rank, &transport, error);
    if (status != HLQ_OK) return hlq_create_failed(status, error);
    return hlq_comm_create_callbacks(&transport, options, comm);
}

void hlq_comm_destroy(hlq_comm *comm)
{
    if (!comm) return;
    hlq_requests_free(comm);
    hlq_device_free(comm->device);
    if (comm->transport.destroy) comm->transport.destroy(comm->transport.self);
    free(comm->nodes.peers);
    free(comm->nodes.rail);
    free(comm);
}
