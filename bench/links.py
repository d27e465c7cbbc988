#!/usr/bin/env python3
"""Measure `auto` beside native and the codes on links of several rates, and write docs/auto.md.

Ranks are processes in network namespaces of this machine, linked at a rate (launch/netlab); so the
program needs root. hlq_perf runs everything in several rounds, each with processes, a communicator
and a probe of its own. A time is the median over rounds of the slowest rank's median call; the
ratio of two algorithms is taken within a round, where the machine was as busy for both.

    bench/links.py > docs/auto.md                      about half an hour
    bench/links.py --rates 1gbit --ranks 4 --rounds 2  something quicker

Exit code 1: a run failed, or auto was slower than native by more than 5 % beyond the spread.
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import sys
from dataclasses import dataclass, field

from perf_runs import (
    PERF,
    RATES,
    RunFailed,
    command_text,
    network_command,
    ratio_text,
    run_perf,
    size_text,
    time_text,
)

SHOWN = ["native", "twoshot"]  # beside auto, which is measured first
ALLOWED = 1.05


@dataclass
class Cell:
    """One size on one link: seconds of each algorithm, round by round; what auto ran as."""

    time_s: dict[str, list[float]] = field(default_factory=dict)
    chosen: list[str] = field(default_factory=list)

    def ratios(self) -> list[float]:
        """Divide the time of auto by that of native, round by round."""
        pairs = zip(self.time_s["auto"], self.time_s["native"], strict=True)
        return sorted(auto / native for auto, native in pairs)

    def misses(self) -> bool:
        """Tell whether auto was too slow in more than half of the rounds, and chose to be.

        Running the very same code as native, it is slower by chance alone.
        """
        return statistics.median(self.ratios()) > ALLOWED and set(self.chosen) != {"native"}


def perf_options(calls: int, largest: str) -> list[str]:
    """What hlq_perf is told in each round."""
    algorithms = ",".join(["auto", *SHOWN])
    return shlex.split(f"--alg {algorithms} -b 16K -e {largest} -n {calls} -w 2 -c 0")


def measure(ranks: int, rate: str, options: argparse.Namespace) -> dict[int, Cell]:
    """All sizes of one link."""
    cells: dict[int, Cell] = {}
    for number in range(options.rounds):
        print(f"links.py: {ranks} ranks, {rate}, round {number + 1}", file=sys.stderr, flush=True)
        for row in run_perf(ranks, rate, perf_options(options.calls, options.largest))["rows"]:
            cell = cells.setdefault(row["size"], Cell())
            cell.time_s.setdefault(row["asked"], []).append(row["time_us"] * 1e-6)
            if row["asked"] == "auto":
                cell.chosen.append(row["alg"])
    return cells


def chosen_text(chosen: list[str]) -> str:
    """twoshot, or where rounds differ "twoshot 4, native 1"."""
    names = sorted(set(chosen), key=chosen.count, reverse=True)
    return names[0] if len(names) == 1 else ", ".join(f"{n} {chosen.count(n)}" for n in names)


def print_link(ranks: int, rate: str, cells: dict[int, Cell]) -> None:
    """The table of one link."""
    print(f"\n## {ranks} ranks, {rate}\n")
    print("| tensor | auto ran | auto, ms | native, ms | twoshot, ms | auto ÷ native |")
    print("|---|---|---|---|---|---|")
    for size, cell in cells.items():
        times = [time_text(cell.time_s[name]) for name in ["auto", *SHOWN]]
        mark = " **slower**" if cell.misses() else ""
        print(
            f"| {size_text(size)} | {chosen_text(cell.chosen)} | {' | '.join(times)} "
            f"| {ratio_text(cell.ratios())}{mark} |"
        )


HEAD = """# What auto chooses, by link

Made by `{command}` on {machine}.

`auto` measures once per communicator, within the first blocking call that it would compress, how
long plain and coded all-reduces of 16, 64, 256 and 2048 KiB take, three to 15 times each, and
draws lines through the best (`collective/probe.c`). It compresses where the coded line lies 5 %
below the plain one; beyond 2 MiB as at 2 MiB. Below 16 KiB (`min_bytes`) it does not ask.

Float32 all-reduces, 4 bits per number, over TCP between network namespaces (`launch/netlab`), each
round on a fresh communicator with a probe of its own:

    {example}

Times are the median of {rounds} rounds (in brackets the least and the most), each the median of
{calls} calls of the slowest rank, in milliseconds; auto ÷ native is taken within rounds. Where
auto ran native, it and native are the same code, and their ratio shows the noise; where codes
would have been faster, the probe was disturbed: a gain missed, nothing lost. native is Open MPI's
sum, which with codes shares the processors here, so that 10 Gb/s and more are not reached."""


def print_head(options: argparse.Namespace) -> None:
    """What the tables are, and how to make them again."""
    words = [PERF, *perf_options(options.calls, options.largest), "--json", "FILE"]
    example = shlex.join(network_command(4, "1gbit", words))
    command = command_text("bench/links.py", sys.argv[1:])
    print(
        HEAD.format(
            command=command,
            machine=options.machine,
            example=example,
            rounds=options.rounds,
            calls=options.calls,
        )
    )


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rates", default=",".join(RATES), help="launch/netlab's, as a list")
    parser.add_argument("--ranks", default="2,4", help="a list")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=5, help="timed, in each round")
    parser.add_argument("--largest", default="16M", help="tensor; the smallest has 16 KiB")
    parser.add_argument("--machine", default="one machine", help="for the head of the page")
    options = parser.parse_args()
    print_head(options)
    missed = 0
    for ranks in map(int, options.ranks.split(",")):
        for rate in options.rates.split(","):
            try:
                cells = measure(ranks, rate, options)
            except RunFailed as failure:
                print(f"links.py: {ranks} ranks, {rate}: {failure}", file=sys.stderr)
                return 1
            print_link(ranks, rate, cells)
            sys.stdout.flush()
            missed += sum(cell.misses() for cell in cells.values())
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
