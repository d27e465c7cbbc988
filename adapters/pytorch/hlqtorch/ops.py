"""What torch must know of the operators ``torch.ops.hlq`` besides how to run them.

The operators themselves, compiled in csrc/ops.cpp, work on tensors of the host and of CUDA devices.
Here are their fake kernels (shapes and types alone: for torch.compile and the meta device) and
their derivatives. Everything that rounds has the derivative of the identity: the straight-through
estimator.

An operator names its quantizer by the eight arguments at its end, a ``Spec``.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from . import _C  # noqa: F401 - registers the operators

#: lattice, dim, q, depth, beta, alpha, max_retries, centred.
Spec = tuple[str, int, int, int, float, float, int, bool]

_SPEC = (None,) * len(Spec.__args__)  # no derivatives with respect to these


def check_device(what: str, tensor: Tensor) -> None:
    """Raises ValueError for a tensor that operators cannot work on because of where it is."""
    if tensor.device.type in ("cpu", "meta", "cuda"):
        return
    raise ValueError(
        f"{what} of shape {list(tensor.shape)} is on {tensor.device}; "
        "this operation works on the host and on CUDA devices only"
    )


def check_vectors(what: str, x: Tensor, d: int) -> None:
    """Raises ValueError unless x can be cut into vectors of d numbers along its last dimension."""
    check_device(what, x)
    if not x.is_floating_point():
        raise ValueError(
            f"{what} of shape {list(x.shape)} is {x.dtype}; it must be of a floating type"
        )
    if x.dim() == 0 or x.shape[-1] % d != 0:
        raise ValueError(
            f"{what} of shape {list(x.shape)}: its last dimension is not a multiple of {d}; "
            "hlqtorch.quant.tiling.tile_last_dim pads"
        )


def digit_dtype(q: int) -> torch.dtype:
    """Type of digits of base q."""
    return torch.uint8 if q <= 256 else torch.int16


def digits_per_word(q: int) -> int:
    """How many digits of base q one 64-bit word of packed digits holds."""
    count = 0
    while q ** (count + 1) <= 2**64:
        count += 1
    return count


# Fake kernels -------------------------------------------------------------------------------------


def _last(what: str, tensor: Tensor, sizes: Sequence[int]) -> torch.Size:
    """Shape without its last dimensions, which must have these sizes."""
    split = tensor.dim() - len(sizes)
    torch._check_value(
        split >= 0 and tuple(tensor.shape[split:]) == tuple(sizes),
        lambda: f"{what} of shape {list(tensor.shape)} must end in {list(sizes)}",
    )
    return tensor.shape[:split]


@torch.library.register_fake("hlq::nearest")
def _(x: Tensor, lattice: str, dim: int) -> Tensor:
    _last("x", x, [dim])
    return x.new_empty(x.shape)


@torch.library.register_fake("hlq::encode")
def _(
    x: Tensor, dither: Tensor | None, lattice: str, dim: int, q: int, depth: int, *rest: object
) -> tuple[Tensor, Tensor, Tensor]:
    batch = _last("x", x, [dim])
    return (
        x.new_empty((*batch, depth, dim), dtype=digit_dtype(q)),
        x.new_empty(batch, dtype=torch.bool),
        x.new_empty(batch, dtype=torch.uint8),
    )


@torch.library.register_fake("hlq::decode")
def _(
    digits: Tensor,
    retries: Tensor | None,
    dither: Tensor | None,
    layers: int,
    lattice: str,
    dim: int,
    q: int,
    depth: int,
    *rest: object,
) -> Tensor:
    batch = _last("b", digits, [depth, dim])
    return digits.new_empty((*batch, dim), dtype=torch.float32)


@torch.library.register_fake("hlq::quantize")
def _(
    x: Tensor, dither: Tensor | None, lattice: str, dim: int, *rest: object
) -> tuple[Tensor, Tensor]:
    batch = _last("x", x, [dim])
    return x.new_empty(x.shape), x.new_empty(batch, dtype=torch.bool)


@torch.library.register_fake("hlq::digits_add_modq")
def _(a: Tensor, b: Tensor, q: int) -> Tensor:
    _last("b2", b, a.shape)
    return a.new_empty(a.shape)


@torch.library.register_fake("hlq::digits_add")
def _(
    a: Tensor, b: Tensor, lattice: str, dim: int, q: int, depth: int, *rest: object
) -> tuple[Tensor, Tensor]:
    batch = _last("b1", a, [depth, dim])
    _last("b2", b, a.shape)
    return a.new_empty(a.shape), a.new_empty(batch, dtype=torch.bool)


@torch.library.register_fake("hlq::digits_to_flat")
def _(digits: Tensor, lattice: str, dim: int, q: int, depth: int, *rest: object) -> Tensor:
    batch = _last("b", digits, [depth, dim])
    return digits.new_empty((*batch, dim), dtype=torch.int32)


@torch.library.register_fake("hlq::flat_to_digits")
def _(flat: Tensor, lattice: str, dim: int, q: int, depth: int, *rest: object) -> Tensor:
    batch = _last("flat", flat, [dim])
    return flat.new_empty((*batch, depth, dim), dtype=digit_dtype(q))


@torch.library.register_fake("hlq::digits_pack")
def _(digits: Tensor, q: int) -> Tensor:
    word = digits_per_word(q)
    return digits.new_empty([(digits.numel() + word - 1) // word * 8], dtype=torch.uint8)


@torch.library.register_fake("hlq::digits_unpack")
def _(packed: Tensor, q: int, count: int) -> Tensor:
    return packed.new_empty([count], dtype=digit_dtype(q))


@torch.library.register_fake("hlq::lut_dot")
def _(a: Tensor, a_retries: Tensor | None, b: Tensor, *rest: object) -> Tensor:
    return a.new_empty(a.shape[:-3], dtype=torch.float64)


@torch.library.register_fake("hlq::lut_one_sided")
def _(y: Tensor, lattice: str, dim: int, q: int, *rest: object) -> Tensor:
    batch = _last("y", y, [dim])
    return y.new_empty((*batch, q**dim), dtype=torch.float32)


@torch.library.register_fake("hlq::lut_dot_one_sided")
def _(table: Tensor, b: Tensor, *rest: object) -> Tensor:
    return b.new_empty(b.shape[:-3], dtype=torch.float64)


@torch.library.register_fake("hlq::rows_quantize")
def _(x: Tensor, *rest: object) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), x.new_empty((), dtype=torch.int64)


@torch.library.register_fake("hlq::rows_quantize_every")
def _(x: Tensor, kept: Tensor, *rest: object) -> tuple[Tensor, Tensor]:
    _last("kept", kept, x.shape)
    return x.new_empty(x.shape), x.new_empty((), dtype=torch.int64)


@torch.library.register_fake("hlq::linear_pack")
def _(
    weight: Tensor, lattice: str, dim: int, q: int, depth: int, *rest: object
) -> tuple[Tensor, Tensor, Tensor]:
    layers = weight.numel() // dim * depth
    word = digits_per_word(q**dim)
    return (
        weight.new_empty([(layers + word - 1) // word * 8], dtype=torch.uint8),
        weight.new_empty([weight.shape[0]], dtype=torch.float32),
        weight.new_empty((), dtype=torch.int64),
    )


@torch.library.register_fake("hlq::linear_unpack")
def _(codes: Tensor, scales: Tensor, in_features: int, *rest: object) -> Tensor:
    return codes.new_empty((scales.shape[0], in_features), dtype=torch.float32)


@torch.library.register_fake("hlq::linear_forward")
def _(x: Tensor, codes: Tensor, scales: Tensor, *rest: object) -> tuple[Tensor, Tensor]:
    return x.new_empty((*x.shape[:-1], scales.shape[0])), x.new_empty((), dtype=torch.int64)


@torch.library.register_fake("hlq::linear_lut")
def _(x: Tensor, weight: Tensor, *rest: object) -> tuple[Tensor, Tensor]:
    _last("x", x, [weight.shape[1]])
    return x.new_empty((*x.shape[:-1], weight.shape[0])), x.new_empty((), dtype=torch.int64)


# Derivatives --------------------------------------------------------------------------------------

Context = torch.autograd.function.FunctionCtx
Gradients = tuple[Tensor | None, ...]


def _straight_through(inputs: int) -> Callable[..., Gradients]:
    """Backward of an operator whose first output rounds its first input; it has so many inputs."""

    def backward(ctx: Context, grad: Tensor, *others: Tensor | None) -> Gradients:
        return (grad, *[None] * (inputs - 1))

    return backward


torch.library.register_autograd("hlq::nearest", _straight_through(3))
torch.library.register_autograd("hlq::quantize", _straight_through(2 + len(_SPEC)))
torch.library.register_autograd("hlq::rows_quantize", _straight_through(2 + len(_SPEC)))
torch.library.register_autograd("hlq::rows_quantize_every", _straight_through(5 + len(_SPEC)))


def _save_codes(ctx: Context, inputs: tuple, output: tuple) -> None:
    x, codes, scales, _, _, _, *spec = inputs
    ctx.save_for_backward(codes, scales)
    ctx.in_features, ctx.spec = x.shape[-1], spec


def _linear_forward_backward(ctx: Context, grad: Tensor, _: None) -> Gradients:
    weight = torch.ops.hlq.linear_unpack(*ctx.saved_tensors, ctx.in_features, *ctx.spec)
    return grad @ weight.to(grad.dtype), None, None, None, None, None, *_SPEC


torch.library.register_autograd(
    "hlq::linear_forward", _linear_forward_backward, setup_context=_save_codes
)


def _save_weight(ctx: Context, inputs: tuple, output: tuple) -> None:
    x, weight, ctx.x_depth, ctx.x_beta, *spec = inputs
    ctx.save_for_backward(x, weight)
    ctx.spec = spec


def _linear_lut_backward(ctx: Context, grad: Tensor, _: None) -> Gradients:
    """As if x and weight had been rounded, straight-through, and multiplied."""
    x, weight = ctx.saved_tensors
    if ctx.x_depth is not None:
        lattice, dim, q, _, _, *rest = ctx.spec
        spec = (lattice, dim, q, ctx.x_depth, ctx.x_beta, *rest)
        x, _ = torch.ops.hlq.rows_quantize(x, False, *spec)
    rounded, _ = torch.ops.hlq.rows_quantize(weight, True, *ctx.spec)
    grad_weight = grad.flatten(0, -2).T @ x.flatten(0, -2)
    return grad @ rounded.to(grad.dtype), grad_weight.to(weight.dtype), None, None, *_SPEC


torch.library.register_autograd("hlq::linear_lut", _linear_lut_backward, setup_context=_save_weight)
