#!/usr/bin/env python3
"""Plot error against rate of hierarchical, centred and flat codes on normal numbers.

Each point is a code at its best beta: the one for which mse × 4^rate is least (alpha = 1/3, as many
retries as it takes, H(T) counted). The bound is Shannon's, mse = 2^(-2 rate): no code of any length
lies below it.

    bench/rate_distortion.py                 writes docs/rate_distortion.png, takes two minutes
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from hnlq import DEFAULT_LIBRARY, Code, Figures, Floats, Library, measure, normal_numbers

try:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.axes import Axes
except ImportError as missing:
    sys.exit(
        f"rate_distortion.py: {missing}; run it with the Python of .venv, which launch/env makes"
    )

PICTURE = Path(__file__).resolve().parent.parent / "docs/rate_distortion.png"
SECOND_MOMENT = {"E8": 929 / 12960, "D4": 13 / 120, "Z": 1 / 12}
CODES = {  # of each lattice: (q, depth); q^depth ≤ 256
    "E8": [(2, 4), (3, 1), (3, 2), (3, 3), (4, 1), (4, 2), (4, 3), (5, 2), (5, 3), (8, 1), (8, 2)],
    "D4": [(2, 4), (3, 1), (3, 2), (3, 3), (4, 1), (4, 2), (4, 3), (5, 2), (5, 3), (8, 1), (8, 2)],
    "Z": [(4, 1), (4, 2), (4, 3), (8, 1), (8, 2)],
}
KINDS = {"hnlq": "hierarchical", "centred": "hierarchical, centred", "flat": "flat code, base q^M"}
COLOURS = {"hnlq": "tab:blue", "centred": "tab:green", "flat": "tab:orange"}
MARKERS = {"E8": "o", "D4": "s", "Z": "^"}
GAP_SHOWN_DB = 6.0  # hierarchical codes with q = 2 are 13 dB and more away, unless centred


def best(library: Library, code: Code, x: Floats) -> Figures:
    """The code at its best beta, to 1 %; the error is flat around it."""
    dim = code.dim
    start = code.q**-code.depth * np.sqrt(dim / (dim + 2) / SECOND_MOMENT[code.lattice])
    low, high = np.log(0.7 * start), np.log(3 * start)
    while high - low > 0.02:
        betas = np.linspace(low, high, 9)
        found = [measure(library, code, float(np.exp(beta)), x) for beta in betas]
        at = int(np.argmin([figures.gap_db for figures in found]))
        low, high = betas[max(at - 1, 0)], betas[min(at + 1, 8)]
    return found[at]


def all_points(library: Library, vectors: int) -> dict[Code, Figures]:
    """Best figures of every code."""
    points = {}
    for lattice, shapes in CODES.items():
        for q, depth in shapes:
            for kind in KINDS:
                code = Code(lattice, q, depth, kind)
                points[code] = best(library, code, normal_numbers(vectors, code.dim, seed=1))
                f = points[code]
                print(
                    f"{lattice:<3}{q:>2}{depth:>3}  {kind:<8} mse {f.mse:.4g}, "
                    f"{f.rate:.3f} bits, {f.gap_db:.2f} dB from Shannon"
                )
    return points


def plot_distortion(axes: Axes, points: dict[Code, Figures]) -> None:
    """Error against rate, of E8 and of plain rounding."""
    rates = np.linspace(1, 7.5, 50)
    axes.semilogy(rates, 4.0**-rates, "k-", label="Shannon bound")
    for kind, name in KINDS.items():
        chosen = [f for code, f in points.items() if (code.lattice, code.kind) == ("E8", kind)]
        chosen = [f for f in chosen if f.gap_db < GAP_SHOWN_DB]
        rate, mse = [f.rate for f in chosen], [f.mse for f in chosen]
        axes.semilogy(rate, mse, MARKERS["E8"], color=COLOURS[kind], label=f"E8, {name}", ms=5)
    chosen = [f for code, f in points.items() if (code.lattice, code.kind) == ("Z", "flat")]
    rate, mse = [f.rate for f in chosen], [f.mse for f in chosen]
    axes.semilogy(rate, mse, MARKERS["Z"], color="grey", label="Z, flat: rounding", ms=5)
    axes.set(xlabel="bits per number, retries counted", ylabel="mean squared error")
    axes.set_title("normal numbers of variance 1")
    axes.legend()


def plot_gaps(axes: Axes, lattice: str, points: dict[Code, Figures]) -> None:
    """Distance to the bound of one lattice's codes: lines join depths of one q."""
    for kind, name in KINDS.items():
        chosen = {
            code: f for code, f in points.items() if (code.lattice, code.kind) == (lattice, kind)
        }
        chosen = {code: f for code, f in chosen.items() if f.gap_db < GAP_SHOWN_DB}
        style = {"color": COLOURS[kind], "marker": MARKERS[lattice], "ms": 5}
        axes.plot([], [], label=name, **style)
        if kind == "flat":
            line = sorted(chosen.values(), key=lambda f: f.rate)
            axes.plot([f.rate for f in line], [f.gap_db for f in line], **style)
            continue
        for q in sorted({code.q for code in chosen}):
            line = [f for code, f in chosen.items() if code.q == q]
            axes.plot([f.rate for f in line], [f.gap_db for f in line], **style)
            end = (line[-1].rate, line[-1].gap_db)
            axes.annotate(f"q = {q}", end, (6, -3), textcoords="offset points", fontsize=8)
    axes.set(xlabel="bits per number, retries counted", ylabel="distance to the bound, dB")
    axes.set(ylim=(1.4, 4.4), xlim=(1.5, 8), title=f"{lattice}, depth M from left to right")
    axes.legend(loc="upper right", fontsize=8)


def main() -> None:
    """Measure, plot, and say where the picture is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, default=DEFAULT_LIBRARY, help="libhlqcomm.so")
    parser.add_argument("--vectors", type=int, default=20_000, help="for each code")
    parser.add_argument("--out", type=Path, default=PICTURE, help="the picture")
    arguments = parser.parse_args()
    points = all_points(Library(arguments.library), arguments.vectors)
    figure, panels = plt.subplots(1, 3, figsize=(14, 4.4), layout="constrained")
    plot_distortion(panels[0], points)
    plot_gaps(panels[1], "D4", points)
    plot_gaps(panels[2], "E8", points)
    for axes in panels:
        axes.grid(alpha=0.3)
    figure.savefig(arguments.out, dpi=110)
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
