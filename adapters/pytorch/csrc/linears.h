/*
 * Packed weights by value. A linear layer travels through torch as two tensors, codes and scales:
 * they are saved, copied, compiled and moved like any others. Its handle in libhlqcomm, with the
 * indices in the order that the look-ups want, is made from them at first use and lives as long as
 * their memory.
 */
#pragma once

#include "quantizers.h"

#include <ATen/core/Tensor.h>

#include <memory>

namespace hlqtorch {

using LinearPointer = std::shared_ptr<const hlq_linear>;

/* Of fp32 weights [out, in]: packed anew at each call. */
LinearPointer linear_from_weight(const Spec &spec, const at::Tensor &weight);

/* Of what linear_pack() gave; made anew after the tensors have been written to. */
LinearPointer linear_from_codes(const Spec &spec, const at::Tensor &codes, const at::Tensor &scales,
                                int64_t in_features);

} // namespace hlqtorch
