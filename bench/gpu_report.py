#!/usr/bin/env python3
"""What launch/gpu-check found, as a page of Markdown, with the JSON of hlq_gpu beside it.

    bench/gpu_report.py build-gpu/gpu-check --output bench/results/nvidia-h100

The folder of a run has facts.tsv (name, value), steps.tsv (name, result, seconds, last words),
tests.xml (JUnit, of ctest) and hlq_gpu_*.json; all but the steps may be missing or cut short. Needs
nothing but Python, for it runs where launch/env cannot. Exit code 0; 2 for a folder of no run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from perf_runs import short, size_text

RESULTS = {"run": "passed", "fail": "failed", "notrun": "skipped"}  # of JUnit's tests

Row = Sequence[str]


def table(head: Row, rows: Sequence[Row]) -> Iterator[str]:
    """Lines of Markdown; a bar in a cell would end it."""
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"


def lines_of(file: Path, cells: int) -> list[list[str]]:
    """Lines of so many cells, of a file that may be missing."""
    if not file.exists():
        return []
    lines = (line.split("\t") for line in file.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if len(line) == cells]


def tests_of(file: Path) -> list[list[str]]:
    """Name, result and seconds of every test."""
    try:
        cases = ElementTree.parse(file).getroot().iter("testcase")
        return [
            [
                case.get("name", ""),
                RESULTS.get(case.get("status", ""), "?"),
                short(float(case.get("time", "nan"))),
            ]
            for case in cases
        ]
    except (OSError, ElementTree.ParseError, ValueError):
        return []


def measured(file: Path) -> dict[str, Any] | None:
    """What hlq_gpu wrote; None if it was ended before."""
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found if found["tool"] == "hlq_gpu" and found["rows"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def step_name(row: dict[str, Any]) -> str:
    """The name in tables: "sum 8"; "encode", where ranks do not matter."""
    return row["step"] if row["ranks"] == 1 else f"{row['step']} {row['ranks']}"


def rest_of_write(rows: Sequence[dict[str, Any]]) -> str:
    """Which part of writing a message is neither exponents nor encode."""
    seconds = {row["step"]: row["seconds"] for row in rows}
    rest = 1 - (seconds["exponents"] + seconds["encode"]) / seconds["write"]
    return f"Of write, {100 * rest:.0f} % are neither exponents nor encode: plan, checksums, zeros."


def throughput(found: dict[str, Any]) -> Iterator[str]:
    """A section of what was measured on one type."""
    yield f"## {found['dtype']}, {found['lattice']}, {found['bits']} bits"
    yield ""
    yield (
        f"Tensor of {size_text(found['bytes'])}, median of {found['calls']} calls. GB/s are bytes "
        "of the tensor per second, also of the copy within the GPU's memory, which reads and "
        "writes them."
    )
    yield ""
    rows = [
        [
            step_name(row),
            short(1e6 * row["seconds"]),
            short(row["gbps"]),
            f"{row['ratio']:.3f}",
            f"{100 * row['spread']:.1f} %",
            "–" if row["error"] is None else f"{row['error']:.1e}",
        ]
        for row in found["rows"]
    ]
    yield from table(("step", "µs", "GB/s", "× copy", "spread", "error"), rows)
    yield ""
    yield rest_of_write(found["rows"])
    if not found["passed"]:
        yield "**Something is wrong with what it computed: see its log.**"
    yield ""


def gains(all_found: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What an all-reduce would gain over bf16, for all types."""
    yield "## Gain of an all-reduce over bf16, predicted"
    yield ""
    yield (
        "Time that bytes of bf16 take around a ring, its sums free, by that of coded bytes and of "
        "the GPU (all_reduce above), one after the other. Links are per direction."
    )
    yield ""
    links = list(all_found[0]["gains"][0]["links"])
    rows = [
        [
            found["dtype"],
            str(gain["ranks"]),
            short(1e3 * gain["seconds"]),
            short(gain["sent_bytes"] / 1e6),
            short(gain["bf16_bytes"] / 1e6),
            *(f"{gain['links'][link]:.2f}" for link in links),
            f"{gain['even_gbits']:.0f} Gb/s",
        ]
        for found in all_found
        for gain in found["gains"]
    ]
    head = ("type", "ranks", "GPU, ms", "sent, MB", "bf16, MB", *links, "even at")
    yield from table(head, rows)


def page(run: Path) -> Iterator[str]:
    """Lines of the summary."""
    facts = lines_of(run / "facts.tsv", 2)
    yield f"# {dict(facts).get('GPU', 'A GPU')}"
    yield ""
    yield "Made by `launch/gpu-check`."
    yield ""
    yield from table(("", ""), [(name, value or "unknown") for name, value in facts])
    yield ""
    yield "## Steps"
    yield ""
    yield from table(("step", "result", "seconds", "last words"), lines_of(run / "steps.tsv", 4))
    yield ""
    tests = tests_of(run / "tests.xml")
    if tests:
        yield from table(("test", "result", "seconds"), tests)
        yield ""
    all_found = [found for file in json_files(run) if (found := measured(file))]
    for found in all_found:
        yield from throughput(found)
    if all_found:
        yield from gains(all_found)
    else:
        yield "hlq_gpu measured nothing."


def json_files(run: Path) -> list[Path]:
    """Of hlq_gpu, float32 first."""
    return sorted(run.glob("hlq_gpu_*.json"), reverse=True)


def main(words: list[str]) -> int:
    """Reads the run, writes the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the folder of a run")
    parser.add_argument("--output", type=Path, required=True, help="folder of the page, made anew")
    options = parser.parse_args(words)
    if not lines_of(options.run / "steps.tsv", 4):
        print(f"gpu_report.py: {options.run} has no steps.tsv of launch/gpu-check", file=sys.stderr)
        return 2
    shutil.rmtree(options.output, ignore_errors=True)
    options.output.mkdir(parents=True)
    for file in json_files(options.run):
        if measured(file):
            shutil.copy(file, options.output)
    text = "\n".join(page(options.run)).rstrip() + "\n"
    (options.output / "summary.md").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
