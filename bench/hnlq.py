"""The quantizer of libhlqcomm for benchmarks, through ctypes: numpy arrays in, numpy arrays out.

What a code costs and how wrong it is on given numbers (`measure`), and the functions of
hlqcomm/quantizer.h that this and bench_lut_innerprod.py need. A failure ends the program with the
library's sentence.
"""

from __future__ import annotations

import ctypes as c
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DEFAULT_LIBRARY = Path(__file__).resolve().parent.parent / "build/lib/libhlqcomm.so"
ALPHA = 1 / 3  # retry T uses beta × 2^(alpha T)
RETRIES_MAX = 255
LATTICES = {"E8": (0, 8), "D4": (1, 4), "Z": (2, 1)}  # hlq_lattice, and the dimension used here

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


class Params(c.Structure):
    """hlq_quantizer_params of hlqcomm/quantizer.h."""

    _fields_ = (
        ("struct_bytes", c.c_uint32),
        ("lattice", c.c_int),
        ("dim", c.c_int),
        ("q", c.c_int),
        ("depth", c.c_int),
        ("beta", c.c_double),
        ("alpha", c.c_double),
        ("max_retries", c.c_int),
        ("centred", c.c_int),
    )


class EncodedVectors(c.Structure):
    """hlq_code of hlqcomm/quantizer.h."""

    _fields_ = (("quantizer", c.c_void_p), ("digits", c.c_void_p), ("retries", c.c_void_p))


@dataclass(frozen=True)
class Code:
    """A code: `depth` layers to base `q`, or with kind "flat" one layer to base q^depth."""

    lattice: str
    q: int
    depth: int
    kind: str  # "hnlq", "centred" or "flat"

    @property
    def dim(self) -> int:
        """Numbers in a vector."""
        return LATTICES[self.lattice][1]

    @property
    def base(self) -> int:
        """Values of a digit."""
        return self.q**self.depth if self.kind == "flat" else self.q

    @property
    def layers(self) -> int:
        """Digits for each number."""
        return 1 if self.kind == "flat" else self.depth


class Figures(NamedTuple):
    """What a code does to given numbers."""

    mse: float  # mean squared error per number
    rate: float  # bits per number: layers × log2 base + H(T) / dim
    retried: float  # share of vectors with T > 0

    @property
    def gap_db(self) -> float:
        """Distance to the Shannon bound of normal numbers of variance 1, mse = 2^(-2 rate)."""
        return 10 * math.log10(self.mse * 4**self.rate)


def pointer(array: NDArray[np.generic] | None) -> c.c_void_p | None:
    """Address of a contiguous array."""
    return None if array is None else array.ctypes.data_as(c.c_void_p)


class Library:
    """libhlqcomm, loaded."""

    def __init__(self, path: Path) -> None:
        try:
            self.lib = c.CDLL(str(path))
        except OSError as error:
            sys.exit(f"{path}: {error}; launch/env builds it")
        self.lib.hlq_quantizer_error.restype = c.c_char_p
        self.lib.hlq_kernel_variant.restype = c.c_char_p

    def call(self, name: str, *arguments: object) -> None:
        """Call a function that returns a status."""
        if getattr(self.lib, name)(*arguments) != 0:
            sys.exit(f"{name}: {self.lib.hlq_quantizer_error().decode()}")

    def variant(self) -> str:
        """Name of the kernels in use."""
        return (self.lib.hlq_kernel_variant() or b"none").decode()


class Quantizer:
    """One hlq_quantizer; use it in a with statement. Digits are bytes: code.base ≤ 256."""

    def __init__(self, library: Library, code: Code, beta: float, retries: int = 0) -> None:
        self.library, self.code, self.retries = library, code, retries
        self.handle = c.c_void_p()
        lattice, dim = LATTICES[code.lattice]
        centred = int(code.kind == "centred")
        params = Params(c.sizeof(Params), lattice, dim, code.base, code.layers)
        params.beta, params.alpha = beta, ALPHA
        params.max_retries, params.centred = retries, centred
        library.call("hlq_quantizer_create", c.byref(params), c.byref(self.handle))

    def __enter__(self) -> Quantizer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.library.lib.hlq_quantizer_destroy(self.handle)

    def encode(self, x: Floats) -> tuple[Bytes, Bytes, int]:
        """Digits [vectors, layers, dim], T [vectors], number of overloads of x [vectors, dim]."""
        vectors = len(x)
        digits = np.empty((vectors, self.code.layers, self.code.dim), np.uint8)
        steps = np.zeros(vectors, np.uint8)
        overloads = c.c_uint64()
        self.library.call(
            "hlq_encode",
            *(self.handle, pointer(x), c.c_size_t(vectors), None, pointer(digits), pointer(steps)),
            *(None, c.byref(overloads)),
        )
        return digits, steps, overloads.value

    def decode(self, digits: Bytes, steps: Bytes, out: Floats | None = None) -> Floats:
        """Digits and T back to numbers [vectors, dim]."""
        vectors = len(digits)
        x = np.empty((vectors, self.code.dim), np.float32) if out is None else out
        self.library.call(
            "hlq_decode",
            *(self.handle, pointer(digits), pointer(steps), c.c_size_t(vectors), None),
            *(c.c_int(self.code.layers), pointer(x)),
        )
        return x

    def encoded(self, digits: Bytes, steps: Bytes | None = None) -> EncodedVectors:
        """What the functions of look-up tables take. It keeps the arrays alive."""
        encoded = EncodedVectors(self.handle, pointer(digits), pointer(steps))
        encoded.arrays = (digits, steps)
        return encoded


def measure(library: Library, code: Code, beta: float, x: Floats) -> Figures:
    """Error and rate of a code on x [vectors, dim], with as many retries as it takes."""
    with Quantizer(library, code, beta, RETRIES_MAX) as quantizer:
        digits, steps, overloads = quantizer.encode(x)
        decoded = quantizer.decode(digits, steps)
    if overloads:
        sys.exit(f"{overloads} vectors overload {code} even after {RETRIES_MAX} retries")
    share = np.bincount(steps) / len(steps)
    share = share[share > 0]
    entropy = -float(np.sum(share * np.log2(share)))
    rate = code.layers * math.log2(code.base) + entropy / code.dim
    mse = float(np.mean((x.astype(np.float64) - decoded) ** 2))
    return Figures(mse, rate, float(np.mean(steps > 0)))


def normal_numbers(vectors: int, dim: int, seed: int) -> Floats:
    """Numbers of N(0, 1), [vectors, dim]."""
    return np.random.default_rng(seed).standard_normal((vectors, dim)).astype(np.float32)
