#!/usr/bin/env python3
"""Measure all-reduces on links of several rates: fp32, bf16, fp8 and hlq, for ranks and sizes.

Ranks are processes in network namespaces of this machine, linked at a rate (launch/netlab); so the
program needs root. Everything of one number of ranks, rate and size runs in one hlq_perf, once in
each round: speed-ups are taken within rounds. How often a row is called follows from what a call
should take. What would take too long, or more memory than there is, is left out, and listed.

    bench/netlab.py --quick                              about 5 minutes
    bench/netlab.py --docs                               hours; writes docs/ as well
    bench/netlab.py --ranks 4 --rates 1gbit --sizes 1M,16M --bits 4
    bench/netlab.py --from build/network/network.json    writes page and plots again

Writes network.json, network.md and plots into the folder of --output. Ctrl-C ends it early with
what is measured. Exit code 1: a run failed; its rows are listed as left out.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from netlab_report import Results, method_of, page, plot_all
from perf_runs import (
    NETLAB,
    PERF,
    RATES,
    ROOT,
    RunFailed,
    bits_per_second,
    bytes_of,
    command_text,
    machine,
    make_folder,
    read_results,
    ring_bits,
    run_perf,
    size_text,
)

Item = TypeVar("Item", int, float, str)
RIVALS = {"fp32": 32.0, "bf16": 16.0, "fp8": 8.125}  # bits a number
SIZES = ",".join(f"{1 << power}{unit}" for unit in "KM" for power in range(0, 10, 2))
MOST_CALLS = 20
WARM_UPS = 1
REACHED = 8e9  # bit/s that ranks on one machine come near, whatever the link
SLOWER = 2.0  # than the bytes alone, before anything is known of a link
BY_BYTES = 5e-3  # from so many seconds on, time grows as the size
KEPT = ("alg", "bits", "bits_per_elem", "wire_bytes", "control_bytes", "retries")
KEPT += ("time_us", "time_min_us", "time_max_us")
KEPT += ("encode_us", "exchange_us", "reduce_us", "decode_us")
FILE, PAGE, RESULTS = "network.json", "network.md", ROOT / "bench/results"
QUICK = {
    "ranks": [2, 4],
    "rates": ["100mbit", "1gbit", "unshaped"],
    "sizes": [1 << 16, 1 << 20, 1 << 22, 1 << 24],
    "bits": [2.0, 4.0, 8.0],
    "rounds": 2,
    "seconds_per_row": 0.5,
}


def say(sentence: str) -> None:
    """Progress."""
    print(f"netlab.py: {sentence}", file=sys.stderr, flush=True)


@dataclass
class Link:
    """Ranks at a rate, and what is known so far of how long a call takes there."""

    ranks: int
    rate: str
    last: dict[str, tuple[int, float]] = field(default_factory=dict)  # method: size, seconds

    def bytes_alone(self, bits: float, size: int) -> float:
        """Seconds that a call's bytes take on the link, if no rank waits for another."""
        rate = min(bits_per_second(self.rate) or REACHED, REACHED)
        return ring_bits(self.ranks, size) * bits / 32 / rate

    def predict(self, method: str, bits: float, size: int) -> float:
        """Seconds of a call, from the last smaller size if there was one."""
        alone = SLOWER * self.bytes_alone(bits, size)
        if method not in self.last:
            return alone
        size_then, seconds = self.last[method]
        grows = self.bytes_alone(bits, size_then) >= BY_BYTES
        return seconds * size / size_then if grows else max(seconds, alone)


@dataclass
class Plan:
    """What one hlq_perf runs, and what was left out of it."""

    calls: int
    rivals: list[str]
    bits: list[float]
    left_out: dict[str, str]  # method: why

    def options(self, size: int) -> list[str]:
        """Of hlq_perf."""
        words = ["--alg", "auto,twoshot", "--bits", ",".join(f"{b:g}" for b in self.bits)]
        words += [f"--baselines={','.join(self.rivals)}"] if self.rivals else []
        words += ["-b", str(size), "-e", str(size), "-n", str(self.calls), "-w", str(WARM_UPS)]
        return [*words, "-c", "0"]


def free_memory() -> float:
    """Bytes that programs can still have; infinite where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except OSError:
        pass
    return float("inf")


def make_plan(link: Link, size: int, options: argparse.Namespace) -> Plan:
    """Decides which methods run at a size, and how often each is called."""
    expected = {name: link.predict(name, bits, size) for name, bits in RIVALS.items()}
    for bits in options.bits:
        names = (f"hlq {bits:g}", f"auto {bits:g}")
        expected |= dict.fromkeys(names, max(link.predict(name, bits, size) for name in names))
    needed = link.ranks * size * 3.5  # two tensors, and codes of 16 bits of all ranks' parts
    if needed > free_memory():
        why = f"needs about {needed / 2**30:.1f} GiB of memory"
        return Plan(0, [], [], dict.fromkeys(expected, why))
    left_out = {
        name: f"a call would take about {seconds:.0f} s, and {1 + WARM_UPS} are the least"
        for name, seconds in expected.items()
        if (1 + WARM_UPS) * seconds > options.row_limit
    }
    bits = [b for b in options.bits if f"hlq {b:g}" not in left_out]
    if not bits:
        why = "nothing of hlq could be measured here in time"
        return Plan(0, [], [], dict.fromkeys(expected, why) | left_out)
    slowest = max(seconds for name, seconds in expected.items() if name not in left_out)
    calls = max(1, min(MOST_CALLS, int(options.seconds_per_row / slowest)))
    return Plan(calls, [name for name in RIVALS if name not in left_out], bits, left_out)


class Measurement:
    """What was measured so far, and what was left out."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.begin = time.monotonic()
        self.failed = False
        self.plans: dict[tuple[int, str, int], Plan] = {}
        self.content: dict[str, Any] = {
            "tool": "netlab",
            "command": command_text("bench/netlab.py", options.words),
            "machine": machine(),
        }
        names = ("ranks", "rates", "sizes", "bits", "rounds", "seconds_per_row", "row_limit")
        self.content |= {name: getattr(options, name) for name in names}
        self.content |= {"rows": [], "left_out": []}

    def leave_out(self, link: Link, size: int, reasons: dict[str, str]) -> None:
        """Notes what is not measured, and why."""
        place = {"ranks": link.ranks, "rate": link.rate, "size": size}
        for name, why in reasons.items():
            self.content["left_out"].append(place | {"method": name, "why": why})
        for why in dict.fromkeys(reasons.values()):
            names = ", ".join(name for name, given in reasons.items() if given == why)
            say(f"{link.ranks} ranks, {link.rate}, {size_text(size)}: {names} left out: {why}")

    def measure_cell(self, link: Link, size: int, number: int) -> None:
        """One size of a link, in one round. The first round's plan holds for all."""
        key = (link.ranks, link.rate, size)
        if key not in self.plans:
            self.plans[key] = make_plan(link, size, self.options)
            self.leave_out(link, size, self.plans[key].left_out)
        plan = self.plans[key]
        if not plan.calls:
            return
        passed = time.monotonic() - self.begin
        say(
            f"{link.ranks} ranks, {link.rate}, {size_text(size)}, round {number + 1} of "
            f"{self.options.rounds}, {plan.calls} calls; {passed:.0f} s so far"
        )
        try:
            found = run_perf(
                *key[:2], plan.options(size), self.options.netlab, str(self.options.perf)
            )
        except RunFailed as failure:
            self.failed = True
            methods = [*plan.rivals, *(f"{n} {b:g}" for n in ("hlq", "auto") for b in plan.bits)]
            self.leave_out(link, size, dict.fromkeys(methods, f"round {number + 1}: {failure}"))
            self.plans[key] = Plan(0, [], [], {})
            return
        self.content |= {
            name: found[name] for name in ("version", "kernels", "mpi") if name in found
        }
        place = {"ranks": link.ranks, "rate": link.rate, "size": size, "round": number}
        for row in found["rows"]:
            method = method_of(row)
            link.last[method] = (size, row["time_us"] * 1e-6)
            kept = {name: row[name] for name in KEPT}
            self.content["rows"].append(place | {"method": method, "calls": plan.calls} | kept)

    def measure_all(self) -> None:
        """All links, each in rounds over all sizes; keeps the file of each finished round."""
        for ranks in self.options.ranks:
            for rate in self.options.rates:
                link = Link(ranks, rate)
                for number in range(self.options.rounds):
                    for size in self.options.sizes:
                        self.measure_cell(link, size, number)
                    self.write()

    def write(self) -> None:
        """The JSON, a line for each row; whole whenever it is looked at."""
        head = {name: value for name, value in self.content.items() if not isinstance(value, list)}
        head |= {name: self.content[name] for name in ("ranks", "rates", "sizes", "bits")}
        parts = [json.dumps(head)[:-1]]
        for name in ("rows", "left_out"):
            lines = ",\n".join(json.dumps(row) for row in self.content[name])
            parts.append(f'"{name}": [\n{lines}\n]')
        fresh = self.options.output / f"{FILE}.part"
        fresh.write_text(",\n".join(parts) + "}\n", encoding="utf-8")
        fresh.replace(self.options.output / FILE)


# The command line


def listed(text: str, read: Callable[[str], Item]) -> list[Item]:
    """Reads "a,b,c" with read for each; numbers are sorted, nothing is there twice."""
    try:
        found = [read(word) for word in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return list(dict.fromkeys(found if isinstance(found[0], str) else sorted(found)))


def between(kind: type[Item], low: float, high: float) -> Callable[[str], Item]:
    """A reader of a number in low … high."""

    def read(text: str) -> Item:
        try:
            value = kind(text)
            if low <= value <= high:
                return value
        except ValueError:
            pass
        raise ValueError(f"{text} is not a number from {low} to {high}")

    return read


def alone(read: Callable[[str], Item]) -> Callable[[str], Item]:
    """A reader of one item whose sentence argparse tells."""
    return lambda text: listed(text, lambda _: read(text))[0]


def rate(text: str) -> str:
    """Reads launch/netlab's RATE."""
    bits_per_second(text)
    return text


def read_arguments(words: list[str]) -> argparse.Namespace:
    """The command line, --quick's values below what was given."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--ranks", type=lambda t: listed(t, between(int, 2, 64)), default=[2, 4, 8])
    add("--rates", type=lambda t: listed(t, rate), default=RATES, help=f"{','.join(RATES)}")
    add("--sizes", type=lambda t: listed(t, bytes_of), default=listed(SIZES, bytes_of), help=SIZES)
    add(
        "--bits",
        type=lambda t: listed(t, between(float, 1, 12)),
        default=[float(bits) for bits in range(2, 9)],
        help="of hlq and auto: 2,3,4,5,6,7,8",
    )
    add("--rounds", type=alone(between(int, 1, 1000)), default=3, help="default 3")
    add(
        "--seconds-per-row",
        type=alone(between(float, 0, 10_000)),
        default=2.0,
        help="timed calls; default 2",
    )
    add("--row-limit", type=alone(between(float, 0, 1_000_000)), default=120.0, metavar="SECONDS",
        help="what would take longer in a round is left out; default 120")  # fmt: skip
    add("--quick", action="store_true", help="fewer ranks, rates, sizes and bits, unless given")
    add("--output", type=Path, default=ROOT / "build/network", help="folder (build/network)")
    add("--docs", action="store_true", help="writes docs/ and bench/results/ as well")
    add("--from", dest="source", type=Path, metavar="FILE", help="measures nothing")
    add("--perf", type=Path, default=PERF, help="the program hlq_perf")
    add("--netlab", type=Path, default=NETLAB, help="the program that makes the network")
    if "--quick" in words:
        parser.set_defaults(**QUICK)
    options = parser.parse_args(words)
    options.words = words
    make_folder(parser, options.output)
    return options


def write_report(content: dict[str, Any], options: argparse.Namespace) -> None:
    """The page and the plots, with --docs where they are kept."""
    results = Results(content)
    pictures = plot_all(results, options.output)
    (options.output / PAGE).write_text(page(results, pictures), encoding="utf-8")
    if options.docs:
        RESULTS.mkdir(exist_ok=True)
        shutil.copyfile(options.output / FILE, RESULTS / FILE)
        for name in (PAGE, *(picture.name for picture in pictures)):
            shutil.copyfile(options.output / name, ROOT / "docs" / name)
    say(f"page, plots and {FILE} are in {options.output}")


def main(words: list[str]) -> int:
    """Measures, writes, plots."""
    options = read_arguments(words)
    if options.source is not None:
        content = read_results("netlab", options.source, "rows")
        (options.output / FILE).write_text(options.source.read_text("utf-8"), encoding="utf-8")
        write_report(content, options)
        return 0
    measurement = Measurement(options)
    try:
        measurement.measure_all()
    except KeyboardInterrupt:
        say("interrupted; what follows is of what was measured")
    measurement.write()
    if not measurement.content["rows"]:
        say("nothing could be measured")
        return 1
    write_report(measurement.content, options)
    return 1 if measurement.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
