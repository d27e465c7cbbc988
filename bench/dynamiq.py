"""DynamiQ's all-reduce (arXiv 2602.08923), simulated in its strongest form: a tree, "S honest".

The scheme: of every super-group of 256 numbers each rank subtracts its mean. Super-groups with more
energy, summed over ranks, get 8 or 4 bits a number, the others 2. A number is coded in its group
of 16, whose largest is the top level; the groups' scales are bytes, relative to a bf16 scale of the
super-group; rounding is stochastic and unbiased, with uniforms that the ranks draw from different
strata. Partial sums climb a binary tree and are coded again at each of its nodes, last at the root.

The levels are those of the simulation that its authors publish errors of, 2^width + 1 of them,
which do not fit `width` bits; they are charged at the least that would hold them. (What its kernels
pack, 2^width - 1 levels, errs 1.2 to 2.8 times as much.) All metadata are charged. What the source
leaves open or loses is decided in its favour: sums in fp32, means and energies exact, the
threshold solved on the very data, the best of the three published level spacings.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hnlq import Floats
from numpy.typing import NDArray

GROUP, SUPER_GROUP = 16, 256
WIDTHS = (2, 4, 8)
# Bits to hold a number of 5, 17, 257 levels: 3 in 7 bits, 11 in 45, and log2 of 257.
PACKED_BITS = {2: 7 / 3, 4: 45 / 11, 8: 8.01}
# A byte for each group; for each super-group mean and energy, summed beforehand, and a bf16 scale.
METADATA_BITS = 8 / GROUP + 2 * 16 / SUPER_GROUP + 16 / SUPER_GROUP
LEAST_BITS = PACKED_BITS[2] + METADATA_BITS
ENERGY_RATIO = 512 / 17  # 8 bits for so many times the energy that earns 4
SPACINGS = (  # of each width: how fast the distance between levels grows
    {2: 0.23, 4: 0.18, 8: 0.10},
    {2: 0.27, 4: 0.20, 8: 0.08},
    {2: 0.23, 4: 0.23, 8: 0.10},
)

Integers = NDArray[np.integer]
Encode = Callable[[Floats, Floats], Floats]


def bf16_not_below(x: Floats) -> Floats:
    """The smallest bf16 that is not below x > 0: no scale is too small for its group."""
    return ((x.view(np.uint32) + np.uint32(0xFFFF)) & np.uint32(0xFFFF0000)).view(np.float32)


class Levels:
    """The code of one width: 2^width + 1 levels, finer near zero."""

    def __init__(self, width: int, spacing: float) -> None:
        self.top = 2 ** (width - 1)
        index = np.arange(-self.top - 1, self.top + 2)
        self.growth = 2 * spacing * spacing
        size = ((1 + self.growth) ** abs(index) - 1) / self.growth * (1 + self.growth / 2)
        self.values = (np.sign(index) * size).astype(np.float32)

    def scales(self, groups: Floats) -> Floats:
        """Scales of groups [count, groups, 16] as they travel: never too small."""
        exact = np.abs(groups).max(2) / self.values[2 * self.top + 1]
        exact = np.maximum(exact, np.float32(1e-37))
        unit = bf16_not_below(exact.max(1, keepdims=True) / np.float32(255))
        return np.clip(np.ceil(exact / unit), 1, 255) * unit

    def __call__(self, x: Floats, uniforms: Floats) -> Floats:
        """What is decoded of x [count, 256], rounded as uniforms in [0, 1) of its shape say."""
        groups = x.reshape(len(x), -1, GROUP)
        scale = self.scales(groups)[..., None]
        t = groups / scale
        bend = np.float32(self.growth / (1 + self.growth / 2))
        index = np.copysign(np.log1p(np.abs(t) * bend) / np.float32(np.log1p(self.growth)), t)
        below = np.clip(np.floor(index).astype(np.int32), -self.top, self.top - 1) + self.top + 1
        low, high = self.values[below], self.values[below + 1]
        up = uniforms.reshape(t.shape) < (t - low) / (high - low)
        return (np.where(up, high, low) * scale).reshape(x.shape)


def tree_sum(x: Floats, uniforms: Floats, encode: Encode) -> Floats:
    """Sum over ranks of x [ranks, count, 256] as all ranks decode it."""
    sums, ranks = list(x), list(range(len(x)))
    while len(ranks) > 1:
        for sender, receiver in zip(ranks[::2], ranks[1::2], strict=False):
            sums[receiver] = sums[receiver] + encode(sums[sender], uniforms[sender])
        ranks = ranks[1::2] + ranks[len(ranks) - len(ranks) % 2 :]
    return encode(sums[ranks[0]], uniforms[ranks[0]])


def choose_widths(energy: NDArray[np.float64], payload_bits: float) -> Integers:
    """Widths of super-groups by their energy, as wide as payload_bits on average allow."""
    size, ratio = np.log2(np.maximum(energy, 1e-38)), np.log2(ENERGY_RATIO)

    def widths(threshold: float) -> Integers:
        return np.where(size >= threshold + ratio, 8, np.where(size >= threshold, 4, 2))

    low, high = size.min() - ratio - 1, size.max() + 1
    for _ in range(60):
        middle = (low + high) / 2
        fits = packed_bits(widths(middle)) <= payload_bits
        low, high = (low, middle) if fits else (middle, high)
    return widths(high)


def packed_bits(widths: Integers) -> float:
    """Bits a number of super-groups of these widths, without metadata."""
    return float(sum(bits * np.mean(widths == width) for width, bits in PACKED_BITS.items()))


def stratified_uniforms(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Uniforms in [0, 1), [ranks, …]; those of one number lie in different n-ths of it."""
    uniforms = np.empty(shape, np.float32)
    for at in range(0, shape[1], 512):  # what fits the cache
        part = uniforms[:, at : at + 512]
        order = np.argsort(rng.random(part.shape, np.float32), 0)
        part[...] = (order + rng.random(part.shape, np.float32)) / shape[0]
    return np.minimum(uniforms, np.nextafter(np.float32(1), np.float32(0)))


class DynamiQ:
    """The all-reduce of one x [ranks, numbers]."""

    def __init__(self, x: Floats, rng: np.random.Generator) -> None:
        self.numbers = x.shape[1]
        padded = np.pad(x, ((0, 0), (0, -self.numbers % SUPER_GROUP)))
        groups = padded.reshape(len(x), -1, SUPER_GROUP)
        means = groups.mean(2, dtype=np.float64)
        self.mean = means.sum(0)[:, None]
        self.rest = (groups - means[..., None]).astype(np.float32)
        self.energy = np.square(self.rest, dtype=np.float64).sum((0, 2))
        self.uniforms = stratified_uniforms(self.rest.shape, rng)

    def sum(self, bits: float, spacing: dict[int, float]) -> tuple[NDArray[np.float64], float]:
        """The sum [numbers], and the bits a number that it took, at most `bits`, all counted."""
        if bits < LEAST_BITS:
            raise ValueError(f"DynamiQ needs {LEAST_BITS:.2f} bits, more than {bits:.2f}")
        widths = choose_widths(self.energy, bits - METADATA_BITS)
        result = np.empty(self.rest.shape[1:])
        for width in WIDTHS:
            chosen = np.flatnonzero(widths == width)
            if len(chosen) == 0:
                continue
            levels = Levels(width, spacing[width])
            result[chosen] = tree_sum(self.rest[:, chosen], self.uniforms[:, chosen], levels)
        result += self.mean
        return result.reshape(-1)[: self.numbers], packed_bits(widths) + METADATA_BITS


def lognormal_gradients(
    ranks: int, numbers: int, correlation: float, rng: np.random.Generator
) -> Floats:
    """Numbers [ranks, numbers] as DynamiQ's authors model gradients.

    The norm of 256 numbers is log-normal, of one of two kinds. Ranks share it; numbers are normal,
    with this correlation between ranks, which the model leaves open: 0 is the hardest.
    """
    blocks = -(-numbers // SUPER_GROUP)
    large = rng.random(blocks) < 0.79
    many = -3.99 + 1.22 * rng.standard_normal(blocks)
    few = -16.41 + 4.63 * rng.standard_normal(blocks)
    norms = np.exp(np.where(large, many, few))
    shared = np.sqrt(correlation) * rng.standard_normal((1, blocks, SUPER_GROUP))
    x = np.empty((ranks, blocks, SUPER_GROUP), np.float32)
    for rank in range(ranks):
        own = np.sqrt(1 - correlation) * rng.standard_normal((blocks, SUPER_GROUP))
        x[rank] = (shared[0] + own) * (norms / np.sqrt(SUPER_GROUP))[:, None]
    return x.reshape(ranks, -1)[:, :numbers]
