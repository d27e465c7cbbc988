"""What accuracy.py found, as Markdown tables and a picture."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from accuracy_data import GRADIENT, DataSet
from dynamiq import LEAST_BITS

try:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.axes import Axes
except ImportError as missing:
    sys.exit(f"accuracy.py: {missing}; run it with the Python of .venv, which launch/env makes")


@dataclass(frozen=True)
class Point:
    """The error of one algorithm or rival at one rate."""

    data: str
    ranks: int
    numbers: int
    name: str
    kind: str  # "library", "rival" (run for real) or "simulated"
    asked: float | None  # budget; None: the format has but one rate
    bits: float  # sent for each number, everything counted
    vnmse: float


@dataclass(frozen=True)
class Style:
    """How a name is drawn. Colours are Okabe and Ito's, told apart by colour-blind eyes."""

    label: str
    colour: str
    marker: str


STYLES = {
    "twoshot": Style("twoshot", "#0072B2", "o"),
    "modq": Style("modq", "#009E73", "s"),
    "oneshot": Style("oneshot", "#56B4E9", "v"),
    "DynamiQ": Style("DynamiQ, tree, S honest", "#D55E00", "D"),
    "MXFP4": Style("MXFP4", "#CC79A7", "P"),
    "QSGD": Style("QSGD, 4-bit", "#E69F00", "X"),
    "int4": Style("int4/32", "#000000", "^"),
    "fp8": Style("fp8/256", "#000000", "*"),
    "uint8": Style("uint8 per tensor", "#777777", "p"),
}
LINES = ("twoshot", "modq", "oneshot", "DynamiQ")
FIXED_ORDER = ("MXFP4", "QSGD", "int4", "uint8", "fp8", "bf16", "fp32")
DYNAMIQ_TARGET, DYNAMIQ_TARGET_BITS = 0.15, (4.0, 5.0)
# twoshot's limit at 4 bits comes from a model of the pipeline on MODEL_DATA, a part of MODEL_WHOLE.
MODEL_WHOLE = "bytes_step100"
MODEL_DATA = f"{MODEL_WHOLE}_first1048576"
DYNAMIQ_TARGET_DATA = ("bytes_step", "dynamiq-lognormal")

Cell = str | float | int | None


def text_of(cell: Cell) -> str:
    """A cell: errors as 1.23e-4, text as it is, nothing as a dash."""
    if cell is None:
        return "–"
    if not isinstance(cell, float):
        return str(cell)
    digits, exponent = f"{cell:.2e}".split("e")
    return f"{digits}e{int(exponent)}"


def print_table(header: list[str], rows: list[list[Cell]]) -> None:
    """A Markdown table and an empty line."""
    print("| " + " | ".join(header) + " |")
    print("|---" * len(header) + "|")
    for row in rows:
        print("| " + " | ".join(text_of(cell) for cell in row) + " |")
    print()


def title_of(data: str) -> str:
    """A data set's title."""
    return DataSet(data, Path()).title


class Found:
    """Points, to be looked up."""

    def __init__(self, points: list[Point]) -> None:
        self.points = points
        self.data = list(dict.fromkeys(point.data for point in points))
        self.ranks = sorted({point.ranks for point in points})

    def get(
        self, data: str, name: str, asked: float | None = None, ranks: int | None = None
    ) -> Point | None:
        """The point, if there is one."""
        for p in self.points:
            if (p.data, p.name, p.asked) == (data, name, asked) and ranks in (None, p.ranks):
                return p
        return None

    def error(self, data: str, name: str, asked: float | None = None) -> float | None:
        """Its vNMSE."""
        point = self.get(data, name, asked)
        return point and point.vnmse


def print_errors(found: Found) -> None:
    """Error of everything on everything: a row for each algorithm and rate."""
    budgets = sorted({p.asked for p in found.points if p.asked is not None})
    keys: list[tuple[str, float | None]] = [(name, asked) for name in LINES for asked in budgets]
    keys += [(name, None) for name in FIXED_ORDER]
    rows: list[list[Cell]] = []
    for name, asked in keys:
        points = [found.get(data, name, asked) for data in found.data]
        bits = [point.bits for point in points if point]
        if bits:
            low, high = f"{min(bits):.2f}", f"{max(bits):.2f}"
            rate = low if low == high else f"{low} … {high}"
            rows.append([name, rate, *(point and point.vnmse for point in points)])
    print_table(["", "bits", *(title_of(data) for data in found.data)], rows)


def print_modq_bits(found: Found) -> None:
    """The bits that modq took, if they are ever more than its budget."""
    points = [p for p in found.points if p.name == "modq"]
    if not any(p.bits > 1.01 * p.asked for p in points):
        return
    rows: list[list[Cell]] = []
    for asked in sorted({p.asked for p in points}):
        took = [f"{found.get(data, 'modq', asked).bits:.2f}" for data in found.data]
        rows.append([f"{asked:g}", *took])
    print("modq sends again what did not fit. The bits that it took:\n")
    print_table(["budget", *(title_of(data) for data in found.data)], rows)


def print_against_dynamiq(found: Found) -> None:
    """Ratios at equal bits of 4 and 5; those with a target say whether it is met."""
    rows: list[list[Cell]] = []
    for data in found.data:
        for theirs in found.points:
            if (theirs.name, theirs.data) != ("DynamiQ", data):
                continue
            if theirs.asked not in DYNAMIQ_TARGET_BITS:
                continue
            ours = found.get(data, "twoshot", theirs.asked)
            ratio = ours.vnmse / theirs.vnmse
            judged = data.startswith(DYNAMIQ_TARGET_DATA)
            verdict = "yes" if ratio <= DYNAMIQ_TARGET else "**no**"
            rates = [f"{ours.bits:.3f}", f"{theirs.bits:.3f}"]
            errors = [ours.vnmse, theirs.vnmse, f"{ratio:.3f}", verdict if judged else None]
            rows.append([title_of(data), *rates, *errors])
    if rows:
        print("## twoshot against DynamiQ (tree, S honest) at equal total bits\n")
        limit = f"≤ {DYNAMIQ_TARGET}"
        print_table(["", "bits", "DynamiQ's", "twoshot", "DynamiQ", "ratio", limit], rows)


def print_targets(found: Found) -> None:
    """The other targets, which are for gradients, where what they compare was measured."""
    rows: list[list[Cell]] = []

    def judge(sentence: str, data: str, got: float | None, limit: float | None) -> None:
        if got is not None and limit is not None:
            met = "yes" if got <= limit else "**no**"
            rows.append([sentence, title_of(data), got, limit, met])

    for data in filter(GRADIENT.fullmatch, found.data):
        two = {bits: found.error(data, "twoshot", bits) for bits in (3.0, 4.0, 5.0)}
        int4, mxfp4 = found.error(data, "int4"), found.error(data, "MXFP4")
        if data in (MODEL_WHOLE, MODEL_DATA):
            judge("twoshot, 4 bits: ≤ 8.6e-4", data, two[4.0], 8.6e-4)
        if data == MODEL_WHOLE:
            judge("modq, 5 bits: ≤ 3e-3", data, found.error(data, "modq", 5.0), 3e-3)
        judge("twoshot, 5 bits: below fp8 at 8.125", data, two[5.0], found.error(data, "fp8"))
        judge("twoshot, 4 bits: ≤ ¼ of int4 at 4.5", data, two[4.0], int4 and int4 / 4)
        judge("twoshot, 4 bits: ≤ ¼ of MXFP4 at 4.25", data, two[4.0], mxfp4 and mxfp4 / 4)
        judge("twoshot, 3 bits: below int4 at 4.5", data, two[3.0], int4)
    if rows:
        print("## Other targets, on gradients\n")
        print_table(["target", "numbers", "measured", "limit", "met"], rows)
        print_model_note(found)


def print_model_note(found: Found) -> None:
    """Where a limit comes from, if both the whole gradient and that part of it were measured."""
    if not {MODEL_WHOLE, MODEL_DATA} <= set(found.data):
        return
    times = []
    for name in LINES:
        whole, part = (found.error(data, name, 4.0) for data in (MODEL_WHOLE, MODEL_DATA))
        if whole and part:
            times.append(f"{name} {whole / part:.1f}")
    print(
        "The limit 8.6e-4 comes from a model of the pipeline on the first 1,048,576 numbers of the"
    )
    print("gradient at step 100. Errors at 4 bits on the whole of it are larger, so many times:")
    print(f"{', '.join(times)}.\n")


def print_sweep(found: Found) -> None:
    """Error against ranks at one budget."""
    names = ("twoshot", "oneshot", "modq", "DynamiQ", "int4", "MXFP4", "fp8")
    (asked,) = {point.asked for point in found.points if point.asked is not None}
    rows: list[list[Cell]] = []
    for data in found.data:
        for ranks in found.ranks:
            ours = found.get(data, "twoshot", asked, ranks)
            if ours is None:
                continue
            points = [found.get(data, n, asked if n in LINES else None, ranks) for n in names]
            errors = [point and point.vnmse for point in points]
            rows.append([title_of(data), f"{ours.numbers:,}", ranks, f"{ours.bits:.2f}", *errors])
    print(f"## Error against ranks, {asked:g} bits\n")
    print("Files of gradients have 8 workers; beyond those there are distributions only.\n")
    rivals = ["DynamiQ", "int4, 4.5", "MXFP4, 4.25", "fp8, 8.125"]
    print_table(["", "numbers", "ranks", "bits", "twoshot", "oneshot", "modq", *rivals], rows)


NOTES = """\
vNMSE = ‖result − exact‖² / ‖exact‖² of the all-reduced sum, exact in double precision. Bits are
what the busiest rank sends for each number that goes out without compression, 2 (n−1)/n of the
tensor: payload, headers, what modq sends again, and the comparison of arguments before a call.

- Run for real (`hlq_perf`): twoshot, oneshot, modq; two-shot all-reduces in bf16, fp8 (e4m3, a
  float for 256) and int4 (a float16 for 32); fp32.
- Simulated on the same numbers: two-shot all-reduces in MXFP4 (E2M1, 8 bits of scale for 32), QSGD
  (sign and level in 4 bits, stochastic, a float for 512: the largest) and uint8 (step and zero
  point of the whole tensor).
- Simulated: DynamiQ (arXiv 2602.08923) in its strongest form, "tree, S honest": partial sums climb
  a tree, the levels are those of its authors' simulation, all metadata are counted; at the bits
  that twoshot took, with the best of three published spacings (`bench/dynamiq.py`). It needs
  {least} bits or more.
- oneshot sends each code to n−1 ranks, so the code itself has 2/n of the bits: it is made for 2
  ranks.
- Numbers: a model's whole gradient of each worker (`bench/gradients.py`), {drawn:,} of each
  rank from a distribution. DynamiQ's log-normal model has blocks of 256 of very different norms, as
  gradients have; in normal, Laplace and log-normal numbers all blocks are alike, so that no
  algorithm gains from giving some of them more bits.
"""


def print_tables(
    points: list[Point], swept: list[Point], command: str, drawn: int, picture: Path | None
) -> None:
    """All of it, with the command that makes it on top. drawn: numbers of a distribution."""
    found = Found(points)
    print("# Error against bits\n")
    print(f"Made by `{command}`.\n")
    print(NOTES.format(least=f"{LEAST_BITS:.2f}", drawn=drawn))
    if picture:
        print(f"![vNMSE against bits, by data set]({picture.name})\n")
    if points:
        print(f"## vNMSE, {points[0].ranks} ranks\n")
        print_errors(found)
        print_modq_bits(found)
        print_against_dynamiq(found)
        print_targets(found)
    if swept:
        print_sweep(Found(swept))


def draw_panel(axes: Axes, points: list[Point]) -> None:
    """One data set."""
    for name, style in STYLES.items():
        chosen = sorted((p.bits, p.vnmse) for p in points if p.name == name)
        if not chosen:
            continue
        rates, errors = zip(*chosen, strict=True)
        look = {"color": style.colour, "marker": style.marker, "ms": 6, "label": style.label}
        axes.semilogy(rates, errors, ls="-" if name in LINES else "none", **look)
    bf16 = [p.vnmse for p in points if p.name == "bf16"]
    if bf16:
        axes.axhline(bf16[0], color="#777777", ls="--", lw=1)
        place = axes.get_yaxis_transform()
        axes.text(0.01, bf16[0], "bf16, 16 bits", transform=place, va="bottom", fontsize=8)
    axes.set_title(title_of(points[0].data), fontsize=10)
    axes.grid(alpha=0.3)


def plot(points: list[Point], file: Path) -> None:
    """A panel for each data set but MODEL_DATA, a part of another; rows of three."""
    found = Found([p for p in points if p.data != MODEL_DATA] or points)
    across = min(3, len(found.data))
    down = -(-len(found.data) // across)
    size = (4.4 * across, 3.2 * down + 1.1)
    figure, grid = plt.subplots(
        down, across, figsize=size, squeeze=False, sharex=True, layout="constrained"
    )
    panels = list(grid.flat)
    for axes, data in zip(panels, found.data, strict=False):
        draw_panel(axes, [point for point in found.points if point.data == data])
    for axes in panels[len(found.data) :]:
        axes.set_axis_off()
    for axes in grid[-1]:
        axes.set_xlabel("bits per number, everything counted")
    for axes in grid[:, 0]:
        axes.set_ylabel("vNMSE")
    figure.suptitle(f"Error of an all-reduce of {found.ranks[0]} ranks against bits sent")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(5, 3 * across), fontsize=9)
    figure.savefig(file, dpi=110)
    plt.close(figure)
