/*
 * Operators on look-up tables. A batch of inner products is one call of libhlqcomm for each.
 */
#include "ops.h"

namespace hlqtorch {

namespace {

/* Digits [..., blocks, depth, dim]: the dimensions before the last three are the batch. */
Tensor coded_vectors(const char *what, const Tensor &tensor, const Spec &spec)
{
    Tensor digits = digits_of(what, tensor, spec);
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

    Side(const char *what, const Spec &spec, const Tensor &b, const OptionalTensor &t)
        : quantizer(quantizer_of(spec)), digits(coded_vectors(what, b, spec)),
          retries(retries_of(t, sizes_with(digits, 2, {}))), blocks(digits.size(-3))
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

} // namespace

Tensor lut_dot(const Spec &spec, const Tensor &a, const OptionalTensor &a_retries, const Tensor &b,
               const OptionalTensor &b_retries, int64_t b_depth, double b_beta)
{
    Spec b_spec = spec;
    b_spec.depth = b_depth;
    b_spec.beta = b_beta;
    const Side left("bx", spec, a, a_retries), right("by", b_spec, b, b_retries);
    const std::vector<int64_t> batch = sizes_with(left.digits, 3, {});
    if (batch != sizes_with(right.digits, 3, {}) || left.blocks != right.blocks) {
        throw invalid("digits of shapes " + shape_of(left.digits) + " and " +
                      shape_of(right.digits) + " have no inner products: their vectors differ");
    }
    const LutPointer lut = lut_of(spec);
    Tensor dots = at::empty(batch, at::dtype(at::kDouble));
    double *out = dots.mutable_data_ptr<double>();
    for (int64_t i = 0; i < dots.numel(); i++) {
        const hlq_code x = left.code(i), y = right.code(i);
        check(hlq_lut_dot(lut.get(), &x, &y, left.blocks, &out[i]));
    }
    return dots;
}

Tensor lut_one_sided(const Spec &spec, const Tensor &y)
{
    const QuantizerPointer quantizer = quantizer_of(spec);
    const Tensor from = vectors_of("y", y, spec.dim);
    Tensor table = at::empty(sizes_with(from, 1, {layer_points(quantizer)}), at::dtype(at::kFloat));
    check(hlq_lut_build_one_sided(quantizer.get(), from.const_data_ptr<float>(),
                                  from.numel() / spec.dim, table.mutable_data_ptr<float>()));
    return table;
}

Tensor lut_dot_one_sided(const Spec &spec, const Tensor &table, const Tensor &b,
                         const OptionalTensor &retries)
{
    const Side side("b", spec, b, retries);
    const int64_t points = layer_points(side.quantizer);
    check_type("table", table, at::kFloat);
    if (table.sizes() != at::IntArrayRef(sizes_with(side.digits, 2, {points}))) {
        throw invalid("table of shape " + shape_of(table) + " does not belong to digits of shape " +
                      shape_of(side.digits) + ": one row of " + std::to_string(points) +
                      " for each vector is needed");
    }
    const Tensor rows = table.contiguous();
    Tensor dots = at::empty(sizes_with(side.digits, 3, {}), at::dtype(at::kDouble));
    double *out = dots.mutable_data_ptr<double>();
    for (int64_t i = 0; i < dots.numel(); i++) {
        const hlq_code code = side.code(i);
        check(hlq_lut_dot_one_sided(rows.const_data_ptr<float>() + i * side.blocks * points, &code,
                                    side.blocks, &out[i]));
    }
    return dots;
}

} // namespace hlqtorch
