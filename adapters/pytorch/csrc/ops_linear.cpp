/*
 * Operators on rows and linear layers. Shapes: weight [out, in], x [..., in], y [..., out], scales
 * [out], codes: bytes of digits_pack() of indices [out, in / dim, depth] in base q^dim.
 */
#include "linears.h"
#include "ops.h"

#include <ATen/Parallel.h>

#include <atomic>

namespace hlqtorch {

namespace {

hlq_linear_info info_of(const LinearPointer &linear)
{
    hlq_linear_info info = {};
    info.struct_bytes = sizeof info;
    check(hlq_linear_describe(linear.get(), &info));
    return info;
}

/* Rows worth a thread of their own: about 100 µs of work. */
int64_t rows_per_thread(int64_t columns) { return 1 + 16384 / (columns + 1); }

Tensor unpacked(const LinearPointer &linear)
{
    const hlq_linear_info info = info_of(linear);
    const int64_t rows = info.out_features, columns = info.in_features;
    Tensor weight = at::empty({rows, columns}, at::dtype(at::kFloat));
    float *to = weight.mutable_data_ptr<float>();
    at::parallel_for(0, rows, rows_per_thread(columns), [&](int64_t first, int64_t end) {
        check(hlq_linear_unpack(linear.get(), first, end - first, to + first * columns));
    });
    return weight;
}

/* Counters, which torch has as int64. */
Tensor counted(uint64_t count) { return at::scalar_tensor(static_cast<int64_t>(count), at::kLong); }

/* Rows whose length is a multiple of dim, which the caller sees to by padding. */
Tensor rows_of(const char *what, const Tensor &tensor, int64_t dim)
{
    Tensor rows = numbers(what, tensor);
    if (dim < 1 || rows.size(-1) % dim != 0) {
        throw invalid(std::string(what) + " of shape " + shape_of(tensor) +
                      ": its last dimension is not a multiple of " + std::to_string(dim));
    }
    return rows;
}

std::pair<Tensor, uint64_t> quantized_rows(const Spec &spec, const Tensor &x, bool fit)
{
    const QuantizerPointer quantizer = quantizer_of(spec);
    const Tensor rows = rows_of("x", x, spec.dim);
    const int64_t columns = rows.size(-1), count = columns == 0 ? 0 : rows.numel() / columns;
    Tensor out = at::empty_like(rows);
    const float *from = rows.const_data_ptr<float>();
    float *to = out.mutable_data_ptr<float>();
    std::atomic<uint64_t> shrunk = 0;
    at::parallel_for(0, count, rows_per_thread(columns), [&](int64_t first, int64_t end) {
        uint64_t here = 0;
        check(hlq_rows_quantize(quantizer.get(), from + first * columns, end - first, columns, fit,
                                to + first * columns, &here));
        shrunk += here;
    });
    return {out, shrunk};
}

/* The quantizer of activations: that of the weights with another depth and beta. */
Spec activation_spec(const Spec &spec, int64_t depth, double beta)
{
    Spec activation = spec;
    activation.depth = depth;
    activation.beta = beta;
    return activation;
}

std::tuple<Tensor, Tensor> look_up(const Spec &spec, const LinearPointer &linear, const Tensor &x,
                                   std::optional<int64_t> x_depth, double x_beta)
{
    const hlq_linear_info info = info_of(linear);
    QuantizerPointer activation;
    if (x_depth) {
        activation = quantizer_of(activation_spec(spec, *x_depth, x_beta));
    }
    Tensor y = at::empty(sizes_with(x, 1, {static_cast<int64_t>(info.out_features)}),
                         at::dtype(at::kFloat));
    const auto in = static_cast<int64_t>(info.in_features);
    const auto out = static_cast<int64_t>(info.out_features);
    const float *from = x.const_data_ptr<float>();
    float *to = y.mutable_data_ptr<float>();
    std::atomic<uint64_t> overloads = 0;
    /* Rows of x go to torch's own threads: the library's would stand in their way. */
    at::parallel_for(0, in == 0 ? 0 : x.numel() / in, 1, [&](int64_t first, int64_t end) {
        uint64_t here = 0;
        check(hlq_linear_forward(linear.get(), activation.get(), from + first * in,
                                 static_cast<size_t>(end - first), to + first * out, &here, 1));
        overloads += here;
    });
    return {y, counted(overloads)};
}

} // namespace

std::tuple<Tensor, Tensor> rows_quantize(const Spec &spec, const Tensor &x, bool fit)
{
    auto [out, shrunk] = quantized_rows(spec, x, fit);
    return {out.to(x.scalar_type()), counted(shrunk)};
}

std::tuple<Tensor, Tensor> rows_quantize_every(const Spec &spec, const Tensor &x,
                                               const Tensor &kept, const Tensor &calls,
                                               int64_t every, bool fit)
{
    check_type("calls", calls, at::kLong);
    if (kept.sizes() != x.sizes() || calls.numel() != 1 || every < 1) {
        throw invalid("x of shape " + shape_of(x) + " cannot be kept in shape " + shape_of(kept) +
                      " every " + std::to_string(every) + " calls");
    }
    if (calls.item<int64_t>() % every == 0) {
        return rows_quantize(spec, x, fit);
    }
    return {kept.to(x.scalar_type(), false, true), counted(0)};
}

std::tuple<Tensor, Tensor, Tensor> linear_pack(const Spec &spec, const Tensor &weight)
{
    const LinearPointer linear = linear_from_weight(spec, weight);
    const hlq_linear_info info = info_of(linear);
    const int64_t layers = info.out_features * info.in_features / spec.dim * spec.depth;
    Tensor indices = at::empty({layers}, at::dtype(at::kByte));
    Tensor scales = at::empty({static_cast<int64_t>(info.out_features)}, at::dtype(at::kFloat));
    check(hlq_linear_save(linear.get(), indices.mutable_data_ptr<uint8_t>(),
                          scales.mutable_data_ptr<float>()));
    return {digits_pack(indices, layer_points(quantizer_of(spec))), scales,
            counted(info.shrunk_vectors)};
}

Tensor linear_unpack(const Spec &spec, const Tensor &codes, const Tensor &scales,
                     int64_t in_features)
{
    return unpacked(linear_from_codes(spec, codes, scales, in_features));
}

std::tuple<Tensor, Tensor> linear_forward(const Spec &spec, const Tensor &x, const Tensor &codes,
                                          const Tensor &scales, std::optional<int64_t> x_depth,
                                          double x_beta, int64_t lut_rows)
{
    const Tensor from = rows_of("x", x, spec.dim);
    const int64_t in_features = from.size(-1);
    const LinearPointer linear = linear_from_codes(spec, codes, scales, in_features);
    if (from.numel() <= lut_rows * in_features) {
        auto [y, overloads] = look_up(spec, linear, from, x_depth, x_beta);
        return {y.to(x.scalar_type()), overloads};
    }
    /* Many rows: a GEMM of fp32 costs less than look-ups for each. */
    Tensor quantized = from;
    uint64_t overloads = 0;
    if (x_depth) {
        std::tie(quantized, overloads) =
            quantized_rows(activation_spec(spec, *x_depth, x_beta), from, false);
    }
    return {at::linear(quantized, unpacked(linear)).to(x.scalar_type()), counted(overloads)};
}

std::tuple<Tensor, Tensor> linear_lut(const Spec &spec, const Tensor &x, const Tensor &weight,
                                      std::optional<int64_t> x_depth, double x_beta)
{
    const LinearPointer linear = linear_from_weight(spec, weight);
    const Tensor from = rows_of("x", x, spec.dim);
    if (from.size(-1) != weight.size(-1)) {
        throw invalid("x of shape " + shape_of(x) + " does not fit weight of shape " +
                      shape_of(weight));
    }
    auto [y, overloads] = look_up(spec, linear, from, x_depth, x_beta);
    return {y.to(x.scalar_type()), overloads};
}

} // namespace hlqtorch
