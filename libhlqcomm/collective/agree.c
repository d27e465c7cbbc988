/*
 * The comparison of agree.h.
 */
#include "agree.h"

#include <hlqcomm/transport.h>
#include <wire/checksum.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
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
        [HLQ_TERM_COUNT] = "count",
        [HLQ_TERM_DTYPE] = "dtype",
        [HLQ_TERM_OP] = "op",
        [HLQ_TERM_ALGORITHM] = "algorithm",
        [HLQ_TERM_BITS] = "bits",
        [HLQ_TERM_TARGET] = "target_nmse",
        [HLQ_TERM_MAX_ERROR] = "max_error",
        [HLQ_TERM_LATTICE] = "lattice",
        [HLQ_TERM_SEED] = "seed",
        [HLQ_TERM_EXEMPT] = "exempt ranges of checksum",
        [HLQ_TERM_MIN_BYTES] = "min_bytes",
        [HLQ_TERM_PROBE] = "probe",
        [HLQ_TERM_TOPOLOGY] = "topology",
        [HLQ_TERM_DITHER] = "dither",
    };
    const char *name = NULL;
    if (term == HLQ_TERM_ALGORITHM) name = hlq_algorithm_name((hlq_algorithm)value);
    if (term == HLQ_TERM_TOPOLOGY) name = hlq_topology_name((hlq_topology)value);
    if (term == HLQ_TERM_LATTICE) name = hlq_lattice_name((hlq_lattice)value);
    if (term == HLQ_TERM_DTYPE) name = hlq_dtype_name((hlq_dtype)value);
    if (term == HLQ_TERM_OP) name = hlq_op_name((hlq_op)value);
    if (term == HLQ_TERM_FUNCTION) {
        describe_function(value, text, bytes);
    } else if (term >= HLQ_TERM_BITS && term <= HLQ_TERM_MAX_ERROR) {
        double bits;
        memcpy(&bits, &value, sizeof bits);
        snprintf(text, bytes, "%s %g", noun[term], bits);
    } else if (name) {
        snprintf(text, bytes, "%s %s", noun[term], name);
    } else {
        snprintf(text, bytes, "%s %" PRIu64, noun[term], value);
    }
}

void hlq_terms_seal(hlq_terms *terms)
{
    terms->checksum = hlq_checksum(terms, offsetof(hlq_terms, checksum), 0);
}

hlq_status hlq_terms_check(const hlq_terms *terms)
{
    uint64_t expected = hlq_checksum(terms, offsetof(hlq_terms, checksum), 0);
    return terms->checksum == expected ? HLQ_OK : HLQ_E_WIRE;
}

__attribute__((format(printf, 3, 4))) static hlq_status say(char *error, hlq_status status,
                                                            const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, HLQ_ERROR_BYTES, format, arguments);
    va_end(arguments);
    return status;
}

/* Compares rank p with rank 0, so that all ranks find the same difference first. */
static hlq_status compare(const hlq_terms *first, const hlq_terms *other, int p, char *error)
{
    if (other->wire_version != first->wire_version) {
        return say(error, HLQ_E_MISMATCH,
                   "rank %d speaks version %u of the wire format, rank 0 version %u", p,
                   other->wire_version, first->wire_version);
    }
    for (int t = 0; t < HLQ_TERMS; t++) {
        if (other->value[t] == first->value[t]) continue;
        char here[64], there[64];
        describe((hlq_term)t, first->value[t], here, sizeof here);
        describe((hlq_term)t, other->value[t], there, sizeof there);
        return say(error, HLQ_E_MISMATCH, "rank 0 called with %s, rank %d with %s", here, p, there);
    }
    return HLQ_OK;
}

hlq_status hlq_terms_compare(const hlq_terms *terms, int rank, int size, char *error)
{
    const hlq_terms *mine = &terms[rank];
    if (mine->status != HLQ_OK) {
        return say(error, (hlq_status)mine->status, "rank %d: %.*s", rank,
                   (int)sizeof mine->sentence, mine->sentence);
    }
    for (int p = 0; p < size; p++) {
        const hlq_terms *other = &terms[p];
        if (other->status == HLQ_OK) continue;
        hlq_status status = other->status == HLQ_E_MISMATCH ? HLQ_E_MISMATCH : HLQ_E_REMOTE;
        return say(error, status, "rank %d: %.*s", p, (int)sizeof other->sentence, other->sentence);
    }
    for (int p = 1; p < size; p++) {
        hlq_status status = compare(&terms[0], &terms[p], p, error);
        if (status != HLQ_OK) return status;
    }
    return HLQ_OK;
}
