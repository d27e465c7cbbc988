/*
 * Quantizers and tables of all pairs, made at first use.
 */
#include "quantizers.h"

#include "names.h"

#include <climits>

namespace hlqtorch {

namespace {

constexpr size_t QUANTIZERS_KEPT = 64;
constexpr size_t TABLES_KEPT = 4; /* a table has up to 2^26 entries */

/* Python's integers are wider than C's: what does not fit is passed on as INT_MIN, which no
 * parameter may be. */
int narrowed(int64_t value) { return value == static_cast<int>(value) ? value : INT_MIN; }

hlq_quantizer_params params_from(const Spec &spec)
{
    hlq_quantizer_params params = HLQ_QUANTIZER_INIT;
    params.lattice = enum_from("lattice", spec.lattice, hlq_lattice_name);
    params.dim = narrowed(spec.dim);
    params.q = narrowed(spec.q);
    params.depth = narrowed(spec.depth);
    params.beta = spec.beta;
    params.alpha = spec.alpha;
    params.max_retries = narrowed(spec.max_retries);
    params.centred = spec.centred;
    return params;
}

QuantizerPointer make_quantizer(const Spec &spec)
{
    const hlq_quantizer_params params = params_from(spec);
    hlq_quantizer *quantizer = nullptr;
    check(hlq_quantizer_create(&params, &quantizer));
    return QuantizerPointer(quantizer, hlq_quantizer_destroy);
}

LutPointer make_lut(const Spec &spec)
{
    hlq_lut *lut = nullptr;
    check(hlq_lut_build_two_sided(quantizer_of(spec).get(), &lut));
    return LutPointer(lut, hlq_lut_destroy);
}

} // namespace

void check(hlq_status status)
{
    if (status != HLQ_OK) {
        throw Failure(status, hlq_quantizer_error());
    }
}

QuantizerPointer quantizer_of(const Spec &spec)
{
    static Recent<Spec, QuantizerPointer> recent(QUANTIZERS_KEPT);
    return recent.get(spec, [&spec] { return make_quantizer(spec); });
}

int64_t layer_points(const QuantizerPointer &quantizer)
{
    hlq_quantizer_info info = {};
    info.struct_bytes = sizeof info;
    check(hlq_quantizer_describe(quantizer.get(), &info));
    return info.layer_points;
}

Spec lut_key(const Spec &spec)
{
    return {spec.lattice, spec.dim, spec.q, 1, 1.0, 1.0, 0, spec.centred};
}

LutPointer lut_of(const Spec &spec)
{
    static Recent<Spec, LutPointer> recent(TABLES_KEPT);
    const Spec key = lut_key(spec);
    return recent.get(key, [&key] { return make_lut(key); });
}

} // namespace hlqtorch
