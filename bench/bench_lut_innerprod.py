#!/usr/bin/env python3
"""Time inner products of quantized vectors from look-up tables, on one core.

Two vectors of `--numbers` normal numbers, quantized at the code's golden beta:

    two-sided  hlq_lut_dot: both are digits
    one-sided  hlq_lut_dot_one_sided: one is fp32, its table (`build`) made beforehand
    decode     hlq_decode of both, then fp32 BLAS: what the table saves
    fp32       BLAS (numpy's) on the original numbers

Nanoseconds of this thread's time per number, the median of calls made in turn, so that each finds
the cache as the others have left it; digits are one byte each, as hlq_encode writes them. `error`
is the mean of (estimate - exact)² / n over pairs of vectors of n = 512 numbers, `bound` what it is
at least for any code of this rate, 2·4^-R - 16^-R (Kaplan and Ordentlich, arXiv 2505.13164).

    bench/bench_lut_innerprod.py                        vectors in memory
    bench/bench_lut_innerprod.py --numbers 16384        vectors in the cache
"""

from __future__ import annotations

import argparse
import ctypes as c
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # one core for BLAS, too; read when numpy is loaded

import numpy as np
from hnlq import DEFAULT_LIBRARY, Code, Floats, Library, Quantizer, measure, normal_numbers, pointer

CODES = [  # beta: the best for normal numbers (tests/hnlq_golden.csv)
    (Code("D4", 4, 1, "hnlq"), 0.791),
    (Code("D4", 4, 2, "hnlq"), 0.194),
    (Code("D4", 4, 2, "centred"), 0.189),
    (Code("D4", 4, 3, "hnlq"), 0.0494),
    (Code("D4", 3, 2, "hnlq"), 0.351),
    (Code("D4", 8, 2, "hnlq"), 0.0475),
    (Code("E8", 2, 4, "centred"), 0.217),
    (Code("E8", 3, 2, "hnlq"), 0.418),
]
RETRIES = 30
PAIR_NUMBERS, PAIRS = 512, 2000
TABLE_NUMBERS = 1 << 14  # of the vector with a one-sided table: one of 2^20 numbers needs 256 MiB


def two_sided(library: Library, quantizer: Quantizer) -> c.c_void_p:
    """The table of the quantizer's representatives."""
    lut = c.c_void_p()
    library.call("hlq_lut_build_two_sided", quantizer.handle, c.byref(lut))
    return lut


def median_times(calls: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """CPU seconds of each call: the median of at least 10 rounds, after one that does not count."""
    rounds: list[list[float]] = []
    end = time.perf_counter() + seconds
    while len(rounds) < 11 or time.perf_counter() < end:
        took = []
        for call in calls.values():
            start = time.thread_time()
            call()
            took.append(time.thread_time() - start)
        rounds.append(took)
    return dict(zip(calls, np.median(rounds[1:], axis=0), strict=True))


def dot_calls(
    library: Library, quantizer: Quantizer, lut: c.c_void_p, x: Floats, y: Floats
) -> dict[str, Callable[[], object]]:
    """Calls that each compute ⟨x, y⟩, x and y [vectors, dim]."""
    a_digits, a_steps, _ = quantizer.encode(x)
    b_digits, b_steps, _ = quantizer.encode(y)
    a, b = quantizer.encoded(a_digits, a_steps), quantizer.encoded(b_digits, b_steps)
    vectors, dot = c.c_size_t(len(x)), c.c_double()
    a_out, b_out = np.empty_like(x), np.empty_like(y)

    def from_table() -> float:
        library.call("hlq_lut_dot", lut, c.byref(a), c.byref(b), vectors, c.byref(dot))
        return dot.value

    def from_decoded() -> float:
        quantizer.decode(a_digits, a_steps, a_out)
        quantizer.decode(b_digits, b_steps, b_out)
        return float(np.dot(a_out.ravel(), b_out.ravel()))

    return {
        "two-sided": from_table,
        "decode": from_decoded,
        "fp32": lambda: np.dot(x.ravel(), y.ravel()),
    }


def one_sided_calls(
    library: Library, quantizer: Quantizer, x: Floats, y: Floats
) -> dict[str, Callable[[], object]]:
    """Building the table of y, and ⟨x̂, y⟩ from it."""
    digits, steps, _ = quantizer.encode(x)
    encoded, vectors, dot = quantizer.encoded(digits, steps), c.c_size_t(len(x)), c.c_double()
    table = np.empty((len(x), quantizer.code.base**quantizer.code.dim), np.float32)
    build = ("hlq_lut_build_one_sided", quantizer.handle, pointer(y), vectors, pointer(table))
    sums = ("hlq_lut_dot_one_sided", pointer(table), c.byref(encoded), vectors, c.byref(dot))
    return {"build": lambda: library.call(*build), "one-sided": lambda: library.call(*sums)}


def distortion(library: Library, quantizer: Quantizer, lut: c.c_void_p) -> float:
    """Mean of (estimate - exact)² / n over pairs of vectors of n numbers."""
    pieces, dim = PAIR_NUMBERS // quantizer.code.dim, quantizer.code.dim
    total = 0.0
    for pair in range(PAIRS):
        x, y = normal_numbers(2 * pieces, dim, pair).reshape(2, pieces, dim)
        estimate = dot_calls(library, quantizer, lut, x, y)["two-sided"]()
        total += (estimate - float(np.vdot(x.astype(np.float64), y))) ** 2 / PAIR_NUMBERS
    return total / PAIRS


def run(library: Library, code: Code, beta: float, numbers: int, seconds: float) -> None:
    """Measure one code and print its row."""
    x, y = normal_numbers(2 * (numbers // code.dim), code.dim, 1).reshape(2, -1, code.dim)
    rate = measure(library, code, beta, x).rate
    few = TABLE_NUMBERS // code.dim
    with Quantizer(library, code, beta, RETRIES) as quantizer:
        lut = two_sided(library, quantizer)
        error = distortion(library, quantizer, lut)
        took = median_times(dot_calls(library, quantizer, lut, x, y), seconds)
        ns = {name: 1e9 * t / x.size for name, t in took.items()}
        took = median_times(one_sided_calls(library, quantizer, x[:few], y[:few]), seconds)
        ns |= {name: 1e9 * t / x[:few].size for name, t in took.items()}
        library.lib.hlq_lut_destroy(lut)
    print(
        f"{code.lattice:<3}{code.q:>2}{code.depth:>3}  {code.kind:<8}{rate:>6.2f}"
        f"{ns['two-sided']:>11.3f}{ns['one-sided']:>11.3f}{ns['build']:>9.2f}{ns['decode']:>9.3f}"
        f"{ns['fp32']:>8.3f}{ns['decode'] / ns['two-sided']:>10.2f}"
        f"{ns['fp32'] / ns['two-sided']:>10.2f}{error:>11.3g}{2 * 4**-rate - 16**-rate:>10.3g}",
        flush=True,
    )


def main() -> None:
    """Measure all codes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, default=DEFAULT_LIBRARY, help="libhlqcomm.so")
    parser.add_argument("--numbers", type=int, default=1 << 22, help="of each vector")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each measurement")
    arguments = parser.parse_args()
    library = Library(arguments.library)
    print(f"kernels {library.variant()}, {arguments.numbers} numbers; ns per number")
    print("L   q  M  code      bits  two-sided  one-sided    build   decode    fp32", end="")
    print("  decode/2s   fp32/2s      error     bound")
    for code, beta in CODES:
        run(library, code, beta, arguments.numbers, arguments.seconds)


if __name__ == "__main__":
    main()
