/*
 * Packing for backend hlq: views where possible, one copy where not.
 */
#include "backend_pack.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

namespace hlqtorch {

namespace {

void check_pair(const at::Tensor &output, const at::Tensor &input, int64_t numel)
{
    TORCH_CHECK(output.scalar_type() == input.scalar_type(), "output is ", output.scalar_type(),
                " where input is ", input.scalar_type());
    TORCH_CHECK(output.numel() == numel, "output has ", output.numel(), " elements where input's ",
                input.numel(), " ask for ", numel);
}

int64_t part_of(const at::Tensor &whole, int ranks)
{
    TORCH_CHECK(whole.numel() % ranks == 0, "a tensor of ", whole.numel(),
                " elements has no equal parts for ", ranks, " ranks");
    return whole.numel() / ranks;
}

/* [rows, columns …] of all tensors side by side; each has `rows` equal parts. */
at::Tensor side_by_side(const Tensors &tensors, int rows)
{
    if (tensors.size() == 1) {
        return tensors.front().contiguous().view({rows, -1});
    }
    Tensors matrices;
    for (const at::Tensor &tensor : tensors) {
        matrices.push_back(tensor.reshape({rows, part_of(tensor, rows)}));
    }
    return at::cat(matrices, 1);
}

/* Writes the columns of [rows, columns …] to where they belong: side_by_side() backwards. */
void hand_out(const at::Tensor &matrix, const Tensors &tensors)
{
    int64_t column = 0;
    for (const at::Tensor &tensor : tensors) {
        const int64_t width = tensor.numel() / matrix.size(0);
        tensor.copy_(matrix.narrow(1, column, width).reshape(tensor.sizes()));
        column += width;
    }
}

/* A contiguous [rows, columns] for results: the one tensor they are for, or a new one. */
at::Tensor room_for(const Tensors &outputs, const at::Tensor &like, int64_t rows, int64_t columns,
                    std::function<void()> *unpack)
{
    if (outputs.size() == 1 && outputs.front().is_contiguous()) {
        return outputs.front().view({rows, columns});
    }
    at::Tensor room = at::empty({rows, columns}, like.options());
    *unpack = [room, outputs] { hand_out(room, outputs); };
    return room;
}

void check_lengths(const Tensors &outputs, const Tensors &inputs)
{
    TORCH_CHECK(outputs.size() == inputs.size(), "there are ", outputs.size(), " outputs for ",
                inputs.size(), " inputs");
}

} // namespace

Packed pack_all_reduce(const Tensors &tensors)
{
    const at::Tensor packed = side_by_side(tensors, 1);
    Packed result = {packed, packed, nullptr};
    if (!packed.is_alias_of(tensors.front())) {
        result.unpack = [packed, tensors] { hand_out(packed, tensors); };
    }
    return result;
}

Packed pack_reduce_scatter(const Tensors &outputs, const Tensors &inputs, int ranks)
{
    check_lengths(outputs, inputs);
    for (size_t i = 0; i < inputs.size(); i++) {
        check_pair(outputs[i], inputs[i], part_of(inputs[i], ranks));
    }
    Packed result;
    result.input = side_by_side(inputs, ranks);
    result.output = room_for(outputs, result.input, 1, result.input.size(1), &result.unpack);
    return result;
}

Packed pack_reduce_scatter_list(const at::Tensor &output, const Tensors &parts)
{
    check_pair(output, parts.front(), parts.front().numel());
    Packed result;
    result.input = side_by_side(parts, 1);
    result.output = room_for({output}, result.input, 1, output.numel(), &result.unpack);
    return result;
}

Packed pack_all_gather(const Tensors &outputs, const Tensors &inputs, int ranks)
{
    check_lengths(outputs, inputs);
    for (size_t i = 0; i < inputs.size(); i++) {
        check_pair(outputs[i], inputs[i], inputs[i].numel() * ranks);
    }
    Packed result;
    result.input = side_by_side(inputs, 1);
    result.output = room_for(outputs, result.input, ranks, result.input.numel(), &result.unpack);
    return result;
}

Packed pack_all_gather_list(const Tensors &parts, const at::Tensor &input)
{
    Packed result;
    result.input = input.contiguous();
    for (const at::Tensor &part : parts) {
        check_pair(part, input, input.numel());
    }
    const at::Tensor room =
        at::empty({static_cast<int64_t>(parts.size()), input.numel()}, input.options());
    result.output = room;
    result.unpack = [room, parts] {
        for (size_t rank = 0; rank < parts.size(); rank++) {
            parts[rank].copy_(room[static_cast<int64_t>(rank)].view(parts[rank].sizes()));
        }
    };
    return result;
}

} // namespace hlqtorch
