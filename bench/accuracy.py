#!/usr/bin/env python3
"""Measure error against bits of the library's algorithms and of their rivals, on the same numbers.

vNMSE is |result - exact|^2 / |exact|^2 of the sum over ranks, exact in double precision; bits are
those that an all-reduce sends for each number, everything counted. hlq_perf runs the algorithms and
the rivals fp32, bf16, fp8 and int4 for real. MXFP4, QSGD, uint8 (rivals.py) and DynamiQ
(dynamiq.py) are simulated; DynamiQ is given exactly the bits that twoshot took.

    bench/accuracy.py                                       the tables, for 8 ranks; two minutes
    bench/accuracy.py --ranks 2,4,8,16,32                   also a table of error against ranks
    bench/accuracy.py --data gauss,grads.npy --bits 3.5,4   on other numbers

Tables go to stdout, as Markdown. Gradients are made where they are missing (gradients.py). Exit
code 1: a run of hlq_perf failed, or its ranks did not end with the same bits. A missed target is
told in the table and does not show in the exit code.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from accuracy_data import DISTRIBUTIONS, DataSet, is_known, prepare
from accuracy_report import MODEL_DATA, Point, plot, print_tables
from dynamiq import LEAST_BITS, SPACINGS, DynamiQ
from hnlq import Floats
from numpy.typing import NDArray
from rivals import RIVALS, two_shot

ROOT = Path(__file__).resolve().parent.parent
ALGORITHMS = ("twoshot", "oneshot", "modq")
DATA = ["bytes_step5", "bytes_step100", "digits_step5", "digits_step100", *DISTRIBUTIONS]
DATA += [MODEL_DATA]  # what the figure of one target comes from
RANKS_OF_FILES = 8  # whose gradients gradients.py stores
SWEEP_DATA = ("bytes_step100", "gauss", "dynamiq-lognormal")
SWEEP_BITS = 4.0
SWEEP_NUMBERS = 1 << 18  # of distributions, for each rank


class Failure(Exception):
    """hlq_perf failed, or its ranks differ."""


def say(sentence: str) -> None:
    """Progress."""
    print(f"accuracy.py: {sentence}", file=sys.stderr, flush=True)


def run_perf(perf: Path, data: DataSet, ranks: int, bits: list[float]) -> list[Point]:
    """Points of all algorithms and real rivals."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        command = [perf, "--ranks", ranks, "--input", data.path, "--alg", ",".join(ALGORITHMS)]
        command += ["--bits", ",".join(f"{b:g}" for b in bits), "--baselines"]
        command += ["-n", 1, "-w", 0, "--json", file]
        words = [str(word) for word in command]
        try:
            ended = subprocess.run(words, capture_output=True, text=True, check=False)
        except OSError as error:
            raise Failure(f"{perf}: {error.strerror}; launch/env builds it") from error
        if ended.returncode != 0:
            last = (ended.stderr or ended.stdout).strip().splitlines()[-8:]
            raise Failure("\n".join([f"hlq_perf failed, exit code {ended.returncode}:", *last]))
        rows = json.loads(file.read_text(encoding="utf-8"))["rows"]
    for row in rows:
        if row["same"] is not True:
            raise Failure(f"{row['alg']} on {data.name}: ranks do not hold the same bits")
    return [point_of(row, data.name, ranks) for row in rows]


def point_of(row: dict, data: str, ranks: int) -> Point:
    """A row of hlq_perf. Its b/elem leaves out the comparison of arguments, which is added here."""
    sent = 8 * (row["wire_bytes"] + row["control_bytes"])
    bits = sent / (2 * (ranks - 1) / ranks * row["count"])
    asked = row["bits"] if row["alg"] in ALGORITHMS else None
    kind = "library" if row["alg"] in ALGORITHMS else "rival"
    return Point(data, ranks, row["count"], row["alg"], kind, asked, bits, row["vnmse"])


class Simulations:
    """The simulated rivals on one data set [ranks, numbers]."""

    def __init__(self, data: str, x: Floats) -> None:
        self.data, self.x = data, x
        self.exact = x.sum(0, dtype=np.float64)
        self.energy = float(np.square(self.exact).sum())

    def point(
        self, name: str, asked: float | None, bits: float, result: NDArray[np.floating]
    ) -> Point:
        """A result as a point."""
        error = float(np.square(result - self.exact).sum()) / self.energy
        return Point(self.data, *self.x.shape, name, "simulated", asked, bits, error)

    def fixed(self) -> list[Point]:
        """Points of the rivals with one rate."""
        rng = np.random.default_rng(1)
        return [
            self.point(rival.name, None, rival.bits, two_shot(self.x, rival.codec, rng))
            for rival in RIVALS
        ]

    def dynamiq(self, budgets: list[Point]) -> list[Point]:
        """DynamiQ at the bits of these points, where it can, with its best published spacing."""
        budgets = [budget for budget in budgets if budget.bits >= LEAST_BITS]
        if not budgets:
            return []
        simulation = DynamiQ(self.x, np.random.default_rng(1))
        points = []
        for budget in budgets:
            results = [simulation.sum(budget.bits, spacing) for spacing in SPACINGS]
            tried = [self.point("DynamiQ", budget.asked, bits, y) for y, bits in results]
            points.append(min(tried, key=lambda point: point.vnmse))
        return points


def measure(perf: Path, data: DataSet, ranks: int, bits: list[float]) -> list[Point]:
    """All points of one data set."""
    start = time.monotonic()
    points = run_perf(perf, data, ranks, bits)
    simulations = Simulations(data.name, data.read()[:ranks])
    points += simulations.fixed()
    points += simulations.dynamiq([point for point in points if point.name == "twoshot"])
    say(f"{data.name}, {ranks} ranks: {len(points)} points, {time.monotonic() - start:.0f} s")
    return points


def has_ranks(data: DataSet, ranks: int) -> bool:
    """Whether it has so many rows; says so if not."""
    rows = len(data.read())
    if rows < ranks:
        say(f"{data.name} has {rows} workers: left out for {ranks} ranks")
    return rows >= ranks


def sweep(options: argparse.Namespace, scratch: Path) -> list[Point]:
    """Points of the table of ranks: one budget, few data sets."""
    names = [name for name in SWEEP_DATA if name in options.data]
    numbers = min(options.numbers, SWEEP_NUMBERS)
    sets = prepare(names, max(options.ranks), numbers, options.gradients, scratch)
    return [
        point
        for data in sets
        for ranks in options.ranks
        if has_ranks(data, ranks)
        for point in measure(options.perf, data, ranks, [SWEEP_BITS])
    ]


def number_list(text: str, kind: type, low: float, high: float) -> list:
    """Reads "2,4,8"; all in low … high, sorted."""
    try:
        numbers = sorted({kind(word) for word in text.split(",")})
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a list such as 2,4,8") from None
    if not all(low <= number <= high for number in numbers):
        raise argparse.ArgumentTypeError(f"{text}: from {low} to {high}, please")
    return numbers


def data_list(text: str) -> list[str]:
    """Reads "gauss,bytes_step5,x.npy"."""
    names = text.split(",")
    for name in names:
        if not is_known(name):
            known = ", ".join(
                [*DISTRIBUTIONS, "bytes_stepN", "digits_stepN_firstCOUNT", "FILE.npy"]
            )
            raise argparse.ArgumentTypeError(f"there is no data set {name}; there are {known}")
        if name.endswith(".npy") and not Path(name).is_file():
            raise argparse.ArgumentTypeError(f"there is no file {name}")
    return list(dict.fromkeys(names))


def read_arguments(words: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=data_list, default=DATA, help=f"default {','.join(DATA)}; FILE.npy too")
    add(
        "--ranks",
        type=lambda text: number_list(text, int, 2, 1024),
        default=[8],
        help="default 8. Of several, 8 (or the first) is in the tables of error against bits, and "
        f"all are in one at {SWEEP_BITS:g} bits. Files of gradients have {RANKS_OF_FILES} workers",
    )
    bits = [float(b) for b in range(2, 9)]
    add(
        "--bits",
        type=lambda text: number_list(text, float, 1, 12),
        default=bits,
        help="default 2,3,4,5,6,7,8",
    )
    add("--numbers", type=int, default=1 << 20, help="of distributions, each rank (1048576)")
    gradients = ROOT / "build/gradients"
    add("--gradients", type=Path, default=gradients, help="folder (default build/gradients)")
    add("--perf", type=Path, default=ROOT / "build/bin/hlq_perf", help="the program hlq_perf")
    add("--json", type=Path, help="file for all points")
    add("--plot", type=Path, help="file for a picture, .png")
    options = parser.parse_args(words)
    if options.numbers < 1:
        parser.error("--numbers: at least 1")
    for file in (options.json, options.plot):
        if file and not file.parent.is_dir():
            parser.error(f"there is no folder {file.parent}")
    return options


def measure_all(options: argparse.Namespace, ranks: int) -> tuple[list[Point], list[Point]]:
    """Points against bits, and points against ranks if several were asked for."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        sets = prepare(options.data, ranks, options.numbers, options.gradients, scratch)
        sets = [data for data in sets if has_ranks(data, ranks)]
        points = [
            point for data in sets for point in measure(options.perf, data, ranks, options.bits)
        ]
        return points, sweep(options, scratch) if len(options.ranks) > 1 else []


def main(words: list[str]) -> int:
    """Measures, prints, plots."""
    options = read_arguments(words)
    ranks = 8 if 8 in options.ranks else options.ranks[0]
    try:
        points, swept = measure_all(options, ranks)
    except Failure as failure:
        print(f"accuracy.py: {failure}", file=sys.stderr)
        return 1
    command = shlex.join(["bench/accuracy.py", *words])
    print_tables(points, swept, command, options.numbers, options.plot)
    if options.json:
        content = {"command": command, "ranks": ranks}
        content |= {"points": [asdict(point) for point in points]}
        content |= {"sweep": [asdict(point) for point in swept]}
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if options.plot:
        plot(points, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
