"""torch.ops.hlq as torch sees them: schemas, fake kernels, derivatives, torch.compile."""

import hlqtorch.ops
import pytest
import torch
from hlqtorch.lattices import D4, E8
from hlqtorch.quant import functional
from qlinear_cases import compile_to_one_graph
from torch import Tensor

D4_SPEC = ("D4", 4, 4, 2, 0.3, 1 / 3, 0, False)
RAMP_SPEC = ("D4", 4, 4, 2, 0.3, 1 / 3, 2, False)
E8_SPEC = ("E8", 8, 2, 3, 0.6, 1 / 3, 0, True)
WIDE_SPEC = ("Z", 2, 301, 1, 0.1, 1 / 3, 0, False)
ops = torch.ops.hlq


def numbers(*shape: int, grad: bool = False, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=generator).to(dtype).requires_grad_(grad)


def digits(*shape: int, q: int = 4) -> Tensor:
    return torch.randint(q, shape, dtype=torch.uint8 if q <= 256 else torch.int16)


def codes(spec: tuple) -> tuple[Tensor, Tensor]:
    return ops.linear_pack(numbers(6, 16), *spec)[:2]


CALLS = {
    "nearest": (ops.nearest, (numbers(3, 5, 4, grad=True), "D4", 4)),
    "nearest_bf16": (ops.nearest, (numbers(3, 8, dtype=torch.bfloat16), "E8", 8)),
    "encode": (ops.encode, (numbers(3, 5, 4), None, *RAMP_SPEC)),
    "encode_dither": (ops.encode, (numbers(7, 8), numbers(8), *E8_SPEC)),
    "encode_wide": (ops.encode, (numbers(3, 2), None, *WIDE_SPEC)),
    "encode_transposed": (ops.encode, (numbers(4, 5, 3).permute(2, 1, 0), None, *D4_SPEC)),
    "decode": (ops.decode, (digits(3, 2, 4), digits(3, q=3), None, 2, *RAMP_SPEC)),
    "decode_wide": (ops.decode, (digits(3, 1, 2, q=301), None, None, 1, *WIDE_SPEC)),
    "quantize": (ops.quantize, (numbers(3, 5, 4, grad=True), None, *RAMP_SPEC)),
    "quantize_f64": (ops.quantize, (numbers(3, 8, dtype=torch.float64), None, *E8_SPEC)),
    "digits_add_modq": (ops.digits_add_modq, (digits(3, 5), digits(3, 5), 4)),
    "digits_add": (ops.digits_add, (digits(3, 2, 4), digits(3, 2, 4), *D4_SPEC)),
    "digits_to_flat": (ops.digits_to_flat, (digits(3, 2, 4), *D4_SPEC)),
    "flat_to_digits": (ops.flat_to_digits, (digits(3, 4, q=16).int(), *D4_SPEC)),
    "digits_pack": (ops.digits_pack, (digits(3, 5, q=3), 3)),
    "digits_unpack": (ops.digits_unpack, (ops.digits_pack(digits(70, q=3), 3), 3, 70)),
    "lut_dot": (
        ops.lut_dot,
        (digits(2, 5, 2, 4), None, digits(2, 5, 3, 4), None, 3, 0.5, *D4_SPEC),
    ),
    "lut_one_sided": (ops.lut_one_sided, (numbers(3, 4), *D4_SPEC)),
    "lut_dot_one_sided": (
        ops.lut_dot_one_sided,
        (numbers(2, 5, 256), digits(2, 5, 2, 4), digits(2, 5, q=3), *RAMP_SPEC),
    ),
    "rows_quantize": (ops.rows_quantize, (numbers(3, 16, grad=True), True, *D4_SPEC)),
    "rows_quantize_bf16": (
        ops.rows_quantize,
        (numbers(2, 3, 16, dtype=torch.bfloat16), False, *E8_SPEC),
    ),
    "rows_quantize_every": (
        ops.rows_quantize_every,
        (numbers(3, 16, grad=True), numbers(3, 16), torch.tensor(1), 2, True, *D4_SPEC),
    ),
    "linear_pack": (ops.linear_pack, (numbers(6, 16), *D4_SPEC)),
    "linear_unpack": (ops.linear_unpack, (*codes(E8_SPEC), 16, *E8_SPEC)),
    "linear_forward": (
        ops.linear_forward,
        (numbers(2, 3, 16, grad=True), *codes(D4_SPEC), None, 1.0, 100, *D4_SPEC),
    ),
    "linear_forward_gemm": (
        ops.linear_forward,
        (numbers(5, 16, grad=True), *codes(D4_SPEC), 2, 0.4, 1, *D4_SPEC),
    ),
    "linear_lut": (
        ops.linear_lut,
        (numbers(5, 16, grad=True), numbers(6, 16, grad=True), 1, 0.9, *D4_SPEC),
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_operators_keep_what_torch_asks_of_them(call: str) -> None:
    operator, arguments = CALLS[call]
    torch.library.opcheck(operator.default, arguments)


def test_every_operator_is_checked() -> None:
    names = {
        name.split("::")[1]
        for name in torch._C._dispatch_get_all_op_names()
        if name.startswith("hlq::")
    }
    assert names == {operator._qualified_op_name.split("::")[1] for operator, _ in CALLS.values()}


def test_packed_words_hold_as_many_digits_as_fit() -> None:
    """The fake kernel's formula is the library's, at both sides of each full word."""
    for q in (2, 3, 4, 5, 7, 16, 255, 256, 257, 32767, 32768):
        word = hlqtorch.ops.digits_per_word(q)
        for count in (0, 1, word, word + 1, 5 * word):
            packed = ops.digits_pack(torch.zeros(count, dtype=hlqtorch.ops.digit_dtype(q)), q)
            assert packed.numel() == -(-count // word) * 8


@pytest.mark.parametrize("call", ["nearest", "quantize", "rows_quantize", "rows_quantize_every"])
def test_rounding_passes_gradients_straight_through(call: str) -> None:
    operator, (x, *others) = CALLS[call]
    out = operator(x, *others)
    out = out[0] if isinstance(out, tuple) else out
    weights = numbers(*x.shape)
    (gradient,) = torch.autograd.grad((weights * out).sum(), x)
    assert torch.equal(gradient, weights)


def compressed_sum(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    bx, over_x = functional.encode(2 * x, D4(), 4, 3, beta=0.5)
    by, over_y = functional.encode(y + 1, D4(), 4, 3, beta=0.5)
    total, over = functional.digits_add(bx, by, D4(), 4, 3)
    decoded = functional.decode(total, D4(), 4, 3, beta=0.5)
    return decoded.relu(), over | over_x | over_y


def test_functions_compile_into_one_graph() -> None:
    compiled = compile_to_one_graph(compressed_sum)
    for rows in (5, 9, 17):  # with other sizes, too
        x, y = numbers(rows, 12), numbers(rows, 12).flip(0)
        decoded, overload = compiled(x, y)
        expected, flags = compressed_sum(x, y)
        assert torch.equal(decoded, expected) and torch.equal(overload, flags)
        assert not overload.any()
        sums = D4().Q(2 * x / 0.5) + D4().Q((y + 1) / 0.5)
        assert torch.equal(decoded.flatten(-2), 0.5 * sums.relu())


def test_compiled_gradients_pass_straight_through() -> None:
    @compile_to_one_graph
    def loss(x: Tensor) -> Tensor:
        return functional.quantize(x, E8(), 4, 2, beta=0.25).x.square().sum()

    x = numbers(4, 16, grad=True)
    loss(x).backward()
    assert torch.equal(x.grad, 2 * functional.quantize(x.detach(), E8(), 4, 2, beta=0.25).x)


def test_shapes_are_known_without_numbers() -> None:
    x = torch.empty(3, 16, device="meta", dtype=torch.bfloat16)
    b, overload = functional.encode(x, E8(), 4, 2)
    assert (b.shape, b.dtype, b.device.type) == ((3, 2, 2, 8), torch.uint8, "meta")
    assert (overload.shape, overload.dtype) == ((3, 2), torch.bool)
    assert functional.decode(b, E8(), 4, 2).shape == (3, 2, 8)
    with pytest.raises(ValueError, match=r"\[3, 2, 2, 8\] must end in \[3, 8\]"):
        functional.decode(b, E8(), 4, 3)
