/*
 * Packed weights by value. A linear layer travels through torch as two tensors, codes and scales:
 * they are saved, copied, compiled and moved like any others. Its handle in libhlqcomm, with the
 * indices in the order that the look-ups want, is made from them at first use, for the device that
 * they are on, and lives as long as their memory.
 */
#pragma once

#include "cuda_quantizer.h"

#include <ATen/core/Tensor.h>

#include <memory>

namespace hlqtorch {

using LinearPointer = std::shared_ptr<const hlq_linear>;

/* On the host, or on a CUDA device: one of the two. */
struct Linear {
    int64_t out_features, in_features;
    LinearPointer host;
    std::shared_ptr<const hlq_cuda_linear> cuda;
};

/* Weights [out, in] packed by the host, wherever they are; anew at each call. */
LinearPointer packed_weight(const Spec &spec, const at::Tensor &weight);

/* A layer, on a device, to which it is copied. */
Linear linear_on(at::Device device, const LinearPointer &linear);

/* Of what linear_pack() gave, on the device where it is, which must be this; made anew, by way of
 * the host, after the tensors have been written to. */
Linear linear_from_codes(const Spec &spec, const at::Tensor &codes, const at::Tensor &scales,
                         int64_t in_features, at::Device device);

} // namespace hlqtorch
