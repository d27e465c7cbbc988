/*
 * What a call will cost, before anything is done: the answer to hlq_comm_plan().
 */
#include "check.h"
#include "choose.h"

hlq_status hlq_comm_plan(hlq_comm *comm, size_t count, hlq_dtype dtype, hlq_op op,
                         const hlq_call *call, hlq_plan_info *info)
{
    if (!comm || !info || info->struct_bytes != sizeof *info) return HLQ_E_INVALID;
    hlq_walk w = {.comm = comm,
                  .rank = comm->rank,
                  .size = comm->size,
                  .operation = info->operation,
                  .count = count,
                  .dtype = dtype,
                  .op = op,
                  .error = comm->error};
    if (!hlq_operation_name(info->operation)) {
        return hlq_fail(&w, HLQ_E_INVALID, "info.operation does not exist");
    }
    if (!hlq_is_sum(info->operation)) w.op = HLQ_SUM;
    hlq_fault f = hlq_shape_fault(&w, call);
    if (f.status != HLQ_OK) return hlq_fail(&w, f.status, "%s", f.sentence);
    hlq_complete(&w, call);
    if (w.target_nmse > 0) w.bits = HLQ_BITS_MAX; /* at most */
    const hlq_algorithm_entry *entry = hlq_entry_of(&w);
    int alone = comm->size == 1 || !count;
    info->algorithm = w.algorithm;
    info->wire_bytes = alone ? 0 : entry->wire_bytes(&w);
    info->workspace_bytes = alone ? 0 : entry->workspace_bytes(&w);
    info->bits_per_elem = hlq_bits_per_elem(info->wire_bytes, hlq_sent_elems(&w));
    return HLQ_OK;
}
