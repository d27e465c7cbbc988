/*
 * Operators on look-up tables. On the host, a batch of inner products is one call of libhlqcomm for
 * each; on a CUDA device, one call for all.
 */
#include "cuda_quantizer.h"
#include "ops.h"

namespace hlqtorch {

namespace {

/* Digits [..., blocks, depth, dim]: the dimensions before the last three are the batch. */
Tensor coded_vectors(const char *what, const Tensor &tensor, const Spec &spec, at::Device device)
{
    Tensor digits = digits_of(what, tensor, spec, device);
    if (digits.dim() < 3) {
        throw invalid(std::string(what) + " of shape " + shape_of(digits) +
                      " must be [..., blocks, depth, dimension of the lattice]");
    }
    return digits;
}

/* One side of a batch of inner products: where the digits of each product start. */
struct Side {
    QuantizerPointer quantizer;
    Tensor digits, retries;
    int64_t blocks;

    Side(const char *what, const Spec &spec, const Tensor &b, const OptionalTensor &t,
         at::Device device)
        : quantizer(quantizer_of(spec)), digits(coded_vectors(what, b, spec, device)),
          retries(retries_of(t, sizes_with(digits, 2, {}), device)), blocks(digits.size(-3))
    {
    }
    hlq_code code(int64_t product) const
    {
        const int64_t stride = blocks * digits.size(-2) * digits.size(-1) * digits.element_size();
        const uint8_t *t = bytes_or_null(retries);
        return {quantizer.get(),
                static_cast<const char *>(digits.const_data_ptr()) + product * stride,
                t == nullptr ? nullptr : t + product * blocks};
    }
};

/* host(i, &dots[i]) for each of them, until one fails. */
template <typename Host> hlq_status each_of(Tensor &dots, Host host)
{
    double *out = dots.mutable_data_ptr<double>();
    for (int64_t i = 0; i < dots.numel(); i++) {
        const hlq_status status = host(i, &out[i]);
        if (status != HLQ_OK) {
            return status;
        }
    }
    return HLQ_OK;
}

} // namespace

Tensor lut_dot(const Spec &spec, const Tensor &a, const OptionalTensor &a_retries, const Tensor &b,
               const OptionalTensor &b_retries, int64_t b_depth, double b_beta)
{
    Spec b_spec = spec;
    b_spec.depth = b_depth;
    b_spec.beta = b_beta;
    const at::Device device = a.device();
    const Side left("bx", spec, a, a_retries, device), right("by", b_spec, b, b_retries, device);
    const std::vector<int64_t> batch = sizes_with(left.digits, 3, {});
    if (batch != sizes_with(right.digits, 3, {}) || left.blocks != right.blocks) {
        throw invalid("digits of shapes " + shape_of(left.digits) + " and " +
                      shape_of(right.digits) + " have no inner products: their vectors differ");
    }
    Tensor dots = empty(left.digits, batch, at::kDouble);
    run_on(
        device,
        [&] {
            const LutPointer lut = lut_of(spec);
            return each_of(dots, [&](int64_t i, double *out) {
                const hlq_code x = left.code(i), y = right.code(i);
                return hlq_lut_dot(lut.get(), &x, &y, left.blocks, out);
            });
        },
        [&](const CudaQuantizer &cuda, hlq_stream stream) {
            const hlq_code x = left.code(0), y = right.code(0);
            return cuda.lut_dot(cuda_lut_of(spec, device), &x, &y, dots.numel(), left.blocks,
                                dots.mutable_data_ptr<double>(), nullptr, stream);
        });
    return dots;
}

Tensor lut_one_sided(const Spec &spec, const Tensor &y)
{
    const QuantizerPointer quantizer = quantizer_of(spec);
    const Tensor from = vectors_of("y", y, spec.dim, y.device());
    Tensor table = empty(from, sizes_with(from, 1, {layer_points(quantizer)}), at::kFloat);
    const auto call = [&](auto function, auto... more) {
        return function(quantizer.get(), from.const_data_ptr<float>(), from.numel() / spec.dim,
                        table.mutable_data_ptr<float>(), more...);
    };
    run_on(
        from.device(), [&] { return call(hlq_lut_build_one_sided); },
        [&](const CudaQuantizer &cuda, hlq_stream stream) {
            return call(cuda.lut_build_one_sided, nullptr, stream);
        });
    return table;
}

Tensor lut_dot_one_sided(const Spec &spec, const Tensor &table, const Tensor &b,
                         const OptionalTensor &retries)
{
    const at::Device device = b.device();
    const Side side("b", spec, b, retries, device);
    const int64_t points = layer_points(side.quantizer);
    check_type("table", table, at::kFloat, device);
    if (table.sizes() != at::IntArrayRef(sizes_with(side.digits, 2, {points}))) {
        throw invalid("table of shape " + shape_of(table) + " does not belong to digits of shape " +
                      shape_of(side.digits) + ": one row of " + std::to_string(points) +
                      " for each vector is needed");
    }
    const Tensor rows = table.contiguous();
    const float *entries = rows.const_data_ptr<float>();
    Tensor dots = empty(rows, sizes_with(side.digits, 3, {}), at::kDouble);
    run_on(
        device,
        [&] {
            return each_of(dots, [&](int64_t i, double *out) {
                const hlq_code code = side.code(i);
                return hlq_lut_dot_one_sided(entries + i * side.blocks * points, &code, side.blocks,
                                             out);
            });
        },
        [&](const CudaQuantizer &cuda, hlq_stream stream) {
            const hlq_code code = side.code(0);
            return cuda.lut_dot_one_sided(entries, &code, dots.numel(), side.blocks,
                                          dots.mutable_data_ptr<double>(), nullptr, stream);
        });
    return dots;
}

} // namespace hlqtorch
