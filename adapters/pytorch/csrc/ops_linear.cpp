/*
 * Operators on rows and linear layers. Shapes: weight [out, in], x [..., in], y [..., out], scales
 * [out], codes: bytes of digits_pack() of indices [out, in / dim, depth] in base q^dim. Work is
 * done where tensors are, but for packing, which is the host's.
 */
#include "cuda_quantizer.h"
#include "linears.h"
#include "ops.h"

#include <ATen/Parallel.h>

#include <atomic>

namespace hlqtorch {

namespace {

/* Rows worth a thread of their own: about 100 µs of work. */
int64_t rows_per_thread(int64_t columns) { return 1 + 16384 / (columns + 1); }

/* Counters, which torch has as int64: of the host, and of a device, from 0 on. */
Tensor counted(uint64_t count) { return at::scalar_tensor(static_cast<int64_t>(count), at::kLong); }
Tensor counter_on(at::Device device) { return at::zeros({}, at::dtype(at::kLong).device(device)); }
uint64_t *count_of(Tensor &counter)
{
    return reinterpret_cast<uint64_t *>(counter.mutable_data_ptr<int64_t>());
}

Tensor numbers_on(at::Device device, at::IntArrayRef sizes)
{
    return at::empty(sizes, at::dtype(at::kFloat).device(device));
}

/* Memory for a call; torch reuses it in the order of the stream. */
Tensor workspace_on(at::Device device, size_t bytes)
{
    return at::empty({static_cast<int64_t>(bytes)}, at::dtype(at::kByte).device(device));
}

/* Rows whose length is a multiple of dim, which the caller sees to by padding. */
Tensor rows_of(const char *what, const Tensor &tensor, int64_t dim)
{
    Tensor rows = numbers(what, tensor, tensor.device());
    if (dim < 1 || rows.size(-1) % dim != 0) {
        throw invalid(std::string(what) + " of shape " + shape_of(tensor) +
                      ": its last dimension is not a multiple of " + std::to_string(dim));
    }
    return rows;
}

int64_t count_rows(const Tensor &rows)
{
    return rows.size(-1) == 0 ? 0 : rows.numel() / rows.size(-1);
}

Tensor unpacked_by_host(const Linear &linear)
{
    const int64_t columns = linear.in_features;
    Tensor weight = numbers_on(HOST, {linear.out_features, columns});
    float *to = weight.mutable_data_ptr<float>();
    at::parallel_for(
        0, linear.out_features, rows_per_thread(columns), [&](int64_t first, int64_t end) {
            check(hlq_linear_unpack(linear.host.get(), first, end - first, to + first * columns));
        });
    return weight;
}

Tensor unpacked(const Linear &linear, at::Device device)
{
    if (linear.host) {
        return unpacked_by_host(linear);
    }
    const c10::DeviceGuard guard(device);
    Tensor weight = numbers_on(device, {linear.out_features, linear.in_features});
    check(cuda_quantizer().linear_unpack(linear.cuda.get(), 0, linear.out_features,
                                         weight.mutable_data_ptr<float>(), stream_handle(device)));
    return weight;
}

uint64_t quantize_by_host(const QuantizerPointer &quantizer, const Tensor &rows, bool fit,
                          Tensor &out)
{
    const int64_t columns = rows.size(-1);
    const float *from = rows.const_data_ptr<float>();
    float *to = out.mutable_data_ptr<float>();
    std::atomic<uint64_t> shrunk = 0;
    at::parallel_for(
        0, count_rows(rows), rows_per_thread(columns), [&](int64_t first, int64_t end) {
            uint64_t here = 0;
            check(hlq_rows_quantize(quantizer.get(), from + first * columns, end - first, columns,
                                    fit, to + first * columns, &here));
            shrunk += here;
        });
    return shrunk;
}

/* And how many vectors were shrunk. */
std::pair<Tensor, Tensor> quantized_rows(const Spec &spec, const Tensor &x, bool fit)
{
    const QuantizerPointer quantizer = quantizer_of(spec);
    const Tensor rows = rows_of("x", x, spec.dim);
    Tensor out = at::empty_like(rows);
    if (rows.is_cpu()) {
        return {out, counted(quantize_by_host(quantizer, rows, fit, out))};
    }
    const c10::DeviceGuard guard(rows.device());
    const CudaQuantizer &cuda = cuda_quantizer();
    const int64_t count = count_rows(rows), columns = rows.size(-1);
    const size_t bytes = cuda.rows_workspace(count, columns, fit);
    Tensor shrunk = counter_on(rows.device()), workspace = workspace_on(rows.device(), bytes);
    check(cuda.rows_quantize(quantizer.get(), rows.const_data_ptr<float>(), count, columns, fit,
                             out.mutable_data_ptr<float>(), count_of(shrunk), nullptr,
                             workspace.mutable_data_ptr(), bytes, stream_handle(rows.device())));
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

uint64_t look_up_by_host(const Linear &linear, const hlq_quantizer *activation, const Tensor &x,
                         Tensor &y)
{
    const int64_t in = linear.in_features, out = linear.out_features;
    const float *from = x.const_data_ptr<float>();
    float *to = y.mutable_data_ptr<float>();
    std::atomic<uint64_t> overloads = 0;
    /* Rows of x go to torch's own threads: the library's would stand in their way. */
    at::parallel_for(0, count_rows(x), 1, [&](int64_t first, int64_t end) {
        uint64_t here = 0;
        check(hlq_linear_forward(linear.host.get(), activation, from + first * in,
                                 static_cast<size_t>(end - first), to + first * out, &here, 1));
        overloads += here;
    });
    return overloads;
}

Tensor look_up_by_device(const Linear &linear, const hlq_quantizer *activation, const Tensor &x,
                         Tensor &y)
{
    const c10::DeviceGuard guard(x.device());
    const CudaQuantizer &cuda = cuda_quantizer();
    const int64_t batch = count_rows(x);
    const size_t bytes = cuda.linear_workspace(linear.cuda.get(), activation, batch);
    Tensor overloads = counter_on(x.device()), workspace = workspace_on(x.device(), bytes);
    check(cuda.linear_forward(linear.cuda.get(), activation, x.const_data_ptr<float>(), batch,
                              y.mutable_data_ptr<float>(), count_of(overloads), nullptr,
                              workspace.mutable_data_ptr(), bytes, stream_handle(x.device())));
    return overloads;
}

std::tuple<Tensor, Tensor> look_up(const Spec &spec, const Linear &linear, const Tensor &x,
                                   std::optional<int64_t> x_depth, double x_beta)
{
    QuantizerPointer activation;
    if (x_depth) {
        activation = quantizer_of(activation_spec(spec, *x_depth, x_beta));
    }
    Tensor y = numbers_on(x.device(), sizes_with(x, 1, {linear.out_features}));
    if (linear.host) {
        return {y, counted(look_up_by_host(linear, activation.get(), x, y))};
    }
    Tensor overloads = look_up_by_device(linear, activation.get(), x, y);
    return {y, overloads};
}

} // namespace

std::tuple<Tensor, Tensor> rows_quantize(const Spec &spec, const Tensor &x, bool fit)
{
    auto [out, shrunk] = quantized_rows(spec, x, fit);
    return {out.to(x.scalar_type()), shrunk};
}

std::tuple<Tensor, Tensor> rows_quantize_every(const Spec &spec, const Tensor &x,
                                               const Tensor &kept, const Tensor &calls,
                                               int64_t every, bool fit)
{
    check_device("kept", kept, x.device());
    check_type("calls", calls, at::kLong, calls.is_cpu() ? calls.device() : x.device());
    if (kept.sizes() != x.sizes() || calls.numel() != 1 || every < 1) {
        throw invalid("x of shape " + shape_of(x) + " cannot be kept in shape " + shape_of(kept) +
                      " every " + std::to_string(every) + " calls");
    }
    if (calls.item<int64_t>() % every == 0) {
        return rows_quantize(spec, x, fit);
    }
    return {kept.to(x.scalar_type(), false, true),
            x.is_cpu() ? counted(0) : counter_on(x.device())};
}

std::tuple<Tensor, Tensor, Tensor> linear_pack(const Spec &spec, const Tensor &weight)
{
    const LinearPointer packed = packed_weight(spec, weight);
    hlq_linear_info info = {};
    info.struct_bytes = sizeof info;
    check(hlq_linear_describe(packed.get(), &info));
    const int64_t layers = info.out_features * info.in_features / spec.dim * spec.depth;
    Tensor indices = at::empty({layers}, at::dtype(at::kByte));
    Tensor scales = numbers_on(HOST, {static_cast<int64_t>(info.out_features)});
    check(hlq_linear_save(packed.get(), indices.mutable_data_ptr<uint8_t>(),
                          scales.mutable_data_ptr<float>()));
    const at::Device device = weight.device();
    return {digits_pack(indices, layer_points(quantizer_of(spec))).to(device), scales.to(device),
            counted(info.shrunk_vectors).to(device)};
}

Tensor linear_unpack(const Spec &spec, const Tensor &codes, const Tensor &scales,
                     int64_t in_features)
{
    const at::Device device = codes.device();
    return unpacked(linear_from_codes(spec, codes, scales, in_features, device), device);
}

std::tuple<Tensor, Tensor> linear_forward(const Spec &spec, const Tensor &x, const Tensor &codes,
                                          const Tensor &scales, std::optional<int64_t> x_depth,
                                          double x_beta, int64_t lut_rows)
{
    const Tensor from = rows_of("x", x, spec.dim);
    const int64_t in_features = from.size(-1);
    const Linear linear = linear_from_codes(spec, codes, scales, in_features, x.device());
    if (from.numel() <= lut_rows * in_features) {
        auto [y, overloads] = look_up(spec, linear, from, x_depth, x_beta);
        return {y.to(x.scalar_type()), overloads};
    }
    /* Many rows: a GEMM of fp32 costs less than look-ups for each. */
    const Tensor weight = unpacked(linear, x.device());
    if (!x_depth) {
        return {at::linear(from, weight).to(x.scalar_type()),
                x.is_cpu() ? counted(0) : counter_on(x.device())};
    }
    auto [quantized, overloads] =
        quantized_rows(activation_spec(spec, *x_depth, x_beta), from, false);
    return {at::linear(quantized, weight).to(x.scalar_type()), overloads};
}

std::tuple<Tensor, Tensor> linear_lut(const Spec &spec, const Tensor &x, const Tensor &weight,
                                      std::optional<int64_t> x_depth, double x_beta)
{
    check_device("weight", weight, x.device());
    const Linear linear = linear_on(x.device(), packed_weight(spec, weight));
    const Tensor from = rows_of("x", x, spec.dim);
    if (from.size(-1) != weight.size(-1)) {
        throw invalid("x of shape " + shape_of(x) + " does not fit weight of shape " +
                      shape_of(weight));
    }
    auto [y, overloads] = look_up(spec, linear, from, x_depth, x_beta);
    return {y.to(x.scalar_type()), overloads};
}

} // namespace hlqtorch
