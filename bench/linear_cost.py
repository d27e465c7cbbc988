#!/usr/bin/env python3
"""Measure how the time of an all-reduce grows with the tensor, 4 KiB to 1 GiB, on 2 to 16 ranks.

Ranks are MPI processes of this machine; hlq_perf runs twoshot at 4 bits. All tensors of a run,
which have a copy each for what is sent and what is received, must fit into --memory. Prints a page:
milliseconds for each MiB, which are the same for all sizes where cost is linear, and workspace.

    bench/linear_cost.py --docs                       ten minutes; docs/linear.md and its plot
    bench/linear_cost.py --ranks 2 --largest 64M      something quicker

Exit code 1: a run failed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from perf_runs import MIB, PERF, ROOT, RunFailed, bytes_of, command_text, short, size_text

SMALLEST = "4K"
COPIES = 2.5  # of a tensor on each rank: sent, received, workspace
PAGE, PICTURE = ROOT / "docs/linear.md", ROOT / "docs/linear.png"
HEAD = """# The time of an all-reduce grows with the tensor

Made by `{command}`: twoshot at 4 bits, float32, ranks as MPI processes that share one
machine of {cores} cores, without a network between them; medians of {calls} calls.

What is the same for all sizes where cost is linear is the time for each MiB. Below 1 MiB it is the
messages that take time; caches show up to 16 MiB.

![Time against size](linear.png)

| tensor | {ranks} |
|---|{bars}"""


def measure(ranks: int, largest: int, calls: int) -> dict[int, float]:
    """Seconds by size.

    Raises:
        RunFailed: hlq_perf failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        words = ["mpirun", "--oversubscribe", "-n", str(ranks), PERF, "--alg", "twoshot"]
        words += ["--bits", "4", "-b", SMALLEST, "-e", str(largest), "-f", "4", "-n", str(calls)]
        words += ["-w", "2", "-c", "0", "--json", str(file)]
        ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            said = (ended.stderr.strip() or ended.stdout.strip()).splitlines()
            raise RunFailed(f"exit code {ended.returncode}: {(said or ['it said nothing'])[0]}")
        rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["rows"]
    return {row["size"]: row["time_us"] * 1e-6 for row in rows}


def page(found: dict[int, dict[int, float]], command: str, calls: int, cores: int) -> str:
    """The table, sizes down, ranks across."""
    ranks = sorted(found)
    head = HEAD.format(
        command=command,
        calls=calls,
        cores=cores,
        ranks=" | ".join(f"{n} ranks, ms | per MiB" for n in ranks),
        bars="---|---|" * len(ranks),
    )
    lines = [head]
    for size in sorted(set().union(*found.values())):
        cells = []
        for n in ranks:
            time = found[n].get(size)
            per_mib = None if time is None else 1e3 * time / (size / MIB)
            cells.append(" | " if time is None else f"{short(1e3 * time)} | {short(per_mib or 0)}")
        lines.append(f"| {size_text(size)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def plot(found: dict[int, dict[int, float]], file: Path) -> None:
    """Both axes logarithmic, and a line of slope 1 to compare with."""
    figure, axes = plt.subplots(figsize=(7, 4.6), layout="constrained")
    for ranks, times in sorted(found.items()):
        axes.plot(
            [size / MIB for size in times],
            [1e3 * time for time in times.values()],
            marker="o",
            markersize=3,
            label=f"{ranks} ranks",
        )
    sizes = sorted(set().union(*found.values()))
    ends = [sizes[0] / MIB, sizes[-1] / MIB]
    axes.plot(ends, [0.5 * x for x in ends], linestyle=":", color="grey", label="linear")
    axes.set(xscale="log", yscale="log", xlabel="tensor, MiB", ylabel="milliseconds")
    axes.set_title("Time of an all-reduce: twoshot, 4 bits, one machine")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=110)
    plt.close(figure)


def main() -> int:
    """Measures, prints, and with --docs writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ranks", default="2,4,8,16", help="a list")
    parser.add_argument("--largest", default="1G", help="tensor; the smallest has 4 KiB")
    parser.add_argument("--memory", default="16G", help="what all tensors may take")
    parser.add_argument("--calls", type=int, default=5, help="timed, of each size")
    parser.add_argument("--cores", type=int, default=2, help="for the head of the page")
    parser.add_argument("--docs", action="store_true", help=f"write {PAGE.name} and its plot")
    options = parser.parse_args()
    found: dict[int, dict[int, float]] = {}
    for ranks in map(int, options.ranks.split(",")):
        largest = bytes_of(options.largest)
        while ranks * COPIES * largest > bytes_of(options.memory):
            largest //= 4
        print(f"linear_cost.py: {ranks} ranks to {size_text(largest)}", file=sys.stderr, flush=True)
        try:
            found[ranks] = measure(ranks, largest, options.calls)
        except RunFailed as failure:
            print(f"linear_cost.py: {ranks} ranks: {failure}", file=sys.stderr)
            return 1
    command = command_text("bench/linear_cost.py", sys.argv[1:])
    text = page(found, command, options.calls, options.cores)
    print(text, end="")
    if options.docs:
        PAGE.write_text(text, encoding="utf-8")
        plot(found, PICTURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
