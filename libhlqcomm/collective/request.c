/*
 * What all collectives share: arguments are checked, compared with the other ranks', an algorithm
 * is chosen and its steps are run. Nothing is sent but the comparison until every rank is known to
 * want the same.
 */
#include "request.h"
#include "agree.h"

#include <transport/transport_internal.h>

#include <stdio.h>
#include <string.h>

/* What is wrong with a call; status HLQ_OK if nothing. */
typedef struct {
    hlq_status status;
    char sentence[96];
} fault;

static const fault none = {HLQ_OK, ""};
#define INVALID(sentence) ((fault){HLQ_E_INVALID, sentence})

static int is_sum(hlq_operation operation)
{
    return operation == HLQ_ALL_REDUCE || operation == HLQ_REDUCE_SCATTER;
}

/* Whether what is asked for can be done on codes. */
static int is_codable(const hlq_request *r)
{
    return hlq_dtype_is_float(r->dtype) && (r->op == HLQ_SUM || r->op == HLQ_AVG);
}

static const hlq_algorithm_entry *native_of(const hlq_request *r)
{
    switch (r->operation) {
    case HLQ_REDUCE_SCATTER: return &hlq_native_reduce_scatter;
    case HLQ_ALL_GATHER: return &hlq_native_all_gather;
    case HLQ_ALL_TO_ALL: return &hlq_native_all_to_all;
    case HLQ_ALL_REDUCE: break;
    }
    int carrier = r->dtype == HLQ_FLOAT32 && is_codable(r) && r->comm->transport.sum_float32;
    return carrier ? &hlq_native_carrier : &hlq_native;
}

static const hlq_algorithm_entry *entry_of(const hlq_request *r)
{
    if (r->algorithm == HLQ_ALG_NATIVE) return native_of(r);
    switch (r->operation) {
    case HLQ_REDUCE_SCATTER:
        return r->algorithm == HLQ_ALG_MODQ ? &hlq_modq : &hlq_coded_reduce_scatter;
    case HLQ_ALL_GATHER: return &hlq_coded_all_gather;
    case HLQ_ALL_TO_ALL: return &hlq_coded_all_to_all;
    case HLQ_ALL_REDUCE: break;
    }
    return r->algorithm == HLQ_ALG_MODQ      ? &hlq_modq
           : r->algorithm == HLQ_ALG_ONESHOT ? &hlq_oneshot
                                             : &hlq_twoshot;
}

/* Algorithm -------------------------------------------------------------------------------- */

/* What AUTO stands for. Where every pair of ranks has its own count, size does not decide: ranks
   could differ. */
static hlq_algorithm automatic(const hlq_request *r)
{
    size_t bytes = (hlq_send_elems(r) > hlq_recv_elems(r) ? hlq_send_elems(r) : hlq_recv_elems(r)) *
                   hlq_dtype_bytes(r->dtype);
    if (!r->has_counts && bytes < r->comm->options.min_bytes) return HLQ_ALG_NATIVE;
    return r->comm->size == 2 ? HLQ_ALG_ONESHOT : HLQ_ALG_TWOSHOT;
}

/* The algorithm a call resolves to: its own wish, else the communicator's, else by size. Beside
   all-reduce there is one leg, which is oneshot's; and only sums can be made modulo 2^bits. */
static hlq_algorithm resolve(const hlq_request *r, const hlq_call *call)
{
    hlq_algorithm wanted = call ? call->algorithm : HLQ_ALG_AUTO;
    if (wanted == HLQ_ALG_AUTO) wanted = r->comm->options.algorithm;
    if (!is_codable(r)) return HLQ_ALG_NATIVE;
    if (wanted == HLQ_ALG_AUTO) wanted = automatic(r);
    if (wanted == HLQ_ALG_MODQ && !is_sum(r->operation)) wanted = HLQ_ALG_ONESHOT;
    if (wanted == HLQ_ALG_TWOSHOT && r->operation != HLQ_ALL_REDUCE) wanted = HLQ_ALG_ONESHOT;
    return wanted;
}

/* Faults ----------------------------------------------------------------------------------- */

static fault call_fault(const hlq_call *call)
{
    if (call->struct_bytes != sizeof *call) {
        return INVALID("call.struct_bytes is not sizeof(hlq_call)");
    }
    if (!hlq_algorithm_name(call->algorithm)) return INVALID("call.algorithm does not exist");
    if (call->bits != 0 && !(call->bits >= 1 && call->bits <= HLQ_BITS_MAX)) {
        return INVALID("call.bits is not 0 or in 1 … 12");
    }
    return none;
}

/* What exists, but not together. */
static fault combination_fault(const hlq_request *r, const hlq_call *call)
{
    fault f = none;
    hlq_algorithm wanted = call ? call->algorithm : HLQ_ALG_AUTO;
    int coded = wanted != HLQ_ALG_AUTO && wanted != HLQ_ALG_NATIVE;
    const char *name = hlq_algorithm_name(wanted);
    f.status = HLQ_E_UNSUPPORTED;
    if (r->op == HLQ_AVG && !hlq_dtype_is_float(r->dtype)) {
        snprintf(f.sentence, sizeof f.sentence, "an average of %s is not one",
                 hlq_dtype_name(r->dtype));
    } else if (coded && !hlq_dtype_is_float(r->dtype)) {
        snprintf(f.sentence, sizeof f.sentence, "%s is for floating point; %s goes native only",
                 name, hlq_dtype_name(r->dtype));
    } else if (coded && !is_codable(r)) {
        snprintf(f.sentence, sizeof f.sentence, "%s is for sums and averages; %s goes native only",
                 name, hlq_op_name(r->op));
    } else if (wanted == HLQ_ALG_MODQ && !is_sum(r->operation)) {
        snprintf(f.sentence, sizeof f.sentence, "modq makes sums; %s has none",
                 hlq_operation_name(r->operation));
    } else if (call && call->residual && r->dtype == HLQ_FLOAT64) {
        snprintf(f.sentence, sizeof f.sentence, "a float32 residual cannot hold float64's");
    } else {
        f = none;
    }
    return f;
}

/* Whether a buffer of all ranks' parts could lie in memory. */
static int counts_fit(const hlq_request *r)
{
    size_t n = (size_t)r->comm->size, most = SIZE_MAX / 16;
    if (!r->has_counts) return r->count <= (r->operation == HLQ_ALL_REDUCE ? most : most / n);
    for (size_t p = 0; p < n; p++) {
        if (r->send_counts[p] > most / n || r->recv_counts[p] > most / n) return 0;
    }
    return 1;
}

/* What is wrong with arguments that hlq_comm_plan takes too. */
static fault shape_fault(const hlq_request *r, const hlq_call *call)
{
    if (!hlq_dtype_bytes(r->dtype)) return INVALID("dtype does not exist");
    if (!hlq_op_name(r->op)) return INVALID("op does not exist");
    if (r->has_counts && !r->send_counts) return INVALID("send_counts is NULL");
    if (r->has_counts && !r->recv_counts) return INVALID("recv_counts is NULL");
    if (!counts_fit(r)) return INVALID("count is larger than memory");
    fault f = call ? call_fault(call) : none;
    return f.status == HLQ_OK ? combination_fault(r, call) : f;
}

static int overlap(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
    uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
    return x < y + b_bytes && y < x + a_bytes;
}

/* Whether send and recv lie as in place demands: what a rank keeps stays where it is. */
static int is_in_place(const hlq_request *r)
{
    int me = r->comm->rank;
    const char *send = r->send, *recv = r->recv;
    size_t own_bytes = (size_t)me * r->count * hlq_dtype_bytes(r->dtype);
    if (r->operation == HLQ_REDUCE_SCATTER) return recv == send + own_bytes;
    if (r->operation == HLQ_ALL_GATHER) return send == recv + own_bytes;
    if (send != recv) return 0;
    for (int p = 0; p < r->comm->size && r->has_counts; p++) {
        if (r->send_counts[p] != r->recv_counts[p]) return 0;
    }
    return 1;
}

static fault pointer_fault(const hlq_request *r, const hlq_call *call, hlq_stream stream)
{
    size_t width = hlq_dtype_bytes(r->dtype), floats = hlq_send_elems(r) * sizeof(float);
    size_t sent = hlq_send_elems(r) * width, received = hlq_recv_elems(r) * width;
    const float *residual = call ? call->residual : NULL;
    if (stream) return INVALID("stream is not NULL, but only host tensors are supported");
    if (sent && !r->send) return INVALID("send is NULL");
    if (received && !r->recv) return INVALID("recv is NULL");
    if (sent && received && overlap(r->send, sent, r->recv, received) && !is_in_place(r)) {
        return INVALID("send and recv overlap");
    }
    if (residual && sent &&
        (overlap(residual, floats, r->send, sent) ||
         (received && overlap(residual, floats, r->recv, received)))) {
        return INVALID("call.residual overlaps send or recv");
    }
    return none;
}

/* Agreement -------------------------------------------------------------------------------- */

static void complete(hlq_request *r, const hlq_call *call)
{
    r->algorithm = resolve(r, call);
    r->bits = call && call->bits != 0 ? call->bits : r->comm->options.bits;
    r->residual = call ? call->residual : NULL;
}

static hlq_terms terms_of(const hlq_request *r, const fault *f)
{
    hlq_terms terms = {.wire_version = HLQ_WIRE_VERSION, .status = (int32_t)f->status};
    terms.value[HLQ_TERM_FUNCTION] = HLQ_FUNCTION_OF(r->operation, r->has_counts);
    terms.value[HLQ_TERM_CALL] = r->comm->call;
    snprintf(terms.sentence, sizeof terms.sentence, "%s", f->sentence);
    if (f->status != HLQ_OK) return terms;
    terms.value[HLQ_TERM_COUNT] = r->count;
    terms.value[HLQ_TERM_DTYPE] = (uint64_t)r->dtype;
    terms.value[HLQ_TERM_OP] = (uint64_t)r->op;
    terms.value[HLQ_TERM_ALGORITHM] = (uint64_t)r->algorithm;
    terms.value[HLQ_TERM_BITS] = hlq_term_from_double(r->bits);
    size_t bytes = entry_of(r)->workspace_bytes(r);
    if (hlq_arena_reserve(&r->comm->arena, bytes) != HLQ_OK) {
        terms.status = HLQ_E_NOMEM;
        snprintf(terms.sentence, sizeof terms.sentence, "no memory for %zu bytes of workspace",
                 bytes);
    }
    return terms;
}

/* What every rank means to send must be what the receiver expects; the receiver says so to all. */
static hlq_status agree_on_counts(const hlq_request *r)
{
    hlq_comm *comm = r->comm;
    hlq_terms verdict = {.wire_version = HLQ_WIRE_VERSION, .status = HLQ_OK};
    for (int p = 0; p < comm->size && verdict.status == HLQ_OK; p++) {
        size_t sent = (size_t)comm->terms[p].sent_to_you;
        if (sent == r->recv_counts[p]) continue;
        verdict.status = HLQ_E_MISMATCH;
        snprintf(verdict.sentence, sizeof verdict.sentence,
                 "recv_counts[%d] is %zu, but rank %d sends %zu", p, r->recv_counts[p], p, sent);
    }
    return hlq_agree(comm, &verdict, NULL);
}

static hlq_status agree(const hlq_request *r, const fault *f)
{
    hlq_terms terms = terms_of(r, f);
    HLQ_TRY(hlq_agree(r->comm, &terms, r->send_counts));
    return r->has_counts ? agree_on_counts(r) : HLQ_OK;
}

/* The walk --------------------------------------------------------------------------------- */

static hlq_status run_steps(hlq_request *r)
{
    const hlq_algorithm_entry *entry = entry_of(r);
    for (int i = 0; i < 3 && entry->step[i]; i++) {
        if (i > 0) HLQ_TRY(hlq_exchange(r->comm));
        HLQ_TRY(entry->step[i](r));
    }
    return HLQ_OK;
}

static hlq_status run(hlq_request *r)
{
    if (!r->has_counts && !r->count) return HLQ_OK;
    if (r->comm->size == 1) {
        size_t bytes = hlq_send_elems(r) * hlq_dtype_bytes(r->dtype);
        if (bytes && r->recv != r->send) memcpy(r->recv, r->send, bytes);
        return HLQ_OK;
    }
    hlq_status status = run_steps(r);
    if (status != HLQ_OK) r->comm->broken = 1;
    return status;
}

hlq_status hlq_request_run(hlq_request *r, const hlq_call *call, hlq_stream stream)
{
    hlq_comm *comm = r->comm;
    if (!comm) return HLQ_E_INVALID;
    if (comm->broken) return HLQ_E_BROKEN;
    double begin = hlq_now();
    uint64_t calls = comm->stats.calls + 1;
    comm->stats =
        (hlq_stats){.struct_bytes = sizeof comm->stats, .operation = r->operation, .calls = calls};
    comm->error[0] = '\0';
    comm->call++;

    fault f = shape_fault(r, call);
    if (f.status == HLQ_OK) f = pointer_fault(r, call, stream);
    if (f.status == HLQ_OK) complete(r, call);
    HLQ_TRY(agree(r, &f));
    comm->stats.algorithm = r->algorithm;
    comm->stats.count = r->has_counts ? hlq_send_elems(r) : r->count;
    HLQ_TRY(run(r));
    comm->stats.bits_per_elem = hlq_bits_per_elem(comm->stats.bytes_sent, hlq_sent_elems(r));
    comm->stats.seconds = hlq_now() - begin;
    return HLQ_OK;
}

hlq_status hlq_comm_plan(hlq_comm *comm, size_t count, hlq_dtype dtype, hlq_op op,
                         const hlq_call *call, hlq_plan_info *info)
{
    if (!comm || !info || info->struct_bytes != sizeof *info) return HLQ_E_INVALID;
    hlq_request r = {
        .comm = comm, .operation = info->operation, .count = count, .dtype = dtype, .op = op};
    if (!hlq_operation_name(info->operation)) {
        return hlq_fail(comm, HLQ_E_INVALID, "info.operation does not exist");
    }
    if (!is_sum(info->operation)) r.op = HLQ_SUM;
    fault f = shape_fault(&r, call);
    if (f.status != HLQ_OK) return hlq_fail(comm, f.status, "%s", f.sentence);
    complete(&r, call);
    const hlq_algorithm_entry *entry = entry_of(&r);
    int alone = comm->size == 1 || !count;
    info->algorithm = r.algorithm;
    info->wire_bytes = alone ? 0 : entry->wire_bytes(&r);
    info->workspace_bytes = alone ? 0 : entry->workspace_bytes(&r);
    info->bits_per_elem = hlq_bits_per_elem(info->wire_bytes, hlq_sent_elems(&r));
    return HLQ_OK;
}
