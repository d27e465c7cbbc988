/*
 * Operators on vectors and digits: tensors to pointers and counts, for hlqcomm/quantizer.h, and for
 * hlqcomm/cuda.h where it has the same function. Shapes: x [..., dim], digits [..., depth, dim],
 * overload and retries [...].
 */
#include "cuda_quantizer.h"
#include "names.h"
#include "ops.h"

namespace hlqtorch {

namespace {

/* hlq_dither over a tensor that is kept alive here. */
struct Dither {
    Tensor z;
    hlq_dither dither;

    Dither(const OptionalTensor &given, const Tensor &x, int64_t dim)
    {
        if (!given) {
            return;
        }
        z = vectors_of("dither", *given, dim, x.device());
        if (z.dim() > 1 && z.sizes() != x.sizes()) {
            throw invalid("dither of shape " + shape_of(z) + " must have the shape of x, " +
                          shape_of(x) + ", or that of one vector, [" + std::to_string(dim) + "]");
        }
        dither = {z.const_data_ptr<float>(), static_cast<size_t>(z.numel() / dim)};
    }
    const hlq_dither *get() const { return z.defined() ? &dither : nullptr; }
};

size_t count_of(const Tensor &tensor, int64_t group) { return tensor.numel() / group; }

/* Of a tensor of bool. */
uint8_t *flags_of(Tensor &flags) { return static_cast<uint8_t *>(flags.mutable_data_ptr()); }

void check_same(const Tensor &a, const Tensor &b)
{
    if (a.sizes() != b.sizes()) {
        throw invalid("digits of shapes " + shape_of(a) + " and " + shape_of(b) +
                      " cannot be added");
    }
}

} // namespace

Tensor nearest(const Tensor &x, std::string lattice, int64_t dim)
{
    const hlq_lattice which = enum_from("lattice", lattice, hlq_lattice_name);
    const Tensor from = vectors_of("x", x, dim, x.device());
    Tensor point = at::empty_like(from);
    const auto call = [&](auto function, auto... more) {
        return function(which, static_cast<int>(dim), from.const_data_ptr<float>(),
                        count_of(from, dim), point.mutable_data_ptr<float>(), more...);
    };
    run_on(
        from.device(), [&] { return call(hlq_lattice_nearest); },
        [&](const CudaQuantizer &cuda, hlq_stream stream) {
            return call(cuda.nearest, nullptr, stream);
        });
    return point.to(x.scalar_type());
}

std::tuple<Tensor, Tensor, Tensor> encode(const Spec &spec, const Tensor &x,
                                          const OptionalTensor &dither)
{
    const QuantizerPointer quantizer = quantizer_of(spec);
    const Tensor from = vectors_of("x", x, spec.dim, x.device());
    const Dither z(dither, from, spec.dim);
    Tensor digits = empty(from, sizes_with(from, 1, {spec.depth, spec.dim}), digit_type(spec.q));
    Tensor overload = empty(from, sizes_with(from, 1, {}), at::kBool);
    Tensor retries = empty(from, sizes_with(from, 1, {}), at::kByte);
    const auto call = [&](auto function, auto... more) {
        return function(quantizer.get(), from.const_data_ptr<float>(), count_of(from, spec.dim),
                        z.get(), digits.mutable_data_ptr(), retries.mutable_data_ptr<uint8_t>(),
                        flags_of(overload), more...);
    };
    uint64_t overloads = 0; /* the caller gets the flags themselves */
    run_on(
        from.device(), [&] { return call(hlq_encode, &overloads); },
        [&](const CudaQuantizer &cuda, hlq_stream stream) {
            return call(cuda.encode, nullptr, nullptr, stream);
        });
    return {digits, overload, retries};
}

Tensor decode(const Spec &spec, const Tensor &digits, const OptionalTensor &retries,
              const OptionalTensor &dither, int64_t layers)
{
    const QuantizerPointer quantizer = quantizer_of(spec);
    const Tensor from = digits_of("b", digits, spec, digits.device());
    const Tensor t = retries_of(retries, sizes_with(from, 2, {}), from.device());
    Tensor x = empty(from, sizes_with(from, 2, {spec.dim}), at::kFloat);
    const Dither z(dither, x, spec.dim);
    const auto call = [&](auto function, auto... more) {
        return function(quantizer.get(), from.const_data_ptr(), bytes_or_null(t),
                        count_of(x, spec.dim), z.get(), static_cast<int>(layers),
                        x.mutable_data_ptr<float>(), more...);
    };
    run_on(
        from.device(), [&] { return call(hlq_decode); },
        [&](const CudaQuantizer &cuda, hlq_stream stream) {
            return call(cuda.decode, nullptr, stream);
        });
    return x;
}

std::tuple<Tensor, Tensor> quantize(const Spec &spec, const Tensor &x, const OptionalTensor &dither)
{
    const QuantizerPointer quantizer = quantizer_of(spec);
    const Tensor from = vectors_of("x", x, spec.dim, x.device());
    const Dither z(dither, from, spec.dim);
    Tensor out = at::empty_like(from);
    Tensor overload = empty(from, sizes_with(from, 1, {}), at::kBool);
    const auto call = [&](auto function, auto... more) {
        return function(quantizer.get(), from.const_data_ptr<float>(), count_of(from, spec.dim),
                        z.get(), out.mutable_data_ptr<float>(), flags_of(overload), more...);
    };
    uint64_t overloads = 0;
    run_on(
        from.device(), [&] { return call(hlq_quantize, &overloads); },
        [&](const CudaQuantizer &cuda, hlq_stream stream) {
            return call(cuda.quantize, nullptr, nullptr, stream);
        });
    return {out.to(x.scalar_type()), overload};
}

Tensor digits_add_modq(const Tensor &a, const Tensor &b, int64_t q)
{
    check_type("b1", a, digit_type(q), a.device());
    check_type("b2", b, digit_type(q), a.device());
    check_same(a, b);
    const Tensor left = aligned(a), right = aligned(b);
    Tensor sum = at::empty(a.sizes(), a.options());
    const auto call = [&](auto function, auto... more) {
        return function(static_cast<int>(q), left.const_data_ptr(), right.const_data_ptr(),
                        a.numel(), sum.mutable_data_ptr(), more...);
    };
    run_on(
        a.device(), [&] { return call(hlq_digits_add_modq); },
        [&](const CudaQuantizer &cuda, hlq_stream stream) {
            return call(cuda.digits_add_modq, nullptr, stream);
        });
    return sum;
}

std::tuple<Tensor, Tensor> digits_add(const Spec &spec, const Tensor &a, const Tensor &b)
{
    const QuantizerPointer quantizer = quantizer_of(spec);
    const Tensor left = digits_of("b1", a, spec, a.device());
    const Tensor right = digits_of("b2", b, spec, a.device());
    check_same(left, right);
    Tensor sum = at::empty_like(left);
    Tensor overload = empty(left, sizes_with(left, 2, {}), at::kBool);
    const auto call = [&](auto function, auto... more) {
        return function(quantizer.get(), left.const_data_ptr(), right.const_data_ptr(),
                        count_of(left, spec.depth * spec.dim), sum.mutable_data_ptr(),
                        flags_of(overload), more...);
    };
    uint64_t overloads = 0;
    run_on(
        left.device(), [&] { return call(hlq_digits_add, &overloads); },
        [&](const CudaQuantizer &cuda, hlq_stream stream) {
            return call(cuda.digits_add, nullptr, nullptr, stream);
        });
    return {sum, overload};
}

/* torch has few operators for uint32; flat codes are below 65536 and fit int32 as well. */
Tensor digits_to_flat(const Spec &spec, const Tensor &digits)
{
    const QuantizerPointer quantizer = quantizer_of(spec);
    const Tensor from = digits_of("b", digits, spec, digits.device());
    Tensor flat = empty(from, sizes_with(from, 2, {spec.dim}), at::kInt);
    const auto call = [&](auto function, auto... more) {
        return function(quantizer.get(), from.const_data_ptr(), count_of(flat, spec.dim),
                        reinterpret_cast<uint32_t *>(flat.mutable_data_ptr<int32_t>()), more...);
    };
    run_on(
        from.device(), [&] { return call(hlq_digits_to_flat); },
        [&](const CudaQuantizer &cuda, hlq_stream stream) {
            return call(cuda.digits_to_flat, nullptr, stream);
        });
    return flat;
}

Tensor flat_to_digits(const Spec &spec, const Tensor &flat)
{
    const QuantizerPointer quantizer = quantizer_of(spec);
    check_type("flat", flat, at::kInt, flat.device());
    if (flat.dim() == 0 || flat.size(-1) != spec.dim) {
        throw invalid("flat of shape " + shape_of(flat) + " must have a last dimension of " +
                      std::to_string(spec.dim));
    }
    const Tensor from = flat.contiguous();
    Tensor digits = empty(from, sizes_with(from, 1, {spec.depth, spec.dim}), digit_type(spec.q));
    const auto call = [&](auto function, auto... more) {
        return function(quantizer.get(),
                        reinterpret_cast<const uint32_t *>(from.const_data_ptr<int32_t>()),
                        count_of(from, spec.dim), digits.mutable_data_ptr(), more...);
    };
    run_on(
        from.device(), [&] { return call(hlq_flat_to_digits); },
        [&](const CudaQuantizer &cuda, hlq_stream stream) {
            return call(cuda.flat_to_digits, nullptr, stream);
        });
    return digits;
}

/* Packed digits have no room for what is none, so it is waited for whether there was any. */
Tensor digits_pack(const Tensor &digits, int64_t q)
{
    check_type("b", digits, digit_type(q), digits.device());
    const Tensor from = aligned(digits);
    const int64_t bytes = hlq_packed_bytes(static_cast<int>(q), from.numel());
    Tensor packed = empty(from, {bytes}, at::kByte);
    const auto call = [&](auto function, auto... more) {
        return function(static_cast<int>(q), from.const_data_ptr(), from.numel(),
                        packed.mutable_data_ptr(), more...);
    };
    Tensor wrong;
    run_on(
        from.device(), [&] { return call(hlq_digits_pack); },
        [&](const CudaQuantizer &cuda, hlq_stream stream) {
            wrong = at::zeros({1}, from.options().dtype(at::kLong));
            auto *count = static_cast<uint64_t *>(wrong.mutable_data_ptr());
            return call(cuda.digits_pack, count, stream);
        });
    const int64_t words = wrong.defined() ? wrong.cpu().item<int64_t>() : 0;
    if (words != 0) {
        throw invalid("b of shape " + shape_of(digits) + " has digits outside 0 ... " +
                      std::to_string(q - 1) + ", in " + std::to_string(words) + " packed words");
    }
    return packed;
}

Tensor digits_unpack(const Tensor &packed, int64_t q, int64_t count)
{
    check_type("packed", packed, at::kByte, packed.device());
    const int64_t bytes = hlq_packed_bytes(static_cast<int>(q), count < 0 ? 0 : count);
    if (packed.numel() != bytes || count < 0) {
        throw invalid("packed of shape " + shape_of(packed) + " cannot hold " +
                      std::to_string(count) + " digits of base " + std::to_string(q) +
                      ", which take " + std::to_string(bytes) + " bytes");
    }
    const Tensor from = aligned(packed, sizeof(uint64_t));
    Tensor digits = empty(from, {count}, digit_type(q));
    const auto call = [&](auto function, auto... more) {
        return function(static_cast<int>(q), from.const_data_ptr(), count,
                        digits.mutable_data_ptr(), more...);
    };
    run_on(
        from.device(), [&] { return call(hlq_digits_unpack); },
        [&](const CudaQuantizer &cuda, hlq_stream stream) {
            return call(cuda.digits_unpack, nullptr, stream);
        });
    return digits;
}

} // namespace hlqtorch
