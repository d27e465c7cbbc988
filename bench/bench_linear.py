#!/usr/bin/env python3
"""Time y = W x on packed weights beside torch.mv in fp32: one row of activations, one core.

Calls of all are made in turn, so that each finds the cache as the others have left it. `ratio` is
the median over rounds of the time of torch.mv by that of the look-ups, `spread` its 80 % range,
relative. `error` is ‖y - W x‖ / ‖W x‖ for normal W and x: what quantization costs. `rounding` is
the same against the unpacked weights: what one-sided look-ups add; two-sided ones add nothing.

    bench/bench_linear.py --library build/lib/libhlqcomm.so
    HLQ_KERNELS=avx2 bench/bench_linear.py ...                 another kernel variant
"""

from __future__ import annotations

import argparse
import ctypes as c
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hnlq import DEFAULT_LIBRARY, Code, Library, Quantizer

try:
    import torch
    from torch import Tensor
except ImportError as missing:
    sys.exit(f"bench_linear.py: {missing}; run it with the Python of .venv, which launch/env makes")

BASE = 4  # of D4: 256 points, so that a table has one entry for each value of a byte
ACTIVATION = Code("D4", BASE, 2, "hnlq"), 0.31  # and beta of least error for normal numbers


class Info(c.Structure):
    """hlq_linear_info of hlqcomm/quantizer.h."""

    _fields_ = (
        ("struct_bytes", c.c_uint32),
        ("out_features", c.c_size_t),
        ("in_features", c.c_size_t),
        ("bytes", c.c_uint64),
        ("bits_per_weight", c.c_double),
        ("relative_error", c.c_double),
        ("shrunk_vectors", c.c_uint64),
    )


def pointer(tensor: Tensor) -> c.c_void_p:
    """Address of a contiguous tensor's numbers."""
    return c.c_void_p(tensor.data_ptr())


class Linear:
    """One hlq_linear of fp32 weights [out, in]; it lives as long as the program."""

    def __init__(self, quantizer: Quantizer, weight: Tensor) -> None:
        self.library, self.handle, self.shape = quantizer.library, c.c_void_p(), weight.shape
        rows, columns = (c.c_size_t(n) for n in weight.shape)
        self.library.call(
            "hlq_linear_pack",
            *(quantizer.handle, pointer(weight), rows, columns, c.byref(self.handle)),
        )

    def unpack(self) -> Tensor:
        """The weights that it holds, [out, in]."""
        weight = torch.empty(self.shape)
        rows = c.c_size_t(self.shape[0])
        self.library.call("hlq_linear_unpack", self.handle, c.c_size_t(0), rows, pointer(weight))
        return weight

    def forward(self, activation: Quantizer | None, x: Tensor, y: Tensor, threads: int) -> None:
        """Makes y [out] = x [in] Ŵᵀ; one-sided without a quantizer for x."""
        overloads = c.c_uint64()
        self.library.call(
            "hlq_linear_forward",
            *(self.handle, activation and activation.handle, pointer(x), c.c_size_t(1)),
            *(pointer(y), c.byref(overloads), c.c_int(threads)),
        )

    def info(self) -> Info:
        """Size and error."""
        info = Info(c.sizeof(Info))
        self.library.call("hlq_linear_describe", self.handle, c.byref(info))
        return info


def relative(y: Tensor, want: Tensor) -> float:
    """‖y - want‖ / ‖want‖, in double."""
    return float((y.double() - want).norm() / want.norm())


def time_in_turn(calls: dict[str, Callable[[], object]], seconds: float) -> dict[str, Tensor]:
    """Seconds of each call in each round; at least 10 rounds, after one that does not count."""
    rounds: list[list[float]] = []
    for call in calls.values():
        call()
    end = time.perf_counter() + seconds
    while len(rounds) < 10 or time.perf_counter() < end:
        took = []
        for call in calls.values():
            start = time.perf_counter()
            call()
            took.append(time.perf_counter() - start)
        rounds.append(took)
    columns = torch.tensor(rounds, dtype=torch.float64).T
    return dict(zip(calls, columns, strict=True))


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, default=DEFAULT_LIBRARY, help="libhlqcomm.so")
    parser.add_argument("--out", type=int, default=4096, help="rows of W")
    parser.add_argument("--in", type=int, default=4096, dest="columns", help="columns of W")
    parser.add_argument("--depth", type=int, default=2, help="layers of W's code")
    parser.add_argument("--beta", type=float, default=0.25, help="scale of W's code")
    parser.add_argument("--threads", type=int, default=1, help="of torch and of the look-ups")
    parser.add_argument("--seconds", type=float, default=5.0, help="to measure for")
    return parser.parse_args()


def main() -> None:
    """Packs, times, prints a table."""
    options = read_arguments()
    library = Library(options.library)
    torch.manual_seed(1)
    torch.set_num_threads(options.threads)
    weight, x = torch.randn(options.out, options.columns), torch.randn(options.columns)
    quantizer = Quantizer(library, Code("D4", BASE, options.depth, "hnlq"), options.beta)
    start = time.perf_counter()
    linear = Linear(quantizer, weight)
    packing = time.perf_counter() - start
    unpacked, info = linear.unpack(), linear.info()

    y = {"torch.mv fp32": torch.empty(options.out)}
    calls: dict[str, Callable[[], object]] = {
        "torch.mv fp32": lambda: torch.mv(weight, x, out=y["torch.mv fp32"])
    }
    for name, activation in (("two-sided", Quantizer(library, *ACTIVATION)), ("one-sided", None)):
        y[name] = torch.empty(options.out)
        calls[name] = lambda a=activation, to=y[name]: linear.forward(a, x, to, options.threads)
    took = time_in_turn(calls, options.seconds)
    print(f"# {options.out} x {options.columns}, D4 q {BASE} depth {options.depth},")
    print(f"# {library.variant()}, threads {options.threads}; packed in {packing:.2f} s,")
    print(f"# {info.bits_per_weight:.3f} bits per weight, squared error {info.relative_error:.5f},")
    print(f"# {info.shrunk_vectors} vectors shrunk; {len(took['torch.mv fp32'])} rounds")
    print(f"{'':16}{'ms':>8}{'ratio':>8}{'spread':>8}{'error':>10}{'rounding':>10}")
    exact, held = weight.double() @ x.double(), unpacked.double() @ x.double()
    for name, seconds in took.items():
        ratio = took["torch.mv fp32"] / seconds
        low, middle, high = ratio.quantile(torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64))
        spread = 100 * (high - low) / middle
        rounding = f"{relative(y[name], held):10.1e}" if name == "one-sided" else f"{'-':>10}"
        print(
            f"{name:16}{1e3 * seconds.median():8.3f}{middle:8.2f}{spread:7.0f}%"
            f"{relative(y[name], exact):10.1e}{rounding}"
        )


if __name__ == "__main__":
    main()
