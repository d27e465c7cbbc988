"""Algorithms 1 and 2 of hierarchical nested-lattice quantization, as plainly as possible.

The independent model that the operators are compared with, digit for digit: int64 arithmetic,
textbook nearest points (Conway and Sloane, 1982) chosen by comparing squared distances, no blocks,
no fixed width. Only what the interface promises is taken from the library: the basis of each
lattice, the rounding of x / β, and how ties are broken (kernels/body/nearest.h, hnlq.h).

Points are written in doubled coordinates, because E8 holds halves.
"""

import torch
from torch import Tensor

FRACTION = 2**26  # x / β is rounded to multiples of 1 / FRACTION
LIMIT = 2**20  # from here on a number counts as 0, and its vector as overloaded
# Behind the first rounding no tie is left: points are moved by these many 4096ths of half a unit.
NUDGE = torch.tensor([31, 47, 66, 83, 97, 118, 131, 152])
NUDGE_UNIT = 4096


def _columns(*columns: tuple[int, ...]) -> Tensor:
    return torch.tensor(columns).T


# Twice the generator; columns are the basis.
D4_DOUBLED = 2 * _columns((-1, -1, 0, 0), (1, -1, 0, 0), (0, 1, -1, 0), (0, 0, 1, -1))
E8_DOUBLED = _columns(
    (4, 0, 0, 0, 0, 0, 0, 0),
    (-2, 2, 0, 0, 0, 0, 0, 0),
    (0, -2, 2, 0, 0, 0, 0, 0),
    (0, 0, -2, 2, 0, 0, 0, 0),
    (0, 0, 0, -2, 2, 0, 0, 0),
    (0, 0, 0, 0, -2, 2, 0, 0),
    (0, 0, 0, 0, 0, -2, 2, 0),
    (1, 1, 1, 1, 1, 1, 1, 1),
)


def doubled_generator(family: str, d: int) -> Tensor:
    return {"Z": 2 * torch.eye(d, dtype=torch.int64), "D4": D4_DOUBLED, "E8": E8_DOUBLED}[family]


def _product(matrix: Tensor, vectors: Tensor) -> Tensor:
    """Matrix × vectors [..., d] in integers."""
    return (matrix * vectors.unsqueeze(-2)).sum(-1)


def coordinates(family: str, doubled: Tensor) -> Tensor:
    """Integer coordinates G⁻¹ p of points in doubled coordinates."""
    generator = doubled_generator(family, doubled.shape[-1])
    inverse = torch.linalg.inv(generator.double())  # exact: its entries are multiples of 1/4
    z = _product((4 * inverse).round().long(), doubled)
    assert (z % 4 == 0).all(), "not a point of the lattice"
    return z // 4


# Nearest points -----------------------------------------------------------------------------------


def _integers(x: Tensor, unit: int, even: bool) -> Tensor:
    """The nearest integers to x / unit; with an even sum, if asked for. Ties round up.

    The vector of even sum next to x differs from the nearest integers in at most one place, where
    it is the second nearest; among equally near ones the first such place counts.
    """
    n = torch.div(2 * x + unit, 2 * unit, rounding_mode="floor")
    if not even:
        return n
    rest = x - n * unit
    second = n + torch.where(rest >= 0, 1, -1)
    grown = (x - second * unit) ** 2 - rest**2  # of the squared distance
    there = torch.arange(x.shape[-1]) == _first_least(grown).unsqueeze(-1)
    odd = n.sum(-1, keepdim=True) % 2 != 0
    return torch.where(odd & there, second, n)


def _first_least(numbers: Tensor) -> Tensor:
    """Index of the first of the least numbers along the last dimension."""
    return (numbers == numbers.min(-1, keepdim=True).values).long().argmax(-1)


def nearest(family: str, x: Tensor, unit: int) -> Tensor:
    """The lattice point next to x / unit, in doubled coordinates; x and unit are integers."""
    whole = 2 * _integers(x, unit, even=family != "Z")
    if family != "E8":
        return whole
    halves = 2 * _integers(2 * x - unit, 2 * unit, even=True) + 1

    def distance(doubled: Tensor) -> Tensor:
        return ((2 * x - doubled * unit) ** 2).sum(-1)

    far_whole, far_halves = distance(whole), distance(halves)
    tie_to_halves = (far_whole == far_halves) & (halves[..., 0] < whole[..., 0])
    return torch.where(
        ((far_halves < far_whole) | tie_to_halves).unsqueeze(-1),
        halves,
        whole,
    )


def coarser(family: str, doubled: Tensor, q: int) -> Tensor:
    """Q(p / q) for a point p."""
    nudge = NUDGE[: doubled.shape[-1]]
    return nearest(family, doubled * NUDGE_UNIT + nudge, 2 * q * NUDGE_UNIT)


# Algorithms ---------------------------------------------------------------------------------------


def scale(beta: float, alpha: float, t: int) -> float:
    return beta * 2.0 ** (alpha * t)


def first_point(
    family: str, x: Tensor, beta: float, shift: Tensor | float = 0.0
) -> tuple[Tensor, Tensor]:
    """Q(x / β + shift) in doubled coordinates, and which vectors are beyond the limit."""
    scaled = x * torch.tensor(1 / beta, dtype=torch.float32) + shift
    assert scaled.dtype == torch.float32
    beyond = scaled.abs() >= LIMIT
    fixed = (scaled.double().masked_fill(beyond, 0) * FRACTION).round().long()
    return nearest(family, fixed, FRACTION), beyond.any(-1)


def digits_of(family: str, doubled: Tensor, q: int, depth: int) -> tuple[Tensor, Tensor]:
    """Digits [..., M, d] of points, and the overload."""
    layers = []
    for _ in range(depth):
        layers.append(coordinates(family, doubled) % q)
        doubled = coarser(family, doubled, q)
    return torch.stack(layers, -2), (doubled != 0).any(-1)


def encode(
    family: str,
    x: Tensor,
    q: int,
    depth: int,
    beta: float = 1.0,
    alpha: float = 1 / 3,
    max_retries: int = 0,
    shift: Tensor | float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Algorithm 1 with the ramp of scales: digits, overload, T. x is float32 [..., d]."""
    shift = torch.as_tensor(shift).expand(x.shape)
    t = torch.zeros(x.shape[:-1], dtype=torch.int64)
    digits = torch.zeros(*x.shape[:-1], depth, x.shape[-1], dtype=torch.int64)
    overload = torch.ones_like(t, dtype=torch.bool)
    for attempt in range(max_retries + 1):
        again = overload.clone()
        points, beyond = first_point(family, x[again], scale(beta, alpha, attempt), shift[again])
        digits[again], over = digits_of(family, points, q, depth)
        overload[again] = over | beyond
        t[again] = attempt
    return digits, overload, t


def representatives(family: str, digits: Tensor, q: int) -> Tensor:
    """x_m = G b - q Q(G b / q), doubled, for digits [..., d]."""
    point = _product(doubled_generator(family, digits.shape[-1]), digits.long())
    return point - q * coarser(family, point, q)


def decode_points(family: str, digits: Tensor, q: int, layers: int | None = None) -> Tensor:
    """Σ q^m x_m over the coarsest layers, doubled."""
    depth = digits.shape[-2]
    first = 0 if layers is None else depth - layers
    return sum(
        q**m * representatives(family, digits[..., m, :], q) for m in range(first, depth)
    ) + torch.zeros_like(digits[..., 0, :], dtype=torch.int64)


def decode(
    family: str,
    digits: Tensor,
    q: int,
    beta: float = 1.0,
    alpha: float = 1 / 3,
    t: Tensor | None = None,
    shift: Tensor | float = 0.0,
    layers: int | None = None,
) -> Tensor:
    """Algorithm 2; float32."""
    t = torch.zeros(digits.shape[:-2], dtype=torch.int64) if t is None else t.long()
    scales = torch.tensor(
        [scale(beta, alpha, step) for step in range(int(t.max()) + 1 if t.numel() else 1)],
        dtype=torch.float32,
    )
    return (decode_points(family, digits, q, layers).float() / 2 - shift) * scales[t].unsqueeze(-1)
