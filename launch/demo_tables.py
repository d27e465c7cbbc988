#!/usr/bin/env python3
"""Print what launch/demo measured as two tables, and plot loss against bytes sent.

    demo_tables.py FOLDER

reads from FOLDER what hlq_perf and the training examples wrote as JSON, allreduce.json and
MODEL-COMM.json, and writes loss.png there.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MODELS = {"digits": "digits classifier", "bytes": "byte transformer"}
COMMS = ("fp32", "bf16", "hook")
LINK_BITS_PER_S = 1e9  # of the network that the last column of the first table imagines
EXPLAIN_ALLREDUCE = """\
hlq: this library at 4 and 5 bits per number; twoshot has the lowest error, modq gives the same bits
for any order of ranks. bits sent: per number; a ring of fp32 is 32. vNMSE: squared error over
squared sum. 1 Gb/s: what the bytes alone take on such a link, computed. here: measured; ranks on
one machine share its memory."""


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Exits with a sentence if it is not there or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        sys.exit(f"demo_tables.py: {path}: {error.strerror}")
    except ValueError as error:
        sys.exit(f"demo_tables.py: {path} is not JSON: {error}")


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first = cells[0].ljust(widths[0])
        rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return "  ".join([first, *rest])

    print(f"\n{title}\n")
    print(line(head))
    print("-" * len(line(head)))
    for row in rows:
        print(line(row))
    print()


def megabytes(count: float) -> str:
    """Bytes as megabytes of 10^6."""
    return f"{count / 1e6:.2f} MB"


def share(part: float, whole: float) -> str:
    """How many times smaller part is; "-" if it is not."""
    return f"{whole / part:.1f} x less" if part < whole else "-"


def allreduce_table(report: dict[str, Any]) -> None:
    """Print hlq_perf's rows, rivals first."""
    rows = report["rows"]
    fp32_bytes = next(row["wire_bytes"] for row in rows if row["alg"] == "fp32")
    rivals = ("fp32", "bf16", "fp8", "int4")
    table = []
    for row in sorted(rows, key=lambda row: row["alg"] not in rivals):
        name = row["alg"] if row["alg"] in rivals else f"hlq {row['alg']} {row['bits']:g} b"
        wire_ms = 1e3 * 8 * row["wire_bytes"] / LINK_BITS_PER_S
        table.append(
            (
                name,
                f"{row['bits_per_elem']:.2f}",
                megabytes(row["wire_bytes"]),
                share(row["wire_bytes"], fp32_bytes),
                f"{row['vnmse']:.1e}",
                "yes" if row["same"] else "NO",
                f"{wire_ms:.0f} ms",
                f"{row['time_us'] / 1e3:.1f} ms",
            )
        )
    count, ranks = rows[0]["count"], report["ranks"]
    print_table(
        f"All-reduce of {count:,} real gradients, {ranks} ranks",
        ("", "bits sent", "sent/rank", "vs fp32", "vNMSE", "same bits", "1 Gb/s", "here"),
        table,
    )
    print(EXPLAIN_ALLREDUCE)


def comm_name(run: dict[str, Any]) -> str:
    """The name of a run's communication: "fp32", "hlq 4 b"."""
    return f"hlq {run['bits']:g} b" if run["comm"] == "hook" else run["comm"]


def training_table(runs: dict[str, list[dict[str, Any]]]) -> None:
    """Print the end of every training run."""
    table = []
    for model, reports in runs.items():
        fp32_bytes = reports[0]["bytes_sent_per_rank"]
        for run in reports:
            if not math.isfinite(run["loss"]):
                sys.exit(f"demo_tables.py: {model} with {run['comm']}: the loss is {run['loss']}")
            table.append(
                (
                    MODELS[model],
                    comm_name(run),
                    str(run["steps"]),
                    f"{run['loss']:.4f}",
                    f"{100 * run['accuracy']:.1f} %",
                    megabytes(run["bytes_sent_per_rank"]),
                    share(run["bytes_sent_per_rank"], fp32_bytes),
                    f"{run['seconds']:.1f} s",
                )
            )
    ranks = next(iter(runs.values()))[0]["ranks"]
    print_table(
        f"Training, {ranks} ranks",
        ("", "gradients", "steps", "loss", "accuracy", "sent/rank", "vs fp32", "time here"),
        table,
    )


def plot(runs: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Draw loss against bytes sent, one panel for each model."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(runs), figsize=(10, 4), layout="constrained")
    for panel, (model, reports) in zip(panels, runs.items(), strict=True):
        for run in reports:
            megabytes_sent = [point["bytes"] / 1e6 for point in run["curve"]]
            losses = [point["loss"] for point in run["curve"]]
            panel.plot(megabytes_sent, losses, label=comm_name(run))
        panel.set(title=MODELS[model], xlabel="MB sent per rank", ylabel="loss", xscale="log")
        panel.grid(alpha=0.3)
        panel.legend()
    figure.savefig(path, dpi=120)


def main() -> int:
    """Read, print, plot."""
    if len(sys.argv) != 2:
        print("usage: demo_tables.py FOLDER", file=sys.stderr)
        return 2
    folder = Path(sys.argv[1])
    report = read_json(folder / "allreduce.json")
    runs = {
        model: [read_json(folder / f"{model}-{comm}.json") for comm in COMMS] for model in MODELS
    }
    allreduce_table(report)
    training_table(runs)
    plot(runs, folder / "loss.png")
    print(f"Loss against bytes sent: {folder / 'loss.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
