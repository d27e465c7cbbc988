"""What netlab.py measured, as a page of Markdown tables and as plots."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perf_runs import (
    bits_per_second,
    rate_text,
    ratio_text,
    ring_bits,
    short,
    size_text,
    time_text,
)

try:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ImportError as missing:
    sys.exit(f"netlab.py: {missing}; run it with the Python of .venv, which launch/env makes")

Row = dict[str, Any]
Place = tuple[int, str, int]  # ranks, rate, size
STAGES = {"encode": "#0072B2", "exchange": "#999999", "reduce": "#009E73", "decode": "#E69F00"}
FIXED = {"fp32": ("#000000", "s"), "bf16": ("#777777", "^"), "fp8": ("#CC79A7", "D")}
HLQ = ["#56B4E9", "#0072B2", "#003A5D"]  # fewest bits, middle, most
AUTO = "#D55E00"
USUAL = "4"  # bits


def method_of(row: Row) -> str:
    """The name of what a row of hlq_perf is: fp32, bf16, fp8, hlq 4, auto 4."""
    name = {"twoshot": "hlq"}.get(row["asked"], row["asked"])
    return f"{name} {row['bits']:g}" if name in ("hlq", "auto") else name


class Results:
    """Rows, to be looked up by place and method; several rounds of each."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self.found: dict[tuple[Place, str], dict[int, Row]] = {}
        for row in content["rows"]:
            key = ((row["ranks"], row["rate"], row["size"]), row["method"])
            self.found.setdefault(key, {})[row["round"]] = row
        places = [place for place, _ in self.found]
        self.ranks = sorted({ranks for ranks, _, _ in places})
        self.rates = [rate for rate in content["rates"] if any(p[1] == rate for p in places)]
        self.sizes = sorted({size for _, _, size in places})
        names = dict.fromkeys(method for _, method in self.found)
        self.methods = [name for name in FIXED if name in names]
        for kind in ("hlq", "auto"):
            of_kind = [name for name in names if name.startswith(f"{kind} ")]
            self.methods += sorted(of_kind, key=lambda name: float(name.split()[1]))

    def seconds(self, place: Place, method: str) -> list[float]:
        """Times, round by round; none where it was left out."""
        rounds = self.found.get((place, method), {})
        return [rounds[number]["time_us"] * 1e-6 for number in sorted(rounds)]

    def speed_ups(self, place: Place, method: str) -> list[float]:
        """Time of fp32 over that of a method, within each round that has both."""
        plain, own = (self.found.get((place, name), {}) for name in ("fp32", method))
        return [
            plain[number]["time_us"] / own[number]["time_us"] for number in own if number in plain
        ]

    def stage(self, place: Place, method: str, stage: str) -> float:
        """Seconds of a stage: median over rounds of the mean over calls and ranks."""
        rounds = self.found[place, method].values()
        return statistics.median(row[f"{stage}_us"] for row in rounds) * 1e-6

    def ran(self, place: Place, method: str) -> str:
        """What auto ran as: twoshot, or where rounds differ "twoshot 2, native 1"."""
        chosen = [row["alg"] for row in self.found.get((place, method), {}).values()]
        names = sorted(set(chosen), key=chosen.count, reverse=True)
        return names[0] if len(names) == 1 else ", ".join(f"{n} {chosen.count(n)}" for n in names)

    def least_of_fp32(self, place: Place) -> float | None:
        """Seconds that fp32's bytes alone take on the link; nothing where it has no rate."""
        ranks, rate, size = place
        per_second = bits_per_second(rate)
        return ring_bits(ranks, size) / per_second if per_second else None

    def few(self) -> dict[str, tuple[str, str]]:
        """Methods of the plots, with colour and marker: of hlq the least, 4, the most; one auto."""
        styles = {name: FIXED[name] for name in self.methods if name in FIXED}
        hlq = [name for name in self.methods if name.startswith("hlq ")]
        middle = f"hlq {USUAL}" if f"hlq {USUAL}" in hlq else hlq[len(hlq) // 2]
        chosen = dict.fromkeys([hlq[0], middle, hlq[-1]])
        colours = HLQ if len(chosen) == 3 else HLQ[1:]
        styles |= {name: (colour, "o") for name, colour in zip(chosen, colours, strict=False)}
        return styles | {middle.replace("hlq", "auto"): (AUTO, "x")}

    def largest_with_all(self, ranks: int, rates: Sequence[str]) -> int | None:
        """The largest size that all methods of the plots were measured at, at all these rates."""
        for size in reversed(self.sizes):
            places = [(ranks, rate, size) for rate in rates]
            if all(self.seconds(place, name) for place in places for name in self.few()):
                return size
        return None


# The page

HEAD = """# All-reduce on links of several rates

Made by `{command}`

on {machine}.

Float32 all-reduces over TCP between network namespaces of one machine (`launch/netlab`): fp32 is
MPI_Allreduce ({mpi}); bf16 and fp8 (e4m3, a scale per 256 numbers) are two-shot all-reduces in
those formats, over the transport that hlq uses; hlq is twoshot at so many bits per number; auto at
{usual} bits is what the library does unasked. All of a line ran in one `hlq_perf`, {rounds} times.
Times are medians over rounds (in brackets the least and the most) of the median call of the
slowest rank. Speed-ups over fp32 are taken within rounds. "Bytes of fp32" is what the bytes that a
rank must send at least, as fp32, take at the rate: where MPI_Allreduce takes longer, a speed-up has
that in it. Ranks share the {cores} cores of the machine: from 10 Gb/s on, and with more ranks than
cores, arithmetic sets the time, not the link.
"""


def row_text(cells: Sequence[str]) -> str:
    """A line of Markdown."""
    return f"| {' | '.join(cells)} |"


def link_tables(results: Results, ranks: int, rate: str) -> list[str]:
    """Times and speed-ups of one link."""
    sizes = [s for s in results.sizes if any(p == (ranks, rate, s) for p, _ in results.found)]
    if not sizes:
        return []
    auto = next(name for name in results.few() if name.startswith("auto"))
    shown = [name for name in results.methods if not name.startswith("auto")] + [auto]
    lines = [f"## {ranks} ranks, {rate_text(rate)}", "", "Milliseconds:", ""]
    head = ["tensor", "bytes of fp32", *shown, "auto ran"]
    lines += [row_text(head), "|---" * len(head) + "|"]
    for size in sizes:
        place = (ranks, rate, size)
        times = [results.seconds(place, name) for name in shown]
        cells = [time_text(seconds) if seconds else "–" for seconds in times]
        least = results.least_of_fp32(place)
        cells = [short(1e3 * least) if least else "–", *cells]
        lines.append(row_text([size_text(size), *cells, results.ran(place, auto)]))
    lines += ["", "Times as fast as fp32:", ""]
    lines += [row_text(["tensor", *shown[1:]]), "|---" * len(shown) + "|"]
    for size in sizes:
        gains = [results.speed_ups((ranks, rate, size), name) for name in shown[1:]]
        cells = [ratio_text(ratios) if ratios else "–" for ratios in gains]
        lines.append(row_text([size_text(size), *cells]))
    return [*lines, ""]


def left_out_table(rows: Sequence[Row]) -> list[str]:
    """What was not measured, and why; methods with the same reason in one line."""
    if not rows:
        return ["Nothing was left out.", ""]
    lines = [
        "## Left out",
        "",
        "| ranks | rate | tensor | methods | why |",
        "|---|---|---|---|---|",
    ]
    grouped: dict[tuple[int, str, int, str], list[str]] = {}
    for row in rows:
        key = (row["ranks"], row["rate"], row["size"], row["why"])
        grouped.setdefault(key, []).append(row["method"])
    for (ranks, rate, size, why), methods in grouped.items():
        cells = [str(ranks), rate_text(rate), size_text(size), ", ".join(methods), why]
        lines.append(row_text(cells))
    return [*lines, ""]


def page(results: Results, pictures: Sequence[Path]) -> str:
    """All of it."""
    content = results.content
    facts = content["machine"]
    machine = (
        f"{facts['cores']} cores ({facts['processor']}), kernels {content.get('kernels', '?')}"
    )
    auto = next(name for name in results.few() if name.startswith("auto"))
    lines = HEAD.format(
        command=content["command"],
        machine=machine,
        mpi=content.get("mpi", "MPI"),
        usual=auto.split()[1],
        rounds=content["rounds"],
        cores=facts["cores"],
    ).splitlines()
    titles = ("Time against size", "Speed-up over fp32 against the rate", "Where the time goes")
    lines += [""]
    for title, picture in zip(titles, pictures, strict=True):
        lines += [f"![{title}]({picture.name})", ""]
    for ranks in results.ranks:
        for rate in results.rates:
            lines += link_tables(results, ranks, rate)
    lines += left_out_table(content["left_out"])
    return "\n".join(lines).rstrip() + "\n"


# The plots


def panels(down: int, across: int, height: float = 3.0) -> tuple[Figure, Any]:
    """A grid of axes."""
    return plt.subplots(
        down,
        across,
        figsize=(3.6 * across + 0.6, height * down + 1.0),
        squeeze=False,
        layout="constrained",
    )


def finish(figure: Figure, axes: Axes, title: str, path: Path) -> Path:
    """Adds title and legend, writes the file."""
    figure.suptitle(title)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=8, fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


def curve(axes: Axes, x: Sequence[float], values: Sequence[Sequence[float]], **look: str) -> None:
    """Medians as a line, from the least to the most as a bar."""
    middle = [statistics.median(v) for v in values]
    low = [m - min(v) for m, v in zip(middle, values, strict=True)]
    high = [max(v) - m for m, v in zip(middle, values, strict=True)]
    axes.errorbar(x, middle, [low, high], ms=4, lw=1.2, elinewidth=0.7, capsize=2, **look)


def plot_times(results: Results, path: Path) -> Path:
    """Time against size: a column for each rate, a row for each number of ranks."""
    figure, grid = panels(len(results.ranks), len(results.rates))
    for down, ranks in enumerate(results.ranks):
        for across, rate in enumerate(results.rates):
            axes = grid[down][across]
            for name, (colour, marker) in results.few().items():
                times = {s: results.seconds((ranks, rate, s), name) for s in results.sizes}
                sizes = [size for size, seconds in times.items() if seconds]
                values = [[1e3 * second for second in times[size]] for size in sizes]
                curve(axes, sizes, values, color=colour, marker=marker, label=name)
            least = [results.least_of_fp32((ranks, rate, size)) for size in results.sizes]
            if all(least):
                axes.plot(
                    results.sizes, [1e3 * s for s in least], "k:", lw=1, label="bytes of fp32"
                )
            axes.set(xscale="log", yscale="log", title=f"{ranks} ranks, {rate_text(rate)}")
            axes.set_xticks(results.sizes[::2], [size_text(s) for s in results.sizes[::2]])
            axes.tick_params(axis="x", labelsize=7)
            axes.minorticks_off()
            axes.yaxis.set_major_formatter(lambda value, _: short(value))
            axes.grid(alpha=0.3)
        grid[down][0].set_ylabel("milliseconds")
    return finish(figure, grid[0][0], "Time of an all-reduce against size of the tensor", path)


def plot_speed_ups(results: Results, path: Path) -> Path:
    """Speed-up over fp32 against the rate, at the largest size that has everything."""
    figure, grid = panels(1, len(results.ranks), 3.6)
    for axes, ranks in zip(grid[0], results.ranks, strict=True):
        rates = sorted(results.rates, key=lambda rate: bits_per_second(rate) or float("inf"))
        size = results.largest_with_all(ranks, rates)
        axes.set_title(f"{ranks} ranks, {size_text(size)}" if size else f"{ranks} ranks: no size")
        for name, (colour, marker) in results.few().items():
            if size is None or name == "fp32":
                continue
            values = [results.speed_ups((ranks, rate, size), name) for rate in rates]
            curve(axes, range(len(rates)), values, color=colour, marker=marker, label=name)
        axes.axhline(1, color="black", lw=0.8)
        axes.set_xticks(range(len(rates)), [rate_text(rate) for rate in rates])
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    grid[0][0].set_ylabel("times as fast as fp32")
    return finish(figure, grid[0][0], "Speed-up over fp32 against the rate of the links", path)


def plot_stages(results: Results, path: Path) -> Path:
    """Bars of encode, exchange, reduce, decode, at the largest size that has everything."""
    figure, grid = panels(len(results.ranks), len(results.rates), 2.8)
    names = list(results.few())
    for down, ranks in enumerate(results.ranks):
        for across, rate in enumerate(results.rates):
            axes = grid[down][across]
            size = results.largest_with_all(ranks, [rate])
            where = f"{ranks} ranks, {rate_text(rate)}"
            axes.set_title(
                f"{where}, {size_text(size)}" if size else f"{where}: no size", fontsize=9
            )
            if size is None:
                continue
            base = [0.0] * len(names)
            for stage, colour in STAGES.items():
                heights = [1e3 * results.stage((ranks, rate, size), n, stage) for n in names]
                axes.bar(names, heights, bottom=base, color=colour, label=stage)
                base = [low + height for low, height in zip(base, heights, strict=True)]
            axes.set_ylim(0, 1.05 * max(base))
            axes.tick_params(axis="x", labelrotation=60, labelsize=8)
        grid[down][0].set_ylabel("milliseconds")
    return finish(figure, grid[0][0], "Where the time goes, mean over calls and ranks", path)


def plot_all(results: Results, folder: Path) -> list[Path]:
    """All plots, in the order of the page."""
    return [
        plot_times(results, folder / "network_time.png"),
        plot_speed_ups(results, folder / "network_speed_up.png"),
        plot_stages(results, folder / "network_stages.png"),
    ]
