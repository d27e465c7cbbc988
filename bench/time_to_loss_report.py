"""What time_to_loss.py measured, as a page of Markdown and as a plot."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perf_runs import bits_per_second, rate_text, ratio_text, short

try:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.axes import Axes
    from matplotlib.ticker import LogLocator, NullLocator
except ImportError as missing:
    sys.exit(f"time_to_loss.py: {missing}; run it with the Python of .venv, which launch/env makes")

EXAMPLES = {"bytes": "byte-level transformer", "digits": "classifier of digits"}
COLOURS = {"fp32": "#000000", "bf16": "#777777", "hlq 4": "#0072B2"}
LOG_FROM = 10  # the highest loss over the lowest, from which on the axis is logarithmic

Run = dict[str, Any]
Link = tuple[str, int, str]  # example, ranks, rate


def smoothed(losses: Sequence[float], steps: int) -> list[float]:
    """Mean over the last steps at each; NaN before there are so many."""
    means = [statistics.fmean(losses[at - steps : at]) for at in range(steps, len(losses) + 1)]
    return [float("nan")] * min(steps - 1, len(losses)) + means


class Results:
    """Runs by link and gradients; several rounds of each, whose losses are the same."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        shortest = min(len(run["loss"]) for run in content["runs"])
        self.smooth = min(content["smooth"], shortest)
        self.found: dict[tuple[Link, str], dict[int, Run]] = {}
        for run in content["runs"]:
            key = ((run["example"], run["ranks"], run["rate"]), run["gradients"])
            self.found.setdefault(key, {})[run["round"]] = run
        self.links: list[Link] = list(dict.fromkeys(link for link, _ in self.found))
        self.gradients = [name for name in COLOURS if any(g == name for _, g in self.found)]

    def runs(self, link: Link, gradients: str) -> list[Run]:
        """Round by round; none where all failed."""
        rounds = self.found.get((link, gradients), {})
        return [rounds[number] for number in sorted(rounds)]

    def target(self, link: Link) -> float:
        """The loss to reach: that given, or the lowest that all runs on as many ranks reach."""
        if self.content["loss"] is not None:
            return self.content["loss"]
        runs = self.content["runs"]
        alike = [run for run in runs if (run["example"], run["ranks"]) == link[:2]]
        return max(min(smoothed(run["loss"], self.smooth)[self.smooth - 1 :]) for run in alike)

    def reached(self, run: Run) -> int | None:
        """Where in the run's lists the loss is reached."""
        target = self.target((run["example"], run["ranks"], run["rate"]))
        means = smoothed(run["loss"], self.smooth)
        return next((at for at, mean in enumerate(means) if mean <= target), None)

    def seconds(self, link: Link, gradients: str) -> list[float]:
        """Until the loss, round by round; less than rounds where it was not reached."""
        pairs = [(run, self.reached(run)) for run in self.runs(link, gradients)]
        return [run["seconds"][at] for run, at in pairs if at is not None]

    def speed_ups(self, link: Link, gradients: str) -> list[float]:
        """Seconds of fp32 over those of others, within each round that has both."""
        pairs = []
        for number, run in self.found.get((link, gradients), {}).items():
            plain = self.found.get((link, "fp32"), {}).get(number)
            if plain is not None:
                pairs.append((plain, self.reached(plain), run, self.reached(run)))
        return [
            plain["seconds"][there] / run["seconds"][here]
            for plain, there, run, here in pairs
            if there is not None and here is not None
        ]


HEAD = """# Seconds to a loss on slow links

Made by `{command}`

on {cores} cores ({processor}), torch {torch}, Python {python}.

The training examples (`adapters/pytorch/examples`) on ranks in network namespaces of one machine,
linked at a rate (`launch/netlab`). Gradients as fp32 and bf16 travel through gloo, as DDP sends
them; hlq 4 is the DDP hook at 4 bits with error feedback, over MPI. Same seed: same weights, same
batches. The loss is that of training, a mean over {smooth} steps; the one to reach is {which}.
Seconds count from the first step, start-up left out; bytes are what a rank has sent until then. "On
the wire" is what those bytes alone take at the rate: the rest is arithmetic, for which all ranks
share {cores} cores, and waiting. Open MPI polls while it waits, gloo sleeps: where there are more
ranks than cores, waiting over MPI slows the others down. {spread}
"""


def cells_of(results: Results, link: Link, gradients: str) -> list[str]:
    """What a line says after the link."""
    runs = results.runs(link, gradients)
    seconds = results.seconds(link, gradients)
    if not runs or len(seconds) < len(runs):
        return [gradients, "–", "not reached" if runs else "failed", "–", "–", "–"]
    at = results.reached(runs[0])
    sent = runs[0]["bytes"][at]
    per_second = bits_per_second(link[2])
    wire = f"{8 * sent / per_second:.1f}" if per_second else "–"
    spread = f" ({min(seconds):.1f} … {max(seconds):.1f})" if len(seconds) > 1 else ""
    ratios = results.speed_ups(link, gradients)
    gain = "–"
    if gradients != "fp32" and ratios:
        gain = ratio_text(ratios) if len(ratios) > 1 else f"{ratios[0]:.2f}"
    middle = f"{statistics.median(seconds):.1f}{spread}"
    return [gradients, str(at + 1), middle, gain, f"{sent / 1e6:.1f}", wire]


def page(results: Results, picture: str) -> str:
    """All of it."""
    content = results.content
    given = content["loss"] is not None
    lowest = "the lowest\nthat all runs of an example on as many ranks come to"
    rounds = content["rounds"]
    several = f"Medians of {rounds} rounds (in brackets the least and the most)."
    spread = several if rounds > 1 else "One round."
    text = HEAD.format(
        command=content["command"],
        python=content["python"],
        torch=content["torch"],
        spread=spread,
        smooth=results.smooth,
        which="the one given" if given else lowest,
        **content["machine"],
    )
    lines = [*text.splitlines(), "", f"![Loss against seconds]({picture})", ""]
    head = ["ranks", "links", "loss", "gradients", "steps", "seconds", "times as fast as fp32"]
    head += ["MB sent", "on the wire, s"]
    for example in dict.fromkeys(link[0] for link in results.links):
        lines += [f"## {EXAMPLES[example].capitalize()} (`train_{example}.py`)", ""]
        lines += [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        for link in [link for link in results.links if link[0] == example]:
            where = [str(link[1]), rate_text(link[2]), f"{results.target(link):.4f}"]
            for gradients in results.gradients:
                lines.append(f"| {' | '.join([*where, *cells_of(results, link, gradients)])} |")
        lines.append("")
    for failure in content["failures"]:
        where = f"{failure['example']}, {failure['ranks']} ranks, {rate_text(failure['rate'])}"
        lines.append(f"- Failed: {where}, {failure['gradients']}: {failure['why']}")
    return "\n".join(lines).rstrip() + "\n"


def draw_panel(axes: Axes, results: Results, link: Link) -> None:
    """Loss against seconds on one link; the loss to reach as a line, and where it is reached."""
    levels = [results.target(link)]
    for gradients in results.gradients:
        for number, run in enumerate(results.runs(link, gradients)):
            means = smoothed(run["loss"], results.smooth)
            levels += means[results.smooth - 1 :]
            look = {"color": COLOURS[gradients], "lw": 1.3}
            label = gradients if number == 0 else None
            axes.plot(run["seconds"], means, label=label, **look)
            at = results.reached(run)
            if at is not None:
                axes.plot(run["seconds"][at], results.target(link), "o", ms=5, **look)
    axes.axhline(results.target(link), color="#D55E00", lw=0.8, ls="--")
    axes.set_title(f"{link[0]}, {link[1]} ranks, {rate_text(link[2])}", fontsize=10)
    axes.set(xlim=(0, None))
    if max(levels) > LOG_FROM * min(levels) > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: short(value))
    axes.tick_params(axis="y", labelsize=8)
    axes.grid(alpha=0.3)


def plot(results: Results, file: Path) -> None:
    """A panel for each link; a row for each example and number of ranks."""
    rows = list(dict.fromkeys(link[:2] for link in results.links))
    rates = list(dict.fromkeys(link[2] for link in results.links))
    figure, grid = plt.subplots(
        len(rows),
        len(rates),
        figsize=(5.0 * len(rates) + 0.6, 2.9 * len(rows) + 1.0),
        squeeze=False,
        layout="constrained",
    )
    for down, row in enumerate(rows):
        for across, rate in enumerate(rates):
            if (*row, rate) in results.links:
                draw_panel(grid[down][across], results, (*row, rate))
        grid[down][0].set_ylabel("training loss")
    for axes in grid[-1]:
        axes.set_xlabel("seconds")
    figure.suptitle("Loss against seconds")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(results.gradients))
    figure.savefig(file, dpi=110)
    plt.close(figure)
