/*
 * Which algorithm a call gets.
 */
#include "choose.h"

int hlq_is_sum(hlq_operation operation)
{
    return operation == HLQ_ALL_REDUCE || operation == HLQ_REDUCE_SCATTER;
}

/* Whether what is asked for can be done on codes. */
int hlq_is_codable(const hlq_walk *w)
{
    return hlq_dtype_is_float(w->dtype) && (w->op == HLQ_SUM || w->op == HLQ_AVG);
}

static const hlq_algorithm_entry *native_of(const hlq_walk *w)
{
    switch (w->operation) {
    case HLQ_REDUCE_SCATTER: return &hlq_native_reduce_scatter;
    case HLQ_ALL_GATHER: return &hlq_native_all_gather;
    case HLQ_ALL_TO_ALL: return &hlq_native_all_to_all;
    case HLQ_ALL_REDUCE: break;
    }
    return hlq_native_all_reduce(w);
}

const hlq_algorithm_entry *hlq_entry_of(const hlq_walk *w)
{
    if (w->algorithm == HLQ_ALG_NATIVE) return native_of(w);
    if (w->exempt_ranges) return &hlq_exempt;
    switch (w->operation) {
    case HLQ_REDUCE_SCATTER:
        return w->algorithm == HLQ_ALG_MODQ ? &hlq_modq : &hlq_coded_reduce_scatter;
    case HLQ_ALL_GATHER: return &hlq_coded_all_gather;
    case HLQ_ALL_TO_ALL: return &hlq_coded_all_to_all;
    case HLQ_ALL_REDUCE: break;
    }
    return w->algorithm == HLQ_ALG_MODQ           ? &hlq_modq
           : w->algorithm == HLQ_ALG_HIERARCHICAL ? &hlq_hierarchical
           : w->algorithm == HLQ_ALG_ONESHOT      ? &hlq_oneshot
                                                  : &hlq_twoshot;
}

hlq_algorithm hlq_coded_default(const hlq_walk *w)
{
    const hlq_nodes *n = &w->comm->nodes;
    if (n->nodes > 1 && n->node_size > 1) return HLQ_ALG_HIERARCHICAL;
    return w->size == 2 ? HLQ_ALG_ONESHOT : HLQ_ALG_TWOSHOT;
}

/* Whether AUTO compresses. Where every pair of ranks has its own count, size does not decide: ranks
   could differ. */
static int is_worth_coding(const hlq_walk *w)
{
    size_t send = hlq_send_elems(w), recv = hlq_recv_elems(w), elems = send > recv ? send : recv;
    size_t width = hlq_dtype_bytes(w->dtype);
    if (w->has_counts) return 1;
    return elems * width >= w->comm->options.min_bytes &&
           hlq_probe_says_coded(&w->comm->probe, elems, width);
}

/* Beside all-reduce there is one leg, which is oneshot's; and only sums can be made modulo 2^bits.
   Two levels want several nodes, of several ranks. */
static hlq_algorithm as_possible(const hlq_walk *w, hlq_algorithm wanted)
{
    if (w->operation != HLQ_ALL_REDUCE) {
        return wanted == HLQ_ALG_MODQ && hlq_is_sum(w->operation) ? wanted : HLQ_ALG_ONESHOT;
    }
    if (wanted != HLQ_ALG_HIERARCHICAL) return wanted;
    return w->comm->nodes.nodes == 1 ? HLQ_ALG_NATIVE : hlq_coded_default(w);
}

static hlq_algorithm resolve(const hlq_walk *w, hlq_algorithm wanted)
{
    if (!hlq_is_codable(w) || wanted == HLQ_ALG_NATIVE) return HLQ_ALG_NATIVE;
    if (wanted != HLQ_ALG_AUTO) return as_possible(w, wanted);
    if (!is_worth_coding(w)) return HLQ_ALG_NATIVE;
    return as_possible(w, hlq_coded_default(w));
}

/* Of a message in one exchange, without a probe: at 4 bits about what is coded at a time. */
enum { CHUNK_BYTES = 1 << 17 };

static void set_chunk(hlq_walk *w)
{
    const hlq_probe *probe = &w->comm->probe;
    w->chunk = probe->is_done ? probe->chunk_bytes : CHUNK_BYTES;
}

void hlq_reconsider(hlq_walk *w)
{
    set_chunk(w);
    w->algorithm = resolve(w, HLQ_ALG_AUTO);
    if (w->algorithm != HLQ_ALG_NATIVE) return;
    w->target_nmse = 0;
    w->max_error = 0;
    w->exempt_ranges = 0;
}

hlq_price hlq_price_of(const hlq_options *o, const hlq_call *call)
{
    hlq_price own = {o->bits, o->target_nmse, o->max_error};
    if (own.target_nmse > 0 || own.max_error > 0) own.bits = 0;
    if (!call || (!(call->bits > 0) && !(call->target_nmse > 0) && !(call->max_error > 0))) {
        return own;
    }
    return (hlq_price){call->bits, call->target_nmse, call->max_error};
}

void hlq_complete(hlq_walk *w, const hlq_call *call)
{
    hlq_algorithm wanted = call ? call->algorithm : HLQ_ALG_AUTO;
    if (wanted == HLQ_ALG_AUTO) wanted = w->comm->options.algorithm;
    set_chunk(w);
    w->algorithm = resolve(w, wanted);
    w->is_auto = wanted == HLQ_ALG_AUTO && w->algorithm != HLQ_ALG_NATIVE && !w->has_counts;
    hlq_price price = hlq_price_of(&w->comm->options, call);
    int is_coded = w->algorithm != HLQ_ALG_NATIVE;
    w->target_nmse = is_coded ? price.target_nmse : 0;
    w->max_error = is_coded ? price.max_error : 0;
    w->bits = is_coded || price.bits > 0 ? price.bits : w->comm->options.bits;
    w->residual = call ? call->residual : NULL;
    w->exempt = call ? call->exempt : NULL;
    w->exempt_ranges = call && w->algorithm != HLQ_ALG_NATIVE ? call->exempt_ranges : 0;
}
