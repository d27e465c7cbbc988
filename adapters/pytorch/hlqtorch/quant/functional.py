"""Encode and decode, sums of codes, inner products of codes.

With a lattice of dimension d, base q and depth M, d numbers become M layers of d digits in
0 … q-1, the finest first (Algorithms 1 and 2 of Kaplan and Ordentlich, arXiv 2505.13164):

    encode   p = Q(x / β);  M times: b_m = G⁻¹p mod q, p = Q(p / q);  overload if p is not 0
    decode   x̂ = β Σ q^m x_m  with  x_m = G b_m - q Q(G b_m / q)

``decode(encode(x).b) == β Q(x / β)`` wherever nothing overloads. An overloaded vector decodes to
some other point of the code: it is flagged, and with max_retries encoded again at β 2^α, β 2^2α …
until it fits.

Shapes: x [..., d] gives digits [..., M, d], and flags and T [...]. Longer last dimensions k d are
cut into blocks first: x [..., k d] gives what x.unflatten(-1, (k, d)) would. Arithmetic is float32
and integer; digits are the same on every processor.

Tensors are on the host, or on one CUDA device: there it is work on the current stream, which can be
captured, and which nobody waits for to raise ValueError for what a tensor holds; only pack_digits
waits. What is invalid stays so, in all numbers of its vector: NaN and Inf are overload, and NaN
when quantized; digits outside 0 … q-1 decode to NaN, are overload in a sum, flat codes of -1, and
inner products of NaN; digits that would be made of what is invalid have all bits set, and are
invalid, unless q is 256. A table of all pairs is copied to a device when an inner product first
needs it there, which waits and cannot be captured; it stays there.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ..lattices import Lattice
from ..ops import Spec, check_device, check_vectors
from .params import retries_limit


class Encoded(NamedTuple):
    """Digits [..., M, d], uint8 or (q > 256) int16; overload, bool [...]."""

    b: Tensor
    overload: Tensor


class EncodedT(NamedTuple):
    """Encoded, and T: uint8 [...], how often the scale of each vector grew by 2^alpha."""

    b: Tensor
    overload: Tensor
    T: Tensor


class Quantized(NamedTuple):
    """What decoding gives, of x's shape and type; overload, bool, one flag for each vector."""

    x: Tensor
    overload: Tensor


class Sum(NamedTuple):
    """Digits of a sum; overload, bool [...]: the sum has left the code."""

    b: Tensor
    overload: Tensor


def _blocks(what: str, x: Tensor, d: int) -> Tensor:
    """[..., k d] as [..., k, d]; x itself if k is 1."""
    check_vectors(what, x, d)
    return x if x.shape[-1] == d else x.unflatten(-1, (-1, d))


def _dither(dither: Tensor | None, d: int) -> Tensor | None:
    return None if dither is None else _blocks("dither", dither, d)


def encode(
    x: Tensor,
    lattice: Lattice,
    q: int,
    M: int,
    *,
    beta: float = 1.0,
    dither: Tensor | None = None,
    beta0: float | None = None,
    alpha: float = 1 / 3,
    max_retries: int = 0,
    track_T: bool = False,
    centred: bool = False,
) -> Encoded | EncodedT:
    """Algorithm 1: vectors to digits.

    Args:
        x: [..., d] or [..., k d], of a floating type.
        lattice: where points are.
        q: base, odd or a power of two.
        M: depth; q^M at most 65536.
        beta: scale: x / beta is rounded to the lattice.
        dither: added after the division by beta; of x's shape, or [d] for all vectors alike. Give
            decode the same.
        beta0: where the ramp of scales starts, if not at beta. Give it to decode as beta.
        alpha: retry T is at beta 2^(alpha T).
        max_retries: how often a vector that overloads is tried again; needs track_T.
        track_T: return T, which decode needs.
        centred: shift the code so that its mean is 0.

    Returns:
        (b, overload), with track_T (b, overload, T).

    Raises:
        ValueError: shapes or types that do not fit; parameters that no quantizer has; NaN or Inf.
    """
    if max_retries and not track_T:
        raise ValueError(
            f"max_retries is {max_retries}, and what was encoded at another scale cannot be "
            "decoded without T; set track_T"
        )
    start = beta if beta0 is None else beta0
    spec = (lattice.family, lattice.d, q, M, start, alpha, max_retries, centred)
    blocks = _blocks("x", x, lattice.d)
    b, overload, retries = torch.ops.hlq.encode(blocks, _dither(dither, lattice.d), *spec)
    return EncodedT(b, overload, retries) if track_T else Encoded(b, overload)


def decode(
    b: Tensor,
    lattice: Lattice,
    q: int,
    M: int,
    *,
    beta: float = 1.0,
    dither: Tensor | None = None,
    T: Tensor | None = None,
    alpha: float = 1 / 3,
    centred: bool = False,
    layers: int | None = None,
) -> Tensor:
    """Algorithm 2: digits to vectors.

    Args:
        b: [..., M, d], digits of the type encode gives.
        lattice: as given to encode, like all that follows.
        q: base.
        M: depth.
        beta: scale; where encode had beta0, this is beta0.
        dither: what encode added.
        T: uint8 [...], of encode: scales are beta 2^(alpha T).
        alpha: growth of the scale with T.
        centred: the code's mean is 0.
        layers: use only so many of the coarsest layers (successive refinement); default all.

    Returns:
        float32 [..., d].

    Raises:
        ValueError: shapes or types that do not fit; digits outside 0 … q-1.
    """
    check_device("b", b)
    limit = 0 if T is None else retries_limit(beta, alpha)
    spec = (lattice.family, lattice.d, q, M, beta, alpha, limit, centred)
    return torch.ops.hlq.decode(
        b, T, _dither(dither, lattice.d), M if layers is None else layers, *spec
    )


def quantize(
    x: Tensor,
    lattice: Lattice,
    q: int,
    M: int,
    *,
    beta: float = 1.0,
    dither: Tensor | None = None,
    beta0: float | None = None,
    alpha: float = 1 / 3,
    max_retries: int = 0,
    centred: bool = False,
) -> Quantized:
    """decode(encode(x)) in one step; arguments and errors as there.

    Returns:
        (x, overload). The derivative of x is that of the identity: straight-through.
    """
    start = beta if beta0 is None else beta0
    spec = (lattice.family, lattice.d, q, M, start, alpha, max_retries, centred)
    blocks = _blocks("x", x, lattice.d)
    quantized, overload = torch.ops.hlq.quantize(blocks, _dither(dither, lattice.d), *spec)
    return Quantized(quantized.view(x.shape), overload)


# Digits -------------------------------------------------------------------------------------------


def _exact(lattice: Lattice, q: int, M: int) -> Spec:
    """The quantizer of operations on digits alone."""
    return (lattice.family, lattice.d, q, M, 1.0, 1.0, 0, False)


def add_modq(b1: Tensor, b2: Tensor, q: int) -> Tensor:
    """(b1 + b2) mod q, digit by digit.

    What it is: addition in L / qL, layer by layer. What it is not: addition of the vectors, for
    which digits carry from layer to layer; only the finest layer is that of the sum. For sums use
    digits_add, or add flat codes.

    Raises:
        ValueError: shapes differ, types are not those of digits, digits outside 0 … q-1.
    """
    check_device("b1", b1)
    check_device("b2", b2)
    return torch.ops.hlq.digits_add_modq(b1, b2, q)


def digits_add(b1: Tensor, b2: Tensor, lattice: Lattice, q: int, M: int) -> Sum:
    """Digits of the sum of two vectors of the same scale, with carries.

    Args:
        b1: [..., M, d].
        b2: of the same shape, encoded with the same beta and T; both without dither, not centred.
        lattice: of both.
        q: base.
        M: depth.

    Returns:
        (b, overload): decode(b) is decode(b1) + decode(b2) wherever overload is not set; elsewhere
        the sum has left the code, and b is right modulo q^M times the lattice only.

    Raises:
        ValueError: shapes or types that do not fit; digits outside 0 … q-1.
    """
    check_device("b1", b1)
    check_device("b2", b2)
    return Sum(*torch.ops.hlq.digits_add(b1, b2, *_exact(lattice, q, M)))


def digits_to_flat(b: Tensor, lattice: Lattice, q: int, M: int) -> Tensor:
    """The flat code of the same points: coordinates z = G⁻¹ x̂ / β modulo q^M.

    Flat codes add: modulo q^M, the code of a sum is the sum of the codes.

    Takes digits [..., M, d]; returns int32 [..., d], values in 0 … q^M - 1.
    """
    check_device("b", b)
    return torch.ops.hlq.digits_to_flat(b, *_exact(lattice, q, M))


def flat_to_digits(flat: Tensor, lattice: Lattice, q: int, M: int) -> Tensor:
    """Digits [..., M, d] of flat codes, int32 [..., d]; the inverse of digits_to_flat.

    Raises:
        ValueError: values outside 0 … q^M - 1, or of another type.
    """
    check_device("flat", flat)
    return torch.ops.hlq.flat_to_digits(flat, *_exact(lattice, q, M))


def pack_digits(b: Tensor, q: int) -> Tensor:
    """Digits of any shape as bytes, uint8 [n], at nearly the true rate: q = 4 takes 2 bits each.

    64-bit little-endian words, each of as many digits in base q as fit. On a CUDA device, too, this
    waits, for words cannot show that a digit was wrong.

    Raises:
        ValueError: digits outside 0 … q-1, or of another type.
    """
    check_device("b", b)
    return torch.ops.hlq.digits_pack(b, q)


def unpack_digits(packed: Tensor, q: int, shape: torch.Size | tuple[int, ...]) -> Tensor:
    """Digits of that shape, from what pack_digits gave.

    Raises:
        ValueError: packed has another size, or holds what is no packed digits.
    """
    check_device("packed", packed)
    return torch.ops.hlq.digits_unpack(packed, q, torch.Size(shape).numel()).view(shape)


# Inner products -----------------------------------------------------------------------------------


def inner_product_lut(
    bx: Tensor,
    by: Tensor,
    lattice: Lattice,
    q: int,
    M: int,
    *,
    M_y: int | None = None,
    beta: float = 1.0,
    beta_y: float | None = None,
    T: Tensor | None = None,
    T_y: Tensor | None = None,
    alpha: float = 1 / 3,
    centred: bool = False,
) -> Tensor:
    """⟨x̂, ŷ⟩ by look-ups in the table of all pairs (lut.build_two_sided_LUT), M² for each block.

    Σ over blocks of β_x β_y 2^(α (T_x + T_y)) Σ_ij q^(i+j) ⟨x_i, y_j⟩. Integer sums are exact.

    Args:
        bx: digits [..., blocks, M, d]: each inner product is over the blocks of a vector.
        by: digits [..., blocks, M_y, d]. Leading dimensions are broadcast.
        lattice: of both.
        q: base of both.
        M: depth of bx.
        M_y: depth of by; default M.
        beta: scale of bx.
        beta_y: scale of by; default beta.
        T: uint8 [..., blocks] of bx.
        T_y: uint8 [..., blocks] of by.
        alpha: growth of the scales with T.
        centred: the code's mean is 0, on both sides.

    Returns:
        float64 [...].

    Raises:
        ValueError: shapes or types that do not fit; digits outside 0 … q-1.
        NotImplementedError: the table would be too large; the message says what to use instead.
    """
    check_device("bx", bx)
    check_device("by", by)
    M_y, beta_y = M_y or M, beta_y or beta
    if bx.dim() >= 3 and by.dim() >= 3:
        batch = torch.broadcast_shapes(bx.shape[:-3], by.shape[:-3])
        bx, by = bx.expand(*batch, *bx.shape[-3:]), by.expand(*batch, *by.shape[-3:])
        T = None if T is None else T.expand(*batch, T.shape[-1])
        T_y = None if T_y is None else T_y.expand(*batch, T_y.shape[-1])
    largest = max(beta, beta_y)
    limit = 0 if T is None and T_y is None else retries_limit(largest, alpha)
    spec = (lattice.family, lattice.d, q, M, beta, alpha, limit, centred)
    return torch.ops.hlq.lut_dot(bx, T, by, T_y, M_y, beta_y, *spec)


def inner_product_one_sided_lut(
    lut: Tensor,
    b: Tensor,
    lattice: Lattice,
    q: int,
    M: int,
    *,
    beta: float = 1.0,
    T: Tensor | None = None,
    alpha: float = 1 / 3,
    centred: bool = False,
) -> Tensor:
    """⟨y, x̂⟩ by look-ups in the tables of y (lut.build_one_sided_LUT), M for each block.

    Args:
        lut: float32 [..., blocks, q^d].
        b: digits [..., blocks, M, d]. Leading dimensions are broadcast.
        lattice: of the tables and of b, like q and centred.
        q: base.
        M: depth of b.
        beta: scale of b.
        T: uint8 [..., blocks] of b.
        alpha: growth of the scale with T.
        centred: the code's mean is 0.

    Returns:
        float64 [...].
    """
    check_device("lut", lut)
    check_device("b", b)
    if lut.dim() >= 2 and b.dim() >= 3:
        batch = torch.broadcast_shapes(lut.shape[:-2], b.shape[:-3])
        lut, b = lut.expand(*batch, *lut.shape[-2:]), b.expand(*batch, *b.shape[-3:])
        T = None if T is None else T.expand(*batch, T.shape[-1])
    limit = 0 if T is None else retries_limit(beta, alpha)
    spec = (lattice.family, lattice.d, q, M, beta, alpha, limit, centred)
    return torch.ops.hlq.lut_dot_one_sided(lut, b, T, *spec)
