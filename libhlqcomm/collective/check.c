/*
 * What is wrong with a call, found on the rank that makes it.
 */
#include "check.h"
#include "choose.h"
#include "algorithms/modq.h"

#include <float.h>
#include <stdint.h>
#include <stdio.h>

static const hlq_fault none = {HLQ_OK, ""};
#define INVALID(sentence) ((hlq_fault){HLQ_E_INVALID, sentence})

static hlq_fault call_fault(const hlq_call *call)
{
    if (call->struct_bytes != sizeof *call) {
        return INVALID("call.struct_bytes is not sizeof(hlq_call)");
    }
    if (!hlq_algorithm_name(call->algorithm)) return INVALID("call.algorithm does not exist");
    if (call->bits != 0 && !(call->bits >= 1 && call->bits <= HLQ_BITS_MAX)) {
        return INVALID("call.bits is not 0 or in 1 … 12");
    }
    if (!(call->target_nmse >= 0 && call->target_nmse < 1)) {
        return INVALID("call.target_nmse is not 0 or between 0 and 1");
    }
    if (!(call->max_error >= 0 && call->max_error <= DBL_MAX)) {
        return INVALID("call.max_error is not 0 or a positive number");
    }
    if ((call->bits != 0) + (call->target_nmse > 0) + (call->max_error > 0) > 1) {
        return INVALID("more than one of call.bits, call.target_nmse and call.max_error is given");
    }
    return none;
}

/* The call's choice, or the communicator's. */
static hlq_algorithm wanted_of(const hlq_walk *w, const hlq_call *call)
{
    hlq_algorithm own = call ? call->algorithm : HLQ_ALG_AUTO;
    return own == HLQ_ALG_AUTO ? w->comm->options.algorithm : own;
}

/* Whether a sum is to be made by an algorithm. */
static int is_wanted(const hlq_walk *w, const hlq_call *call, hlq_algorithm algorithm)
{
    return wanted_of(w, call) == algorithm && hlq_is_sum(w->operation) && hlq_is_codable(w);
}

/* What exists, but not together. */
static hlq_fault combination_fault(const hlq_walk *w, const hlq_call *call)
{
    hlq_fault f = none;
    hlq_algorithm wanted = call ? call->algorithm : HLQ_ALG_AUTO;
    hlq_price price = hlq_price_of(&w->comm->options, call);
    int coded = wanted != HLQ_ALG_AUTO && wanted != HLQ_ALG_NATIVE;
    const char *name = hlq_algorithm_name(wanted);
    f.status = HLQ_E_UNSUPPORTED;
    if (w->op == HLQ_AVG && !hlq_dtype_is_float(w->dtype)) {
        snprintf(f.sentence, sizeof f.sentence, "an average of %s is not one",
                 hlq_dtype_name(w->dtype));
    } else if (coded && !hlq_dtype_is_float(w->dtype)) {
        snprintf(f.sentence, sizeof f.sentence, "%s is for floating point; %s goes native only",
                 name, hlq_dtype_name(w->dtype));
    } else if (coded && !hlq_is_codable(w)) {
        snprintf(f.sentence, sizeof f.sentence, "%s is for sums and averages; %s goes native only",
                 name, hlq_op_name(w->op));
    } else if (wanted == HLQ_ALG_MODQ && !hlq_is_sum(w->operation)) {
        snprintf(f.sentence, sizeof f.sentence, "modq makes sums; %s has none",
                 hlq_operation_name(w->operation));
    } else if (is_wanted(w, call, HLQ_ALG_HIERARCHICAL) && !w->comm->nodes.node_size) {
        snprintf(f.sentence, sizeof f.sentence,
                 "hierarchical needs equally many ranks on every node");
    } else if (is_wanted(w, call, HLQ_ALG_MODQ) && w->size > HLQ_MODQ_RANKS_MAX) {
        snprintf(f.sentence, sizeof f.sentence, "modq works for at most %d ranks, not %d",
                 HLQ_MODQ_RANKS_MAX, w->size);
    } else if (!price.bits && is_wanted(w, call, HLQ_ALG_MODQ)) {
        snprintf(f.sentence, sizeof f.sentence, "modq has no %s mode; give it bits",
                 price.max_error > 0 ? "bound" : "target");
    } else if (w->comm->options.dither && is_wanted(w, call, HLQ_ALG_MODQ)) {
        snprintf(f.sentence, sizeof f.sentence, "modq has no dither");
    } else if (w->comm->options.dither && price.max_error > 0 && hlq_is_codable(w)) {
        snprintf(f.sentence, sizeof f.sentence,
                 "bound mode has no dither; its bits follow the error");
    } else if (call && call->residual && w->dtype == HLQ_FLOAT64) {
        snprintf(f.sentence, sizeof f.sentence, "a float32 residual cannot hold float64's");
    } else {
        f = none;
    }
    return f;
}

/* Whether the bits are too few for dither. */
static hlq_fault dither_fault(const hlq_walk *w, const hlq_call *call)
{
    hlq_fault f = none;
    hlq_walk trial = *w;
    double bits = hlq_price_of(&w->comm->options, call).bits;
    trial.algorithm = wanted_of(w, call);
    double least = hlq_dither_budget(&trial);
    int is_coded = hlq_is_codable(w) && trial.algorithm != HLQ_ALG_NATIVE;
    if (!is_coded || bits == 0 || bits >= least) return none;
    f.status = HLQ_E_INVALID;
    snprintf(f.sentence, sizeof f.sentence, "%g bits are too few for dither, which needs %g here",
             bits, least);
    return f;
}

static int ranges_fit(const hlq_range *range, size_t ranges, size_t count)
{
    size_t at = 0;
    for (size_t i = 0; i < ranges; i++) {
        if (range[i].start < at || range[i].start > count ||
            range[i].count > count - range[i].start) {
            return 0;
        }
        at = range[i].start + range[i].count;
    }
    return 1;
}

static hlq_fault exempt_fault(const hlq_walk *w, const hlq_call *call)
{
    if (!call || !call->exempt_ranges) return none;
    if (w->operation != HLQ_ALL_REDUCE) {
        return (hlq_fault){HLQ_E_UNSUPPORTED, "exempt ranges are for all-reduce"};
    }
    if (!call->exempt) return INVALID("call.exempt is NULL");
    if (!ranges_fit(call->exempt, call->exempt_ranges, w->count)) {
        return INVALID("call.exempt: ranges overlap, are out of order or end beyond count");
    }
    return none;
}

/* Whether a buffer of all ranks' parts could lie in memory. */
static int counts_fit(const hlq_walk *w)
{
    size_t n = (size_t)w->size, most = SIZE_MAX / 16;
    if (!w->has_counts) return w->count <= (w->operation == HLQ_ALL_REDUCE ? most : most / n);
    for (size_t p = 0; p < n; p++) {
        if (w->send_counts[p] > most / n || w->recv_counts[p] > most / n) return 0;
    }
    return 1;
}

/* What is wrong with arguments that hlq_comm_plan takes too. */
hlq_fault hlq_shape_fault(const hlq_walk *w, const hlq_call *call)
{
    if (!hlq_dtype_bytes(w->dtype)) return INVALID("dtype does not exist");
    if (!hlq_op_name(w->op)) return INVALID("op does not exist");
    if (w->has_counts && !w->send_counts) return INVALID("send_counts is NULL");
    if (w->has_counts && !w->recv_counts) return INVALID("recv_counts is NULL");
    if (!counts_fit(w)) return INVALID("count is larger than memory");
    hlq_fault f = call ? call_fault(call) : none;
    if (f.status == HLQ_OK) f = combination_fault(w, call);
    if (f.status == HLQ_OK) f = dither_fault(w, call);
    return f.status == HLQ_OK ? exempt_fault(w, call) : f;
}

static int overlap(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
    uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
    return x < y + b_bytes && y < x + a_bytes;
}

/* Whether send and recv lie as in place demands: what a rank keeps stays where it is. */
static int is_in_place(const hlq_walk *w)
{
    int me = w->rank;
    const char *send = w->send, *recv = w->recv;
    size_t own_bytes = (size_t)me * w->count * hlq_dtype_bytes(w->dtype);
    if (w->operation == HLQ_REDUCE_SCATTER) return recv == send + own_bytes;
    if (w->operation == HLQ_ALL_GATHER) return send == recv + own_bytes;
    if (send != recv) return 0;
    for (int p = 0; p < w->size && w->has_counts; p++) {
        if (w->send_counts[p] != w->recv_counts[p]) return 0;
    }
    return 1;
}

hlq_fault hlq_buffer_fault(const hlq_walk *w, const hlq_call *call)
{
    size_t width = hlq_dtype_bytes(w->dtype), floats = hlq_send_elems(w) * sizeof(float);
    size_t sent = hlq_send_elems(w) * width, received = hlq_recv_elems(w) * width;
    const float *residual = call ? call->residual : NULL;
    if (sent && !w->send) return INVALID("send is NULL");
    if (received && !w->recv) return INVALID("recv is NULL");
    if (sent && received && overlap(w->send, sent, w->recv, received) && !is_in_place(w)) {
        return INVALID("send and recv overlap");
    }
    if (residual && sent &&
        (overlap(residual, floats, w->send, sent) ||
         (received && overlap(residual, floats, w->recv, received)))) {
        return INVALID("call.residual overlaps send or recv");
    }
    return none;
}

hlq_fault hlq_pointer_fault(const hlq_walk *w, const hlq_call *call, hlq_stream stream)
{
    if (stream) return INVALID("stream is not NULL, but tensors are the host's");
    return hlq_buffer_fault(w, call);
}
