/*
 * Names of things: status sentences, algorithms, lattices, operations, types, version.
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
    case HLQ_ALG_HIERARCHICAL: return "hierarchical";
    }
    return NULL;
}

const char *hlq_topology_name(hlq_topology topology)
{
    switch (topology) {
    case HLQ_TOPOLOGY_AUTO: return "auto";
    case HLQ_TOPOLOGY_ALL_TO_ALL: return "all_to_all";
    case HLQ_TOPOLOGY_RING: return "ring";
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

const char *hlq_operation_name(hlq_operation operation)
{
    switch (operation) {
    case HLQ_ALL_REDUCE: return "all_reduce";
    case HLQ_REDUCE_SCATTER: return "reduce_scatter";
    case HLQ_ALL_GATHER: return "all_gather";
    case HLQ_ALL_TO_ALL: return "all_to_all";
    }
    return NULL;
}

const char *hlq_op_name(hlq_op op)
{
    switch (op) {
    case HLQ_SUM: return "sum";
    case HLQ_AVG: return "avg";
    case HLQ_MIN: return "min";
    case HLQ_MAX: return "max";
    case HLQ_PRODUCT: return "product";
    }
    return NULL;
}

const char *hlq_dtype_name(hlq_dtype dtype)
{
    switch (dtype) {
    case HLQ_FLOAT32: return "float32";
    case HLQ_BFLOAT16: return "bfloat16";
    case HLQ_FLOAT16: return "float16";
    case HLQ_FLOAT64: return "float64";
    case HLQ_INT8: return "int8";
    case HLQ_INT16: return "int16";
    case HLQ_INT32: return "int32";
    case HLQ_INT64: return "int64";
    case HLQ_UINT8: return "uint8";
    }
    return NULL;
}

size_t hlq_dtype_bytes(hlq_dtype dtype)
{
    switch (dtype) {
    case HLQ_INT8:
    case HLQ_UINT8: return 1;
    case HLQ_BFLOAT16:
    case HLQ_FLOAT16:
    case HLQ_INT16: return 2;
    case HLQ_FLOAT32:
    case HLQ_INT32: return 4;
    case HLQ_FLOAT64:
    case HLQ_INT64: return 8;
    }
    return 0;
}

int hlq_dtype_is_float(hlq_dtype dtype) { return dtype >= HLQ_FLOAT32 && dtype <= HLQ_FLOAT64; }
