/*
 * What the operators torch.ops.hlq share: checks on tensors, and the way from a C++ function over
 * a Spec to a kernel of torch's dispatcher. Schemas are in ops.cpp.
 */
#pragma once

#include "quantizers.h"

#include <ATen/ATen.h>

#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace hlqtorch {

using at::Tensor;
using OptionalTensor = std::optional<Tensor>;

/* "[3, 5]". */
std::string shape_of(const Tensor &tensor);

/* What follows throws for tensors that are not on `device`. */
constexpr at::DeviceType HOST = at::kCPU;

/* float32, contiguous, from any floating type; throws if it is of another type or without
 * dimensions. */
Tensor numbers(const char *what, const Tensor &tensor, at::Device device = HOST);

/* numbers() whose last dimension is `dim`. */
Tensor vectors_of(const char *what, const Tensor &tensor, int64_t dim, at::Device device = HOST);

/* Contiguous digits [..., depth, dim] of the type that belongs to q. */
Tensor digits_of(const char *what, const Tensor &tensor, const Spec &spec,
                 at::Device device = HOST);
at::ScalarType digit_type(int64_t q);

/* Contiguous, and on devices aligned, as hlqcomm/cuda.h wants digits. */
Tensor aligned(const Tensor &tensor, size_t alignment = 4);

/* Where `like` is. */
Tensor empty(const Tensor &like, const std::vector<int64_t> &sizes, at::ScalarType type);

/* T of each vector: contiguous uint8 of that shape; an undefined tensor if there is none. */
Tensor retries_of(const OptionalTensor &retries, const std::vector<int64_t> &shape,
                  at::Device device = HOST);

/* NULL for an undefined tensor. */
inline const uint8_t *bytes_or_null(const Tensor &tensor)
{
    return tensor.defined() ? tensor.const_data_ptr<uint8_t>() : nullptr;
}

/* Throws if it is not there. */
void check_device(const char *what, const Tensor &tensor, at::Device device);

/* Throws unless the tensor is of that type. */
void check_type(const char *what, const Tensor &tensor, at::ScalarType type,
                at::Device device = HOST);

/* Sizes with the last `drop` removed, then `add` appended. */
std::vector<int64_t> sizes_with(const Tensor &tensor, int64_t drop, std::vector<int64_t> add);

/* Throws the Failure being handled as the exception of torch that belongs to its status. */
[[noreturn]] void rethrow_for_torch(const Failure &failure);

/* kernel<f>::call: f(arguments...), failures turned into exceptions of torch. */
template <auto function> struct kernel;
template <typename Result, typename... Arguments, Result (*function)(Arguments...)>
struct kernel<function> {
    static Result call(Arguments... arguments)
    {
        try {
            return function(std::forward<Arguments>(arguments)...);
        } catch (const Failure &failure) {
            rethrow_for_torch(failure);
        }
    }
};

/* with_spec<f>::call: the same for f(spec, arguments...), with the spec as eight arguments. */
template <auto function> struct with_spec;
template <typename Result, typename... Arguments, Result (*function)(const Spec &, Arguments...)>
struct with_spec<function> {
    static Result call(Arguments... arguments, std::string lattice, int64_t dim, int64_t q,
                       int64_t depth, double beta, double alpha, int64_t max_retries, bool centred)
    {
        const Spec spec = {std::move(lattice), dim, q, depth, beta, alpha, max_retries, centred};
        try {
            return function(spec, std::forward<Arguments>(arguments)...);
        } catch (const Failure &failure) {
            rethrow_for_torch(failure);
        }
    }
};

/* ops_codes.cpp */
Tensor nearest(const Tensor &x, std::string lattice, int64_t dim);
std::tuple<Tensor, Tensor, Tensor> encode(const Spec &spec, const Tensor &x,
                                          const OptionalTensor &dither);
Tensor decode(const Spec &spec, const Tensor &digits, const OptionalTensor &retries,
              const OptionalTensor &dither, int64_t layers);
std::tuple<Tensor, Tensor> quantize(const Spec &spec, const Tensor &x,
                                    const OptionalTensor &dither);
Tensor digits_add_modq(const Tensor &a, const Tensor &b, int64_t q);
std::tuple<Tensor, Tensor> digits_add(const Spec &spec, const Tensor &a, const Tensor &b);
Tensor digits_to_flat(const Spec &spec, const Tensor &digits);
Tensor flat_to_digits(const Spec &spec, const Tensor &flat);
Tensor digits_pack(const Tensor &digits, int64_t q);
Tensor digits_unpack(const Tensor &packed, int64_t q, int64_t count);

/* ops_luts.cpp */
Tensor lut_dot(const Spec &spec, const Tensor &a, const OptionalTensor &a_retries, const Tensor &b,
               const OptionalTensor &b_retries, int64_t b_depth, double b_beta);
Tensor lut_one_sided(const Spec &spec, const Tensor &y);
Tensor lut_dot_one_sided(const Spec &spec, const Tensor &table, const Tensor &b,
                         const OptionalTensor &retries);

/* ops_linear.cpp */
std::tuple<Tensor, Tensor> rows_quantize(const Spec &spec, const Tensor &x, bool fit);
std::tuple<Tensor, Tensor> rows_quantize_every(const Spec &spec, const Tensor &x,
                                               const Tensor &kept, const Tensor &calls,
                                               int64_t every, bool fit);
std::tuple<Tensor, Tensor, Tensor> linear_pack(const Spec &spec, const Tensor &weight);
Tensor linear_unpack(const Spec &spec, const Tensor &codes, const Tensor &scales,
                     int64_t in_features);
std::tuple<Tensor, Tensor> linear_forward(const Spec &spec, const Tensor &x, const Tensor &codes,
                                          const Tensor &scales, std::optional<int64_t> x_depth,
                                          double x_beta, int64_t lut_rows);
std::tuple<Tensor, Tensor> linear_lut(const Spec &spec, const Tensor &x, const Tensor &weight,
                                      std::optional<int64_t> x_depth, double x_beta);

} // namespace hlqtorch
