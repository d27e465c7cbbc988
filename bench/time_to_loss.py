#!/usr/bin/env python3
"""Measure how long training takes to reach a loss on slow links, with fp32, bf16 and hlq.

Runs both training examples of adapters/pytorch on ranks in network namespaces (launch/netlab, so it
needs root), gradients as fp32 and bf16 through gloo, as DDP sends them, and as hlq over MPI. Runs
of one seed start from the same weights and see the same batches, so that only gradients and time
differ. The loss to reach is, unless given, the lowest that all runs of an example come to,
smoothed: the one that the slowest learner has near its end.

    bench/time_to_loss.py --quick                            a few minutes
    bench/time_to_loss.py --docs                             half an hour; writes docs/ as well
    bench/time_to_loss.py --examples digits --loss 0.2
    bench/time_to_loss.py --from build/time_to_loss/time_to_loss.json

Writes time_to_loss.json, time-to-loss.md, a plot and what every run printed into the folder of
--output. Ctrl-C ends it early. Exit code 1: a run failed.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from netlab import alone, between, listed, rate
from perf_runs import (
    NETLAB,
    ROOT,
    RunFailed,
    command_text,
    machine,
    make_folder,
    read_results,
    run_on_network,
)
from time_to_loss_report import EXAMPLES, Results, page, plot

FOLDER = ROOT / "adapters/pytorch/examples"
GRADIENTS = {  # name: options of the examples; measured in this order
    "fp32": ["--comm", "fp32"],
    "bf16": ["--comm", "bf16"],
    "hlq 4": ["--comm", "hook", "--algorithm", "twoshot", "--bits", "4"],
}
# Ranks have an address each, and no name for it. Those of one machine share its cores.
ENVIRONMENT = ["OMP_NUM_THREADS=1", "MASTER_ADDR=10.0.0.1", "GLOO_SOCKET_IFNAME=eth0"]
FILE, PAGE, PICTURE = "time_to_loss.json", "time-to-loss.md", "time-to-loss.png"
RESULTS = ROOT / "bench/results"
STEPS = {"bytes": 200, "digits": 150}
QUICK = {"ranks": [2], "rates": ["100mbit"], "steps": 30}


def say(sentence: str) -> None:
    """Progress."""
    print(f"time_to_loss.py: {sentence}", file=sys.stderr, flush=True)


class Measurement:
    """The runs so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.failed = False
        self.content: dict[str, Any] = {
            "tool": "time_to_loss",
            "command": command_text("bench/time_to_loss.py", options.words),
            "machine": machine(),
            "python": platform.python_version(),
            "torch": version("torch").partition("+")[0],
        }
        names = ("examples", "ranks", "rates", "rounds", "seed", "loss", "smooth")
        self.content |= {name: getattr(options, name) for name in names}
        self.content |= {"runs": [], "failures": []}

    def train(self, place: dict[str, Any]) -> None:
        """One run; place says which."""
        options, example = self.options, place["example"]
        steps = options.steps or STEPS[example]
        name = "_".join(str(value) for value in place.values()).replace(" ", "")
        log = options.output / f"{name}.jsonl"
        log.unlink(missing_ok=True)
        words = ["env", *ENVIRONMENT, sys.executable, str(FOLDER / f"train_{example}.py")]
        words += [*GRADIENTS[place["gradients"]], "--steps", str(steps), "--points", "1"]
        words += ["--seed", str(options.seed), "--log", str(log.resolve())]
        begin = time.monotonic()
        try:
            run_on_network(
                place["ranks"], place["rate"], words, options.netlab, log.with_suffix(".txt")
            )
            lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
            if len(lines) != steps:
                raise RunFailed(f"it logged {len(lines)} of {steps} steps")
        except (RunFailed, OSError, ValueError) as failure:
            self.failed = True
            self.content["failures"].append(place | {"why": str(failure)})
            say(f"{name}: {failure}")
            return
        curves = {what: [line[what] for line in lines] for what in ("loss", "seconds", "bytes")}
        self.content["runs"].append(place | {"steps": steps} | curves)
        took = time.monotonic() - begin
        say(f"{name}: {curves['seconds'][-1]:.1f} s, {took:.0f} s with start-up")

    def train_all(self) -> None:
        """All runs: on each link in rounds, all gradients in turn; the file is kept after each."""
        options = self.options
        for example in options.examples:
            for ranks in options.ranks:
                for link in options.rates:
                    for number in range(options.rounds):
                        place = {"example": example, "ranks": ranks, "rate": link}
                        for gradients in GRADIENTS:
                            self.train(place | {"gradients": gradients, "round": number})
                            self.write()

    def write(self) -> None:
        """The JSON, a line for each run; whole whenever it is looked at."""
        content = dict(self.content)
        runs = [json.dumps(rounded(run)) for run in content.pop("runs")]
        text = json.dumps(content)[:-1] + ',\n"runs": [\n' + ",\n".join(runs) + "\n]}\n"
        fresh = self.options.output / f"{FILE}.part"
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self.options.output / FILE)


def rounded(run: dict[str, Any]) -> dict[str, Any]:
    """A run whose numbers have no more digits than anyone needs."""
    loss = [round(value, 5) for value in run["loss"]]
    return run | {"loss": loss, "seconds": [round(value, 4) for value in run["seconds"]]}


def example(text: str) -> str:
    """Reads the name of an example."""
    if text not in EXAMPLES:
        raise ValueError(f"{text} is not one of {', '.join(EXAMPLES)}")
    return text


def read_arguments(words: list[str]) -> argparse.Namespace:
    """The command line, --quick's values below what was given."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    every = list(EXAMPLES)
    add("--examples", type=lambda t: listed(t, example), default=every, help=",".join(every))
    add("--ranks", type=lambda t: listed(t, between(int, 2, 64)), default=[2, 4], help="2,4")
    rates = ["100mbit", "1gbit"]
    add("--rates", type=lambda t: listed(t, rate), default=rates, help=",".join(rates))
    steps = ", ".join(f"{name} {count}" for name, count in STEPS.items())
    add("--steps", type=alone(between(int, 1, 1_000_000)), help=steps)
    add("--seed", type=alone(between(int, 0, 1_000_000)), default=0, help="default 0")
    add("--rounds", type=alone(between(int, 1, 1000)), default=1, help="default 1")
    add("--loss", type=alone(between(float, 0, 1000)), help="to reach, instead of the default")
    add("--smooth", type=alone(between(int, 1, 1000)), default=20, metavar="STEPS",
        help="the loss is a mean over so many (default 20)")  # fmt: skip
    add("--quick", action="store_true", help="2 ranks, 100 Mb/s, 30 steps, unless given")
    add("--output", type=Path, default=ROOT / "build/time_to_loss", help="folder")
    add("--docs", action="store_true", help="writes docs/ and bench/results/ as well")
    add("--from", dest="source", type=Path, metavar="FILE", help="trains nothing")
    add("--netlab", type=Path, default=NETLAB, help="the program that makes the network")
    if "--quick" in words:
        parser.set_defaults(**QUICK)
    options = parser.parse_args(words)
    options.words = words
    make_folder(parser, options.output)
    return options


def write_report(content: dict[str, Any], options: argparse.Namespace) -> None:
    """The page and the plot, with --docs where they are kept."""
    results = Results(content)
    plot(results, options.output / PICTURE)
    (options.output / PAGE).write_text(page(results, PICTURE), encoding="utf-8")
    if options.docs:
        RESULTS.mkdir(exist_ok=True)
        shutil.copyfile(options.output / FILE, RESULTS / FILE)
        for name in (PAGE, PICTURE):
            shutil.copyfile(options.output / name, ROOT / "docs" / name)
    say(f"page, plot and {FILE} are in {options.output}")


def main(words: list[str]) -> int:
    """Trains, writes, plots."""
    options = read_arguments(words)
    if options.source is not None:
        write_report(read_results("time_to_loss", options.source, "runs"), options)
        if options.source.resolve() != (options.output / FILE).resolve():
            shutil.copyfile(options.source, options.output / FILE)
        return 0
    measurement = Measurement(options)
    try:
        measurement.train_all()
    except KeyboardInterrupt:
        say("interrupted; what follows is of the runs that ended")
    measurement.write()
    if not measurement.content["runs"]:
        say("no run came to its end")
        return 1
    write_report(measurement.content, options)
    return 1 if measurement.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
