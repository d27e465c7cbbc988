/*
 * The comparison of agree.h: one all-gather of a small structure.
 */
#include "agree.h"
#include "comm.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

uint64_t hlq_term_from_double(double x)
{
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

/* "hlq_all_to_all_v" */
static void describe_function(uint64_t value, char *text, size_t bytes)
{
    const char *name = hlq_operation_name((hlq_operation)((value - 1) / 2));
    if (value == HLQ_FUNCTION_CREATE) snprintf(text, bytes, "hlq_comm_create");
    else snprintf(text, bytes, "hlq_%s%s", name ? name : "?", value % 2 ? "" : "_v");
}

/* "count 1000", "algorithm modq" */
static void describe(hlq_term term, uint64_t value, char *text, size_t bytes)
{
    static const char *const noun[HLQ_TERMS] = {
        [HLQ_TERM_CALL] = "call number",    [HLQ_TERM_COUNT] = "count",
        [HLQ_TERM_DTYPE] = "dtype",         [HLQ_TERM_OP] = "op",
        [HLQ_TERM_ALGORITHM] = "algorithm", [HLQ_TERM_BITS] = "bits",
        [HLQ_TERM_LATTICE] = "lattice",     [HLQ_TERM_SEED] = "seed",
        [HLQ_TERM_MIN_BYTES] = "min_bytes",
    };
    const char *name = NULL;
    if (term == HLQ_TERM_ALGORITHM) name = hlq_algorithm_name((hlq_algorithm)value);
    if (term == HLQ_TERM_LATTICE) name = hlq_lattice_name((hlq_lattice)value);
    if (term == HLQ_TERM_DTYPE) name = hlq_dtype_name((hlq_dtype)value);
    if (term == HLQ_TERM_OP) name = hlq_op_name((hlq_op)value);
    if (term == HLQ_TERM_FUNCTION) {
        describe_function(value, text, bytes);
    } else if (term == HLQ_TERM_BITS) {
        double bits;
        memcpy(&bits, &value, sizeof bits);
        snprintf(text, bytes, "%s %g", noun[term], bits);
    } else if (name) {
        snprintf(text, bytes, "%s %s", noun[term], name);
    } else {
        snprintf(text, bytes, "%s %" PRIu64, noun[term], value);
    }
}

/* Compares rank p with rank 0, so that all ranks find the same difference first. */
static hlq_status compare(hlq_comm *comm, int p)
{
    const hlq_terms *first = &comm->terms[0], *other = &comm->terms[p];
    if (other->wire_version != first->wire_version) {
        return hlq_fail(comm, HLQ_E_MISMATCH,
                        "rank %d speaks version %u of the wire format, rank 0 version %u", p,
                        other->wire_version, first->wire_version);
    }
    for (int t = 0; t < HLQ_TERMS; t++) {
        if (other->value[t] == first->value[t]) continue;
        char here[64], there[64];
        describe((hlq_term)t, first->value[t], here, sizeof here);
        describe((hlq_term)t, other->value[t], there, sizeof there);
        return hlq_fail(comm, HLQ_E_MISMATCH, "rank 0 called with %s, rank %d with %s", here, p,
                        there);
    }
    return HLQ_OK;
}

hlq_status hlq_agree(hlq_comm *comm, const hlq_terms *mine, const size_t *sent)
{
    for (int p = 0; p < comm->size; p++) {
        comm->told[p] = *mine;
        comm->told[p].sent_to_you = sent ? sent[p] : 0;
        comm->out[p] = (hlq_message){&comm->told[p], sizeof *comm->told};
        comm->in[p] = (hlq_message){&comm->terms[p], sizeof *comm->terms};
    }
    comm->terms[comm->rank] = comm->told[comm->rank];
    uint64_t payload_sent = comm->stats.bytes_sent, payload_received = comm->stats.bytes_received;
    HLQ_TRY(hlq_exchange(comm));
    comm->stats.control_bytes += comm->stats.bytes_sent - payload_sent;
    comm->stats.bytes_sent = payload_sent;
    comm->stats.bytes_received = payload_received;

    if (mine->status != HLQ_OK) {
        return hlq_fail(comm, (hlq_status)mine->status, "rank %d: %s", comm->rank, mine->sentence);
    }
    for (int p = 0; p < comm->size; p++) {
        hlq_terms *terms = &comm->terms[p];
        terms->sentence[sizeof terms->sentence - 1] = '\0';
        if (terms->status == HLQ_OK) continue;
        hlq_status status = terms->status == HLQ_E_MISMATCH ? HLQ_E_MISMATCH : HLQ_E_REMOTE;
        return hlq_fail(comm, status, "rank %d: %s", p, terms->sentence);
    }
    for (int p = 1; p < comm->size; p++) HLQ_TRY(compare(comm, p));
    return HLQ_OK;
}
