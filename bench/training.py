#!/usr/bin/env python3
"""Train a byte-level transformer with fp32, bf16 and compressed gradients; compare losses.

Runs adapters/pytorch/examples/train_bytes.py under mpirun, seed by seed, once for each way to
average gradients. Runs of one seed start from the same weights and see the same batches, so their
losses are compared seed by seed. A finished run is kept as JSON in the folder of --out, with what
it printed beside it, and not repeated; an interrupted one starts again.

    bench/training.py                  15 runs of a minute each; table and plot in build/training
    bench/training.py --only fp32,hlq4 --seeds 1 --steps 50
    bench/training.py --report         of what is finished, also while another one runs
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

try:
    import matplotlib
    import torch

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.axes import Axes
except ImportError as missing:
    sys.exit(f"training.py: {missing}; run it with the Python of .venv, which launch/env makes")

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "adapters/pytorch/examples/train_bytes.py"
MPI_SETTINGS = ROOT / "launch/mpi.env"
TABLE, PICTURE = ROOT / "docs/training.md", ROOT / "docs/training.png"
RESULTS = ROOT / "bench/results/training_bytes.json"
HLQ = ["--comm", "hook", "--algorithm", "twoshot"]
SETTINGS = {  # name: options of the example; run in this order
    "fp32": ["--comm", "fp32"],
    "hlq4": [*HLQ, "--bits", "4"],
    "hlq2": [*HLQ, "--bits", "2"],
    "hlq3": [*HLQ, "--bits", "3"],
    "bf16": ["--comm", "bf16"],
}
TITLES = {  # order and wording of table and plot
    "fp32": "fp32",
    "bf16": "bf16",
    "hlq4": "hlq 4 b",
    "hlq3": "hlq 3 b",
    "hlq2": "hlq 2 b",
}
COLOURS = {
    "fp32": "black",
    "bf16": "tab:grey",
    "hlq4": "tab:blue",
    "hlq3": "tab:green",
    "hlq2": "tab:orange",
}
POINTS = 50  # of a curve; with the remainder of a division, the example makes less than 100
VERSIONS = {"python": platform.python_version(), "torch": torch.__version__}  # Python is the text

Run = dict[str, Any]
Runs = dict[str, dict[int, Run]]  # by setting and seed


def environment() -> dict[str, str]:
    """Of a run: MPI's settings, one thread per rank, programs beside this Python first."""
    env = dict(os.environ)
    for line in MPI_SETTINGS.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            env[name] = value
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    env["OMP_NUM_THREADS"] = "1"
    return env


def kept(options: argparse.Namespace, name: str, seed: int) -> Path:
    """Where the run of one setting and seed is kept."""
    return options.out / f"{name}_{options.ranks}ranks_{options.steps}steps_seed{seed}.json"


def train(options: argparse.Namespace, name: str, seed: int) -> Run:
    """Trains once and keeps the result, with the versions and the seed added to it.

    Exits with a sentence if the run fails.
    """
    path = kept(options, name, seed)
    fresh, log = path.with_suffix(".part"), path.with_suffix(".log")
    env = environment()
    mpirun = shutil.which("mpirun", path=env["PATH"])
    if mpirun is None:
        sys.exit("training.py: there is no mpirun in PATH; launch/env installs one")
    command = [mpirun, "-n", str(options.ranks), sys.executable, str(EXAMPLE), *SETTINGS[name]]
    command += ["--steps", str(options.steps), "--seed", str(seed), "--points", str(POINTS)]
    with log.open("w", encoding="utf-8") as output:
        ended = subprocess.run(
            [*command, "--json", str(fresh)],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if ended.returncode != 0:
        sys.exit(f"training.py: {name}, seed {seed}, ended with {ended.returncode}; see {log}")
    run = json.loads(fresh.read_text(encoding="utf-8")) | {"seed": seed} | VERSIONS
    fresh.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)
    return run


def read(path: Path) -> Run:
    """A kept run. Exits if it is damaged, or made by other versions: losses would not compare."""
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        made_by = {name: run[name] for name in VERSIONS}
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"training.py: {path} is no finished run ({error!r}); delete it")
    if made_by != VERSIONS:
        sys.exit(f"training.py: {path} is of {made_by}, this is {VERSIONS}; use another --out")
    return run


def train_all(options: argparse.Namespace) -> None:
    """Trains what is not there yet, seed by seed, so that an unfinished set is balanced."""
    wanted = [(seed, name) for seed in range(options.seeds) for name in options.only]
    todo = [(seed, name) for seed, name in wanted if not kept(options, name, seed).exists()]
    begin = time.monotonic()
    for done, (seed, name) in enumerate(todo, start=1):
        run = train(options, name, seed)
        left = (time.monotonic() - begin) / done * (len(todo) - done) / 60
        print(
            f"{done} of {len(todo)}: {TITLES[name]}, seed {seed}: loss {run['loss']:.4f}, "
            f"{run['seconds']:.0f} s; {left:.0f} minutes to go",
            file=sys.stderr,
            flush=True,
        )


def finished(options: argparse.Namespace) -> Runs:
    """All kept runs of these steps, ranks and seeds, of any setting."""
    found: Runs = {}
    for name in TITLES:
        paths = {seed: kept(options, name, seed) for seed in range(options.seeds)}
        runs = {seed: read(path) for seed, path in paths.items() if path.exists()}
        if runs:
            found[name] = runs
    return found


# The table


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and standard deviation over the seeds: NaN of a single one."""
    spread = statistics.stdev(values) if len(values) > 1 else math.nan
    return statistics.fmean(values), spread


def differences(runs: Runs, name: str) -> list[float]:
    """Loss of a setting minus fp32's, of every seed that both have."""
    fp32 = runs.get("fp32", {})
    return [run["loss"] - fp32[seed]["loss"] for seed, run in runs[name].items() if seed in fp32]


def with_spread(values: Sequence[float], sign: str = "") -> str:
    """A cell: "1.2345 ± 0.0067"."""
    if not values:
        return "–"
    mean, spread = mean_and_spread(values)
    return f"{mean:{sign}.4f} ± {spread:.4f}" if len(values) > 1 else f"{mean:{sign}.4f}"


def table(runs: Runs) -> str:
    """Markdown, a line for each setting."""
    head = ["gradients", "seeds", "final loss", "minus fp32's", "MB sent per rank", "beside fp32"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    fp32_sent = [run["bytes_sent_per_rank"] for run in runs.get("fp32", {}).values()]
    for name, of_seed in runs.items():
        sent = statistics.fmean(run["bytes_sent_per_rank"] for run in of_seed.values())
        fewer = f"{fp32_sent[0] / sent:.2f} × less" if fp32_sent and sent else "–"
        cells = [
            TITLES[name],
            str(len(of_seed)),
            with_spread([run["loss"] for run in of_seed.values()]),
            "–" if name == "fp32" else with_spread(differences(runs, name), sign="+"),
            f"{sent / 1e6:.1f}",
            "–" if name == "fp32" else fewer,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def verdict(runs: Runs) -> str:
    """Which mean losses lie within fp32's spread over the seeds: at 4 bits, it should."""
    fp32 = [run["loss"] for run in runs.get("fp32", {}).values()]
    if len(fp32) < 2:
        return "What lies within fp32's spread takes two seeds of fp32."
    mean, spread = mean_and_spread(fp32)
    lines = [f"Mean loss minus fp32's, beside fp32's spread over the seeds, {spread:.4f}:"]
    for name in [name for name in runs if name != "fp32"]:
        away = statistics.fmean(run["loss"] for run in runs[name].values()) - mean
        within = "within" if abs(away) <= spread else "not within"
        lines.append(f"- {TITLES[name]}: {away:+.4f}, {within}")
    return "\n".join(lines)


def report(options: argparse.Namespace, runs: Runs) -> str:
    """The page of Markdown."""
    command = shlex.join(["bench/training.py", *sys.argv[1:]])
    return f"""\
# Training with compressed gradients

    {command}

A byte-level transformer of 0.67 million weights (`{EXAMPLE.relative_to(ROOT)}`)
learns the standard library of Python {VERSIONS["python"]}: {options.steps} steps on \
{options.ranks} ranks, torch {VERSIONS["torch"].partition("+")[0]}, over MPI.
hlq: algorithm twoshot, error feedback, all gradients compressed. Runs of one seed start from the
same weights and see the same batches.

{table(runs)}

Final loss: cross-entropy in nats per byte on held-out files, after the last step. Minus fp32's: of
the same seed. ±: standard deviation over the seeds (n - 1 in the denominator). Bytes of hlq are
counted, everything included; those of fp32 and bf16 are a ring's.

{verdict(runs)}

![Loss against steps, difference to fp32, loss against bytes sent]({PICTURE.name})

Curves: loss on what is trained on, mean over {max(1, options.steps // POINTS)} steps; bands: \
standard deviation over the seeds.
"""


# The plot


def band(axes: Axes, x: Sequence[float], curves: Sequence[Sequence[float]], name: str) -> None:
    """Draws the mean of the seeds' curves, and their spread around it; x as long as each curve."""
    points = [mean_and_spread(values) for values in zip(*curves, strict=True)]
    axes.plot(x, [mean for mean, _ in points], color=COLOURS[name], label=TITLES[name], lw=1.2)
    if len(curves) > 1:
        low, high = zip(*((mean - spread, mean + spread) for mean, spread in points), strict=True)
        axes.fill_between(x, low, high, color=COLOURS[name], alpha=0.2, lw=0)


def column(run: Run, what: str) -> list[float]:
    """One of "step", "loss", "bytes" along a run's curve."""
    return [point[what] for point in run["curve"]]


def plot(runs: Runs, path: Path) -> None:
    """Loss against steps, the same minus fp32's of the same seed, loss against bytes sent."""
    figure, (losses, distances, sent) = plt.subplots(1, 3, figsize=(14, 4.4), layout="constrained")
    fp32 = runs.get("fp32", {})
    for name, of_seed in runs.items():
        curves = [column(run, "loss") for run in of_seed.values()]
        one = next(iter(of_seed.values()))
        steps, megabytes = column(one, "step"), [count / 1e6 for count in column(one, "bytes")]
        band(losses, steps, curves, name)
        if all(megabytes):  # a single rank sends nothing
            band(sent, megabytes, curves, name)
        paired = [
            [here - there for here, there in zip(curve, column(fp32[seed], "loss"), strict=True)]
            for seed, curve in zip(of_seed, curves, strict=True)
            if seed in fp32
        ]
        if paired:
            band(distances, steps, paired, name)
    losses.set(xlabel="step", ylabel="loss, nats per byte", yscale="log", title="loss")
    distances.set(xlabel="step", title="loss minus fp32's, same seed")
    sent.set(xlabel="MB sent per rank", xscale="log", yscale="log", title="loss against bytes sent")
    for axes in (losses, distances, sent):
        axes.grid(alpha=0.3, which="both")
    losses.legend()
    sent.xaxis.set_major_formatter("{x:g}")
    for axes in (losses, sent):
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def results(runs: Runs) -> str:
    """All runs as JSON, a line each; curves as columns."""
    lines = []
    for name, of_seed in runs.items():
        for run in of_seed.values():
            curve = {what: column(run, what) for what in ("step", "loss", "bytes")}
            curve["loss"] = [round(loss, 5) for loss in curve["loss"]]
            lines.append(json.dumps({"setting": name} | run | {"curve": curve}))
    return "[\n" + ",\n".join(lines) + "\n]\n"


# The command line


def positive(text: str) -> int:
    """Reads an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return int(text)


def settings(text: str) -> list[str]:
    """Reads "fp32,hlq4"; in the order in which they are run."""
    words = text.split(",")
    for word in words:
        if word not in SETTINGS:
            raise argparse.ArgumentTypeError(f"{word!r} is not one of {', '.join(SETTINGS)}")
    return [name for name in SETTINGS if name in words]


def by_others() -> str:
    """What stands in the page under headings of its own: bench/training_fsdp.py's, by hand."""
    text = TABLE.read_text(encoding="utf-8") if TABLE.exists() else ""
    start = text.find("\n## ")
    return text[start:] if start >= 0 else ""


def main() -> int:
    """Trains what is missing, then prints, plots and writes what is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    every = ",".join(SETTINGS)
    parser.add_argument("--out", type=Path, default=Path("build/training"), help="keeps the runs")
    parser.add_argument("--steps", type=positive, default=600, help="default %(default)s")
    parser.add_argument("--seeds", type=positive, default=3, help="how many (%(default)s)")
    parser.add_argument("--ranks", type=positive, default=4, help="default %(default)s")
    parser.add_argument("--only", type=settings, default=every, help=f"of {every}; tells of all")
    parser.add_argument("--report", action="store_true", help="trains nothing")
    parser.add_argument("--docs", action="store_true", help="writes docs/, bench/results/ as well")
    options = parser.parse_args()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"cannot make the folder {options.out}: {error.strerror}")
    try:
        if not options.report:
            train_all(options)
    except KeyboardInterrupt:
        sys.exit(f"training.py: interrupted; finished runs are in {options.out}")
    runs = finished(options)
    if not runs:
        sys.exit(f"training.py: no finished run of {options.steps} steps in {options.out}")
    page, picture, raw = report(options, runs), options.out / PICTURE.name, results(runs)
    (options.out / TABLE.name).write_text(page, encoding="utf-8")
    (options.out / RESULTS.name).write_text(raw, encoding="utf-8")
    plot(runs, picture)
    if options.docs:
        RESULTS.parent.mkdir(exist_ok=True)
        TABLE.write_text(page + by_others(), encoding="utf-8")
        RESULTS.write_text(raw, encoding="utf-8")
        shutil.copyfile(picture, PICTURE)
    print(f"{table(runs)}\n\n{verdict(runs)}\n\nPage, plot and runs are in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
