/*
 * The operators torch.ops.hlq: schemas, kernels for host and CUDA tensors, and the checks they
 * share.
 *
 * Fake kernels and derivatives are in hlqtorch/ops.py; what the operators compute is said there and
 * in hlqcomm/quantizer.h. An operator names its quantizer by the eight arguments at its end.
 */
#include "ops.h"

#include <torch/library.h>

namespace hlqtorch {

std::string shape_of(const Tensor &tensor)
{
    std::string text;
    for (int64_t size : tensor.sizes()) {
        text += (text.empty() ? "" : ", ") + std::to_string(size);
    }
    return "[" + text + "]";
}

namespace {

/* "b of shape [3, 5]". */
std::string named(const char *what, const Tensor &tensor)
{
    return std::string(what) + " of shape " + shape_of(tensor);
}

} // namespace

void check_device(const char *what, const Tensor &tensor, at::Device device)
{
    if (device.is_cpu() ? !tensor.is_cpu() : tensor.device() != device) {
        throw invalid(named(what, tensor) + " is on " + tensor.device().str() + "; it must be on " +
                      device.str());
    }
}

void check_type(const char *what, const Tensor &tensor, at::ScalarType type, at::Device device)
{
    check_device(what, tensor, device);
    if (tensor.scalar_type() != type) {
        throw invalid(named(what, tensor) + " is " + c10::toString(tensor.scalar_type()) +
                      "; it must be " + c10::toString(type));
    }
}

Tensor numbers(const char *what, const Tensor &tensor, at::Device device)
{
    const std::string name = named(what, tensor);
    check_device(what, tensor, device);
    if (!tensor.is_floating_point()) {
        throw invalid(name + " is " + c10::toString(tensor.scalar_type()) +
                      "; it must be of a floating type");
    }
    if (tensor.dim() == 0) {
        throw invalid(name + " has no last dimension to quantize");
    }
    return tensor.to(at::kFloat).contiguous();
}

Tensor vectors_of(const char *what, const Tensor &tensor, int64_t dim, at::Device device)
{
    Tensor x = numbers(what, tensor, device);
    if (x.size(-1) != dim) {
        throw invalid(std::string(what) + " of shape " + shape_of(x) +
                      " must have a last dimension of " + std::to_string(dim));
    }
    return x;
}

at::ScalarType digit_type(int64_t q) { return q <= 256 ? at::kByte : at::kShort; }

Tensor aligned(const Tensor &tensor, size_t alignment)
{
    const Tensor whole = tensor.contiguous();
    const auto address = reinterpret_cast<uintptr_t>(whole.const_data_ptr());
    return whole.is_cpu() || address % alignment == 0 ? whole : whole.clone();
}

Tensor empty(const Tensor &like, const std::vector<int64_t> &sizes, at::ScalarType type)
{
    return at::empty(sizes, like.options().dtype(type));
}

Tensor digits_of(const char *what, const Tensor &tensor, const Spec &spec, at::Device device)
{
    check_type(what, tensor, digit_type(spec.q), device);
    if (tensor.dim() < 2 || tensor.size(-2) != spec.depth || tensor.size(-1) != spec.dim) {
        throw invalid(std::string(what) + " of shape " + shape_of(tensor) +
                      " must have last dimensions [" + std::to_string(spec.depth) + ", " +
                      std::to_string(spec.dim) + "]: depth, dimension of the lattice");
    }
    return aligned(tensor);
}

Tensor retries_of(const OptionalTensor &retries, const std::vector<int64_t> &shape,
                  at::Device device)
{
    if (!retries) {
        return Tensor();
    }
    check_type("T", *retries, at::kByte, device);
    if (retries->sizes() != at::IntArrayRef(shape)) {
        throw invalid("T of shape " + shape_of(*retries) + " must have one number for each of " +
                      "the vectors " + c10::str(at::IntArrayRef(shape)));
    }
    return retries->contiguous();
}

std::vector<int64_t> sizes_with(const Tensor &tensor, int64_t drop, std::vector<int64_t> add)
{
    std::vector<int64_t> sizes(tensor.sizes().begin(), tensor.sizes().end() - drop);
    sizes.insert(sizes.end(), add.begin(), add.end());
    return sizes;
}

void rethrow_for_torch(const Failure &failure)
{
    const std::string sentence = failure.what();
    switch (failure.status()) {
    case HLQ_E_INVALID:
    case HLQ_E_MISMATCH: TORCH_CHECK_VALUE(false, sentence);
    case HLQ_E_UNSUPPORTED: TORCH_CHECK_NOT_IMPLEMENTED(false, sentence);
    case HLQ_E_NOMEM: TORCH_CHECK_WITH(OutOfMemoryError, false, sentence);
    default: TORCH_CHECK(false, sentence);
    }
    throw failure; /* not reached: TORCH_CHECK throws */
}

} // namespace hlqtorch

/* The end of a schema: the quantizer. */
#define SPEC                                                                                       \
    "str lattice, int dim, int q, int depth, float beta, float alpha, int max_retries, "           \
    "bool centred)"

TORCH_LIBRARY(hlq, m)
{
    m.set_python_module("hlqtorch.ops");
    const std::vector<at::Tag> tags = {at::Tag::pt2_compliant_tag};
    for (const char *schema : {
             "nearest(Tensor x, str lattice, int dim) -> Tensor",
             "encode(Tensor x, Tensor? dither, " SPEC
             " -> (Tensor digits, Tensor overload, Tensor retries)",
             "decode(Tensor digits, Tensor? retries, Tensor? dither, int layers, " SPEC
             " -> Tensor",
             "quantize(Tensor x, Tensor? dither, " SPEC " -> (Tensor quantized, Tensor overload)",
             "digits_add_modq(Tensor a, Tensor b, int q) -> Tensor",
             "digits_add(Tensor a, Tensor b, " SPEC " -> (Tensor sum, Tensor overload)",
             "digits_to_flat(Tensor digits, " SPEC " -> Tensor",
             "flat_to_digits(Tensor flat, " SPEC " -> Tensor",
             "digits_pack(Tensor digits, int q) -> Tensor",
             "digits_unpack(Tensor packed, int q, SymInt count) -> Tensor",
             "lut_dot(Tensor a, Tensor? a_retries, Tensor b, Tensor? b_retries, int b_depth, "
             "float b_beta, " SPEC " -> Tensor",
             "lut_one_sided(Tensor y, " SPEC " -> Tensor",
             "lut_dot_one_sided(Tensor table, Tensor b, Tensor? retries, " SPEC " -> Tensor",
             "rows_quantize(Tensor x, bool fit, " SPEC " -> (Tensor quantized, Tensor shrunk)",
             "rows_quantize_every(Tensor x, Tensor kept, Tensor calls, int every, bool fit, " SPEC
             " -> (Tensor quantized, Tensor shrunk)",
             "linear_pack(Tensor weight, " SPEC " -> (Tensor codes, Tensor scales, Tensor shrunk)",
             "linear_unpack(Tensor codes, Tensor scales, SymInt in_features, " SPEC " -> Tensor",
             "linear_forward(Tensor x, Tensor codes, Tensor scales, int? x_depth, float x_beta, "
             "int lut_rows, " SPEC " -> (Tensor y, Tensor overloads)",
             "linear_lut(Tensor x, Tensor weight, int? x_depth, float x_beta, " SPEC
             " -> (Tensor y, Tensor overloads)",
         }) {
        m.def(schema, tags);
    }
}
#undef SPEC

namespace hlqtorch {

/* All work where their tensors are. */
static void implement(torch::Library &m)
{
    m.impl("nearest", kernel<&nearest>::call);
    m.impl("encode", with_spec<&encode>::call);
    m.impl("decode", with_spec<&decode>::call);
    m.impl("quantize", with_spec<&quantize>::call);
    m.impl("digits_add_modq", kernel<&digits_add_modq>::call);
    m.impl("digits_add", with_spec<&digits_add>::call);
    m.impl("digits_to_flat", with_spec<&digits_to_flat>::call);
    m.impl("flat_to_digits", with_spec<&flat_to_digits>::call);
    m.impl("digits_pack", kernel<&digits_pack>::call);
    m.impl("digits_unpack", kernel<&digits_unpack>::call);
    m.impl("lut_dot", with_spec<&lut_dot>::call);
    m.impl("lut_one_sided", with_spec<&lut_one_sided>::call);
    m.impl("lut_dot_one_sided", with_spec<&lut_dot_one_sided>::call);
    m.impl("rows_quantize", with_spec<&rows_quantize>::call);
    m.impl("rows_quantize_every", with_spec<&rows_quantize_every>::call);
    m.impl("linear_pack", with_spec<&linear_pack>::call);
    m.impl("linear_unpack", with_spec<&linear_unpack>::call);
    m.impl("linear_forward", with_spec<&linear_forward>::call);
    m.impl("linear_lut", with_spec<&linear_lut>::call);
}

} // namespace hlqtorch

TORCH_LIBRARY_IMPL(hlq, CPU, m) { hlqtorch::implement(m); }
TORCH_LIBRARY_IMPL(hlq, CUDA, m) { hlqtorch::implement(m); }
