#!/usr/bin/env python3
"""Time encode, decode and quantize of hlqtorch beside memcpy, on one core.

GB/s are bytes of fp32 numbers by time, those of memcpy as well; `of memcpy` is the median over
rounds of the rate by that of memcpy in the same round, and behind it how far the middle 80 % of
rounds spread. Calls of all are made in turn, so that each finds the cache as the others have left
it. Numbers are normal, β is the one for their variance (hlqtorch.quant.params.natural_beta),
`overload` the share of vectors that it leaves out; none is tried again.

    bench/bench_encode_decode.py
    HLQ_KERNELS=avx2 bench/bench_encode_decode.py --numbers 65536     another variant, in the cache
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from bench_linear import time_in_turn

try:
    import hlqtorch
    import torch
    from hlqtorch.lattices import D4, E8, Zd
    from hlqtorch.quant import functional
    from hlqtorch.quant.params import LatticeParams, natural_beta
except ImportError as missing:
    sys.exit(f"{Path(__file__).name}: {missing}; run it with the Python of .venv")

CODES = [  # lattice, q, M, centred
    (Zd(1), 16, 1, False),
    (Zd(1), 4, 2, False),
    (D4(), 4, 1, False),
    (D4(), 4, 2, False),
    (D4(), 4, 3, False),
    (D4(), 4, 2, True),
    (D4(), 3, 2, False),
    (D4(), 16, 1, False),
    (E8(), 4, 1, False),
    (E8(), 4, 2, False),
    (E8(), 3, 2, False),
    (E8(), 2, 4, True),
]
CALLS = ("encode", "decode", "quantize")


def label(params: LatticeParams) -> str:
    """Of a line: "D4 q=4 M=2"."""
    centred = " centred" if params.centred else ""
    return f"{params.lattice.name} q={params.q} M={params.M}{centred}"


def measure(params: LatticeParams, numbers: int, seconds: float) -> dict[str, object]:
    """GB/s of each call, and by memcpy's the 10 %, 50 % and 90 % quantiles over rounds."""
    x = torch.randn(numbers // params.d, params.d)
    copied = torch.empty_like(x)
    code = (params.lattice, params.q, params.M)
    options = {"beta": params.beta, "centred": params.centred}
    b, overload = functional.encode(x, *code, **options)
    calls: dict[str, Callable[[], object]] = {
        "memcpy": lambda: copied.copy_(x),
        "encode": lambda: functional.encode(x, *code, **options),
        "decode": lambda: functional.decode(b, *code, **options),
        "quantize": lambda: functional.quantize(x, *code, **options),
    }
    took = time_in_turn(calls, seconds)
    quantiles = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    return {
        "lattice": params.lattice.name,
        "q": params.q,
        "M": params.M,
        "centred": params.centred,
        "beta": params.beta,
        "overload": overload.float().mean().item(),
        "gbs": {name: x.nbytes / 1e9 / took[name].median().item() for name in calls},
        "of_memcpy": {
            name: (took["memcpy"] / took[name]).quantile(quantiles).tolist() for name in CALLS
        },
    }


def line(params: LatticeParams, row: dict[str, object]) -> str:
    """One line of the table."""
    text = f"{label(params):20}{params.bits_per_number:6.2f}{row['gbs']['memcpy']:8.2f}"
    for name in CALLS:
        low, middle, high = row["of_memcpy"][name]
        spread = 100 * (high - low) / middle
        text += f"{row['gbs'][name]:9.2f}{middle:7.2f}{spread:4.0f}%"
    return f"{text}{row['overload']:10.1e}"


def main() -> None:
    """Measures, prints a table, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--numbers", type=int, default=1 << 22, help="default %(default)s")
    parser.add_argument("--seconds", type=float, default=1.0, help="to measure each code for")
    parser.add_argument("--json", type=argparse.FileType("w"), metavar="FILE")
    options = parser.parse_args()
    if options.numbers < 8 or options.numbers % 8:
        parser.error(f"--numbers is {options.numbers}; it must be a positive multiple of 8")
    torch.manual_seed(1)
    torch.set_num_threads(1)
    variant = hlqtorch._C.kernel_variant()
    print(f"# {variant}, {options.numbers} numbers, one core")
    print(
        f"{'':20}{'bits':>6}{'memcpy':>8}"
        + "".join(f"{name:>9}{'of memcpy':>12}" for name in CALLS)
        + f"{'overload':>10}"
    )
    rows = []
    for lattice, q, depth, centred in CODES:
        beta = natural_beta(lattice, q, depth)
        params = LatticeParams(lattice, q, depth, beta=beta, centred=centred)
        rows.append(measure(params, options.numbers, options.seconds))
        print(line(params, rows[-1]), flush=True)
    if options.json:
        result = {"variant": variant, "numbers": options.numbers, "codes": rows}
        options.json.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
