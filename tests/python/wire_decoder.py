"""A decoder of blocks, written from docs/wire-format.md alone; section numbers are that page's.

Plain Python, with numpy for arithmetic in float32. It shares nothing with the library, so that a
test which compares the two tests the page.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from wire_checksum import U64

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

E8, D4, Z = range(3)
LATTICES = {"E8": E8, "D4": D4, "Z": Z}
ZERO, NONFINITE = 0, 255

GOLDEN = 0x9E3779B97F4A7C15
f32 = np.float32
NO_DITHER = f32(0)


# Sizes of blocks: sections 2, 3, 4 ----------------------------------------------------------------

FRACTIONS = [
    f32(x)
    for x in (
        1,
        1.09050773,
        1.18920712,
        1.29683955,
        1.41421356,
        1.54221083,
        1.68179283,
        1.83400809,
    )
]


def pow2(eighths: int) -> np.float32:
    octave = eighths >> 3
    if octave < -126:
        return f32(0)
    if octave > 127:
        return f32(np.inf)
    return f32(np.ldexp(f32(1), octave)) * FRACTIONS[eighths & 7]


def scale_by(x: Floats, eighths: int, factor: np.float32) -> Floats:
    while abs(eighths) > 800:
        step = 512 if eighths > 0 else -512
        x = x * pow2(step)
        eighths -= step
    return x * (pow2(eighths) * f32(factor))


def bits_at(height: int) -> int:
    if height < 0:
        return 0
    return 2 if height < 10 else 3 if height < 19 else min(12, 4 + (height - 19) // 8)


def plan(codes: bytes, side_bytes: int, budget: int, least: int = 0) -> list[int]:
    def cost(bits: int) -> int:
        return side_bytes + 32 * bits if bits else 0

    sized = [c for c in codes if c not in (ZERO, NONFINITE)]
    if len(sized) * cost(least) > budget:
        least = 0

    def given(height: int) -> int:
        return max(least, bits_at(height))

    level = next(t for t in range(-82, 256) if sum(cost(given(c - t)) for c in sized) <= budget)
    left = budget - sum(cost(given(c - level)) for c in sized)
    bits = []
    for c in codes:
        now = raised = 0
        if c not in (ZERO, NONFINITE):
            now, raised = given(c - level), given(c - level + 1)
        price = cost(raised) - cost(now)
        if 0 < price <= left:
            left -= price
            now = raised
        bits.append(now)
    return bits


WIDTHS = {
    E8: (3.33, 3.08, 3.04, 2.96, 2.94),
    D4: (3.05, 2.85, 2.74, 2.63, 2.63),
    Z: (4.30, 3.75, 3.60, 3.60, 3.50),
}
MODULAR_WIDTHS = {E8: f32(4.0), D4: f32(3.6), Z: f32(4.8)}


def ramp_scales(lattice: int, bits: int, is_dithered: bool = False) -> list[np.float32]:
    """Those of the steps 0 … 6."""
    widths = [f32(WIDTHS[lattice][-1 if is_dithered else min(bits, 6) - 2])]
    while len(widths) < 4:
        widths.append(widths[-1] * f32(1.3))
    codes = f32((1 << bits) - (2 if is_dithered else 0))
    return [w / codes for w in [*widths, f32(11), f32(22), f32(44)]]


def modular_scale(lattice: int, bits: int, spread: int) -> np.float32:
    return MODULAR_WIDTHS[lattice] * pow2(spread) / f32(1 << bits)


# Points: section 5. Arrays are 8 rows × 32 lanes --------------------------------------------------


def point_from_codes(lattice: int, z: Ints) -> Ints:
    x = np.empty_like(z)
    if lattice == E8:
        x[7] = z[7]
        x[6] = 2 * z[6] + z[7]
        x[1:6] = 2 * (z[1:6] - z[2:7]) + z[7]
        x[0] = 2 * (2 * z[0] - z[1]) + z[7]
    elif lattice == D4:
        for v in (0, 4):
            x[v] = 2 * (z[v + 1] - z[v])
            x[v + 1] = 2 * (z[v + 2] - z[v] - z[v + 1])
            x[v + 2] = 2 * (z[v + 3] - z[v + 2])
            x[v + 3] = -2 * z[v + 3]
    else:
        x = 2 * z
    return x


def _integers(n: Ints, d: Ints) -> Ints:
    """The nearest point of D4 or D8, doubled."""
    point = 2 * n
    for lane in np.flatnonzero(n.sum(axis=0) % 2):
        row = np.abs(d[:, lane]).argmax()  # the first, if several are
        point[row, lane] += 2 if d[row, lane] >= 0 else -2
    return point


def _halves(n: Ints, d: Ints) -> Ints:
    towards = np.where(d >= 0, 1, -1)
    for lane in np.flatnonzero((n.sum(axis=0) + (d < 0).sum(axis=0)) % 2):
        towards[np.abs(d[:, lane]).argmin(), lane] *= -1
    return 2 * n + towards


def nearest(lattice: int, n: Ints, d: Ints, half: int) -> Ints:
    if lattice == Z:
        return 2 * n
    if lattice == D4:
        return np.concatenate([_integers(n[:4], d[:4]), _integers(n[4:], d[4:])])
    candidates = _integers(n, d), _halves(n, d)
    exact = 2 * half * n + d
    a, b = (((exact - half * c) ** 2).sum(axis=0) for c in candidates)
    halves = (b < a) | ((b == a) & (candidates[1][0] < candidates[0][0]))
    return np.where(halves, candidates[1], candidates[0])


def reduce(lattice: int, bits: int, x: Ints) -> Ints:
    n = (x + (1 << bits)) >> (bits + 1)
    d = x - (n << (bits + 1))
    return x - (nearest(lattice, n, d, 1 << bits) << bits)


def codes_from_planes(planes: bytes, bits: int) -> Ints:
    words = np.frombuffer(planes, "<u4", 8 * bits).reshape(bits, 8).astype(np.int64)
    lanes = np.arange(32)
    z = np.zeros((8, 32), np.int64)
    for j in range(bits):
        z |= (words[j][:, None] >> lanes & 1) << j
    return z


# Rotation: section 6 ------------------------------------------------------------------------------


def mix(z: int) -> int:
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & U64
    z = (z ^ z >> 27) * 0x94D049BB133111EB & U64
    return z ^ z >> 31


def flips(seed: int, position: int) -> NDArray[np.bool_]:
    """Which of a block's 256 elements change their sign."""
    signs = 0
    for i in range(4):
        signs |= mix((seed + (4 * position + i + 1) * GOLDEN) & U64) << 64 * i
    return np.array([signs >> i & 1 for i in range(256)], bool)


def butterfly(v: Floats, bit: int) -> None:
    pairs = v.reshape(-1, 2, 1 << bit)
    low, high = pairs[:, 0].copy(), pairs[:, 1].copy()
    pairs[:, 0] = low + high
    pairs[:, 1] = low - high


ROWS, LANES = np.arange(8)[:, None], np.arange(32)
ELEMENT = (LANES >> 3) + 4 * (ROWS >> 2) + 8 * (ROWS % 4) + 32 * (LANES % 8)


def rotate_back(y: Floats, flip: NDArray[np.bool_]) -> Floats:
    v = np.empty(256, np.float32)
    v[ELEMENT] = y
    for bit in (4, 3, 2, 1, 0, 7, 6, 5):
        butterfly(v, bit)
    return np.where(flip, -v, v)


# Dither: section 5 --------------------------------------------------------------------------------


@dataclass
class Dither:
    """What a dithered message is keyed by, beside the seed and the call."""

    sender: int
    leg: int

    def key(self, seed: int, call: int) -> int:
        return mix((mix((seed + GOLDEN) & U64) + call + (2 * self.sender + self.leg << 32)) & U64)


def dither_vectors(lattice: int, key: int, position: int) -> Floats:
    """u, doubled."""
    hashes = [mix((key + (64 * position + i + 1) * GOLDEN) & U64) for i in range(64)]
    words = np.array([h >> 16 * j & 0xFFFF for h in hashes for j in range(4)], np.uint16)
    r = words.view(np.int16).reshape(8, 32).astype(np.int64) >> 2
    n = (r + 4096) >> 13
    e = r - 4096 * nearest(lattice, n, r - 8192 * n, 4096)
    return ((2 * e + 1) / 8192).astype(np.float32)


# Blocks: section 7 --------------------------------------------------------------------------------


def coordinates(
    point: Ints, scale: Floats | np.float32, dither: Floats | np.float32 = NO_DITHER
) -> Floats:
    return (point.astype(np.float32) - dither) * (scale * f32(0.5))


def decode_block(y: Floats, eighths: int, factor: float, flip: NDArray[np.bool_]) -> Floats:
    return scale_by(rotate_back(y, flip), eighths, f32(factor) / f32(16))


def lane_scales(steps: list[np.float32], side: bytes, is_wide: bool) -> Floats:
    first, second = np.frombuffer(side, "<u4", 2).astype(np.int64)
    step = (first >> LANES & 1) + 2 * (second >> LANES & 1) + (3 if is_wide else 0)
    return np.array(steps, np.float32)[step]


def bfloat16(x: Floats) -> NDArray[np.uint16]:
    u = x.view(np.uint32).astype(np.uint64)
    rounded = (u + 0x7FFF + (u >> 16 & 1)) >> 16
    return np.where(np.isnan(x), 0x7FC0, rounded).astype(np.uint16)
