/*
 * Between the lists of tensors that c10d passes and the two contiguous tensors of one collective of
 * libhlqcomm. A list of any length becomes one collective:
 *
 *     reduce-scatter of a and b, 2 ranks:   | a[0] b[0] | a[1] b[1] |  ─▶  rank 0: Σ a[0] Σ b[0]
 *                                                                          rank 1: Σ a[1] Σ b[1]
 *
 * Nothing is copied where tensors lie as they should already. Throws c10::Error where shapes or
 * dtypes do not fit together.
 */
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace hlqtorch {

using Tensors = std::vector<at::Tensor>;

struct Packed {
    at::Tensor input, output;     /* contiguous; the same one for all-reduce */
    std::function<void()> unpack; /* once output is complete; empty if nothing is left to do */
};

Packed pack_all_reduce(const Tensors &tensors);

/* inputs[i] holds the parts of all ranks of outputs[i], one behind the other. */
Packed pack_reduce_scatter(const Tensors &outputs, const Tensors &inputs, int ranks);

/* parts[p] is the part of rank p. */
Packed pack_reduce_scatter_list(const at::Tensor &output, const Tensors &parts);

Packed pack_all_gather(const Tensors &outputs, const Tensors &inputs, int ranks);

Packed pack_all_gather_list(const Tensors &parts, const at::Tensor &input);

} // namespace hlqtorch
