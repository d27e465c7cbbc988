#!/usr/bin/env python3
"""Time hlqtorch's linear layers beside nn.Linear in fp32, for batches of 1 to 64 rows.

    fp32       nn.Linear
    one-sided  PackedLinear by look-ups, activations as they are
    two-sided  PackedLinear by look-ups, activations quantized first
    decode     PackedLinear decodes its weights, then multiplies in fp32

Milliseconds are medians. `gain` is the median over rounds of the time of fp32 by that of the layer
in the same round, and behind it how far the middle 80 % of rounds spread. Calls of all are made in
turn, so that each finds the cache as the others have left it. Below the table: the batch up to
which look-ups are faster than decoding (QuantConfig's lut_rows), and a forward and backward of
QLinear, which quantizes its weights each time.

    bench/bench_qlinear_throughput.py
    bench/bench_qlinear_throughput.py --in 1024 --out 4096 --threads 2 --json result.json
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from bench_linear import time_in_turn

try:
    import hlqtorch
    import torch
    from hlqtorch.nn import PackedLinear, QLinear, QuantConfig
    from torch import nn
except ImportError as missing:
    sys.exit(f"{Path(__file__).name}: {missing}; run it with the Python of .venv")

BATCHES = (1, 2, 4, 8, 16, 32, 64)
CONFIGS = {
    "one-sided": QuantConfig(lut_rows=BATCHES[-1]),
    "two-sided": QuantConfig(lut_rows=BATCHES[-1], quantize_activations=True),
    "decode": QuantConfig(lut_rows=0),
}
QUANTILES = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)

Layers = dict[str, nn.Module]


def make_layers(linear: nn.Linear, depth: int) -> Layers:
    """nn.Linear and what packs its weights; packed once, as the codes are the same."""
    packed = PackedLinear.from_linear(linear, replace(CONFIGS["decode"], M=depth))
    layers: Layers = {"fp32": linear}
    for name, config in CONFIGS.items():
        layers[name] = PackedLinear(
            linear.in_features, linear.out_features, False, config=replace(config, M=depth)
        )
        layers[name].load_state_dict(packed.state_dict())
    return layers


def measure(layers: Layers, batch: int, seconds: float) -> dict[str, object]:
    """Milliseconds of each layer, gains as quantiles, the batch."""
    x = torch.randn(batch, layers["fp32"].in_features)
    with torch.no_grad():
        took = time_in_turn({name: lambda f=f: f(x) for name, f in layers.items()}, seconds)
    return {
        "batch": batch,
        "ms": {name: 1e3 * times.median().item() for name, times in took.items()},
        "gain": {
            name: (took["fp32"] / took[name]).quantile(QUANTILES).tolist() for name in CONFIGS
        },
    }


def training_seconds(linear: nn.Linear, depth: int) -> dict[str, float]:
    """Of a forward and backward of 64 rows: nn.Linear, QLinear."""
    x = torch.randn(BATCHES[-1], linear.in_features)
    layers = {"fp32": linear, "QLinear": QLinear.from_linear(linear, M=depth)}
    took = time_in_turn({n: lambda f=f: f(x).sum().backward() for n, f in layers.items()}, 0)
    return {name: times.median().item() for name, times in took.items()}


def line(row: dict[str, object]) -> str:
    """One line of the table."""
    text = f"{row['batch']:5}{row['ms']['fp32']:9.3f}"
    for name, (low, middle, high) in row["gain"].items():
        text += f"{row['ms'][name]:11.3f}{middle:7.2f}{100 * (high - low) / middle:4.0f}%"
    return text


def look_up_rows(rows: list[dict[str, object]]) -> dict[str, int]:
    """Largest batch up to which look-ups take less time than decoding; 0: never."""
    best = dict.fromkeys(("one-sided", "two-sided"), 0)
    for name in best:
        for row in rows:
            if row["ms"][name] >= row["ms"]["decode"]:
                break
            best[name] = row["batch"]
    return best


def main() -> None:
    """Packs, measures, prints a table, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--in", type=int, default=4096, dest="columns", help="in_features")
    parser.add_argument("--out", type=int, default=4096, help="out_features")
    parser.add_argument("--depth", type=int, default=2, help="M of the weights (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="default %(default)s")
    parser.add_argument("--seconds", type=float, default=2.0, help="to measure each batch for")
    parser.add_argument("--json", type=argparse.FileType("w"), metavar="FILE")
    options = parser.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(options.threads)
    linear = nn.Linear(options.columns, options.out, bias=False)
    layers = make_layers(linear, options.depth)
    variant = hlqtorch._C.kernel_variant()
    print(
        f"# {options.out} x {options.columns}, D4 q=4 M={options.depth}, {variant}, "
        f"threads {options.threads}"
    )
    print(
        f"{'batch':5}{'fp32 ms':>9}"
        + "".join(f"{name + ' ms':>12}{'gain':>10}" for name in CONFIGS)
    )
    rows = []
    for batch in BATCHES:
        rows.append(measure(layers, batch, options.seconds))
        print(line(rows[-1]), flush=True)
    limits, training = look_up_rows(rows), training_seconds(linear, options.depth)
    print(f"look-ups faster than decoding up to a batch of: {limits}")
    for name, seconds in training.items():
        print(f"forward and backward of 64 rows, {name}: {1e3 * seconds:.1f} ms")
    if options.json:
        result = {"variant": variant, "out": options.out, "in": options.columns}
        result |= {"M": options.depth, "threads": options.threads, "batches": rows}
        result |= {"look_up_rows": limits, "training_seconds": training}
        options.json.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
