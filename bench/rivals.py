"""Rivals of hlq_perf's that are simulated: what is decoded of numbers sent in their formats.

Each runs as the two-shot all-reduce of perf_rivals.c: every rank's numbers are coded for the owner
of a part, who adds them in fp32 and codes the sum for all. bf16, fp8 and int4 run for real, in
hlq_perf.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from hnlq import Floats

Codec = Callable[[Floats, np.random.Generator], Floats]

MX_BLOCK = 32
QSGD_BUCKET, QSGD_BITS = 512, 4


def in_rows(x: Floats, width: int) -> Floats:
    """A vector as rows of this width, padded with zeros."""
    return np.pad(x, (0, -len(x) % width)).reshape(-1, width)


def mxfp4(x: Floats, _: np.random.Generator | None = None) -> Floats:
    """OCP's MXFP4: of 32 numbers a power of two, in 8 bits; then E2M1, to nearest even, up to 6.

    4 + 8/32 = 4.25 bits a number.
    """
    rows = in_rows(x, MX_BLOCK)
    largest = np.maximum(np.abs(rows).max(1, keepdims=True), np.float32(2.0**-125))
    exponent = np.frexp(largest)[1] - 1
    scale = np.ldexp(np.float32(1), np.clip(exponent - 2, -127, 127))
    t = rows / scale
    size = np.abs(t)
    step = np.where(size < 2, 0.5, np.where(size < 4, 1, 2)).astype(np.float32)
    rounded = np.copysign(np.minimum(np.rint(size / step) * step, np.float32(6)), t)
    return (rounded * scale).reshape(-1)[: len(x)]


def qsgd(x: Floats, rng: np.random.Generator, bits: int = QSGD_BITS) -> Floats:
    """QSGD (Alistarh et al. 2017): of 512 numbers the largest in fp32, then a sign and a level.

    A sign and 2^(bits-1) levels from 0 to the largest take `bits` bits: with the bucket's float
    4 + 32/512 = 4.0625 bits a number. Rounding is stochastic and unbiased. Scaled by the largest,
    as in its authors' experiments: by the 2-norm, as in their proofs, it errs far more.
    """
    rows = in_rows(x, QSGD_BUCKET)
    levels = np.float32(2 ** (bits - 1) - 1)
    step = np.abs(rows).max(1, keepdims=True) / levels
    step[step == 0] = 1
    level = np.floor(rows / step + rng.random(rows.shape, np.float32))
    return (np.clip(level, -levels, levels) * step).reshape(-1)[: len(x)]


def uint8(x: Floats, _: np.random.Generator | None = None) -> Floats:
    """One step and zero point for all numbers, as torch's per-tensor hook: 8 bits a number.

    (The hook itself gathers every rank's tensor, which costs n/2 times as much.)
    """
    low, high = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
    step = np.float32((high - low) / 255) or np.float32(1)
    zero = -np.rint(low / step)
    code = np.clip(np.rint(x / step) + zero, 0, 255)
    return ((code - zero) * step).astype(np.float32)


@dataclass(frozen=True)
class Rival:
    """A format, and what it costs in bits a number, metadata counted."""

    name: str
    bits: float
    codec: Codec


RIVALS = (
    Rival("MXFP4", 4 + 8 / MX_BLOCK, mxfp4),
    Rival("QSGD", QSGD_BITS + 32 / QSGD_BUCKET, qsgd),
    Rival("uint8", 8.0, uint8),
)


def two_shot(x: Floats, codec: Codec, rng: np.random.Generator) -> Floats:
    """Sum over ranks of x [ranks, numbers] as all ranks decode it."""
    total = np.zeros(x.shape[1], np.float32)
    for row in x:
        total += codec(row, rng)
    return codec(total, rng)
