/*
 * hlq_all_reduce: check, agree with the other ranks, choose an algorithm, run it.
 *
 * The way of a number from here: twoshot.c (who sends what to whom) → wire/codec.c (tensor to
 * message) → kernels/body/run.h and block.h (rotate, quantize, planes) → transport/ → back up the
 * same way.
 */
#include "all_reduce.h"
#include "agree.h"

#include <transport/transport_internal.h>

#include <stdio.h>
#include <string.h>

static const hlq_algorithm_entry *entry_of(hlq_algorithm algorithm)
{
    switch (algorithm) {
    case HLQ_ALG_TWOSHOT: return &hlq_twoshot;
    case HLQ_ALG_ONESHOT: return &hlq_oneshot;
    case HLQ_ALG_MODQ: return &hlq_modq;
    case HLQ_ALG_NATIVE:
    case HLQ_ALG_AUTO: break;
    }
    return &hlq_native;
}

/* The algorithm a call resolves to: its own wish, else the communicator's, else by size. */
static hlq_algorithm resolve(const hlq_comm *comm, const hlq_call *call, size_t count,
                             hlq_dtype dtype)
{
    hlq_algorithm wanted = call ? call->algorithm : HLQ_ALG_AUTO;
    if (wanted == HLQ_ALG_AUTO) wanted = comm->options.algorithm;
    if (wanted != HLQ_ALG_AUTO) return wanted;
    if (count * hlq_dtype_bytes(dtype) < comm->options.min_bytes) return HLQ_ALG_NATIVE;
    return comm->size == 2 ? HLQ_ALG_ONESHOT : HLQ_ALG_TWOSHOT;
}

/* What is wrong with arguments that hlq_comm_plan takes too; NULL if nothing. */
static const char *shape_fault(size_t count, hlq_dtype dtype, hlq_op op, const hlq_call *call)
{
    if (!hlq_dtype_bytes(dtype)) return "dtype does not exist";
    if (op != HLQ_SUM && op != HLQ_AVG) return "op does not exist";
    if (count > SIZE_MAX / 16) return "count is larger than memory";
    if (!call) return NULL;
    if (call->struct_bytes != sizeof *call) return "call.struct_bytes is not sizeof(hlq_call)";
    if (!hlq_algorithm_name(call->algorithm)) return "call.algorithm does not exist";
    if (call->bits != 0 && !(call->bits >= 1 && call->bits <= HLQ_BITS_MAX)) {
        return "call.bits is not 0 or in 1 … 12";
    }
    return NULL;
}

static int overlap(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
    uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
    return x < y + b_bytes && y < x + a_bytes;
}

static const char *pointer_fault(const void *send, void *recv, size_t count, hlq_dtype dtype,
                                 const hlq_call *call, hlq_stream stream)
{
    size_t bytes = count * hlq_dtype_bytes(dtype);
    const float *residual = call ? call->residual : NULL;
    if (stream) return "stream is not NULL, but only host tensors are supported";
    if (!count) return NULL;
    if (!send) return "send is NULL";
    if (!recv) return "recv is NULL";
    if (send != recv && overlap(send, bytes, recv, bytes)) return "send and recv overlap";
    if (residual && (overlap(residual, count * sizeof *residual, send, bytes) ||
                     overlap(residual, count * sizeof *residual, recv, bytes))) {
        return "call.residual overlaps send or recv";
    }
    return NULL;
}

static hlq_reduction reduction_of(hlq_comm *comm, const void *send, void *recv, size_t count,
                                  hlq_dtype dtype, hlq_op op, const hlq_call *call)
{
    return (hlq_reduction){
        .comm = comm,
        .send = send,
        .recv = recv,
        .count = count,
        .dtype = dtype,
        .op = op,
        .algorithm = resolve(comm, call, count, dtype),
        .bits = call && call->bits != 0 ? call->bits : comm->options.bits,
        .residual = call ? call->residual : NULL,
    };
}

static hlq_terms call_terms(const hlq_reduction *r, const char *fault)
{
    hlq_terms terms = {.wire_version = HLQ_WIRE_VERSION, .status = HLQ_OK};
    terms.value[HLQ_TERM_FUNCTION] = HLQ_FUNCTION_ALL_REDUCE;
    terms.value[HLQ_TERM_CALL] = r->comm->call;
    if (fault) {
        terms.status = HLQ_E_INVALID;
        snprintf(terms.sentence, sizeof terms.sentence, "%s", fault);
        return terms;
    }
    terms.value[HLQ_TERM_COUNT] = r->count;
    terms.value[HLQ_TERM_DTYPE] = (uint64_t)r->dtype;
    terms.value[HLQ_TERM_OP] = (uint64_t)r->op;
    terms.value[HLQ_TERM_ALGORITHM] = (uint64_t)r->algorithm;
    terms.value[HLQ_TERM_BITS] = hlq_term_from_double(r->bits);
    size_t bytes = entry_of(r->algorithm)->workspace_bytes(r);
    if (hlq_arena_reserve(&r->comm->arena, bytes) != HLQ_OK) {
        terms.status = HLQ_E_NOMEM;
        snprintf(terms.sentence, sizeof terms.sentence, "no memory for %zu bytes of workspace",
                 bytes);
    }
    return terms;
}

static hlq_status run(const hlq_reduction *r)
{
    if (!r->count) return HLQ_OK;
    if (r->comm->size == 1) {
        if (r->recv != r->send) memcpy(r->recv, r->send, r->count * hlq_dtype_bytes(r->dtype));
        return HLQ_OK;
    }
    hlq_status status = entry_of(r->algorithm)->run(r);
    if (status != HLQ_OK) r->comm->broken = 1;
    return status;
}

hlq_status hlq_all_reduce(hlq_comm *comm, const void *send, void *recv, size_t count,
                          hlq_dtype dtype, hlq_op op, const hlq_call *call, hlq_stream stream)
{
    if (!comm) return HLQ_E_INVALID;
    if (comm->broken) return HLQ_E_BROKEN;
    double begin = hlq_now();
    uint64_t calls = comm->stats.calls + 1;
    comm->stats = (hlq_stats){.struct_bytes = sizeof comm->stats, .calls = calls, .count = count};
    comm->error[0] = '\0';
    comm->call++;

    const char *fault = shape_fault(count, dtype, op, call);
    if (!fault) fault = pointer_fault(send, recv, count, dtype, call, stream);
    hlq_reduction r = reduction_of(comm, send, recv, count, dtype, op, fault ? NULL : call);
    comm->stats.algorithm = r.algorithm;
    hlq_terms terms = call_terms(&r, fault);
    HLQ_TRY(hlq_agree(comm, &terms));
    HLQ_TRY(run(&r));
    comm->stats.bits_per_elem = hlq_bits_per_elem(comm->stats.bytes_sent, comm->size, count);
    comm->stats.seconds = hlq_now() - begin;
    return HLQ_OK;
}

hlq_status hlq_comm_plan(hlq_comm *comm, size_t count, hlq_dtype dtype, hlq_op op,
                         const hlq_call *call, hlq_plan_info *info)
{
    if (!comm || !info || info->struct_bytes != sizeof *info) return HLQ_E_INVALID;
    const char *fault = shape_fault(count, dtype, op, call);
    if (fault) return hlq_fail(comm, HLQ_E_INVALID, "%s", fault);
    hlq_reduction r = reduction_of(comm, NULL, NULL, count, dtype, op, call);
    const hlq_algorithm_entry *entry = entry_of(r.algorithm);
    int alone = comm->size == 1 || !count;
    info->algorithm = r.algorithm;
    info->wire_bytes = alone ? 0 : entry->wire_bytes(&r);
    info->workspace_bytes = alone ? 0 : entry->workspace_bytes(&r);
    info->bits_per_elem = hlq_bits_per_elem(info->wire_bytes, comm->size, count);
    return HLQ_OK;
}
