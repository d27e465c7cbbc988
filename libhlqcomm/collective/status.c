/*
 * Names of things: status sentences, algorithms, lattices, types, version.
 */
#include <hlqcomm/hlqcomm.h>

const char *hlq_status_string(hlq_status status)
{
    switch (status) {
#define HLQ_STATUS_CASE(name, value, sentence)                                                     \
    case name: return sentence;
        HLQ_STATUS_LIST(HLQ_STATUS_CASE)
#undef HLQ_STATUS_CASE
    }
    return "unknown status";
}

const char *hlq_version(void) { return HLQ_VERSION_STRING; }

const char *hlq_algorithm_name(hlq_algorithm algorithm)
{
    switch (algorithm) {
    case HLQ_ALG_AUTO: return "auto";
    case HLQ_ALG_TWOSHOT: return "twoshot";
    case HLQ_ALG_ONESHOT: return "oneshot";
    case HLQ_ALG_MODQ: return "modq";
    case HLQ_ALG_NATIVE: return "native";
    }
    return NULL;
}

const char *hlq_lattice_name(hlq_lattice lattice)
{
    switch (lattice) {
    case HLQ_LATTICE_E8: return "E8";
    case HLQ_LATTICE_D4: return "D4";
    case HLQ_LATTICE_Z: return "Z";
    }
    return NULL;
}

size_t hlq_dtype_bytes(hlq_dtype dtype)
{
    switch (dtype) {
    case HLQ_FLOAT32: return 4;
    case HLQ_BFLOAT16: return 2;
    }
    return 0;
}
